"""`ponder where`: the path of a model, for other programs."""

from __future__ import annotations

import click

from ponder.cli.completing import models


@click.command(
    name="where",
    help="""Print the path of a model that is here; without NAME the models folder's.

    Of a split GGUF it is the first part.""",
)
@click.argument("name", required=False, shell_complete=models)
def app(name: str | None) -> None:
    """See the command's help."""
    from ponder import paths
    from ponder.catalogue import catalogue
    from ponder.library.local import find

    path = paths.models_dir() if name is None else find(name, catalogue()).path
    assert path is not None
    click.echo(str(path.absolute()))
