"""`ponder`, or `ponder chat`: the chat screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

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
from ponder.errors import HistoryError, InputError
from ponder.history.records import Vote
from ponder.settings import differing, overlaid, read
from ponder.sizing import MAX_SEQUENCES
from ponder.thinking import effort

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.settings import Settings


@click.command(
    name="chat",
    help="""Open the chat screen; `ponder` alone does the same.

    Thinking streams into a trace that folds, its budget can be changed while it thinks, and
    conversations are kept (`ponder history`).""",
)
@preset_option
@model_options
@early_options
@running_options
@click.option(
    "--traces",
    "-k",
    type=click.IntRange(1, MAX_SEQUENCES // 2),
    metavar="K",
    help="Think K times at once about each question, and give the answer that most come to.",
)
@pool_options
@click.option("--continue", "-c", "latest", is_flag=True, help="Take up the last conversation.")
@click.option(
    "--plain/--screen",
    default=None,
    envvar="PONDER_PLAIN",
    help="Chat by lines of words, for screen readers, dumb terminals and pipes; or on the screen.",
)
@click.option("--open", "-o", "number", type=int, metavar="ID", help="Take up this conversation.")
def app(
    preset: str | None,
    model: str | None,
    lora: tuple[str, ...],
    budget: str | None,
    within: str | None,
    stop: str | None,
    system: str | None,
    dialect: str | None,
    template: Path | None,
    traces: int | None,
    pool: str | None,
    weigh: bool | None,
    latest: bool,
    number: int | None,
    plain: bool | None,
    **engine_and_sampling: float | str | None,
) -> None:
    """See the command's help."""
    own = read(paths.config_file())
    kept = chosen_preset(preset)
    base = with_preset(own, kept)
    settings = with_options(with_model(base, model, lora), engine_and_sampling)
    settings = with_limits(settings, within, stop)
    if system is not None:
        settings = overlaid(settings, {"system": system})
    if plain is None:
        plain = settings.tui.plain or os.environ.get("TERM") == "dumb"
    on_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if not plain and not on_terminal:
        raise InputError(
            "The chat needs a terminal.",
            "To ask one question from a script: ponder ask QUESTION. To chat through a pipe: "
            "ponder chat --plain",
        )
    cap = settings.budget.cap
    vote = Vote(settings.budget.traces if traces is None else traces)
    vote = replace(vote, pool=pool_of(pool, weigh, vote.traces), weigh=weigh is not False)
    wish = effort.parse(budget if budget is not None else "max" if cap is None else str(cap))
    if budget is not None and "cap" in wish.plain:
        settings = overlaid(settings, {"budget.cap": wish.plain["cap"]})
    wanted = _wanted(latest, number)

    def open_with(
        now: Settings, name: str, tell: Callable[[float], None], at_once: int = 1
    ) -> Assembled:
        # llama.cpp is loaded on the thread that loads the model, after the first paint.
        from ponder.assembly import Choices, open_session

        return open_session(now, Choices(name, None, dialect, template, at_once, trim=True), tell)

    if plain and traces not in (None, 1):
        raise InputError(
            "The chat by lines thinks in one trace.",
            "Leave out --traces; to ask one question of several: ponder ask --traces 8 QUESTION",
        )
    # Imported late: a wrong word on the command line is told at once.
    code = 0
    if plain:
        from ponder.cli.plain import talk

        saved = talk(settings, lambda name: open_with(settings, name, lambda _: None), wish, wanted)
    else:
        from ponder.tui.app import PonderApp

        origins = dict.fromkeys(differing(base, own), f"preset {preset}")
        origins |= dict.fromkeys(differing(settings, base), "command line")
        chat = PonderApp(
            settings,
            # With what is set when a model is loaded: that can change meanwhile.
            lambda name, tell, at_once: open_with(chat.settings, name, tell, at_once),
            wish,
            wanted,
            origins=origins,
            preset=kept,
            vote=vote,
        )
        try:
            chat.run(mouse=settings.tui.mouse)
        finally:
            saved = chat.close()
        code = chat.return_code or 0
    if not saved:
        raise HistoryError(
            "Not everything could be written to the history.",
            f"See whether the disk is full, and what `ponder history` says: {paths.history_file()}",
        )
    if code:
        sys.exit(code)


def _wanted(latest: bool, number: int | None) -> int | None:
    """The conversation that is to be taken up, if one is."""
    if number is not None and latest:
        raise InputError("--continue and --open name two conversations.", "Leave one of them out.")
    if number is None and not latest:
        return None
    if not paths.history_file().exists():
        raise InputError("There are no conversations yet.", "Begin one: ponder")
    from ponder.history.store import History

    with History(paths.history_file()) as history:
        if number is not None:
            return history.conversation(number).id
        last = history.latest()
    if last is None:
        raise InputError("There are no conversations yet.", "Begin one: ponder")
    return last.id
