"""Token ids and bytes in, thought and answer out, whatever the edges of the chunks.

Owns UTF-8 and the tags: a character that takes three tokens comes out whole, a tag never
shows, and a character broken by a cut becomes U+FFFD. Starts inside the thought when the
prompt ends there, and never waits for an opening tag. Knows nothing of budgets or engines.
"""

from __future__ import annotations

import codecs
from enum import Enum, auto

from ponder.thinking.protocol import ThinkProtocol
from ponder.types import Author, Channel, Span


class Edge(Enum):
    """What a token did to the thinking block."""

    NONE = auto()
    CLOSED = auto()
    OPENED = auto()


class TraceParser:
    """Reads one trace, token by token.

    Attributes:
        inside: whether the next token is thought.
        tag_tokens: after `Edge.CLOSED`, how many tokens the end tag took.
    """

    def __init__(self, protocol: ThinkProtocol, inside: bool) -> None:
        self._protocol = protocol
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._author = Author.MODEL
        self._held: list[bytes] = []
        self._label = protocol.dialect.answer_label.encode()
        # A prompt that shut the block has written the label as well.
        self._label_seen: bytes | None = None
        self._at_start = True
        self.inside = inside
        self.tag_tokens = 0

    @property
    def held(self) -> int:
        """Sampled tokens that may turn out to be the beginning of an end tag."""
        return len(self._held) if self._author is Author.MODEL else 0

    def push(
        self, token: int, piece: bytes, author: Author = Author.MODEL
    ) -> tuple[list[Span], Edge]:
        """Read one token; gives the text it completes, and what it did to the block."""
        protocol = self._protocol
        if token == protocol.end_id:
            spans = self.flush()
            # A stray end tag in the answer is hidden; only the first of a block closes it.
            edge = Edge.CLOSED if self.inside else Edge.NONE
            self.tag_tokens = 1
            self._turn(inside=False)
            return spans, edge
        if protocol.reopens(token):
            spans = self.flush()
            if self.inside:
                return spans, Edge.NONE
            self._turn(inside=True)
            return spans, Edge.OPENED
        if token in protocol.vocab.ends:
            return self.flush(), Edge.NONE
        spans = []
        if author is not self._author:
            spans = self.flush()
            self._author = author
        more, edge = self._spelled(piece) if protocol.end_text else (self._emit(piece), Edge.NONE)
        return spans + more, edge

    def extend(self, pieces: list[bytes]) -> list[Span]:
        """Read a run of sampled tokens that are no marks, where no tag is spelled out."""
        spans = self.flush() if self._author is not Author.MODEL else []
        self._author = Author.MODEL
        return spans + self._emit(b"".join(pieces))

    def reopen(self) -> None:
        """Take back the last `Edge.CLOSED`: the end was withdrawn, thought goes on."""
        self._held.clear()
        self._decoder.reset()
        self._turn(inside=True)
        self._at_start = False

    def flush(self) -> list[Span]:
        """Give up what was held back: the trace, a block, or one author's words are over."""
        held = b"".join(self._held)
        self._held.clear()
        spans = self._emit(held)
        if self._label_seen:
            rest, self._label_seen = self._label_seen, None
            if rest != self._label:
                spans += self._span(self._decoder.decode(rest))
        return spans + self._span(self._decoder.decode(b"", final=True))

    def _turn(self, inside: bool) -> None:
        self.inside = inside
        self._at_start = True
        self._label_seen = b"" if self._label and not inside else None

    def _spelled(self, piece: bytes) -> tuple[list[Span], Edge]:
        """Look for an end tag that is spelled with several tokens."""
        tag = self._protocol.end_text
        self._held.append(piece)
        text = b"".join(self._held)
        at = text.find(tag)
        if at >= 0:
            tokens, left = 0, len(text) - at
            while left > 0:
                tokens += 1
                left -= len(self._held[-tokens])
            edge = Edge.CLOSED if self.inside else Edge.NONE
            self._held = [text[:at]]
            spans = self.flush()
            self._turn(inside=False)
            spans += self._spelled(text[at + len(tag) :])[0]
            self.tag_tokens = tokens
            return spans, edge
        # Whole tokens are held back while they may be the beginning of the tag, so that a
        # withdrawn tag can be taken back token by token.
        keep = max((n for n in range(1, len(tag)) if text.endswith(tag[:n])), default=0)
        spans = []
        while self._held and sum(map(len, self._held[1:])) >= keep:
            spans += self._emit(self._held.pop(0))
        return spans, Edge.NONE

    def _emit(self, data: bytes) -> list[Span]:
        if self._label_seen is not None and not self.inside:
            seen = self._label_seen + data
            if self._label.startswith(seen):
                self._label_seen = seen
                return []
            self._label_seen = None
            data = seen[len(self._label) :] if seen.startswith(self._label) else seen
        return self._span(self._decoder.decode(data))

    def _span(self, text: str) -> list[Span]:
        if self._at_start:
            # Families open both channels with line breaks that nobody wants to see.
            text = text.lstrip("\n")
        if not text:
            return []
        self._at_start = False
        return [Span(Channel.THOUGHT if self.inside else Channel.ANSWER, text, self._author)]
