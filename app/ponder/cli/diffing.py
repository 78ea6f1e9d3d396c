"""`ponder history diff`: two thinkings, sentence by sentence."""

from __future__ import annotations

import json

import click

from ponder.cli.shelf import complete, opened, picked

_PIPE = 1_000_000


@click.command(
    help="""Compare two thinkings, sentence by sentence.

    TURN is ID for the last turn of a conversation, ID.2 for its second one, ID.2.3 for the third
    trace of its vote. Equal sentences are dim and marked =, those that changed ~, those of one
    side alone < or >. Where it is wide (100 columns) they stand side by side."""
)
@click.argument("left", metavar="TURN", shell_complete=complete)
@click.argument("right", metavar="TURN", shell_complete=complete)
@click.option("--json", "as_json", is_flag=True, help="A list of rows on stdout.")
def diff(left: str, right: str, as_json: bool) -> None:
    """See the command's help."""
    from ponder.alignment import agreement, aligned, sentences

    with opened() as history:
        sides = [picked(history, word) for word in (left, right)]
    rows = aligned(*(sentences(side.spans) for side in sides))
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    from ponder.cli.retelling import styled, wrapped
    from ponder.history.export import one_line
    from ponder.sidebyside import WIDE, lines

    screen = wrapped()
    for sign, side in zip("<>", sides, strict=True):
        screen.print(styled(f"{sign} {one_line(side.title)}", "bold"))
    screen.print(styled(agreement(rows), "dim"))
    # A pipe gets a sentence a line, whatever its length.
    width = screen.width if screen.is_terminal else _PIPE
    for line in lines(rows, width, beside=screen.is_terminal and width >= WIDE):
        screen.print(line)
