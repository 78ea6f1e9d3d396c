"""Where a thought may be ended without breaking it off: after a sentence, after a line.

Knows bytes and how long before a cut it is worth looking. What it refuses to know is what a
sentence says. Source of the window: NVIDIA NIM, whose budgets have a grace of 10 % to reach the
end of a line; theirs comes after the budget, this one before it.
"""

from __future__ import annotations

WINDOW = 64
"""Tokens before the cut at most."""
_SHARE = 10
"""And at most one in so many of the budget's."""
TAIL = 8
"""Bytes of text by which an end is recognised."""
_MARKS = tuple(mark.encode() for mark in ".?!…。？！")
_CLOSERS = b"\"')]}*_` "
"""What may stand between a sentence's mark and its end."""


def window(budget: int) -> int:
    """Tokens before the end of a budget within which a thought may land."""
    return min(WINDOW, budget // _SHARE)


def ends(tail: bytes, piece: bytes) -> bool:
    """Whether a line or a sentence ends with the piece that was added to a text.

    A full stop after a digit is none where nothing follows: 3. may become 3.14.

    Args:
        tail: the last bytes of the text, `piece` included.
        piece: the bytes of its last token.
    """
    if b"\n" in piece:
        return True
    bare = tail.rstrip(_CLOSERS)
    if not piece or not bare.endswith(_MARKS):
        return False
    if bare.endswith(b".") and bare[-2:-1].isdigit():
        return b" " in tail[len(bare) :]
    return True
