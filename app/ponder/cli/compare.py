"""`ponder compare`: what a quant lost, on a text and on questions."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ponder import paths
from ponder.cli.completing import models
from ponder.cli.reading import (
    load_llama_cpp,
    progress,
    read_alone,
    reading_options,
    running,
    text_of,
)
from ponder.errors import InputError, UnsupportedModel
from ponder.printable import safe
from ponder.settings import Settings, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evaluation.comparison import Report
    from ponder.evaluation.comparison.divergence import TextFigures
    from ponder.evaluation.comparison.reasoning import Outcome, ReasoningFigures
    from ponder.evaluation.questions import Question


@click.command(
    name="compare",
    help="""Hold OTHER against BASE: two files of one model, the better one first.

    On a text (TEXT, - for stdin, or the set that comes with ponder): perplexity of both, KL
    divergence and how often they would choose the same token. On questions with known
    answers: whether they answer alike, how long they think, how often they get stuck.""",
    epilog="For example: ponder compare r1-1.5b-BF16.gguf r1-1.5b-Q4_K_M.gguf --html report.html",
)
@click.argument("base", metavar="BASE", shell_complete=models)
@click.argument("other", metavar="OTHER", shell_complete=models)
@click.argument("text", required=False, metavar="[TEXT]", type=click.Path(path_type=Path))
@click.option("--no-text", is_flag=True, help="Ask questions only.")
@reading_options
@click.option(
    "--questions",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="So many questions; 0 reads the text only.",
)
@click.option(
    "--budget",
    "-b",
    metavar="TOKENS|EFFORT",
    default="medium",
    show_default=True,
    help="Most thinking tokens for a question.",
)
@click.option(
    "--temperature", type=click.FloatRange(min=0), help="0 is greedy; default: the vendor's."
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, help="Other questions.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page.")
@click.option("--force", is_flag=True, help="Overwrite a page that is there.")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    base: str,
    other: str,
    text: Path | None,
    no_text: bool,
    chunk: int,
    chunks: int | None,
    gpu_layers: int | None,
    threads: int | None,
    questions: int,
    budget: str,
    temperature: float | None,
    seed: int,
    html: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """See the command's help."""
    load_llama_cpp()
    from ponder.catalogue import catalogue
    from ponder.evaluation.comparison import Report, Side
    from ponder.evaluation.comparison.page import page
    from ponder.evaluation.comparison.texts import compare
    from ponder.history import document
    from ponder.library.local import find
    from ponder.thinking.effort import parse

    if no_text and (text is not None or not questions):
        raise InputError(
            "--no-text leaves nothing to compare on.", "Leave it out, or TEXT, or --questions 0."
        )
    parse(budget)
    if html is not None:
        document.check(html, force)
    entries = [find(name, catalogue()) for name in (base, other)]
    files = [entry.path if no_text else read_alone(entry) for entry in entries]
    silent = quiet or as_json
    figures: TextFigures | None = None
    assert files[0] is not None and files[1] is not None
    if not no_text:
        source = text_of(text)
        with progress(silent, "reading") as tell:
            figures = compare(
                files[0],
                files[1],
                source.text,
                source.name,
                running=running(gpu_layers, threads),
                chunk=chunk,
                most=chunks,
                tell=tell,
            )
    note, asked = "", None
    if questions:
        settings = _settings(gpu_layers, threads)
        try:
            asked = _reasoning(
                settings, (base, other), _questions(seed, questions), budget, temperature, silent
            )
        except UnsupportedModel as error:
            if no_text:
                raise
            note = f"No questions were asked: {error.message}"
    sides = [Side(file.name, _size(file)) for file in files if file is not None]
    report = Report(sides[0], sides[1], figures, asked, note)
    if html is not None:
        document.write(html, page(report))
    if as_json:
        click.echo(json.dumps(_facts(report), indent=1))
    else:
        _print(report)


def _size(file: Path) -> int:
    from ponder.gguf_header import parts

    return sum(part.stat().st_size for part in parts(file))


def _settings(gpu_layers: int | None, threads: int | None) -> Settings:
    import msgspec

    from ponder.cli.options import with_options

    # Adapters of the settings would change one of the two, and only where it is asked.
    own = msgspec.structs.replace(read(paths.config_file()), lora=())
    return with_options(own, {"gpu_layers": gpu_layers, "threads": threads})


