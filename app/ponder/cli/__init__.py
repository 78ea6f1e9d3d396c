"""The command line: parse, call, print. One file a command, imported when it is called.

stdout is data, stderr is narration. Errors go to stderr with their hint; the exit code is 0
when all went well, 2 when the words or files given cannot be used, 1 when something else
failed, 130 after Ctrl-C, 143 after SIGTERM, 141 when whoever read the output went away.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from itertools import takewhile
from types import FrameType

import click

from ponder import __version__
from ponder.errors import InputError, PonderError, UnknownName

_COMMANDS = {
    "chat": "Open the chat screen; `ponder` alone does the same.",
    "ask": "Ask one question, and watch the model think within its budget.",
    "run": "Ask the questions of a file, under one pool of thinking or one deadline.",
    "history": "List, show, search, export, rename, pin and delete conversations.",
    "models": "List the models that are here, and those that could be.",
    "fit": "See which models fit on this machine, where they go, and how fast they can be.",
    "pull": "Fetch a model from the hub, or what is missing of it, and check it.",
    "import": "Give a model file that is on this machine a name.",
    "where": "Print the path of a model.",
    "verify": "Check that models are what they were when they came.",
    "rm": "Remove a model that ponder fetched or imported.",
    "quantize": "Quantize a checkpoint, or a GGUF, into a GGUF.",
    "imatrix": "Compute an importance matrix of a model, for its smallest quants.",
    "measured": "See what was measured of models here: how long they think, how fast they are.",
    "eval": "Measure a model: accuracy against thinking tokens, on questions with answers.",
    "calibrate": "Measure a model here, in minutes, and suggest a budget for it.",
    "compare": "See what a quant lost: on a text, and on questions.",
    "record": "Record whole traces, and what they would have answered on their way.",
    "replay": "Replay ways to stop and to vote on recorded traces: what each costs and brings.",
    "bundle": "Carry models through an air gap: pack, verify and install a bundle.",
    "doctor": "See what this machine has, and whether llama.cpp works on it.",
    "preset": "Keep a model, a system prompt, a budget and a sampler under a name.",
    "config": "Show where things are kept and what is set; set it.",
    "completion": "Print the completion script for a shell.",
}
"""Each command is `app` in the module of its name. Listed here so that help imports none."""
_OWN_OPTIONS = ("-h", "--help", "-V", "--version", "--offline")
"""Options of `ponder` itself; any other in the first place is one of the chat."""


class _ReaderGoneError(Exception):
    """Whoever read our output has gone away."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        # `import` is a word of Python's.
        module = "import_" if cmd_name == "import" else cmd_name
        command = importlib.import_module(f"ponder.cli.{module}").app
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise UnknownName("command", args[0], _COMMANDS)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click would make exit code 1 of it, as if something had failed.
            raise _ReaderGoneError from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`ponder` alone opens the chat. One question: ponder ask 'What is 17 * 23 + 4?'",
)
@click.version_option(__version__, "-V", "--version", prog_name="ponder")
@click.option("--offline", is_flag=True, help="Refuse every connection that leaves this machine.")
def app(offline: bool) -> None:
    """Reasoning models on your own machine, with a budget for how long they may think."""
    from ponder import offline as guard

    if offline or guard.wanted(os.environ):
        guard.engage()


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; gives the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows a question mark, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    with contextlib.suppress(ValueError):  # not in the main thread: nothing to restore there
        signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app.main(_with_command(arguments), prog_name="ponder", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except (BrokenPipeError, _ReaderGoneError):
        # Whoever read us is gone; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OSError as error:
        # A full disk, most likely; and what is left in the buffer would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        what = "The output could not be written" if error.filename is None else error.filename
        _tell(PonderError(f"{what}: {error.strerror}."))
        return 1
    except PonderError as error:
        _tell(error)
        return 2 if isinstance(error, InputError) else 1


def _with_command(arguments: Sequence[str]) -> list[str]:
    """`ponder`, and `ponder` with options alone, is the chat."""
    own = list(takewhile(lambda argument: argument in _OWN_OPTIONS, arguments))
    rest = list(arguments[len(own) :])
    if set(own) <= {"--offline"} and (not rest or rest[0].startswith("-")):
        return [*own, "chat", *rest]
    return [*own, *rest]


def _tell(error: PonderError) -> None:
    from ponder.printable import safe

    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(safe(error.message), err=True)
    if error.hint:
        click.secho("hint:  ", fg="cyan", err=True, nl=False)
        click.echo(safe(error.hint), err=True)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Leave as if the program had ended: everything that is open gets closed."""
    raise SystemExit(128 + signal.SIGTERM)
