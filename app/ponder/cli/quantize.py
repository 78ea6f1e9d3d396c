"""`ponder quantize`: a checkpoint, or a GGUF, into a GGUF of another quant."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ponder.printable import safe

if TYPE_CHECKING:
    from ponder_quantize.events import Event, Tell
    from ponder_quantize.plan import Importance, Plan
    from ponder_quantize.source import Source

_USUAL = "Q4_K_M"
_TYPE_AT_END = re.compile(r"[-.](?:bf16|f16|fp16|f32|fp32)$", re.IGNORECASE)


def _recipes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ponder_quantize.recipes import RECIPES

    return [CompletionItem(name) for name in RECIPES if name.startswith(incomplete.upper())]


@click.command(
    name="quantize",
    help=f"""Quantize a checkpoint (a folder with safetensors), or a GGUF, into a GGUF.

    RECIPE is a quant such as Q4_K_M (the usual one), Q8_0, Q6_K, IQ4_XS or BF16; a wrong one
    lists them all. Those below three bits need an importance matrix (--imatrix).

    The output has the same bytes as llama.cpp's converter and llama-quantize give. It is
    written beside its final name; whatever interrupts it, the same command goes on from there.
    Without --output it is called after the source, in this folder: NAME-{_USUAL}.gguf.""",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("recipe", default=_USUAL, shell_complete=_recipes)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--imatrix", type=click.Path(path_type=Path), help="An importance matrix.")
@click.option("--threads", type=click.IntRange(min=1), help="How many; default: all processors.")
@click.option("--force", "-f", is_flag=True, help="Replace an output that is there.")
@click.option(
    "--requantize", is_flag=True, help="Quantize again what is quantized: it loses twice."
)
@click.option(
    "--pre", metavar="NAME", help="The checkpoint's pre-tokenizer, as llama.cpp calls it."
)
@click.option(
    "--allow-nonfinite",
    is_flag=True,
    help="Go on where weights are NaN, infinite or too large: keep them, or take 0 and the "
    "largest that there is.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    source: Path,
    recipe: str,
    output: Path | None,
    imatrix: Path | None,
    threads: int | None,
    force: bool,
    requantize: bool,
    pre: str | None,
    allow_nonfinite: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """See the command's help."""
    from ponder.cli.progress import errors_as_json
    from ponder.errors import InputError
    from ponder_quantize.journal import identity_of
    from ponder_quantize.pipeline import quantize
    from ponder_quantize.plan import plan
    from ponder_quantize.recipes import recipe as recipe_of

    with errors_as_json(as_json):
        chosen = recipe_of(recipe)
        opened, files = _opened(source, pre)
        out = output or Path(f"{_name(source)}-{chosen.name}.gguf")
        if out.exists() and any(out.samefile(file) for file in files):
            raise InputError(f"{out} is the source itself.", "Name another output with --output.")
        planned = plan(opened, chosen, identity_of(files), _importance(imatrix), requantize)
        if dry_run:
            _describe(planned, out, as_json)
            return
        with _watching(out.name, as_json, quiet) as tell:
            try:
                quantize(
                    planned,
                    out,
                    threads=threads,
                    tell=tell,
                    force=force,
                    allow_nonfinite=allow_nonfinite,
                )
            except (KeyboardInterrupt, SystemExit):
                click.echo("\nInterrupted. What is done is kept: say the same again.", err=True)
                raise
    _end(planned, out, as_json, quiet)


def _opened(path: Path, pre: str | None) -> tuple[Source, list[Path]]:
    """The source, and the files that its weights are in."""
    from ponder.errors import InputError

    if path.is_dir():
        from ponder_quantize.checkpoint import open_checkpoint

        checkpoint = open_checkpoint(path, pre=pre)
        return checkpoint, [path / file for file in checkpoint.files]
    if pre is not None:
        raise InputError("A GGUF has its pre-tokenizer already.", "Leave out --pre.")
    from ponder_quantize.gguf_source import GgufSource

    gguf = GgufSource(path)
    return gguf, gguf.paths


