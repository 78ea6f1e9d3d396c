"""`ponder where`: the path of a model, for other programs."""

from __future__ import annotations

import click

from ponder.cli.completing import models
from ponder.printable import safe


@click.command(
    name="where",
    help="""Print the path of a model that is here; without NAME the models folder's.

    Of a split GGUF it is the first part. Its LoRA adapters, if it has any, are told on stderr.""",
)
@click.argument("name", required=False, shell_complete=models)
def app(name: str | None) -> None:
    """See the command's help."""
    from ponder import paths
    from ponder.catalogue import catalogue
    from ponder.library.local import find

    if name is None:
        click.echo(str(paths.models_dir().absolute()))
        return
    entry = find(name, catalogue())
    assert entry.path is not None
    click.echo(str(entry.path.absolute()))
    for adapter in entry.adapters:
        told = f"with the LoRA adapter {adapter.path.absolute()} at a scale of {adapter.scale:g}"
        click.echo(safe(told), err=True)