def _questions(seed: int, count: int) -> list[Question]:
    from ponder.evaluation.questions import questions

    return list(islice(questions(seed), count))


def _reasoning(
    settings: Settings,
    names: tuple[str, str],
    asked: Sequence[Question],
    budget: str,
    temperature: float | None,
    silent: bool,
) -> ReasoningFigures:
    """Ask both, one after the other.

    Raises:
        PonderError: one of them cannot be asked.
    """
    from ponder.assembly import Choices, open_session
    from ponder.cli.loading import progress as loading
    from ponder.evaluation.comparison.reasoning import ReasoningFigures, ask
    from ponder.thinking.effort import parse
    from ponder.types import Budget

    outcomes: list[tuple[Outcome, ...]] = []
    for name, word in zip(names, ("asking the base", "asking the other"), strict=True):
        with loading(silent) as tell:
            opened = open_session(settings, Choices(name, n_seqs=4), tell)
        with opened.session.runner, progress(silent, word) as tell_asked:
            own = settings.budget
            wanted = parse(budget).budget(
                Budget(answer_reserve=own.answer_reserve, max_answer=own.max_answer),
                opened.engine.n_ctx,
            )
            sampling = opened.sampling
            if temperature is not None:
                sampling = replace(sampling, temperature=temperature)
            outcomes.append(
                ask(opened.session, asked, wanted, replace(sampling, seed=1), tell_asked)
            )
    return ReasoningFigures(tuple(q.text for q in asked), outcomes[0], outcomes[1])


def _facts(report: Report) -> dict[str, Any]:
    facts = asdict(report)
    if (found := report.reasoning) is not None:
        facts["reasoning"] |= {
            "base_right": found.base_right,
            "other_right": found.other_right,
            "agreement": found.agreement,
            "length_ratio": found.length_ratio,
            "median_length_ratio": found.median_length_ratio,
            "base_loops": found.base_loops,
            "other_loops": found.other_loops,
        }
    return facts


def _print(report: Report) -> None:
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    for side in (report.base, report.other):
        table.add_column(safe(side.name), justify="right", overflow="fold")
    table.add_row("size, MB", f"{report.base.size / 1e6:,.1f}", f"{report.other.size / 1e6:,.1f}")
    if (text := report.text) is not None:
        kl = text.kl
        for name, one, two in (
            ("perplexity", _told(text.base_perplexity), _told(text.other_perplexity)),
            ("perplexity, ratio", "", f"{text.ratio.value:.5f} ± {text.ratio.error:.5f}"),
            ("KL divergence, mean", "", f"{kl.mean.value:.6f} ± {kl.mean.error:.6f}"),
            ("KL divergence, median", "", f"{kl.median:.6f}"),
            ("KL divergence, p99", "", f"{kl.p99:.6f}"),
            ("KL divergence, most", "", f"{kl.most:.6f}"),
            ("same top token", "", f"{text.same_top.value:.2%} ± {text.same_top.error:.2%}"),
        ):
            table.add_row(name, one, two)
    if (asked := report.reasoning) is not None:
        ratio, middle = asked.length_ratio, asked.median_length_ratio
        for name, one, two in (
            ("right answers", f"{asked.base_right:.0%}", f"{asked.other_right:.0%}"),
            ("stuck in a loop", f"{asked.base_loops:.0%}", f"{asked.other_loops:.0%}"),
            ("same answer", "", f"{asked.agreement:.0%}"),
            ("thinking, ratio", "", "" if ratio is None else f"{ratio:.3f}"),
            ("thinking, median ratio", "", "" if middle is None else f"{middle:.3f}"),
        ):
            table.add_row(name, one, two)
    Screen(highlight=False).print(table)
    told = []
    if report.text is not None:
        read_of = f"{len(report.text.chunks)} chunks of {report.text.text}"
        told.append(f"{read_of}, {report.text.places:,} tokens predicted; KL in nats.")
    if report.reasoning is not None:
        told.append(f"{len(report.reasoning.questions)} questions.")
    if report.note:
        told.append(report.note)
    click.echo(safe(" ".join(told)), err=True)


def _told(estimate: Any) -> str:
    return f"{estimate.value:,.4f} ± {estimate.error:,.4f}"