def _importance(path: Path | None) -> Importance | None:
    if path is None:
        return None
    from ponder_quantize.imatrix_file import read
    from ponder_quantize.plan import Importance

    found = read(path)
    entries = {name: statistics.weights() for name, statistics in found.entries.items()}
    return Importance(str(path), found.datasets, found.chunk_count, entries)


def _name(source: Path) -> str:
    """What the output is called after: the source, without the quant that it is in."""
    if source.is_dir():
        return source.resolve().name
    return _TYPE_AT_END.sub("", re.sub(r"-\d{5}-of-\d{5}$", "", source.stem))


def _describe(planned: Plan, out: Path, as_json: bool) -> None:
    """What would be written; nothing is."""
    from ponder_quantize.pipeline import need_of

    need = need_of(planned, out)
    if as_json:
        tensors = [
            {
                "name": work.info.name,
                "shape": work.info.shape,
                "from": work.source.type.name,
                "type": work.info.type.name,
                "size": work.info.size,
            }
            for work in planned.tensors
        ]
        told = {"path": str(out), "size": planned.layout.size, "need": need, "tensors": tensors}
        click.echo(json.dumps(told))
        return
    from ponder.library.telling import size

    widest = max(len(work.info.name) for work in planned.tensors)
    for work in planned.tensors:
        shape = " x ".join(map(str, work.info.shape))
        change = work.info.type.name if work.is_copied else f"{work.source.type.name} -> "
        change += "" if work.is_copied else work.info.type.name
        click.echo(safe(f"{work.info.name:{widest}}  {shape:>20}  {change}"))
    for note in planned.notes:
        click.echo(safe(note), err=True)
    told_types = _types(planned)
    click.echo(
        safe(
            f"{out}: {size(planned.layout.size)} ({_bits(planned):.2f} bits a weight): "
            f"{told_types}. The disk has to have room for {size(need)}."
        ),
        err=True,
    )


def _types(planned: Plan) -> str:
    counts = Counter(work.info.type.name for work in planned.tensors)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _bits(planned: Plan) -> float:
    weights = sum(work.info.rows * work.info.columns for work in planned.tensors)
    return 8 * planned.size / weights


def _end(planned: Plan, out: Path, as_json: bool, quiet: bool) -> None:
    from ponder.library.telling import size

    if as_json:
        told = {"event": "done", "path": str(out), "size": planned.layout.size}
        click.echo(json.dumps(told))
    else:
        click.echo(str(out))
        if not quiet:
            told_size = f"{size(planned.source_size)} became {size(planned.layout.size)}"
            bits = f"{_bits(planned):.2f} bits a weight"
            click.echo(f"{told_size}, {bits}: {_types(planned)}.", err=True)
    sys.stdout.flush()


@contextmanager
def _watching(name: str, as_json: bool, quiet: bool) -> Iterator[Tell]:
    """Gives the function to tell events to: a bar on a terminal, lines elsewhere, or JSON."""
    from rich.console import Console

    from ponder.cli.progress import Tenths, bytes_bar
    from ponder_quantize.events import Noted, Quantizing

    console = Console(stderr=True)
    if as_json:
        yield _json
        return
    tenths = Tenths()

    def in_lines(event: Event) -> None:
        if isinstance(event, Noted):
            click.echo(safe(event.text), err=True)
        elif isinstance(event, Quantizing) and not quiet:
            tenths(f"quantizing {name}", event.source_done, event.source_size)

    if quiet or not console.is_terminal:
        yield in_lines
        return
    bar = bytes_bar(console)
    task = None

    def in_a_bar(event: Event) -> None:
        nonlocal task
        if isinstance(event, Noted):
            bar.console.print(safe(event.text), markup=False, highlight=False)
        elif isinstance(event, Quantizing):
            # What an interrupted run left is no part of the rate.
            if task is None:
                task = bar.add_task(
                    "quantizing", total=event.source_size, completed=event.source_done
                )
            told = f"quantizing {safe(event.tensor)}"
            bar.update(task, completed=event.source_done, description=f"{told:<36}")

    with bar:
        yield in_a_bar


def _json(event: Event) -> None:
    click.echo(json.dumps({"event": type(event).__name__.lower(), **dataclasses.asdict(event)}))
