"""`ponder rm`: remove a model that ponder fetched or imported."""

from __future__ import annotations

import sys

import click
from click.shell_completion import CompletionItem

from ponder.errors import InputError


def _complete(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from ponder.library.lock import read_all

    return [CompletionItem(name) for name in read_all() if name.startswith(incomplete)]


@click.command(
    name="rm",
    help="""Remove a model that ponder fetched or imported; never what is somebody else's.

    What was fetched is in the Hugging Face cache, and other programs may use it there.""",
)
@click.argument("name", shell_complete=_complete)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def app(name: str, yes: bool) -> None:
    """See the command's help."""
    from ponder.catalogue import catalogue
    from ponder.library.checking import locked
    from ponder.library.keeping import removal, remove
    from ponder.library.telling import size
    from ponder.printable import safe

    lock = locked(name, catalogue())
    plan = removal(lock)
    for line in plan.lines():
        click.echo(safe(line), err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                "Nothing was removed: stdin is no terminal to ask on.", "Say --yes if you mean it."
            )
        if not click.confirm(f"Remove {lock.name} ({size(plan.size)})?", err=True):
            click.echo("Nothing was removed.", err=True)
            return
    remove(plan)
    click.echo(safe(f"Removed {lock.name}."), err=True)
