"""`ponder quantize`: a checkpoint, here or on the hub, or a GGUF, into a GGUF of another quant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ponder.cli.completing import known_models

if TYPE_CHECKING:
    from ponder.catalogue import Catalogue
    from ponder.quantizing import Wish
    from ponder_quantize.plan import Importance, Plan
    from ponder_quantize.source import Source

_USUAL = "Q4_K_M"
_TYPE_AT_END = re.compile(r"[-.](?:bf16|f16|fp16|f32|fp32)$", re.IGNORECASE)


def _recipes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ponder_quantize.recipes import RECIPES

    return [CompletionItem(name) for name in RECIPES if name.startswith(incomplete.upper())]


@click.command(
    name="quantize",
    help=f"""Quantize a checkpoint, or a GGUF, into a GGUF.

    SOURCE is a model of the catalogue (r1-7b:Q4_K_M) or a repository of the hub
    (owner/repo:QUANT), whose checkpoint is quantized shard by shard while the next one comes; or
    a folder with safetensors, or a GGUF.

    RECIPE is a quant such as Q4_K_M (the usual one), Q8_0, Q6_K, IQ4_XS or BF16; a wrong one
    lists them all. Those below three bits need an importance matrix (--imatrix).

    The output has the same bytes as llama.cpp's converter and llama-quantize give. It is
    written beside its final name; whatever interrupts it, the same command goes on from there.
    Without --output, what comes from the hub becomes a model here; anything else is called after
    the source, in this folder: NAME-{_USUAL}.gguf.""",
    epilog="For example: ponder quantize r1-1.5b:Q5_K_M && ponder ask --model r1-1.5b:Q5_K_M ...",
)
@click.argument("source", metavar="SOURCE[:RECIPE]", shell_complete=known_models)
@click.argument("recipe", required=False, shell_complete=_recipes)
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
@click.option("--keep-source", is_flag=True, help="Of the hub: keep the shards for another quant.")
@click.option("--update", is_flag=True, help="Of the hub: the latest commit, begin anew.")
@click.option(
    "--report",
    metavar="[BASE]",
    is_flag=False,
    flag_value="",
    help="Say afterwards what was lost: compare with BASE, a better GGUF of the same model; "
    "without it, with SOURCE if that is one.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def app(
    ctx: click.Context,
    source: str,
    recipe: str | None,
    output: Path | None,
    imatrix: Path | None,
    threads: int | None,
    force: bool,
    requantize: bool,
    pre: str | None,
    allow_nonfinite: bool,
    keep_source: bool,
    update: bool,
    report: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """See the command's help."""
    if report is not None:
        from ponder.cli.reading import load_llama_cpp

        load_llama_cpp()
    from ponder.catalogue import catalogue
    from ponder.cli.progress import errors_as_json
    from ponder.errors import InputError
    from ponder.quantizing import Wish

    with errors_as_json(as_json):
        known = catalogue()
        path, recipe = _meant(source, recipe, known)
        base = _base(report, path, known)
        wish = Wish(
            source if recipe is None or source.endswith(f":{recipe}") else f"{source}:{recipe}",
            output,
            _importance(imatrix),
            pre=pre,
            threads=threads,
            keep_source=keep_source,
            force=force,
            update=update,
            allow_nonfinite=allow_nonfinite,
        )
        show = _Show(dry_run, as_json, quiet)
        if path is None:
            if requantize:
                raise InputError("A checkpoint is not quantized yet.", "Leave out --requantize.")
            out = _of_hub(wish, known, show)
        else:
            if keep_source or update:
                raise InputError(
                    "--keep-source and --update are for checkpoints of the hub.", "Leave them out."
                )
            out = _of_files(path, recipe or _USUAL, wish, requantize, show)
    if base is not None and not dry_run:
        from ponder.cli.compare import app as compare

        ctx.invoke(compare, base=str(base), other=str(out), as_json=as_json, quiet=quiet)


def _meant(source: str, recipe: str | None, known: Catalogue) -> tuple[Path | None, str | None]:
    """The folder or file that is meant, None for a checkpoint of the hub; and the recipe.

    Raises:
        InputError: two recipes are named.
    """
    from ponder.errors import InputError, UnknownName
    from ponder.library.choosing import REPOSITORY
    from ponder.library.local import find

    name, _, named = source.rpartition(":")
    is_path = Path(source).expanduser().exists()
    if not name or is_path:
        name, named = source, ""
    if named and recipe and named.lower() != recipe.lower():
        raise InputError(f"{named} and {recipe} are two recipes.", "Name one of them.")
    recipe = named or recipe
    path = Path(name).expanduser()
    if path.exists():
        return path, recipe
    if name in known.models:
        return None, recipe
    on_the_hub = REPOSITORY.match(source) is not None
    if name.endswith((".gguf", "/")) or (path.is_absolute() and not on_the_hub):
        return path, recipe
    try:
        return (None if on_the_hub else find(name, known).path), recipe
    except UnknownName:
        # What is said of a name that is none should tell of the hub as well.
        return None, recipe


def _base(report: str | None, path: Path | None, known: Catalogue) -> Path | None:
    """What the output will be held against; None for no report."""
    from ponder.errors import InputError
    from ponder.library.local import find

    if report is None:
        return None
    if report:
        return find(report, known).path
    if path is None or path.is_dir():
        raise InputError(
            "A checkpoint cannot be run, so nothing can be held against it.",
            "Name a better GGUF of it: --report FILE. `ponder quantize ... Q8_0` makes one.",
        )
    return path


@dataclass(frozen=True, slots=True)
class _Show:
    """What is told, and how."""

    dry_run: bool
    as_json: bool
    quiet: bool

    def result(self, planned: Plan, out: Path) -> None:
        """What would be written, or what was."""
        from ponder.cli.stages import describe, end

        if self.dry_run:
            describe(planned, out, self.as_json)
        else:
            end(planned, out, self.as_json, self.quiet)


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        click.echo("\nInterrupted. What is done is kept: say the same again.", err=True)
        raise


def _of_hub(wish: Wish, known: Catalogue, show: _Show) -> Path:
    """Quantize what is fetched."""
    from ponder.cli.stages import watched
    from ponder.quantizing import opened

    with (
        _resumable(),
        watched(wish.said, show.as_json, show.quiet) as tell,
        opened(wish, known, tell) as found,
    ):
        if not show.dry_run:
            found.carry_out()
    show.result(found.planned, found.out)
    return found.out


def _of_files(source: Path, recipe: str, wish: Wish, requantize: bool, show: _Show) -> Path:
    """Quantize what is here."""
    from ponder.cli.stages import watched
    from ponder.errors import InputError
    from ponder_quantize.journal import identity_of
    from ponder_quantize.pipeline import quantize
    from ponder_quantize.plan import plan
    from ponder_quantize.recipes import recipe as recipe_of

    chosen = recipe_of(recipe)
    opened, files = _opened(source, wish.pre)
    out = wish.out or Path(f"{_name(source)}-{chosen.name}.gguf")
    if out.exists() and any(out.samefile(file) for file in files):
        raise InputError(f"{out} is the source itself.", "Name another output with --output.")
    planned = plan(opened, chosen, identity_of(files), wish.importance, requantize)
    if not show.dry_run:
        with _resumable(), watched(out.name, show.as_json, show.quiet) as tell:
            quantize(
                planned,
                out,
                threads=wish.threads,
                tell=tell,
                force=wish.force,
                allow_nonfinite=wish.allow_nonfinite,
            )
    show.result(planned, out)
    return out


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
