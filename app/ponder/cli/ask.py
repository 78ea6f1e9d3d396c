"""`ponder ask`: one question, a budgeted trace, an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from ponder import paths
from ponder.cli.options import (
    chosen_preset,
    early_options,
    model_options,
    pool_of,
    pool_options,
    preset_option,
    running_options,
    with_limits,
    with_model,
    with_options,
    with_preset,
)
from ponder.errors import InputError, PonderError
from ponder.events import Finished
from ponder.printable import safe
from ponder.settings import Settings, read
from ponder.sizing import MAX_SEQUENCES
from ponder.thinking.effort import Wish, parse
from ponder.types import Budget

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.events import Event
    from ponder.poll import Counted, Polled
    from ponder.polling import Polling
    from ponder.session import Answering
    from ponder.thinking.lengths import LengthModel


Told = TypeVar("Told", covariant=True)


class Asked(Protocol[Told]):
    """A question, or a vote on one, while it runs."""

    def __iter__(self) -> Iterator[Told]:
        """What happens."""

    def cancel(self) -> None:
        """End it where it stands; what is left to tell still comes."""


_SEEDS = click.IntRange(0, 2**32 - 2)
_ANSWER = 4096
"""Tokens of context for an answer without a limit, where the rest is known."""
_WORDS = 512
"""Tokens of context for a template's words and ponder's."""


@click.command(
    name="ask",
    help="""Ask QUESTION and print the answer; without one, or with -, it is read from stdin.

    The thinking goes to stderr as it happens, dimmed, with ponder's own words tinted; the
    answer goes to stdout. The last line tells the thinking tokens used and allowed, the answer
    tokens, the speed, and why the thinking ended: closed, cap, deadline, loop, converged, context,
    off or none.""",
)
@click.argument("question", nargs=-1)
@preset_option
@model_options
@early_options
@click.option(
    "--at-least",
    "--floor",
    "floor",
    type=int,
    metavar="TOKENS",
    help='Fewest thinking tokens: an early end becomes "Wait".',
)
@click.option(
    "--landing/--no-landing",
    default=None,
    help="End at a sentence's end shortly before the budget is spent, or at the budget exactly.",
)
@click.option(
    "--loops/--no-loops",
    default=None,
    help="End a thought that says the same again and again, or let it.",
)
@click.option("--no-think", is_flag=True, help="Answer without thinking.")
@click.option(
    "--traces",
    "-k",
    type=click.IntRange(1, MAX_SEQUENCES // 2),
    default=1,
    metavar="K",
    help="Think K times at once, and give the answer that most of them come to.",
)
@pool_options
@click.option(
    "--first",
    type=click.IntRange(min=1),
    metavar="M",
    help="The first M of them that answer decide, where nothing has been decided before.",
)
@click.option(
    "--attach",
    "attached",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Put a text file, or those of a folder, before the question; may be given again.",
)
@click.option("--max-answer", type=int, help="Most answer tokens.")
@click.option("--seed", type=_SEEDS, help="Draw the same tokens again.")
@running_options
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="The answer and nothing else.")
def app(
    question: tuple[str, ...],
    preset: str | None,
    model: str | None,
    lora: tuple[str, ...],
    budget: str | None,
    within: str | None,
    stop: str | None,
    floor: int | None,
    landing: bool | None,
    loops: bool | None,
    no_think: bool,
    traces: int,
    pool: str | None,
    first: int | None,
    weigh: bool | None,
    attached: tuple[Path, ...],
    max_answer: int | None,
    seed: int | None,
    system: str | None,
    dialect: str | None,
    template: Path | None,
    as_json: bool,
    quiet: bool,
    **engine_and_sampling: float | str | None,
) -> None:
    """See the command's help."""
    try:
        text = _attached(attached, quiet or as_json)(_question(question))
        settings = with_preset(read(paths.config_file()), chosen_preset(preset))
        settings = with_model(settings, model, lora)
        settings = with_options(settings, engine_and_sampling)
        wish = _wish(settings, budget, floor, no_think)
        tokens = pool_of(pool, weigh, traces)
        _check_first(first, traces)
        settings = with_limits(
            settings,
            within,
            stop,
            landing=landing,
            loops=loops,
            max_answer=max_answer,
        )
        # Slow imports, and only now: a wrong word on the command line is told at once.
        from ponder.assembly import Choices, open_session
        from ponder.cli.loading import progress

        room = _room(settings, wish, text + (settings.system if system is None else system))
        choices = Choices(None, system, dialect, template, traces, room=room)
        with progress(quiet or as_json) as tell:
            opened = open_session(settings, choices, tell)
        with opened.session.runner:
            n_ctx = opened.engine.n_ctx
            if budget is None and wish is not None and wish.tokens is not None:
                # A cap from the settings is meant for every model, also for small contexts.
                wish = Wish(tokens=min(wish.tokens, n_ctx))
            lengths = opened.session.runner.learned.thinking
            wanted = _budget(settings, wish, budget is not None, floor, n_ctx, lengths)
            from ponder.session import fresh_seed

            sampling = replace(opened.sampling, seed=fresh_seed() if seed is None else seed)
            asked: Answering | Polling
            if traces > 1:
                from ponder.polling import Polling, Terms
                from ponder.thinking.votes import Rules

                terms = Terms(traces, Rules(short=first), tokens, weigh is not False)
                asked = Polling(opened.session, text, wanted, sampling, terms)
            else:
                if attached and not (quiet or as_json):
                    seen = opened.session.foretell(text, wanted, opened.session.messages)
                    left = f"{seen.left:,} of {seen.n_ctx:,} are left"
                    click.echo(f"prompt: {seen.prompt:,} tokens, {left}", err=True)
                asked = opened.session.ask(text, wanted, sampling)
            if as_json:
                _print_json(asked)
            else:
                if wish is not None and wish.effort not in (None, "off"):
                    # Nobody asked for exactly so much, so nobody is told where it is less.
                    wanted = replace(wanted, cap=None)
                _narrate(asked, opened, wanted, quiet, settings.tui.latex)
    except PonderError as error:
        if as_json:
            told = {"event": "error", "message": error.message, "hint": error.hint}
            click.echo(json.dumps(told))
        raise


