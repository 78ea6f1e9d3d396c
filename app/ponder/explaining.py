"""Decisions on a budget in plain words: at which thinking token, what, and on which figures.

The same words on the command line, on the screen and in what is kept. Knows events, by the figures
that docs/budgets.md names; refuses to know who shows them. What was kept by another version may
lack figures: it is told without them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ponder.receipt import FINISHES, brief, settled
from ponder.types import BudgetChange, BudgetEvent, Figures, Finish, Usage

_PLAIN = {
    BudgetChange.ANSWER_NOW: "the answer was asked for",
    BudgetChange.EXTEND: "more was asked for, and the context had no room for it",
    BudgetChange.WAIT: 'its next end is to become "Wait", as was asked',
    BudgetChange.HINT: "a hint was put in",
    BudgetChange.UNHEARD: "a hint was not put in: the thinking ended before",
    BudgetChange.HELD: "it stood still, as was asked",
    BudgetChange.WENT_ON: "it went on, as was asked",
    BudgetChange.BEGUN: "it began with the thinking of an earlier trace, edited",
    BudgetChange.WITHDRAWN: 'its end was withdrawn and became "Wait"',
    BudgetChange.UNTHINKING: "too little to think with: it answers at once",
    BudgetChange.DEADLINE: "the time that is left was reckoned",
    BudgetChange.LATE: "the time for thinking was over",
    BudgetChange.LANDED: "landed at a sentence's end",
    BudgetChange.LOOP: "it said the same again and again",
    BudgetChange.CONVERGED: FINISHES[Finish.CONVERGED],
    BudgetChange.AGREED: "the vote was decided without it",
    BudgetChange.DROPPED: "dropped: the pool of its question was short",
    BudgetChange.DISMISSED: "somebody dropped it: the other traces go on",
    BudgetChange.GRANTED: "dealt tokens of the pool",
    BudgetChange.PAUSED: "paused: others think in its place",
    BudgetChange.RESUMED: "thinks on: dealt more of the pool",
    BudgetChange.POOL: "the pool was spent",
    BudgetChange.LED: "no answer had come: it was led to one",
    BudgetChange.REFUSED: "not asked: not even an answer would have been there in time",
}
"""What is told where the figures are missing, or say no more."""

_ENDS = {
    BudgetChange.ANSWER_NOW,
    BudgetChange.UNTHINKING,
    BudgetChange.LATE,
    BudgetChange.LANDED,
    BudgetChange.LOOP,
    BudgetChange.CONVERGED,
    BudgetChange.AGREED,
    BudgetChange.DROPPED,
    BudgetChange.DISMISSED,
    BudgetChange.POOL,
    BudgetChange.REFUSED,
}
"""What says itself why the thinking is over."""


def trail(events: Sequence[BudgetEvent], finish: Finish | None) -> list[tuple[str, str]]:
    """Where, and what was decided there, in order: `("at 128", "landed at a sentence's end ...")`.

    Args:
        events: of one trace.
        finish: how its thinking ended; None while it goes on.

    Returns:
        The last pair is `("end", ...)` where no decision says why the thinking is over.
    """
    told = [(f"at {event.at:,}", words(event)) for event in events]
    # An answer is led to after all that.
    thought = [event.change for event in events if event.change is not BudgetChange.LED]
    if finish is not None and not (thought and thought[-1] in _ENDS):
        told.insert(len(thought), ("end", FINISHES[finish]))
    return told


def words(event: BudgetEvent) -> str:
    """One decision, with the figures that it rested on."""
    plain = _PLAIN[event.change]
    match event.change, event.figures:
        case BudgetChange.EXTEND, _ if event.tokens:
            return f"{_tokens(event.tokens)} more were granted, as was asked"
        case BudgetChange.BEGUN, {"kept": kept, "forced": forced, "written": written}:
            ours = f", {_tokens(forced)} of ponder's" if forced else ""
            return f"{plain}: {_tokens(kept)} kept{ours}, {_tokens(written)} written by you"
        case BudgetChange.HINT, {"tokens": tokens}:
            return f"{plain}: {_tokens(tokens)} of yours"
        case BudgetChange.UNHEARD, {"tokens": tokens, "room": room}:
            return f"a hint of {_tokens(tokens)} was not put in: there is room for {room:,.0f}"
        case BudgetChange.WITHDRAWN, {"floor": floor, **rest}:
            return f"{plain}: the floor is {_tokens(floor)}{_stalled(rest)}"
        case BudgetChange.WITHDRAWN, {"asked": _}:
            return f"{plain}, as was asked"
        case BudgetChange.UNTHINKING, {"tokens": tokens, "smallest": least}:
            return f"{_tokens(tokens)} are too few to think with, {least:,.0f} the least"
        case BudgetChange.DEADLINE, figures:
            return _reckoned(figures)
        case BudgetChange.LATE, {"seconds_left": left}:
            since = f", {brief(-left)} ago" if left < -0.0005 else ""
            return f"{plain}: the answer had to begin{since}"
        case BudgetChange.LANDED, figures:
            return f"{plain}{_landed(event.at, figures)}"
        case BudgetChange.LOOP, {"period": period, "times": times, "tokens": tokens}:
            return (
                f"it said the same {_tokens(period)} {times:.0f} times in a row: "
                f"{_tokens(tokens)} in all"
            )
        case BudgetChange.CONVERGED, figures:
            return f"converged: {settled(figures)}{_threshold(figures)}"
        case BudgetChange.AGREED, {"votes": votes, "second": second, "live": live, "beta": beta}:
            return (
                f"{plain}: {votes:.0f} votes to {second:.0f}, at most {live:.3g} still to come; "
                f"the majority's choice with probability {beta:.3f}"
            )
        case BudgetChange.DROPPED, {"left": left, "needed": needed, "thinking": live, **rest}:
            sure = (
                f"; it was {rest['confidence']:.1%} sure of its words"
                if rest.get("confidence")
                else ""
            )
            return (
                f"{plain}: {_tokens(left)} left, and its {live:.0f} traces need {needed:,.0f}{sure}"
            )
        case ((BudgetChange.GRANTED | BudgetChange.RESUMED), {"tokens": tokens, **rest}):
            begin = "dealt" if event.change is BudgetChange.GRANTED else "thinks on: dealt"
            return f"{begin} {_tokens(tokens)} of the pool{_promise(rest)}{_left(rest)}"
        case BudgetChange.PAUSED, {"best": best, **rest}:
            return f"{plain}{_promise(rest)}, the best of them {_ends(best)}{_left(rest)}"
        case BudgetChange.POOL, {"seconds_left": left, "seconds_to_answer": needed}:
            return (
                f"the time of all was over: {brief(left)} left, and the answers that were missing "
                f"take {brief(needed)}"
            )
        case BudgetChange.POOL, {"pool": pool}:
            return f"the pool of {_tokens(pool)} was spent"
        case BudgetChange.POOL, figures:
            return f"{plain}{_promise(figures)}{_left(figures)}"
        case BudgetChange.LED, {"seconds_left": _}:
            return f"{plain}, in time for its deadline"
        case BudgetChange.REFUSED, {"seconds_left": left, "seconds_needed": needed}:
            return f"{plain}: {brief(left)} left, and the shortest answer takes {brief(needed)}"
    return plain


def account(usage: Usage) -> str:
    """Where the tokens and the seconds of a trace went."""
    tokens = [
        f"think {usage.think:,}" + (f" ({usage.kept:,} kept)" if usage.kept else ""),
        f"forced {usage.forced:,}",
        *((f"yours {usage.user:,}",) if usage.user else ()),
        f"probe {usage.probe:,}",
        f"answer {usage.answer:,}",
        f"wasted {usage.wasted:,}",
    ]
    seconds = [
        f"prompt {brief(usage.prefill_seconds)}",
        f"thinking {brief(usage.think_seconds)}",
        f"all {brief(usage.seconds)}",
    ]
    if usage.wait_seconds >= 0.0005:
        seconds.insert(0, f"waiting {brief(usage.wait_seconds)}")
    return f"tokens: {' · '.join(tokens)}; time: {' · '.join(seconds)}"


def _reckoned(figures: Figures) -> str:
    """What a deadline comes to."""
    match figures:
        case {"seconds": whole, "seconds_left": left, "tokens": tokens, "seconds_a_step": step}:
            reading = figures.get("seconds_to_read", 0.0)
            read = f" and {brief(reading)} of reading" if reading >= 0.0005 else ""
            kept = brief(figures.get("seconds_to_answer", 0.0))
            answer = _tokens(figures.get("answer_tokens", 0))
            return (
                f"{brief(left)} left of {brief(whole)}: up to {_tokens(tokens)} of thinking, at "
                f"{step * 1000:.3g} ms a step{read}; {kept} are kept for an answer of {answer}"
            )
        case {"seconds": whole, "seconds_left": left}:
            return f"{brief(left)} left of {brief(whole)}: how fast it thinks here is not known yet"
    return _PLAIN[BudgetChange.DEADLINE]


def _landed(at: int, figures: Figures) -> str:
    match figures:
        case {"budget": budget, "left": left, "window": window}:
            # The context may have been nearer than the budget.
            end = f"the budget of {budget:,.0f}" if at + left == budget else "the context's end"
            return f", {_tokens(left)} before {end}: one in the last {window:,.0f} will do"
        case {"seconds_left": left, "seconds_of_window": window}:
            return (
                f", {brief(left)} before the answer must begin: one in the last {brief(window)} "
                "will do"
            )
    return ""


def _threshold(figures: Figures) -> str:
    """What a rule for early stops asked for, and what else it saw."""
    match figures:
        case {"margin": _, "at_most": most}:
            return f", {most:g} at most"
        case {"agreed": _, "since": since, **rest}:
            sure = f", the last one {rest['confidence']:.1%} sure" if rest.get("confidence") else ""
            return f", since token {since:,.0f}{sure}"
        case {"variance": variance, "below": below, "mean": mean}:
            return f": variance {variance:.2g}, below {below:g}; mean {mean:.2g} nats"
        case {"confidence": _, "at_least": least}:
            return f", {least:.1%} at least"
    return ""


def _stalled(figures: Figures) -> str:
    times = figures.get("stalled", 0)
    return f"; {times:.0f} before it brought no thought" if times else ""


def _promise(figures: Figures) -> str:
    return f"; it promises {_ends(figures['index'])}" if "index" in figures else ""


def _ends(index: float) -> str:
    """A Gittins index, as a person can picture it."""
    return f"{index * 100:.2g} ends in 100 tokens"


def _left(figures: Figures) -> str:
    return f"; {_tokens(figures['pool_left'])} left" if "pool_left" in figures else ""


def _tokens(count: float) -> str:
    return "1 token" if count == 1 else f"{count:,.0f} tokens"
