"""`ponder verify`: is what is here still what it was?"""

from __future__ import annotations

import json

import click

from ponder.cli.completing import models


@click.command(
    name="verify",
    help="""Hash models, and compare with the pin or with what was written down when they came.

    Without NAME: all that ponder fetched or imported, and files of the models folder that are
    pinned. The exit code is 1 if one is wrong.""",
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=models)
@click.option("--json", "as_json", is_flag=True, help="A list of objects on stdout.")
def app(names: tuple[str, ...], as_json: bool) -> None:
    """See the command's help."""
    from ponder.catalogue import catalogue
    from ponder.cli.progress import watching
    from ponder.library.checking import check, checkable, remedy
    from ponder.printable import safe

    known = catalogue()
    verdicts = []
    with watching(quiet=as_json) as tell:
        for name in names or checkable(known):
            verdicts += check(name, known, tell if not as_json else lambda _event: None)
    if as_json:
        told = [
            {
                "name": v.name,
                "path": str(v.path),
                "right": v.right,
                "expected": v.expected or None,
                "sha256": v.found or None,
                "problem": v.why or None,
            }
            for v in verdicts
        ]
        click.echo(json.dumps(told, indent=1))
    else:
        for v in verdicts:
            state = "ok" if v.right else "BAD"
            line = f"{state:<4} {v.name}  {v.path}" + (f"  ({v.about})" if v.about else "")
            click.echo(safe(line))
        if not verdicts:
            click.echo("There is nothing to verify: nothing was pulled or imported.", err=True)
    wrong = list(dict.fromkeys(v.name for v in verdicts if not v.right))
    if wrong:
        for name in wrong:
            click.echo(safe(remedy(name, known)), err=True)
        click.get_current_context().exit(1)
