"""`ponder import`: give files that are on this machine a name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click


@click.command(
    name="import",
    help="""Give a GGUF, a split GGUF or a folder with a safetensors checkpoint a name here.

    A link costs nothing and needs the file to stay where it is; a copy is independent. Either
    is hashed, and `ponder verify` compares with that later.""",
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", default="", help="What to call it; else like the file.")
@click.option("--copy", "how", flag_value="copy", help="Copy the files.")
@click.option("--link", "how", flag_value="link", default="link", help="Link to them (default).")
def app(path: Path, name: str, how: Literal["copy", "link"]) -> None:
    """See the command's help."""
    from ponder.cli.progress import watching
    from ponder.library.importing import import_

    with watching() as tell:
        lock = import_(path, name, how, tell)
    click.echo(f"{lock.name} is here now.", err=True)
    click.echo(str(lock.path))
