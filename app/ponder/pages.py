"""A page of HTML that needs nothing else: no script, no font, no network.

Light or dark as the reader's system is. Whatever comes from outside, names of files first of
all, is text and never markup. Knows nothing of what is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1c22; --quiet: #62626e;
  --line: #dcdce4; --other: #c2551d; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16161c; --ink: #e6e6ee; --quiet: #9d9dab; --line: #34343f; --other: #f0915c; }
}
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  margin: 2rem auto; max-width: 46rem; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; color: var(--quiet); }
p, figcaption { color: var(--quiet); } figure { margin: 1.5rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: right;
  vertical-align: top; }
th.word, td.word { text-align: left; } thead th { color: var(--quiet); }
svg { display: block; width: 100%; } svg text { fill: var(--quiet); font-size: 12px; }
.bar { fill: none; stroke: var(--other); stroke-opacity: .4; stroke-width: 2; }
pre { border: 1px solid var(--line); padding: .5rem; white-space: pre-wrap; }
rect.other, circle.other { fill: var(--other); fill-opacity: .75; }
polyline.other { fill: none; stroke: var(--other); stroke-width: 2; }
.grid { fill: none; stroke: var(--line); }
"""


def whole(title: str, parts: Sequence[str], style: str = "") -> str:
    """A page of parts that are markup already, and rules of their own; the title is text."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        # Even markup that slipped through could load nothing and run nothing.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table of texts; the first so many columns hold words, the others numbers."""
    sides = [' class="word"' if at < words else "" for at in range(len(head))]
    told = "".join(
        f'<th scope="col"{side}>{escape(cell)}</th>' for side, cell in zip(sides, head, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{side}>{escape(cell)}</td>" for side, cell in zip(sides, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{told}</tr></thead><tbody>{body}</tbody></table>"


def terms(pairs: Iterable[tuple[str, str]]) -> str:
    """Words and what is said of each."""
    told = "".join(f"<dt>{escape(word)}</dt><dd>{escape(said)}</dd>" for word, said in pairs)
    return f"<dl>{told}</dl>"
