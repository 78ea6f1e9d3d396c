"""`ponder run`: the questions of a file, under one pool of thinking tokens or one deadline."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ponder import paths
from ponder.cli.completing import files
from ponder.cli.options import (
    model_options,
    running_options,
    stop_option,
    with_limits,
    with_model,
    with_options,
)
from ponder.errors import BudgetError, InputError
from ponder.printable import safe
from ponder.settings import Settings, read
from ponder.sizing import MAX_SEQUENCES
from ponder.thinking.effort import Wish, parse, seconds
from ponder.thinking.pool import Terms
from ponder.types import Budget

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.batch.questions import Fault, Question
    from ponder.batch.results import Result
    from ponder.batch.running import Asking, Run

_SEEDS = click.IntRange(0, 2**32 - 2)
_AT_ONCE = 4
"""Questions in one batch, unless somebody says."""


@click.command(
    name="run",
    help="""Ask every question of FILE, one JSON object a line, and write a result for each.

    {"question": "What is 17 * 23 + 4?"}, and where you like "id", "answer" (what is right),
    "budget", "within" (of the beginning), "weight", "system", "messages" (what was said before).

    --pool and --within are for all of them together: thoughts are dealt tokens by what going on
    promises, paused while others promise more, and closed when nothing is left. Every question is
    answered, or its result says why not. Said again, it goes on with those that have no result.""",
    epilog="For example: ponder run questions.jsonl --pool 20k",
)
@click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), shell_complete=files
)
@model_options
@stop_option
@click.option("--pool", metavar="TOKENS", help="Thinking tokens for all of them: 20000, 20k.")
@click.option(
    "--even", is_flag=True, help="Each first has an even share of the pool; the index has the rest."
)
@click.option("--within", "-w", metavar="TIME", help="Answer all of them by then: 90s, 10m, 1h.")
@click.option(
    "--at-once",
    type=click.IntRange(1, MAX_SEQUENCES // 4),
    default=_AT_ONCE,
    show_default=True,
    help="Questions in one batch; as many again may be paused.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Where results go; by default FILE's name with .results.jsonl.",
)
@click.option("--max-answer", type=click.IntRange(min=1), help="Most answer tokens of each.")
@click.option("--seed", type=_SEEDS, help="Of the first line; each next one has the next.")
@running_options
@click.option("--json", "as_json", is_flag=True, help="Results on stdout too, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    file: Path,
    model: str | None,
    lora: tuple[str, ...],
    budget: str | None,
    stop: str | None,
    pool: str | None,
    even: bool,
    within: str | None,
    at_once: int,
    output: Path | None,
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
    if even and pool is None:
        raise InputError("--even is for a pool, and there is none.", "Add --pool 20k, for example.")
    terms = Terms(
        None if pool is None else _tokens(pool),
        None if within is None else seconds(within),
        at_once,
        even,
    )
    settings = with_model(read(paths.config_file()), model, lora)
    settings = with_options(settings, engine_and_sampling)
    settings = with_limits(settings, None, stop, max_answer=max_answer)
    wish = _wish(settings, budget)
    target = output or file.with_suffix(".results.jsonl")
    if target.exists() and file.exists() and target.samefile(file):
        raise InputError(
            f"The results would go into {file} itself.", "Name another file with --output."
        )
    # Slow imports, and only now: a wrong word on the command line is told at once.
    from ponder.assembly import Choices, open_session
    from ponder.batch import questions as lines
    from ponder.batch.results import opened as results_in
    from ponder.batch.running import Run, unfinished
    from ponder.cli.loading import progress
    from ponder.cli.progress import errors_as_json

    with errors_as_json(as_json):
        asked, faults = lines.read(file)
        _tell_faults(file, faults, as_json)
        # What is paused keeps its place in the context, so more may be open than think.
        each = 2 if terms.scarce else 1
        choices = Choices(
            system=system,
            dialect=dialect,
            template=template,
            n_seqs=max(1, min(each * at_once, len(asked))),
            n_seqs_option="--at-once",
            each=each,
        )
        with progress(quiet or as_json) as tell:
            opened = open_session(settings, choices, tell)
        with opened.session.runner:
            asking = _asking(settings, opened, wish, seed, template)
            with results_in(target, asking.settings) as results:
                if results.passed_over and not quiet:
                    click.echo(
                        f"{target}: {results.passed_over} lines are no results, and are left as "
                        "they are",
                        err=True,
                    )
                left = len(unfinished(asked, results))
                if left < len(asked) and not quiet:
                    click.echo(f"{len(asked) - left} of {len(asked)} are done", err=True)
                run = Run(asking, asked, results, terms)
                _follow(run, opened, as_json, quiet)
                if not quiet:
                    _tell_outcome(run, target, len(faults))
    if faults:
        raise click.exceptions.Exit(2)
    if run.progress.refused:
        raise click.exceptions.Exit(1)


def _tokens(text: str) -> int:
    """A pool that somebody typed.

    Raises:
        BudgetError: it is no number of tokens.
    """
    wish = parse(text) if re.match(r"[-0-9]", text.strip()) else None
    if wish is None or wish.tokens is None:
        raise BudgetError(
            f"{text.strip()!r} is no number of tokens to share.",
            "Say a number of tokens, 20000 or 20k; a time is --within.",
        )
    return wish.tokens


def _wish(settings: Settings, budget: str | None) -> Wish | None:
    """How long each may think whose line does not say; None: as long as it likes."""
    if budget is not None:
        return parse(budget)
    cap = settings.budget.cap
    if cap is None:
        return None
    return Wish(cap) if isinstance(cap, str) else Wish(tokens=cap)


def _asking(
    settings: Settings,
    opened: Assembled,
    wish: Wish | None,
    seed: int | None,
    template: Path | None,
) -> Asking:
    from ponder.batch.running import Asking, settings_digest

    # A deadline in the settings is one question's, and here nobody waits for it in the queue:
    # its time begins when it starts.
    turn = settings.budget.within
    base = replace(settings.budget.base(), within=None)
    n_ctx, lengths = opened.engine.n_ctx, opened.session.runner.learned.thinking

    def budget(question: Question) -> Budget:
        wanted = question.wish or wish
        return base if wanted is None else wanted.budget(base, n_ctx, lengths)

    told = settings_digest(
        weights=opened.weights,
        dialect=opened.session.runner.protocol.dialect.name,
        template="" if template is None else template.read_text("utf-8"),
        system=[message.content for message in opened.session.messages],
        sampling=asdict(opened.sampling),
        budget=asdict(base) | {"within": turn},
        wish=None if wish is None else wish.label,
        seed=seed,
    )
    return Asking(opened.session, budget, turn, opened.sampling, seed, told)


def _tell_faults(file: Path, faults: list[Fault], as_json: bool) -> None:
    import json

    for fault in faults:
        click.echo(safe(f"{file}:{fault.line}: {fault.why}"), err=True)
        if as_json:
            click.echo(json.dumps({"event": "malformed", "line": fault.line, "why": fault.why}))


def _follow(run: Run, opened: Assembled, as_json: bool, quiet: bool) -> None:
    import msgspec

    from ponder.cli.run_screen import Lines, Table

    shown = Lines(run, quiet) if quiet or as_json else Table.where_it_can_be_seen(run)
    shown.note(opened.about)
    if opened.warning:
        shown.note(opened.warning)

    def finished(question: Question, result: Result) -> None:
        if as_json:
            click.echo(msgspec.json.encode(result).decode())
        shown.finished(question, result)

    with shown:
        run.ask(finished, shown.refresh)


def _tell_outcome(run: Run, target: Path, faults: int) -> None:
    progress = run.progress
    parts = [f"{progress.done:,} of {progress.of:,} done"]
    if faults:
        parts.append(f"{faults:,} malformed line{'' if faults == 1 else 's'}")
    if progress.refused:
        parts.append(f"{progress.refused:,} refused")
    if progress.keyed:
        parts.append(f"{progress.right:,} of {progress.keyed:,} right")
    pool = "" if progress.pool is None else f" of {progress.pool:,}"
    parts.append(f"{progress.think:,}{pool} thinking tokens")
    click.echo(safe(f"{' · '.join(parts)} → {target}"), err=True)
