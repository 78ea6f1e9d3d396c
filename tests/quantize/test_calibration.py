"""The calibration text that comes with ponder."""

from __future__ import annotations

from pathlib import Path

import ponder_quantize.calibration
from ponder_quantize.calibration import text

HERE = Path(ponder_quantize.calibration.__file__).parent


def test_a_part_of_it_has_some_of_everything() -> None:
    whole = text()
    assert 150_000 < len(whole.encode()) < 300_000
    for file in HERE.glob("*.txt"):
        pieces = file.read_text("utf-8").strip().split("\n\n\n")
        assert all(piece.strip() == piece and piece for piece in pieces), file
        held = [whole.find(piece) for piece in pieces]
        assert min(held) >= 0, file
        if len(pieces) > 3:
            assert min(held) < len(whole) / 3, file
            assert max(held) > len(whole) * 2 / 3, file
