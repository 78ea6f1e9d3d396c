"""A thought that goes on from an edited one: whose tokens it begins with.

What an edit left alone is kept by the model's own token ids and never tokenized again; what
stands after it is the words of a person. Knows traces and text; decides nothing about budgets.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ponder.thinking.protocol import ThinkProtocol
from ponder.types import Author, Channel, Trace


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first tokens of a thought, and who put each of them there."""

    tokens: tuple[int, ...] = ()
    authors: tuple[Author, ...] = ()

    @property
    def think(self) -> int:
        """How many of them the model had sampled: a budget counts those."""
        return self.authors.count(Author.MODEL)

    @property
    def written(self) -> int:
        """How many of them are the words of a person."""
        return self.authors.count(Author.USER)


def beginning(trace: Trace, text: str, protocol: ThinkProtocol) -> Beginning:
    """The tokens of a trace as far as a text begins like its thinking, then the rest of the text.

    A token of which only a part is left is not kept: that part counts as written, too. Kept are
    tokens of the first thinking block alone.

    Args:
        trace: of a model with the vocabulary of `protocol`.
        text: the edited thinking, from its beginning to where the model is to go on.
        protocol: how the model thinks.

    Raises:
        InputError: the text holds the model's own end of thinking.
    """
    protocol.words(text)  # for its error alone: a tag may lie across the place of the edit
    kept = end = 0
    authors: list[Author] = []
    for author, said in _read(trace, protocol):
        if not text.startswith(said, end):
            break
        authors.append(author)
        if said:
            kept, end = len(authors), end + len(said)
    written = protocol.words(text[end:])
    return Beginning(
        trace.tokens[:kept] + written, (*authors[:kept], *[Author.USER] * len(written))
    )


def _read(trace: Trace, protocol: ThinkProtocol) -> Iterator[tuple[Author, str]]:
    """The tokens of the first block: who put each there, and the text that it completes.

    Of several tokens of one character, all but the last complete nothing.
    """
    names = _names(trace)
    flags = trace.user or (False,) * len(trace.tokens)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    before, place = Author.MODEL, 0
    for token, forced, user in zip(trace.tokens, trace.forced, flags, strict=True):
        if token in protocol.marks:
            return
        author = Author.USER if user else names(place) if forced else Author.MODEL
        # As the parser does it: a character that one author broke off is not finished by another.
        said = "" if author is before else decoder.decode(b"", final=True)
        said += decoder.decode(protocol.vocab.piece(token))
        before = author
        if not place:
            said = said.lstrip("\n")
        place += len(said)
        yield author, said


def _names(trace: Trace) -> Callable[[int], Author]:
    """What ponder's words are called at a character of the thinking; to be asked in order."""
    spans = iter([span for span in trace.spans if span.channel is Channel.THOUGHT])
    end, author = 0, Author.PONDER

    def name(place: int) -> Author:
        nonlocal end, author
        while end <= place and (span := next(spans, None)) is not None:
            end += len(span.text)
            author = span.author
        return author if author not in (Author.MODEL, Author.USER) else Author.PONDER

    return name
