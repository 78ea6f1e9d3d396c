"""Conversations as documents: Markdown to read, JSON to compute with.

Markdown shows what a person wants to see, and is safe to put anywhere: the thinking is
fenced, control characters are pictures. JSON leaves nothing out. Knows records; no file.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any

from ponder.history.records import Candidate, Conversation, Turn, Vote
from ponder.poll import said, tally, verdict
from ponder.printable import safe
from ponder.receipt import duration, fate, truth
from ponder.types import Author, Channel, Finish, Span, Trace

UNFINISHED = "unfinished: ponder ended in the middle, or is still at it"
"""What is said of a turn without a trace and without an error."""

_ENDED = {
    Finish.CLOSED: "closed by the model",
    Finish.CAP: "ended by its budget",
    Finish.CONTEXT: "ended by the full context",
    Finish.DEADLINE: "ended by its deadline",
    Finish.LOOP: "ended because it said the same again and again",
    Finish.CONVERGED: "ended because it had settled on its answer",
    Finish.AGREED: "ended because the other traces had agreed",
    Finish.USER: "ended by the user",
    Finish.OFF: "switched off",
    Finish.NONE: "none of this model",
    Finish.CANCELLED: "cancelled",
}


def when(at: float) -> str:
    """Unix seconds as a local date and time."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def one_line(text: str) -> str:
    """Text for a list or a heading: safe, without line breaks."""
    return " ".join(safe(text).split())


def named(spans: Iterable[Span]) -> Iterator[tuple[str, bool]]:
    """Spans as text, each with whether it was forced: that in ⟦⟧, after a word for what it is.

    Blank space around it is left outside of the brackets.
    """
    for author, run in groupby(spans, lambda span: span.author):
        text = "".join(span.text for span in run)
        words = text.strip()
        forced = author is not Author.MODEL
        if forced and words:
            text = text.replace(words, f"⟦{author}: {words}⟧", 1)
        yield text, forced


def bracketed(spans: Iterable[Span]) -> str:
    """Spans as one text, as `named` has them."""
    return "".join(text for text, _ in named(spans))


def as_json(
    conversation: Conversation, turns: Sequence[Turn], thinking: bool = True
) -> dict[str, Any]:
    """Everything that is known of a conversation, as what `json.dumps` takes.

    The names are those of the dataclasses; the spans of a trace are those of its turn, or of its
    candidate where several traces voted.
    `thinking` False leaves out what was thought, and the tokens, which would spell it.
    """
    return asdict(conversation) | {"turns": [_facts(turn, thinking) for turn in turns]}


def markdown(conversation: Conversation, turns: Sequence[Turn], thinking: bool = True) -> str:
    """A conversation to read; `thinking` False leaves the thinking out."""
    parts = [
        f"# {_escaped(one_line(conversation.title)) or 'Untitled'}",
        f"{_code(conversation.model)} · {when(conversation.created)}",
    ]
    if conversation.system.strip():
        parts.append("System prompt:\n\n" + _quoted(conversation.system))
    for turn in turns:
        branch = f" · {turn.branch}" if turn.branch else ""
        parts.append(f"## {turn.position + 1} · {when(turn.asked)}{branch}")
        parts.append(_quoted(turn.question))
        parts += _said(turn, thinking)
        parts += _vote(turn, thinking)
        parts.append(_receipt(turn, conversation))
    return "\n\n".join(parts) + "\n"


def _facts(turn: Turn, thinking: bool) -> dict[str, Any]:
    facts = asdict(turn)
    told_once = ("spans",) if thinking else ("spans", "tokens", "forced")
    for owner in (facts, *facts["others"]):
        for name in told_once if owner["trace"] is not None else ():
            del owner["trace"][name]
        if not thinking:
            owner["spans"] = [s for s in owner["spans"] if s["channel"] != Channel.THOUGHT]
    return facts


def fate_of(vote: Vote, candidate: Candidate) -> str:
    """What one of several traces came to, in a few words: its answer, or why it has none."""
    answer = said(vote.poll, candidate.number) if vote.poll is not None else ""
    if answer or candidate.trace is None:
        return answer or "unfinished"
    return fate(candidate.trace) or "not counted"


def _vote(turn: Turn, thinking: bool) -> list[str]:
    """How several traces voted, and what those said whose answer is not the answer."""
    vote = turn.vote
    if vote is None:
        return []
    parts = [f"Vote of {vote.traces} traces"]
    if vote.poll is not None:
        parts = [f"Vote: {_escaped(one_line(tally(vote.poll)))} — {verdict(vote.poll)}"]
    for one in turn.others:
        summary = f"Trace {one.number}: {one_line(fate_of(vote, one))}"
        if one.trace is not None:
            summary += f" · {summary_of(one.trace).lower()}"
        shown = [span for span in one.spans if thinking or span.channel is Channel.ANSWER]
        texts = [safe(bracketed(run)).strip("\n") for _, run in groupby(shown, lambda s: s.channel)]
        fenced = [_fenced(text) for text in texts if text.strip()]
        if fenced:
            # HTML, where Markdown escapes nothing.
            parts.append(_folded(html.escape(summary), "\n\n".join(fenced)))
        else:
            parts.append(_escaped(summary))
    return parts


def _said(turn: Turn, thinking: bool) -> list[str]:
    parts = []
    summary = summary_of(turn.trace)
    for channel, run in groupby(turn.spans, lambda span: span.channel):
        spans = list(run)
        if not "".join(span.text for span in spans).strip():
            continue
        if channel is Channel.ANSWER:
            parts.append(safe("".join(span.text for span in spans)).strip("\n"))
        elif thinking:
            parts.append(_folded(summary, _fenced(safe(bracketed(spans)).strip("\n"))))
            summary = "Thinking, continued"
    return parts


def _folded(summary: str, text: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def _fenced(text: str) -> str:
    """Text in a fence, which shows tags and markup as they are: it can end neither the fence,
    which is longer than any in it, nor the details around it."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def summary_of(trace: Trace | None) -> str:
    """A thinking in a line: its tokens, and how it ended."""
    if trace is None:
        return "Thinking"
    allowed = "" if trace.budget is None else f" of {trace.budget:,}"
    return f"Thinking: {trace.usage.think:,}{allowed} tokens, {_ENDED[trace.finish]}"


def _receipt(turn: Turn, conversation: Conversation) -> str:
    parts = []
    if turn.model != conversation.model:
        parts.append(_code(turn.model))
    if turn.trace is not None:
        parts += [truth(turn.trace), f"{duration(turn.trace.usage.seconds)} in all"]
    if turn.provenance is not None:
        origin = turn.provenance
        weights = f"sha256 {origin.weights[:12]}" if origin.weights else origin.sample[:12]
        parts.append(
            f"turn {turn.id}, weights {weights}, template {origin.template[:12]}, "
            f"seed {turn.sampling.seed}"
        )
    if turn.error:
        parts.append(f"failed: {_escaped(one_line(turn.error))}")
    elif turn.trace is None:
        parts.append(UNFINISHED)
    return "— " + " · ".join(parts)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in safe(text).strip("\n").split("\n"))


def _code(text: str) -> str:
    """A code span that nothing in the text can end."""
    words = one_line(text)
    ticks = "`" * (_longest_run(words) + 1)
    blank = " " if "`" in words else ""
    return f"{ticks}{blank}{words}{blank}{ticks}"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
