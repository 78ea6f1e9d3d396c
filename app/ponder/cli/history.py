"""`ponder history`: list, show, search and export what was asked before.

Reading makes no file: where there is no history it says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ponder.cli import diffing, documents, keeping
from ponder.cli.documents import no_thinking_option
from ponder.cli.shelf import (
    NONE_YET,
    complete,
    opened,
    resolved,
)
from ponder.errors import InputError, UnknownName
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.history.records import Conversation, Hit

_MODEL, _TITLE = 18, 12
"""Columns of a list in a terminal: most for a model, fewest for a title."""


class _Group(click.Group):
    """A group that knows what its commands are called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = "A conversation is shown by `ponder history show ID`."
            raise UnknownName("command of `ponder history`", args[0], self.commands, hint)
        return super().resolve_command(ctx, args)


@click.group(
    name="history",
    cls=_Group,
    invoke_without_command=True,
    help="""List, show, search, export, rename, pin and delete conversations.

    Without a command: the list. ID is a number of that list, or `last`.""",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """See the command's help."""
    if ctx.invoked_subcommand is None:
        _list(as_json=False, limit=None)


@app.command(
    name="list",
    help="List the conversations: those that are pinned (*), then the one asked last first.",
)
@click.option("--json", "as_json", is_flag=True, help="A list of objects on stdout.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
def list_(as_json: bool, limit: int | None) -> None:
    """See the command's help."""
    _list(as_json, limit)


@app.command(
    help="""Show a conversation with its thinking; ID may be `last`.

    The thinking is dimmed and ponder's own words in it are tinted; where there is no colour
    those are in ⟦⟧. --why adds what was decided on it, at which token.

    Of a conversation with branches, the path is shown that was chosen last; --branch TURN shows
    the one that leads through that turn, --branches every turn in the order of asking."""
)
@click.argument("word", metavar="ID", shell_complete=complete)
@click.option("--json", "to_json", is_flag=True, help="One object on stdout, nothing left out.")
@no_thinking_option
@click.option("--why", is_flag=True, help="Tell every decision on a budget, with its figures.")
@click.option("--branch", type=int, metavar="TURN", help="The path that leads through this turn.")
@click.option("--branches", is_flag=True, help="Every turn, those of other branches too.")
def show(
    word: str, to_json: bool, no_thinking: bool, why: bool, branch: int | None, branches: bool
) -> None:
    """See the command's help."""
    from ponder.cli.retelling import print_head, print_turn, wrapped
    from ponder.history.export import as_json

    with opened() as history:
        (conversation,) = resolved(history, [word])
        assert history is not None
        if branches:
            if branch is not None:
                raise InputError("--branches shows every turn.", "Leave out --branch.")
            turns = history.every_turn(conversation.id)
        else:
            turns = history.turns(conversation.id, branch)
    if to_json:
        click.echo(json.dumps(as_json(conversation, turns, not no_thinking), indent=1))
        return
    screen = wrapped()
    print_head(screen, conversation)
    for turn in turns:
        print_turn(screen, turn, not no_thinking, why)
    if beside := conversation.turns - len(turns):
        lie = "1 turn lies" if beside == 1 else f"{beside} turns lie"
        click.echo(f"{lie} on other branches: --branches shows every turn.", err=True)


@app.command(
    help="""Tell all that a turn came from, took, and would have cost elsewhere.

    TURN is its number, which `ponder history show` tells, or `last`. `ponder replay TURN` asks it
    again."""
)
@click.argument("turn", metavar="TURN")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def receipt(turn: str, as_json: bool) -> None:
    """See the command's help."""
    from ponder.catalogue import catalogue
    from ponder.cli.replay import turn_number
    from ponder.library import hashes
    from ponder.particulars import facts, lines

    number = turn_number(turn)
    if number is False:
        raise InputError(
            f"{turn!r} is no number of a turn.", "`ponder history show ID` tells them; or `last`."
        )
    with opened() as history:
        if history is None:
            raise InputError(f"There is no turn {turn}.", NONE_YET)
        found = history.turn(number)
    origin = found.provenance
    if origin is not None:
        origin = origin.with_hashes(hashes.known(origin.files))
    apis = catalogue().apis
    if as_json:
        click.echo(json.dumps(facts(found, origin, apis), indent=1))
        return
    for name, told in lines(found, origin, apis):
        click.echo(f"{name}: {told}")


@app.command(
    help="""Find WORDS in questions, answers and thinking, the newest first.

    All words must occur in a turn, in any case and in any part of a longer word. What the shell
    keeps together by quotes is looked for as one phrase. Filters stand among the words:
    model:NAME, in:thinking (question, answer), since:2026-10-01, before:2026-11, pinned, deleted
    (what is in the trash); filters alone list conversations."""
)
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--in",
    "places",
    type=click.Choice(["question", "thinking", "answer"]),
    multiple=True,
    help="Look only there; may be said twice.",
)
@click.option("--json", "as_json", is_flag=True, help="A list of objects on stdout.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
def search(words: tuple[str, ...], places: tuple[str, ...], as_json: bool, limit: int) -> None:
    """See the command's help."""
    from ponder.history.query import read

    said = [f'"{w}"' if " " in w and '"' not in w else w for w in words]
    if not " ".join(said).strip(' "') and not places:
        raise InputError("There is nothing to search for.", "Try: ponder history search marbles")
    query = read(" ".join([*said, *(f"in:{place}" for place in places)]))
    with opened() as history:
        if not query.wanted.phrases:
            _print_list(history.conversations(limit, query=query) if history else [], as_json)
            return
        hits = history.search(query, limit) if history else []
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps([asdict(hit) for hit in hits], indent=1))
    elif not hits:
        click.echo("Nothing found.", err=True)
    else:
        _print_hits(hits)


for command in (*documents.COMMANDS, diffing.diff, *keeping.COMMANDS):
    app.add_command(command)


# -- printing -----------------------------------------------------------------------------


def _list(as_json: bool, limit: int | None) -> None:
    with opened() as history:
        found = history.conversations(limit) if history else []
    _print_list(found, as_json, NONE_YET)


def _print_list(found: Sequence[Conversation], as_json: bool, none: str = "Nothing found.") -> None:
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps([asdict(entry) for entry in found], indent=1))
        return
    if not found:
        click.echo(none, err=True)
        return
    from rich.cells import cell_len, set_cell_size

    from ponder.cli.retelling import styled, wrapped
    from ponder.history.export import one_line, when

    screen = wrapped()
    rows = [("id", "last asked", "turns", "model", "title")] + [
        (
            str(e.id),
            when(e.updated),
            str(e.turns),
            one_line(e.model),
            "* " * e.pinned + one_line(e.title),
        )
        for e in found
    ]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    if screen.is_terminal:
        # The model's name gives way, then the title; a pipe gets all of both.
        widths[3] = min(widths[3], _MODEL)
        widths[4] = max(_TITLE, screen.width - sum(widths[:4]) - 2 * 4)
    for number, row in enumerate(rows):
        cells = []
        for cell, width, heading in zip(row, widths, rows[0], strict=True):
            short = cell if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"
            room = " " * (width - cell_len(short))
            cells.append(room + short if heading in ("id", "turns") else short + room)
        line = styled("  ".join(cells).rstrip(), "" if number else "bold")
        if number:
            line.stylize("dim", 0, len("  ".join(cells[:4])))
        screen.print(line)


def _print_hits(hits: Sequence[Hit]) -> None:
    from ponder.cli.retelling import styled, wrapped
    from ponder.history.export import one_line, when

    screen = wrapped()
    grouped: dict[int, list[Hit]] = {}
    for hit in hits:
        grouped.setdefault(hit.conversation.id, []).append(hit)
    for number, (entry, found) in enumerate(grouped.items()):
        head = found[0].conversation
        line = styled(f"{entry}  {one_line(head.title)}", "bold")
        line.append(f"  {when(head.updated)}", "not bold dim")
        screen.print(line if number == 0 else styled("\n") + line)
        for hit in found:
            line = styled("").append(f"  {hit.where}{_whose(hit)}: ", "dim")
            begin = len(line)
            line.append(safe(hit.excerpt))
            for start, end in hit.marks:
                line.stylize("bold yellow", begin + start, begin + end)
            screen.print(line)


def _whose(hit: Hit) -> str:
    return "" if hit.trace is None else f" of trace {hit.trace}"
