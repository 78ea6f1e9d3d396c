"""Which conversations a command of `ponder history` means, and the file that they are in.

Reading makes no file: where there is no history it says so. Knows numbers, `last` and `--all`;
not what is done with what is named.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ponder import paths
from ponder.errors import InputError, PonderError

if TYPE_CHECKING:
    from ponder.history.picking import Picked
    from ponder.history.records import Conversation
    from ponder.history.store import History

LAST = "last"
NONE_YET = "There is no history yet."


def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Numbers of conversations, with their titles."""
    from ponder.history.export import one_line

    with contextlib.suppress(PonderError), opened() as history:
        return [
            CompletionItem(str(entry.id), help=one_line(entry.title))
            for entry in (history.conversations() if history else ())
            if str(entry.id).startswith(incomplete)
        ]
    return []


every_option = click.option("--all", "every", is_flag=True, help="All conversations.")
many_argument = click.argument("words", metavar="ID...", nargs=-1, shell_complete=complete)


@contextlib.contextmanager
def opened() -> Iterator[History | None]:
    """The history; None, and no file made, where there is none."""
    if not paths.history_file().exists():
        yield None
        return
    from ponder.history.store import History

    with History(paths.history_file()) as history:
        yield history


def chosen(history: History | None, words: Sequence[str], every: bool) -> list[Conversation]:
    """What is named, or all of it.

    Raises:
        InputError: nothing is named, or something that is not there.
    """
    if every:
        if words:
            raise InputError("--all leaves nothing to name.", "Leave out --all, or the numbers.")
        found = history.conversations() if history else []
        if not found:
            click.echo(NONE_YET, err=True)
        return found
    if not words:
        raise InputError("No conversation is named.", "`ponder history` lists them; or say --all.")
    return resolved(history, words)


def resolved(history: History | None, words: Sequence[str]) -> list[Conversation]:
    """The conversations of these names, each once.

    Raises:
        InputError: one of them is not there.
    """
    found: dict[int, Conversation] = {}
    for word in words:
        if word != LAST and not (word.isascii() and word.isdigit() and len(word) < 20):
            raise InputError(
                f"{word!r} is no number of a conversation.",
                "`ponder history` lists them; `last` is the one asked last.",
            )
        entry = None
        if history is not None:
            entry = history.latest() if word == LAST else history.conversation(int(word))
        if entry is None:
            raise InputError(f"There is no conversation {word}.", NONE_YET)
        found[entry.id] = entry
    return list(found.values())


def picked(history: History | None, word: str) -> Picked:
    """One trace: `ID`, `ID.TURN` or `ID.TURN.TRACE`.

    Raises:
        InputError: there is none of that name.
    """
    from ponder.history.picking import pick

    name, *numbers = word.split(".")
    if len(numbers) > 2 or not all(n.isascii() and n.isdigit() and len(n) < 9 for n in numbers):
        raise InputError(f"{word!r} is no turn.", "3.2 is the second turn of conversation 3.")
    (entry,) = resolved(history, [name])
    assert history is not None
    return pick(history, entry.id, *map(int, numbers))


def counted(count: int) -> str:
    """So many conversations, in words."""
    return "1 conversation" if count == 1 else f"{count} conversations"
