"""`ponder pull`: fetch a model, or what is missing of it, and check it."""

from __future__ import annotations

import json
import sys

import click

from ponder.cli.completing import known_models


@click.command(
    name="pull",
    help="""Fetch a model into the Hugging Face cache, which other programs share, and check it.

    NAME is a name of the catalogue, with :QUANT for another quant than the usual one; or
    owner/repo:QUANT, owner/repo:FILE, owner/repo@REVISION:QUANT for any repository of the hub
    with GGUFs. Whatever interrupts it, the same command goes on from there.

    HF_ENDPOINT names a mirror, HF_HUB_CACHE another place, HF_TOKEN (or `hf auth login`) says
    who you are, HTTPS_PROXY is obeyed.""",
)
@click.argument("name", metavar="NAME[:QUANT]", shell_complete=known_models)
@click.option("--name", "call", default="", help="What to call it here, if not like its file.")
@click.option("--update", is_flag=True, help="Take the latest, whatever is written down.")
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(name: str, call: str, update: bool, as_json: bool, quiet: bool) -> None:
    """See the command's help."""
    from ponder.catalogue import catalogue
    from ponder.cli.progress import watching
    from ponder.library.pulling import elsewhere_already, pull
    from ponder.printable import safe

    known = catalogue()
    other = None if call or update else elsewhere_already(name, known)
    if other is not None:
        told = f"{name} is on this machine already: {other.store} has it, and ponder uses it there."
        click.echo(safe(told), err=True)
        _end(name, str(other.path), other.path.stat().st_size, as_json)
        return
    with watching(as_json=as_json, quiet=quiet) as tell:
        try:
            lock = pull(name, known, tell, name=call, update=update)
        except (KeyboardInterrupt, SystemExit):
            click.echo("\nInterrupted. What has come is kept: say the same again.", err=True)
            raise
    _end(lock.name, str(lock.path), lock.size, as_json)


def _end(name: str, path: str, size: int, as_json: bool) -> None:
    if as_json:
        end = {"event": "done", "name": name, "path": path, "size": size}
        click.echo(json.dumps(end))
    else:
        click.echo(path)
    sys.stdout.flush()
