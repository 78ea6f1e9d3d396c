"""The text that comes with ponder, for importance matrices and comparisons.

Prose in two dozen languages, mathematics, code, and traces of reasoning models, written for
this project. `traces.txt` is made by packaging/calibration_traces.py. Knows no model.
"""

from __future__ import annotations

from importlib.resources import files

NAME = "ponder-calibration"
"""What the text is called in an importance matrix."""
_BETWEEN = "\n\n\n"
"""Two empty lines stand between the pieces of a file; inside a piece there is at most one."""


def text() -> str:
    """All of it, mixed evenly: any long enough part has some of each file."""
    placed = []
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".txt"):
            pieces = file.read_text("utf-8").strip("\n").split(_BETWEEN)
            placed += [
                ((at + 0.5) / len(pieces), file.name, piece) for at, piece in enumerate(pieces)
            ]
    return _BETWEEN[1:].join(piece for *_, piece in sorted(placed))
