"""`ponder history export` and `collect`: conversations as documents, and as lines to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ponder.cli.shelf import chosen, counted, every_option, many_argument, opened
from ponder.errors import InputError
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.history import forms
    from ponder.history.collecting import Form
    from ponder.history.records import Conversation, Turn
    from ponder.history.store import History

no_thinking_option = click.option("--no-thinking", is_flag=True, help="Leave the thinking out.")
_output = click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="A file; - is stdout."
)
_force = click.option("--force", is_flag=True, help="Overwrite the file.")


@click.command(
    help="""Write conversations as Markdown, JSON or a page, to stdout or to a file.

    JSON is a list, and leaves nothing out: texts, tokens, budgets, sampling, account. The page
    (html) needs nothing else: thinking and steps fold, without a script."""
)
@many_argument
@every_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(["md", "json", "html"]),
    default="md",
    show_default=True,
    help="Markdown to read, JSON to compute with, a page to show.",
)
@no_thinking_option
@_output
@_force
def export(
    words: tuple[str, ...],
    every: bool,
    kind: forms.Form,
    no_thinking: bool,
    output: Path | None,
    force: bool,
) -> None:
    """See the command's help."""
    from ponder.history import document, forms

    target = None if output is None or str(output) == "-" else output
    if target is not None:
        document.check(target, force)
    with opened() as history:
        read = _read(history, chosen(history, words, every))
    text = forms.text(read, kind, thinking=not no_thinking)
    if target is None:
        click.echo(text, nl=False)
        return
    document.write(target, text)
    click.echo(f"Wrote {counted(len(read))} to {safe(str(target))}.", err=True)


@click.command(
    help="""Collect turns into a file that a model can be fine-tuned on, a line each.

    s1k has the columns of s1K, the thousand traces that s1 was trained on: question,
    thinking_trajectories, attempt; solution is empty, as nobody checked the answer. messages has a
    chat of which the last message holds the thinking, within the tags of its model's family.

    Only turns whose thinking the model ended itself are taken, and none that holds words of
    ponder's. What is left out is counted on stderr."""
)
@many_argument
@every_option
@click.option("--search", "query", help="Those that a search finds: 'pinned model:r1'.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["s1k", "messages"]),
    default="s1k",
    show_default=True,
    help="The columns of the file.",
)
@click.option("--any-finish", is_flag=True, help="Also thinking that was cut.")
@click.option(
    "--with-forced", is_flag=True, help="Also with words of ponder's; metadata names them."
)
@_output
@_force
def collect(
    words: tuple[str, ...],
    every: bool,
    query: str | None,
    form: Form,
    any_finish: bool,
    with_forced: bool,
    output: Path | None,
    force: bool,
) -> None:
    """See the command's help."""
    from ponder.catalogue import catalogue
    from ponder.history import collecting, document

    target = None if output is None or str(output) == "-" else output
    if target is not None:
        document.check(target, force)
    with opened() as history:
        if query is None:
            found = chosen(history, words, every)
        elif words or every:
            raise InputError("--search leaves nothing to name.", "Leave out --search, or the rest.")
        else:
            found = _searched(history, query)
        terms = collecting.Terms(any_finish, with_forced)
        collected = collecting.collect(_read(history, found), form, catalogue().dialect_of, terms)
    text = collecting.text(collected)
    if target is None:
        click.echo(text, nl=False)
    else:
        document.write(target, text)
    lines = "1 line" if len(collected.lines) == 1 else f"{len(collected.lines):,} lines"
    place = "" if target is None else f" to {safe(str(target))}"
    click.echo(f"Wrote {lines}{place}. {collected.told}".rstrip(), err=True)


COMMANDS = (export, collect)


def _searched(history: History | None, text: str) -> list[Conversation]:
    from ponder.history.query import read

    query = read(text)
    if history is None:
        return []
    if not query.wanted.phrases:
        return history.conversations(query=query)
    hits = history.search(query, limit=2**31)
    return list({hit.conversation.id: hit.conversation for hit in hits}.values())


def _read(
    history: History | None, found: list[Conversation]
) -> list[tuple[Conversation, list[Turn]]]:
    return [(entry, history.turns(entry.id)) for entry in found] if history else []
