"""`ponder replay`: a turn asked again, or all ways to stop and to vote tried on recorded traces."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ponder.cli.options import chosen_model
from ponder.cli.reading import progress
from ponder.errors import InputError
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.evaluation.traces.reporting import Report

_NAMES = 22
"""Columns of a policy's name at least: those of votes stay on one line."""


@click.command(
    name="replay",
    help="""Ask a turn of the history again, exactly as it was asked, and compare token by token.

    TURN is its number (`ponder history show` tells it), or `last`. Weights, template, adapters and
    settings have to be those of its receipt; what is not is named. Answer now, more, Wait and
    deadlines fall at the tokens where they fell.

    With a BANK, a file that `ponder record` wrote: try every way to stop thinking, and to vote, on
    its traces, and tell what each costs and brings. No model is loaded.""",
    epilog="For example: ponder replay last, or: ponder replay tiny.jsonl.gz --output docs",
)
@click.argument("what", metavar="TURN|BANK")
@chosen_model
@click.option("--template", type=click.Path(path_type=Path), help="A chat template in Jinja.")
@click.option(
    "--live",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Add what `ponder eval` measured of the same questions: Waits, for example.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write replay.md and replay.svg there.",
)
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    what: str,
    model: str | None,
    lora: tuple[str, ...],
    template: Path | None,
    live: Path | None,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """See the command's help."""
    bank = Path(what)
    turn = turn_number(what)
    if turn is not False and not bank.is_file():
        from ponder.cli.repeat import repeat

        _refuse({"--live": live, "--output": output}, "a bank of traces")
        repeat(turn, model, lora, template, as_json, quiet)
    elif bank.is_file():
        _refuse({"--model": model, "--lora": lora, "--template": template}, "a turn")
        _replay(bank, live, output, as_json, quiet)
    else:
        raise InputError(
            f"{what} is neither a turn of the history nor a file.",
            "`last`, a turn's number (`ponder history show last`), or what `ponder record` wrote.",
        )


def turn_number(word: str) -> int | Literal[False] | None:
    """A turn by its number; None is the last one, False is no turn."""
    if word == "last":
        return None
    return int(word) if word.isascii() and word.isdigit() and len(word) < 20 else False


def _refuse(options: Mapping[str, object], what: str) -> None:
    for name, given in options.items():
        if given:
            raise InputError(f"{name} is for {what}.", "Leave it out.")


def _replay(bank: Path, live: Path | None, output: Path | None, as_json: bool, quiet: bool) -> None:
    from ponder.equality import Comparer
    from ponder.evaluation.traces.form import read
    from ponder.evaluation.traces.reporting import report
    from ponder.evaluation.traces.tables import markdown, svg
    from ponder.history import document

    with Comparer() as comparer, progress(quiet or as_json, "replaying") as tell:
        found = report(read(bank), comparer, live, tell)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        words = ["ponder", "replay", str(bank), *(["--live", str(live)] if live else [])]
        document.write(output / "replay.md", markdown(found, shlex.join(words), "replay.svg"))
        document.write(output / "replay.svg", svg(found))
    if as_json:
        click.echo(json.dumps(_facts(found), indent=1))
    else:
        _print(found)
    if output is not None:
        click.echo(safe(f"replay.md and replay.svg: {output}"), err=True)


def _facts(found: Report) -> dict[str, Any]:
    import msgspec

    facts = asdict(found) | {"bank": msgspec.to_builtins(found.bank.header)}
    facts["traces"] = len(found.bank.traces)
    return facts


def _print(found: Report) -> None:
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen
    from ponder.evaluation.traces.tables import COLUMNS, about, brief, sections

    screen = Screen(highlight=False)
    for heading, rows in sections(found):
        table = Table(
            title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
            padding=(0, 1, 0, 0),
        )  # fmt: skip
        for at, name in enumerate(brief(COLUMNS)):
            table.add_column(
                name,
                justify="right" if at else "left",
                overflow="fold",
                min_width=None if at else _NAMES,
            )
        for row in rows:
            table.add_row(*map(safe, brief(row)))
        screen.print(table)
    for line in about(found):
        click.echo(safe(line.replace("*", "")), err=True)
