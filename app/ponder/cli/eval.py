"""`ponder eval`: accuracy against thinking tokens, on questions with known answers."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from ponder import paths
from ponder.cli.options import chosen_model, running_options, with_model, with_options
from ponder.cli.reading import load_llama_cpp, progress
from ponder.errors import InputError
from ponder.printable import safe
from ponder.receipt import named
from ponder.settings import Settings, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.assembly import Assembled
    from ponder.evaluation.journal import Run
    from ponder.evaluation.sets.known import Source
    from ponder.evaluation.summary import Summary

_SEED = 1
_ABOUT_OUTPUT = ("output", "again", "as_json", "quiet")
"""Parameters that change nothing of what is measured."""


def _sets(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ponder.evaluation.sets.known import names

    found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


@click.command(
    name="eval",
    help="""Ask a model the questions of SET, and tell accuracy against thinking tokens.

    SET is fresh (generated arithmetic; the default), everyday (written by hand), a file of JSON
    lines with questions and answers, or aime24, aime25, math500, gpqa, gsm8k from the hub.

    Results are added to DIR/results.jsonl as they come; after an interruption the same command
    goes on. The report is there too: a page, and Markdown with an SVG, named as the set is.""",
    epilog="For example: ponder eval --budgets natural,32,64,128 --waits 1,2 --count 200",
)
@click.argument("questions", metavar="[SET]", default="fresh", shell_complete=_sets)
@chosen_model
@click.option(
    "--budgets",
    metavar="LIST",
    help="natural, thinking tokens, times or efforts, with commas. The first is what the others "
    "are held against.  [default: natural,low,medium,high]",
)
@click.option(
    "--waits", metavar="LIST", help='Also with so many ends of thinking turned into "Wait": 1,2,4.'
)
@click.option(
    "--stop",
    "stops",
    multiple=True,
    metavar="RULE",
    help="Also with thoughts ended early by this rule; may be given again.",
)
@click.option("--traces", metavar="LIST", help="Also with so many traces that vote: 2,4,8.")
@click.option("--count", "-n", type=click.IntRange(min=1), help="The first so many questions.")
@click.option(
    "--samples",
    "-k",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Ask each question so often: pass@k and cons@k.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=_SEED,
    show_default=True,
    help="Of the samples, and of the questions of fresh.",
)
@click.option("--instruction", metavar="TEXT", help="Add this to each question; '' adds nothing.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 128),
    default=8,
    show_default=True,
    help="So many questions at once; each takes a context of its own.",
)
@running_options
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="DIR", help="Results.")
@click.option("--again", is_flag=True, help="Throw away the results that are there.")
@click.option("--thoughts", is_flag=True, help="Keep what was thought in the results.")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    questions: str,
    model: str | None,
    lora: tuple[str, ...],
    budgets: str | None,
    waits: str | None,
    traces: str | None,
    stops: tuple[str, ...],
    count: int | None,
    samples: int,
    seed: int,
    instruction: str | None,
    parallel: int,
    system: str | None,
    dialect: str | None,
    template: Path | None,
    output: Path | None,
    again: bool,
    thoughts: bool,
    as_json: bool,
    quiet: bool,
    **engine_and_sampling: float | str | None,
) -> None:
    """See the command's help."""
    load_llama_cpp()
    from ponder.assembly import Choices, open_session
    from ponder.cli.loading import progress as loading
    from ponder.equality import Comparer
    from ponder.evaluation.conditions import conditions
    from ponder.evaluation.journal import opened
    from ponder.evaluation.measuring import measure
    from ponder.evaluation.reports.words import faults
    from ponder.evaluation.sets.known import open_set
    from ponder.evaluation.summary import summarise

    asked = conditions(budgets, waits, traces, stops, samples)
    settings = with_model(read(paths.config_file()), model, lora)
    settings = with_options(settings, engine_and_sampling)
    silent = quiet or as_json
    found = open_set(questions, count, seed, fetching(silent), instruction)
    for line in [] if as_json else faults(found):
        click.echo(safe(line), err=True)
    most = max(one.traces for one in asked)
    choices = Choices(
        None, system, dialect, template, max(parallel, most), n_seqs_option="--parallel"
    )
    with loading(silent) as tell:
        held = open_session(settings, choices, tell)
    with held.session.runner, Comparer() as comparer:
        if samples > 1 and held.sampling.temperature == 0:
            raise InputError(
                "Several samples at temperature 0 are all the same.",
                "Leave out --samples, or say --temperature 0.6.",
            )
        run = _run(held, settings, found.name, seed, template)
        folder = output or paths.evaluations_dir() / run.name
        with opened(folder, run, again) as journal:
            before = len(journal.results)
            try:
                with progress(silent, "asking") as tell_asked:
                    measure(
                        held.session,
                        found.items,
                        asked,
                        journal,
                        settings.budget.base(),
                        held.sampling,
                        comparer,
                        seed,
                        thoughts,
                        tell_asked,
                    )
            except KeyboardInterrupt:
                kept = f"{len(journal.results):,} results are kept in {folder}"
                click.echo(safe(f"{kept}; the same command goes on."), err=True)
                raise
            summary = summarise(
                held.name,
                found,
                asked,
                journal.results,
                comparer,
                journal.caps,
                _command(click.get_current_context()),
                _told(held, run, parallel),
            )
            _write(folder, summary)
    if comparer.trouble and not as_json:
        click.echo(safe(f"no algebra was done: {comparer.trouble}"), err=True)
    if as_json:
        click.echo(json.dumps(_facts(summary, folder, before), indent=1))
    else:
        _print(summary, folder, before)


