"""Two models read one text side by side, and their logits are compared place by place.

Both are open at once, so that no logits are ever kept. Knows the quantizer's reader; which
files they are, and what becomes of the figures, is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ponder.errors import EngineError, InputError
from ponder.evaluation.comparison.divergence import Logits, Scores, TextFigures, figures, scores
from ponder_quantize.logits import CHUNK, Reader, Running

_ROWS = 16
"""Places compared at once by one thread: several copies of their logits fit into the caches."""

Tell = Callable[[int, int], None]
"""(chunks read, of how many)"""


def compare(
    base: Path,
    other: Path,
    text: str,
    name: str,
    *,
    running: Running | None = None,
    chunk: int = CHUNK,
    most: int | None = None,
    tell: Tell = lambda _done, _of: None,
) -> TextFigures:
    """Read a text with both.

    Args:
        base: the file of higher precision.
        other: the one that is held against it.
        text: what to read.
        name: what to call the text.
        running: how to run both.
        chunk: tokens of a chunk; what was read before it is forgotten.
        most: chunks to read, where the text has more.
        tell: told how far it is. What it raises ends the work.

    Raises:
        InputError: the text is too short, or they are not of one model.
        ModelError: one of them cannot be run.
        EngineError: one of them failed while it ran.
    """
    running = running or Running()
    first = chunk // 2
    found: list[Scores] = []
    with Reader(base, running, chunk) as one, Reader(other, running, chunk) as two:
        tokens = one.encode(text)
        if one.n_vocab != two.n_vocab or not np.array_equal(tokens, two.encode(text)):
            raise InputError(
                f"{base.name} and {other.name} cut the same text into different tokens.",
                "Compare two files of one model.",
            )
        chunks = one.chunks(tokens, most)
        tell(0, len(chunks))
        with ThreadPoolExecutor(running.threads) as pool:
            both = zip(one.read(chunks, first), two.read(chunks, first), strict=True)
            for (which, ours), (_, theirs) in both:
                for tokens_of, a, b in zip(chunks[which], ours, theirs, strict=True):
                    found.append(_score(pool, a[:-1], b[:-1], tokens_of[first + 1 :]))
                tell(which.stop, len(chunks))
    return figures(name, chunk, found)


def _score(pool: ThreadPoolExecutor, a: Logits, b: Logits, targets: np.ndarray) -> Scores:
    starts = range(0, len(targets), _ROWS)
    try:
        parts = list(
            pool.map(
                lambda at: scores(a[at : at + _ROWS], b[at : at + _ROWS], targets[at : at + _ROWS]),
                starts,
            )
        )
    except ValueError as error:
        raise EngineError(
            f"One of the models gives {error}.", "Its file may be damaged: `ponder verify`."
        ) from error
    return Scores(
        np.concatenate([part.kl for part in parts]),
        np.concatenate([part.base_nll for part in parts]),
        np.concatenate([part.other_nll for part in parts]),
        np.concatenate([part.same_top for part in parts]),
    )