def _attached(paths_: tuple[Path, ...], quiet: bool) -> Callable[[str], str]:
    """Puts files before a question; says what of folders is not among them.

    Raises:
        InputError: one of them is not there, or is no text.
    """
    if not paths_:
        return lambda question: question
    from ponder.attachments import gather, wrapped

    gathered = [gather(path) for path in paths_]
    files = [file for one in gathered for file in one.files]
    if not quiet:
        for file in files:
            click.echo(f"attached: {file.name}", err=True)
        for name, why in (pair for one in gathered for pair in one.left_out):
            click.echo(safe(f"left out: {name}: {why}"), err=True)
    return lambda question: wrapped(files, question)


def _question(words: tuple[str, ...]) -> str:
    """The question, from the command line or from stdin.

    Raises:
        InputError: there is none, or it is no UTF-8 text.
    """
    text = " ".join(words)
    if text in ("", "-"):
        if not words and sys.stdin.isatty():
            raise InputError("There is no question.", "Try: ponder ask 'What is 17 * 23 + 4?'")
        try:
            text = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"What came on stdin is not UTF-8 text: byte {error.object[error.start]:#04x} "
                f"at position {error.start}.",
                "Convert it first, for example: iconv -f latin1 -t utf-8 FILE | ponder ask",
            ) from error
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            "The question is not UTF-8 text.", "Check the encoding of your terminal."
        ) from None
    if not text.strip():
        raise InputError("The question is empty.", "Try: ponder ask 'What is 17 * 23 + 4?'")
    return text.strip()


