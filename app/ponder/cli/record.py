"""`ponder record`: whole traces with what they would have answered on their way, into a bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ponder import paths
from ponder.cli.options import chosen_model, running_options, with_model, with_options
from ponder.cli.reading import load_llama_cpp, progress
from ponder.errors import InputError
from ponder.printable import safe
from ponder.settings import Settings, read

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.evaluation.traces.form import Header
    from ponder.evaluation.traces.recording import Looks, Task


@click.command(
    name="record",
    help="""Record a bank of traces into OUT (.jsonl, or .jsonl.gz): each question of SET with
    several seeds, thought to its end, and asked for its answer at every sentence and every few
    tokens on the way.

    `ponder replay` tells from it what each way to stop or to vote costs and brings. After an
    interruption the same command goes on. SET is what `ponder eval` takes.""",
    epilog="For example: ponder record tiny.jsonl.gz --count 500 --samples 8",
)
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("questions", metavar="[SET]", default="fresh")
@chosen_model
@click.option("--count", "-n", type=click.IntRange(min=1), help="The first so many questions.")
@click.option(
    "--samples", "-k", type=click.IntRange(1, 1000), default=8, show_default=True,
    help="Traces of each question.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True,
    help="Of the samples, and of the questions of fresh.",
)  # fmt: skip
@click.option("--instruction", metavar="TEXT", help="Add this to each question; '' adds nothing.")
@click.option(
    "--every", type=click.IntRange(min=1), default=16, show_default=True,
    help="Look so often, in thinking tokens; the ends of sentences are always looked at.",
)  # fmt: skip
@click.option("--bare", is_flag=True, help="Also ask after nothing but the end of thinking.")
@click.option(
    "--max-answer", type=click.IntRange(min=1), default=256, show_default=True,
    help="Tokens of an answer.",
)  # fmt: skip
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=8, show_default=True,
    help="So many traces at once; each takes two contexts. With 1, a replay is a live run's twin.",
)  # fmt: skip
@running_options
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    out: Path,
    questions: str,
    model: str | None,
    lora: tuple[str, ...],
    count: int | None,
    samples: int,
    seed: int,
    instruction: str | None,
    every: int,
    bare: bool,
    max_answer: int,
    parallel: int,
    system: str | None,
    dialect: str | None,
    template: Path | None,
    quiet: bool,
    **engine_and_sampling: float | str | None,
) -> None:
    """See the command's help."""
    load_llama_cpp()
    from ponder.assembly import Choices, open_session
    from ponder.cli.eval import fetching
    from ponder.cli.loading import progress as loading
    from ponder.evaluation.sets.known import open_set
    from ponder.evaluation.traces.keeping import check, journal
    from ponder.evaluation.traces.recording import Looks, Recorder, tasks

    check(out)
    settings = with_model(read(paths.config_file()), model, lora)
    settings = with_options(settings, engine_and_sampling)
    found = open_set(questions, count, seed, fetching(quiet), instruction)
    with loading(quiet) as tell:
        held = open_session(settings, Choices(None, system, dialect, template, 2 * parallel), tell)
    with held.session.runner:
        if samples > 1 and held.sampling.temperature == 0:
            raise InputError(
                "Several samples at temperature 0 are all the same.",
                "Say --samples 1, or --temperature 0.6.",
            )
        looks = Looks(every, bare)
        asked = tasks(held.session, found.items, samples, seed)
        source = f"{found.name}, seed {seed}"
        header = _header(held, settings, looks, source, asked, samples, max_answer, parallel)
        with journal(out, header) as kept, progress(quiet, "recording") as tell_done:
            left = [task for task in asked if (task.question, task.seed) not in kept.done]
            recorder = Recorder(
                held.engine, held.session.runner.protocol, held.sampling, looks, max_answer
            )
            tell_done(len(kept.done), len(asked))
            try:
                for trace in recorder.run(left, parallel):
                    kept.add(trace)
                    tell_done(len(kept.done), len(asked))
            except KeyboardInterrupt:
                kept_so_far = f"{len(kept.done):,} of {len(asked):,} traces are kept"
                click.echo(f"{kept_so_far}; the same command goes on.", err=True)
                raise
    click.echo(safe(f"{len(asked):,} traces: {out}"), err=True)


def _header(
    held: Assembled,
    settings: Settings,
    looks: Looks,
    source: str,
    asked: list[Task],
    seeds: int,
    max_answer: int,
    parallel: int,
) -> Header:
    from ponder import hardware
    from ponder.catalogue import catalogue
    from ponder.engines.llama import backend
    from ponder.evaluation.traces.form import Header, Words
    from ponder.library import local
    from ponder.library.hashing import digests

    path = local.find(settings.model, catalogue()).path
    assert path is not None, "it has just been opened"
    words = held.session.runner.protocol.dialect
    return Header(
        model=held.name,
        sha256=digests(path, path.name)[0],
        adapters=tuple(f"{one.sha256} x {one.scale:g}" for one in held.adapters),
        engine=f"llama-cpp-python {backend.version()}",
        threads=settings.engine.threads or hardware.decode_threads(),
        words=Words(words.name, words.close, words.cut, words.last_resort_boxed),
        sampling=held.sampling,
        context=held.engine.n_ctx,
        at_once=parallel,
        every=looks.every,
        bare=looks.bare,
        max_answer=max_answer,
        source=source,
        questions=len(asked) // seeds,
        seeds=seeds,
    )
