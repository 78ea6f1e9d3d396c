"""`ponder imatrix`: which inputs of a model's weights matter, for its smallest quants."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ponder import paths
from ponder.cli.completing import models
from ponder.cli.reading import (
    Source,
    load_llama_cpp,
    progress,
    read_alone,
    reading_options,
    running,
    text_of,
)
from ponder.errors import InputError
from ponder.printable import safe


@click.command(
    name="imatrix",
    help="""Compute an importance matrix of MODEL, and write it to the file of --output.

    MODEL reads a text (TEXT, - for stdin, or a set in many languages that comes with ponder) while
    the inputs of its weights are measured. Quants of 3 bits and less need the matrix. The file
    is llama.cpp's: a GGUF, or its older form if the name ends in .dat.""",
    epilog="For example: ponder imatrix r1-1.5b-BF16.gguf -o r1-1.5b.imatrix.gguf",
)
@click.argument("model", metavar="MODEL|FILE", shell_complete=models)
@click.argument("text", required=False, metavar="[TEXT]", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", required=True, type=click.Path(path_type=Path), help="Where it goes."
)
@click.option("--from-history", is_flag=True, help="Read what this model thought and answered.")
@click.option("--special", is_flag=True, help="Read control tags in the text as tokens.")
@reading_options
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(
    model: str,
    text: Path | None,
    output: Path,
    from_history: bool,
    special: bool,
    chunk: int,
    chunks: int | None,
    gpu_layers: int | None,
    threads: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """See the command's help."""
    load_llama_cpp()
    from ponder.catalogue import catalogue
    from ponder.history import document
    from ponder.library.local import find
    from ponder_quantize.imatrix import compute
    from ponder_quantize.imatrix_file import write

    document.check(output, force)
    entry = find(model, catalogue())
    file = read_alone(entry)
    if from_history:
        if text is not None:
            raise InputError(
                "--from-history is a text of its own.", "Leave out TEXT, or --from-history."
            )
        source = _history(entry.name)
    else:
        source = text_of(text)
    with progress(quiet or as_json, "reading") as tell:
        matrix = compute(
            file,
            source.text,
            source.name,
            running=running(gpu_layers, threads),
            chunk=chunk,
            most=chunks,
            special=special,
            tell=lambda at: tell(at.done, at.chunks),
        )
    write(output, matrix)
    unseen = sorted(name for name, entry in matrix.entries.items() if not entry.counts.all())
    if as_json:
        told = {
            "file": str(output),
            "text": source.name,
            "chunks": matrix.chunk_count,
            "chunk_size": matrix.chunk_size,
            "entries": len(matrix.entries),
            "unseen_experts_in": unseen,
        }
        click.echo(json.dumps(told, indent=1))
        return
    if unseen and not quiet:
        click.echo(
            f"{len(unseen)} tensors have experts that no token of this text went to: a longer or "
            "a more varied text would reach them.",
            err=True,
        )
    if not quiet:
        told_of = f"{len(matrix.entries)} tensors, {matrix.chunk_count} chunks of {source.name}"
        click.echo(safe(f"{output}: {told_of}"), err=True)


def _history(model: str) -> Source:
    """What a model was asked, thought and answered, the latest conversation last.

    Raises:
        InputError: nothing.
    """
    from ponder.history.store import History
    from ponder.types import Channel

    file = paths.history_file()
    said = []
    if file.is_file():
        with History(file) as history:
            for conversation in reversed(history.conversations()):
                for turn in history.turns(conversation.id):
                    if turn.model == model and turn.spans:
                        said.append(turn.question)
                        for channel in (Channel.THOUGHT, Channel.ANSWER):
                            spans = (s.text for s in turn.spans if s.channel is channel)
                            said.append("".join(spans).strip())
    if not said:
        raise InputError(
            f"The history has nothing of {model}.",
            "Ask it something first, or leave out --from-history.",
        )
    return Source("\n\n".join(said), "ponder history")