def _wish(settings: Settings, budget: str | None, floor: int | None, no_think: bool) -> Wish | None:
    """How long it may think, by the command line or else the settings; None where neither says.

    Raises:
        BudgetError: the budget is none.
        InputError: no thinking beside a budget or a floor.
    """
    asked = parse(budget) if budget is not None else None
    if no_think:
        if floor or asked not in (None, Wish("off"), Wish(tokens=0)):
            raise InputError(
                "--no-think leaves no thinking to give a budget to.",
                "Leave out --no-think, or --budget and --floor.",
            )
        return Wish("off")
    cap = settings.budget.cap
    if asked is None and cap is not None:
        asked = Wish(cap) if isinstance(cap, str) else Wish(tokens=cap)
    if floor and asked == Wish("off"):
        where = "the settings turn thinking off" if budget is None else "the budget is off"
        raise InputError(
            f"A floor of {floor} tokens cannot be had where {where}.",
            "Leave out --floor, or give a --budget, max for example.",
        )
    return asked


def _check_first(first: int | None, traces: int) -> None:
    """See that fewer traces than all of them may decide.

    Raises:
        InputError: there is only one trace, or there are too few.
    """
    if first is None:
        return
    if traces == 1:
        raise InputError(
            "--first is for several traces, and there is one.", "Add --traces 8, for example."
        )
    if first >= traces:
        raise InputError(
            f"--first {first} of {traces} traces waits for all of them.",
            f"Add --traces {2 * first}, for example, or leave out --first.",
        )


def _budget(
    settings: Settings,
    wish: Wish | None,
    by_command: bool,
    floor: int | None,
    n_ctx: int,
    lengths: LengthModel,
) -> Budget:
    """The settings' budget with the command line's on top."""
    base = settings.budget.base()
    budget = base if wish is None else wish.budget(base, n_ctx, lengths)
    if floor is not None:
        # Asked for by name, it yields to nothing: a lower cap beside it is refused.
        return replace(budget, floor=floor)
    if wish is not None and wish.tokens is not None and not by_command:
        # So is a floor in the settings, beside a lower cap there.
        return replace(budget, floor=base.floor)
    return budget


def _room(settings: Settings, wish: Wish | None, text: str) -> int | None:
    """Tokens of context that one trace needs at most; None where its budget does not say."""
    if wish is None or wish.tokens is None:
        return None
    # No token is less than a byte.
    asked = len(text.encode())
    return max(wish.tokens, 0) + asked + (settings.budget.max_answer or _ANSWER) + _WORDS


def _narrate(
    asked: Answering | Polling, opened: Assembled, budget: Budget, quiet: bool, latex: bool
) -> None:
    from ponder.catalogue import catalogue
    from ponder.cli.narrator import Narrator
    from ponder.cli.pollster import Pollster
    from ponder.polling import Polling

    narrator = Narrator(budget, quiet, latex=latex)
    known = catalogue()
    if known.problem is not None:
        narrator.note(known.trouble)
    narrator.note(opened.about)
    if opened.warning:
        narrator.note(opened.warning)
    if isinstance(asked, Polling):
        with Pollster(asked, narrator, quiet) as pollster:
            _follow(asked, pollster.take)
    else:
        _follow(asked, narrator.take)
    if opened.demonstrates:
        from ponder.assembly import smallest_real_model

        narrator.note(f"for a real model: {smallest_real_model()}")


def _follow(asked: Asked[Told], take: Callable[[Told], None]) -> None:
    """Take all events; those of a cancellation too."""
    try:
        for event in asked:
            take(event)
    except KeyboardInterrupt:
        # What was thought so far is shown with its account; a second Ctrl-C leaves at once.
        asked.cancel()
        for event in asked:
            take(event)
        raise


def _print_json(asked: Answering | Polling) -> None:
    from ponder.polling import Polling

    def tell(event: Event | Counted | Polled) -> None:
        told = {"event": type(event).__name__.lower(), **asdict(event)}
        if isinstance(asked, Polling):
            told["trace_number"] = asked.number(event.question)
        click.echo(json.dumps(told))
        if isinstance(event, Finished):
            sys.stdout.flush()

    if isinstance(asked, Polling):
        _follow(asked, tell)
    else:
        _follow(asked, tell)
