"""Conversations as one page of HTML: to be read, folded and printed anywhere, without a script.

Everything that was said is untrusted: it is text on this page, whatever it looks like, and an
answer's Markdown has neither HTML nor links nor pictures. A thinking and each of its steps fold.
Knows records; no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from ponder import pages
from ponder.history.export import UNFINISHED, fate_of, one_line, summary_of, when
from ponder.history.records import Conversation, Turn, Vote
from ponder.passages import Passage, passages
from ponder.poll import tally, verdict
from ponder.printable import safe
from ponder.receipt import duration, truth
from ponder.types import Author, Channel, Span, Trace

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FIRST = 90
"""Characters of a step that name it."""
_STYLE = """
:root { --forced: #8a4b00; --forced-paper: #fff3dc; --accent: #1a5fb4; }
@media (prefers-color-scheme: dark) {
  :root { --forced: #f2b45c; --forced-paper: #33270f; --accent: #8ab4f8; }
}
main p, main li { color: var(--ink); } .quiet, main p.quiet { color: var(--quiet); }
.question { border-left: 3px solid var(--accent); padding-left: .8rem; white-space: pre-wrap; }
.thought { white-space: pre-wrap; font-size: .95rem; }
details { margin: .5rem 0; } summary { cursor: pointer; }
.trace > summary, .other > summary { color: var(--quiet); }
.step { margin-left: 1rem; border-left: 1px solid var(--line); padding-left: .7rem; }
.step > summary { color: var(--quiet); font-size: .85rem; }
.step[open] > summary .first { display: none; }
.forced { color: var(--forced); background: var(--forced-paper); font-style: italic; }
.forced b { font-size: .8em; font-style: normal; font-weight: 400; }
.pivot { border: 1px solid var(--line); border-radius: .3rem; padding: 0 .3rem; }
code, pre { font-size: .9rem; } table { width: auto; }
@media print { details > * { display: block; } }
"""


def page(read: Sequence[tuple[Conversation, Sequence[Turn]]], thinking: bool = True) -> str:
    """A page of conversations with their turns; `thinking` False leaves the thinking out."""
    parts = []
    for conversation, turns in read:
        parts.append(_head(conversation))
        parts += [_turn(turn, thinking) for turn in turns]
    names = [one_line(conversation.title) or "Untitled" for conversation, _ in read]
    title = names[0] if len(names) == 1 else f"{len(names)} conversations"
    return pages.whole(title, parts, _STYLE)


def _head(conversation: Conversation) -> str:
    title = escape(one_line(conversation.title)) or "Untitled"
    told = f"{one_line(conversation.model)} · {when(conversation.created)}"
    system = conversation.system.strip()
    return f'<h1>{title}</h1>\n<p class="quiet">{escape(told)}</p>' + (
        _folded("trace", "System prompt", f'<div class="thought">{_text(system)}</div>')
        if system
        else ""
    )


def _turn(turn: Turn, thinking: bool) -> str:
    number = turn.position + 1
    parts = [
        f"<h2>{number} · {escape(when(turn.asked))}</h2>",
        f'<div class="question">{_text(turn.question)}</div>',
        *_said(turn.spans, turn.trace, thinking),
        _end(turn),
    ]
    if turn.vote is not None:
        parts += _vote(turn, turn.vote, thinking)
    return f'<section id="turn-{turn.id}">\n' + "\n".join(filter(None, parts)) + "\n</section>"


def _vote(turn: Turn, vote: Vote, thinking: bool) -> list[str]:
    """How several traces voted, and those whose answer is not the turn's."""
    line = f"Vote of {vote.traces} traces"
    if vote.poll is not None:
        line = f"Vote: {one_line(tally(vote.poll))} — {verdict(vote.poll)}"
    parts = [f'<p class="quiet">{_text(line)}</p>']
    for one in turn.others:
        inner = _said(one.spans, one.trace, thinking)
        if one.trace is not None:
            inner.append(f'<p class="quiet receipt">{_text(truth(one.trace))}</p>')
        title = f"Trace {one.number}: {one_line(fate_of(vote, one))}"
        parts.append(_folded("other", title, "\n".join(inner)))
    return parts


def _said(spans: Iterable[Span], trace: Trace | None, thinking: bool) -> list[str]:
    """What was thought and answered, in order; neighbours of one channel together."""
    parts = []
    title = summary_of(trace)
    for channel, run in groupby(spans, lambda span: span.channel):
        own = list(run)
        if not "".join(span.text for span in own).strip():
            continue
        if channel is Channel.ANSWER:
            parts.append(f'<div class="answer">{_answer(own)}</div>')
        elif thinking:
            steps = "\n".join(_step(at, step) for at, step in enumerate(passages(own), 1))
            parts.append(_folded("trace", title, steps))
            title = "Thinking, continued"
    return parts


def _step(number: int, step: Passage) -> str:
    words = " ".join(safe(step.text).split())
    first = words if len(words) <= _FIRST else words[: _FIRST - 1] + "…"
    pivots = "".join(f' <span class="pivot">{escape(pivot)}</span>' for pivot in step.pivots)
    title = f'{number}{pivots} <span class="first">{escape(first)}</span>'
    text = "".join(_span(span) for span in step.spans).strip("\n")
    inner = f'<div class="thought">{text}</div>'
    return f'<details class="step" open><summary>{title}</summary>{inner}</details>'


def _answer(spans: Iterable[Span]) -> str:
    """Markdown of the model's own words; ponder's between them are told apart."""
    parts = []
    for author, run in groupby(spans, lambda span: span.author):
        text = "".join(span.text for span in run)
        if author is Author.MODEL:
            parts.append(_markdown().render(safe(text)))
        elif text.strip():
            parts.append(f"<p>{_span(Span(Channel.ANSWER, text.strip(), author))}</p>")
    return "".join(parts)


def _end(turn: Turn) -> str:
    """How it went, and what it went with."""
    parts = []
    if turn.trace is not None:
        parts += [truth(turn.trace), f"{duration(turn.trace.usage.seconds)} in all"]
    if turn.error:
        parts.append(f"failed: {one_line(turn.error)}")
    elif turn.trace is None:
        parts.append(UNFINISHED)
    line = f'<p class="quiet receipt">{_text(" · ".join(parts))}</p>'
    return line + (_folded("trace", "Receipt", _account(turn, turn.trace)) if turn.trace else "")


def _account(turn: Turn, trace: Trace) -> str:
    sampling, usage = trace.sampling, trace.usage
    pairs = [
        ("Model", one_line(turn.model)),
        ("Finish", trace.finish.value),
        (
            "Tokens",
            f"prompt {usage.prompt:,} ({usage.cached:,} cached) · think {usage.think:,} · forced "
            f"{usage.forced:,} · probe {usage.probe:,} · answer {usage.answer:,} · "
            f"wasted {usage.wasted:,}",
        ),
        (
            "Sampling",
            f"temperature {sampling.temperature:g} · top_p {sampling.top_p:g} · "
            f"top_k {sampling.top_k} · min_p {sampling.min_p:g} · seed {sampling.seed}",
        ),
        *((f"LoRA {one.file} × {one.scale:g}", one.sha256) for one in trace.adapters),
    ]
    return pages.terms((safe(word), safe(said)) for word, said in pairs)


def _folded(kind: str, title: str, inner: str) -> str:
    return f'<details class="{kind}"><summary>{_text(title)}</summary>\n{inner}\n</details>'


def _span(span: Span) -> str:
    text = _text(span.text)
    if not span.forced or not text.strip():
        return text
    # The word is text, not a rule: it is there for whoever copies, prints or listens.
    words = text.strip()
    named = f'<span class="forced"><b>{escape(span.author)}:</b> {words}</span>'
    return text.replace(words, named, 1)


def _text(text: str) -> str:
    return escape(safe(text))


@cache
def _markdown() -> MarkdownIt:
    """Markdown that is only looks. A backslash stays: `\\(` is mathematics here."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return reader.disable(["escape", "link", "image", "autolink", "reference"])
