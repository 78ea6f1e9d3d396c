"""`ponder history rename`, `pin`, `unpin`, `delete` and `restore`: where a conversation stands.

Knows the words of these commands; what they do is the history's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ponder.cli.shelf import (
    chosen,
    complete,
    counted,
    every_option,
    many_argument,
    opened,
    resolved,
)
from ponder.errors import InputError
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.history.records import Conversation
    from ponder.history.store import History

_json = click.option(
    "--json", "as_json", is_flag=True, help="What was changed, as a list of objects on stdout."
)


@click.command(help="Give a conversation another title.")
@click.argument("word", metavar="ID", shell_complete=complete)
@click.argument("title", nargs=-1, required=True)
@_json
def rename(word: str, title: tuple[str, ...], as_json: bool) -> None:
    """See the command's help."""
    name = " ".join(title).strip()
    if not name:
        raise InputError("A title has at least one character.")
    with opened() as history:
        (entry,) = resolved(history, [word])
        assert history is not None
        history.rename(entry.id, name)
        _told(f"{entry.id} is called {name!r} now.", history, [entry], as_json)


@click.command(help="Have conversations stand before all others.")
@many_argument
@_json
def pin(words: tuple[str, ...], as_json: bool) -> None:
    """See the command's help."""
    _pin(words, True, as_json)


@click.command(help="Have pinned conversations stand where they belong again.")
@many_argument
@_json
def unpin(words: tuple[str, ...], as_json: bool) -> None:
    """See the command's help."""
    _pin(words, False, as_json)


@click.command(
    help="""Delete conversations with their traces.

    They go into the trash, which keeps them for 30 days: `ponder history restore ID` brings them
    back, `ponder history search deleted` lists them."""
)
@many_argument
@every_option
@click.option("--for-good", is_flag=True, help="At once, with no way back.")
@click.option("--trash", is_flag=True, help="For good, all that is in the trash.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_json
def delete(
    words: tuple[str, ...], every: bool, for_good: bool, trash: bool, yes: bool, as_json: bool
) -> None:
    """See the command's help."""
    if trash and (words or every):
        raise InputError("--trash leaves nothing to name.", "Leave out --trash, or the numbers.")
    with opened() as history:
        found = _trashed(history) if trash else chosen(history, words, every)
        if history is None or not found:
            return
        gone = for_good or trash
        if not yes and not _agreed(found, gone):
            return
        before = [history.conversation(entry.id) for entry in found]
        if gone:
            history.delete(entry.id for entry in found)
            _told(f"Deleted {counted(len(found))} for good.", history, before, as_json, gone)
            return
        count = history.trash([entry.id for entry in found], time.time())
        undo = " ".join(str(entry.id) for entry in found[:20]) if len(found) <= 20 else "--all"
        line = (
            f"Deleted {counted(count)}. For 30 days this undoes it: ponder history restore {undo}"
        )
        _told(line, history, found, as_json)


@click.command(help="Take conversations out of the trash; --all takes all of them.")
@many_argument
@click.option("--all", "every", is_flag=True, help="All that is in the trash.")
@_json
def restore(words: tuple[str, ...], every: bool, as_json: bool) -> None:
    """See the command's help."""
    if every and words:
        raise InputError("--all leaves nothing to name.", "Leave out --all, or the numbers.")
    with opened() as history:
        if every:
            found = _trashed(history)
        elif words:
            found = [entry for entry in resolved(history, words) if entry.deleted is not None]
        else:
            raise InputError("No conversation is named.", "`ponder history search deleted` lists.")
        if history is not None:
            history.restore(entry.id for entry in found)
            _told(f"Restored {counted(len(found))}.", history, found, as_json)


COMMANDS = (rename, pin, unpin, delete, restore)


def _pin(words: Sequence[str], pinned: bool, as_json: bool) -> None:
    with opened() as history:
        found = chosen(history, words, every=False)
        assert history is not None
        with history.together():
            for entry in found:
                history.pin(entry.id, pinned)
        done = "Pinned" if pinned else "Unpinned"
        _told(f"{done} {counted(len(found))}.", history, found, as_json)


def _trashed(history: History | None) -> list[Conversation]:
    from ponder.history.query import Query

    found = history.conversations(query=Query(deleted=True)) if history else []
    if not found:
        click.echo("The trash is empty.", err=True)
    return found


def _agreed(found: Sequence[Conversation], for_good: bool) -> bool:
    """Whether whoever sits there wants them deleted.

    Raises:
        InputError: nobody can be asked.
    """
    from ponder.history.export import one_line

    if not sys.stdin.isatty():
        raise InputError(
            "Nothing was deleted: stdin is no terminal to ask on.", "Say --yes if you mean it."
        )
    for entry in found:
        click.echo(f"  {entry.id}  {one_line(entry.title)}", err=True)
    ending = " for good" if for_good else ""
    if click.confirm(f"Delete {counted(len(found))}{ending}?", err=True):
        return True
    click.echo("Nothing was deleted.", err=True)
    return False


def _told(
    line: str,
    history: History,
    found: Sequence[Conversation],
    as_json: bool,
    gone: bool = False,
) -> None:
    """Say what was done; for programs how they stand now, or stood before they were `gone`."""
    click.echo(safe(line), err=True)
    if as_json:
        from dataclasses import asdict

        now = found if gone else [history.conversation(entry.id) for entry in found]
        click.echo(json.dumps([asdict(entry) for entry in now], indent=1))
