"""`ponder calibrate`: measure a model on this machine in minutes, and suggest a budget for it."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ponder import paths
from ponder.cli.options import chosen_model, with_model, with_options
from ponder.cli.reading import load_llama_cpp, progress
from ponder.printable import safe
from ponder.settings import read
from ponder.thinking.effort import seconds

if TYPE_CHECKING:
    from ponder.evaluation.calibration import Suggestion
    from ponder.evaluation.summary import Summary

_PARALLEL = 8


@click.command(
    name="calibrate",
    help="""Ask a model some dozens of generated questions, and suggest a budget for it here.

    Teaches ponder how long the model thinks and how fast it is on this machine (`ponder
    measured`), which efforts and deadlines rest on, and tells what each effort reaches. It sets
    nothing: the command that would is printed.""",
    epilog="For example: ponder calibrate --model r1-7b --within 20m",
)
@chosen_model
@click.option(
    "--count",
    "-n",
    type=click.IntRange(min=7, max=1000),
    default=42,
    show_default=True,
    help="So many questions, of 2 to 8 operations.",
)
@click.option(
    "--within", metavar="TIME", default="3m", show_default=True, help="Stop asking after that."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=2, help="Other questions.")
@click.option("--ctx", type=click.IntRange(min=16), help="Tokens of context.")
@click.option("--gpu-layers", type=click.IntRange(min=0), help="Layers on GPUs; default: all.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    model: str | None,
    lora: tuple[str, ...],
    count: int,
    within: str,
    seed: int,
    as_json: bool,
    quiet: bool,
    **engine: float | str | None,
) -> None:
    """See the command's help."""
    most = seconds(within)
    load_llama_cpp()
    from ponder.assembly import Choices, open_session
    from ponder.cli.loading import progress as loading
    from ponder.equality import Comparer
    from ponder.evaluation.calibration import CONDITIONS, calibrate, suggestion
    from ponder.evaluation.journal import Results
    from ponder.evaluation.sets.known import fresh_set
    from ponder.evaluation.summary import summarise
    from ponder.library.telling import left

    settings = with_options(with_model(read(paths.config_file()), model, lora), engine)
    silent = quiet or as_json
    questions = fresh_set(seed, count)
    with loading(silent) as tell:
        held = open_session(settings, Choices(None, n_seqs=_PARALLEL), tell)
    if not silent:
        told = f"{count} questions to {held.name}, without a budget and with three"
        click.echo(safe(f"{told}; at most {left(most)}"), err=True)
    results = Results()
    with held.session.runner as runner, Comparer() as comparer:
        end = time.monotonic() + most
        with progress(silent, "asking") as tell_asked:
            calibrate(
                held.session,
                questions.items,
                results,
                settings.budget.base(),
                held.sampling,
                comparer,
                tell_asked,
                lambda: time.monotonic() >= end,
            )
        summary = summarise(
            held.name, questions, CONDITIONS, results.results, comparer, results.caps, ""
        )
        found = suggestion(summary.rows, runner.learned)
    command = _command(found, settings.model == held.name, held.name)
    if as_json:
        facts = {
            "model": held.name,
            "conditions": [asdict(row) for row in summary.rows],
            "suggestion": found.cap,
            "reasons": found.reasons,
            "commands": command,
        }
        click.echo(json.dumps(facts, indent=1))
        return
    _print(summary, found, command)


def _command(found: Suggestion, is_default: bool, name: str) -> list[str]:
    """What makes it the default; a budget in the settings holds for every model."""
    if found.cap is None:
        return []
    told = [] if is_default else [shlex.join(["ponder", "config", "set", "model", name])]
    return [*told, f"ponder config set budget.cap {found.cap}"]


def _print(summary: Summary, found: Suggestion, commands: list[str]) -> None:
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("budget")
    for name in ("tokens", "right", "95 %", "thinking tokens"):
        table.add_column(name, justify="right")
    for row in summary.rows:
        bounds = f"{100 * row.interval.low:.0f}-{100 * row.interval.high:.0f} %"
        right = f"{row.accuracy * row.questions:.0f} of {row.questions}"
        cap = "" if row.cap is None else f"{row.cap:,}"
        table.add_row(row.condition, cap, right, bounds, f"{row.tokens.think:,.0f}")
    if summary.rows:
        Screen(highlight=False).print(table)
    click.echo("no suggestion" if found.cap is None else f"suggested: {found.cap}")
    for line in found.reasons:
        click.echo(f"  {line}")
    for command in commands:
        click.echo(f"to make it the default: {safe(command)}")
