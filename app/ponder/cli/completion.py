"""`ponder completion`: the script that teaches a shell ponder's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_HOW = {
    "bash": "ponder completion bash > ~/.local/share/bash-completion/completions/ponder",
    "zsh": "ponder completion zsh > ~/.zfunc/_ponder   (with ~/.zfunc in fpath)",
    "fish": "ponder completion fish > ~/.config/fish/completions/ponder.fish",
}


@click.command(
    name="completion",
    help="Print the completion script for SHELL.\n\n\b\n" + "\n".join(_HOW.values()),
)
@click.argument("shell", type=click.Choice(sorted(_HOW)))
def app(shell: str) -> None:
    """See the command's help."""
    from ponder.cli import app as ponder

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ponder, {}, "ponder", "_PONDER_COMPLETE").source())
