"""A conversation of the past, printed: what was asked, thought and answered, and why.

Knows records and terminals, and nothing of options. Imported late: it brings rich.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from ponder.cli.terminal import FORCED, Screen
from ponder.explaining import account, trail
from ponder.history.export import UNFINISHED, fate_of, named, one_line, when
from ponder.history.records import Conversation, Turn, Vote
from ponder.poll import tally, verdict
from ponder.printable import safe
from ponder.receipt import truth, used
from ponder.types import Channel, Span, Trace


def print_head(screen: Screen, conversation: Conversation) -> None:
    """Its title, its model and its system prompt."""
    screen.print(styled(f"{conversation.id}  {one_line(conversation.title)}", "bold"))
    model = one_line(conversation.model)
    screen.print(styled(f"{model} · {when(conversation.created)}", "dim"))
    if conversation.system.strip():
        screen.print(styled(f"system prompt: {safe(conversation.system)}", "dim"))


def print_turn(screen: Screen, turn: Turn, thinking: bool, why: bool) -> None:
    """A question, its thinking and its answer; `why` tells every decision on the way."""
    branch = f" · {turn.branch}" if turn.branch else ""
    heading = f"\n[{turn.position + 1}] {when(turn.asked)}{branch} · turn {turn.id}"
    screen.print(styled(heading, "dim"))
    screen.print(styled(safe(turn.question).strip("\n"), "bold cyan"))
    for channel, run in groupby(turn.spans, lambda span: span.channel):
        spans = list(run)
        thought = channel is Channel.THOUGHT
        if not "".join(span.text for span in spans).strip() or (thought and not thinking):
            continue
        screen.print(styled("\nthinking:" if thought else "\nanswer:", "dim italic"))
        _print_spans(screen, spans, "dim" if thought else "")
    if turn.trace is not None:
        screen.print(styled(f"\n{truth(turn.trace)}", "bold"))
        if why:
            _print_why(screen, turn.trace)
    if turn.vote is not None:
        _print_vote(screen, turn, turn.vote, why)
    if turn.error:
        screen.print(styled(f"\nfailed: {one_line(turn.error)}", "red"))
    elif turn.trace is None:
        screen.print(styled(f"\n({UNFINISHED})", "yellow"))


def _print_why(screen: Screen, trace: Trace) -> None:
    for place, told in trail(trace.budget_events, trace.finish):
        screen.print(styled(f"{place}: {told}", "cyan"))
    screen.print(styled(account(trace.usage), "cyan"))


def _print_vote(screen: Screen, turn: Turn, vote: Vote, why: bool) -> None:
    """Who voted for what; of each answer that did not win the first that gave it, in full."""
    poll = vote.poll
    if poll is None:
        screen.print(styled(f"\nvote of {vote.traces} traces", "bold"))
    else:
        screen.print(styled(f"\nvote: {one_line(tally(poll))}", "bold"))
        screen.print(styled(verdict(poll), "dim"))
    minority = poll.choices[1:] if poll is not None and vote.won else ()
    told = {choice.traces[0] for choice in minority}
    for one in turn.candidates:
        line = f"trace {one.number}: {one_line(fate_of(vote, one))}"
        if one.trace is not None:
            trace = one.trace
            line += f" · {used(trace.usage.think, trace.budget)} tokens · {trace.finish.value}"
        shown = " · shown" if one.number == vote.shown else ""
        screen.print(styled(line + shown, "cyan" if shown else "dim"))
        if one.number in told and one.trace is not None:
            screen.print(styled(safe(one.trace.answer), "dim"))
        if why and one.trace is not None and not shown:
            _print_why(screen, one.trace)


def _print_spans(screen: Screen, spans: Sequence[Span], style: str) -> None:
    text = styled("")
    for part, forced in named(spans):
        text.append(safe(part), FORCED if forced else style)
    # Around it only: an empty line inside belongs to the text.
    begin = len(text.plain) - len(text.plain.lstrip("\n"))
    screen.print(text[begin : len(text.plain.rstrip("\n"))])


def wrapped() -> Screen:
    """For text of any length: the terminal wraps it, a pipe gets it as it is."""
    return Screen(highlight=False, soft_wrap=True)


def styled(text: str, style: str = "") -> Text:
    """Text as it is. Never a string: rich would read markup in it."""
    return Text(text, style)