def fetching(silent: bool) -> Callable[[Source, str], Path]:
    """What fetches a file of a set, and says so."""

    def fetch(source: Source, file: str) -> Path:
        from ponder.library import datasets

        if not silent:
            click.echo(safe(f"{source.repository}: {file}"), err=True)
        return datasets.fetch(source.repository, file, source.revision)

    return fetch


def _run(
    held: Assembled, settings: Settings, questions: str, seed: int, template: Path | None
) -> Run:
    """What is measured: results of two runs are of one only where all of this is the same."""
    from ponder.evaluation.journal import Run

    base = asdict(settings.budget.base())
    system = [m.content for m in held.session.messages]
    return Run(
        model=held.name,
        weights=held.weights,
        questions=questions,
        seed=seed,
        sampling={name: value for name, value in asdict(held.sampling).items() if name != "seed"},
        budget={name: base[name] for name in ("answer_reserve", "max_answer", "landing", "loops")},
        context=held.engine.n_ctx,
        system="".join(system),
        template="" if template is None else str(template.resolve()),
    )


def _command(ctx: click.Context) -> str:
    """What was typed, less what changes nothing of what is measured."""
    words = ["ponder", "eval"]
    for parameter in ctx.command.params:
        name, value = str(parameter.name), ctx.params.get(str(parameter.name))
        source = ctx.get_parameter_source(name)
        if source is not ParameterSource.COMMANDLINE or name in _ABOUT_OUTPUT:
            continue
        option = max(parameter.opts, key=len)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(parameter, click.Argument):
                words.append(str(one))
            elif isinstance(one, bool):
                words.append(option)
            else:
                words += [option, str(one)]
    return shlex.join(words)


def _told(held: Assembled, run: Run, parallel: int) -> dict[str, str]:
    """Under what it was measured, for people."""
    from ponder import __version__

    drawn = "greedy" if not run.sampling["temperature"] else _drawn(run)
    return {
        "model": f"{named(held.name, held.adapters)}, weights {run.weights}",
        "sampling": f"{drawn}, seed {run.seed}",
        "context": f"{run.context:,} tokens a question, {parallel} questions at once",
        "cuts": f"{'at' if not run.budget['landing'] else 'land before'} the budget"
        + (", loops end a thought" if run.budget["loops"] else ""),
        "ponder": __version__,
    }


def _drawn(run: Run) -> str:
    return f"temperature {run.sampling['temperature']:g}, top-p {run.sampling['top_p']:g}"


def _facts(summary: Summary, folder: Path, before: int) -> dict[str, Any]:
    found = summary.questions
    return {
        "model": summary.model,
        "set": found.name,
        "questions": len(found.items),
        "malformed": [asdict(fault) for fault in found.malformed],
        "keyless": [asdict(fault) for fault in found.keyless],
        "conditions": [asdict(row) for row in summary.rows],
        "control": summary.control,
        "scaling": summary.scaling,
        "performance": summary.performance,
        "command": summary.command,
        "settings": dict(summary.settings),
        "folder": str(folder),
        "results_before": before,
    }


def _print(summary: Summary, folder: Path, before: int) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ponder.cli.terminal import Screen
    from ponder.evaluation.reports.curve import curve
    from ponder.evaluation.reports.words import COLUMNS, held, rows, s1, votes

    screen = Screen(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for at, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if at < 2 else "right", overflow="fold")
    for row in rows(summary):
        table.add_row(*row)
    screen.print(table)
    for line in curve(summary, min(screen.width, 100)):
        screen.print(Text(line), no_wrap=True, crop=True)
    screen.print()
    asked = max(row.questions for row in summary.rows)
    told = [f"{asked:,} questions", s1(summary), *votes(summary), held(summary)]
    for line in told:
        screen.print(Text(f"{line}."))
    if before:
        click.echo(f"{before:,} results were there already (--again measures anew)", err=True)
    click.echo(safe(f"results and reports: {folder}"), err=True)


def _write(folder: Path, summary: Summary) -> None:
    from ponder.evaluation.reports.markdown import markdown, svg
    from ponder.evaluation.reports.page import page
    from ponder.history import document

    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(summary.questions.name).stem).strip("-") or "set"
    document.write(folder / f"{name}.html", page(summary))
    document.write(folder / f"{name}.md", markdown(summary, f"{name}.svg"))
    document.write(folder / f"{name}.svg", svg(summary))
