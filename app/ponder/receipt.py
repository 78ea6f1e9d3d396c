"""What is said of a trace in one line: used and allowed tokens, speed, and why it ended.

The same words on the command line, on the screen and in exports. Knows traces, and neither
colours nor widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ponder.types import AnswerEnd, AppliedAdapter, BudgetChange, Figures, Finish, Trace

FINISHES = {
    Finish.CLOSED: "the model closed its thinking itself",
    Finish.CAP: "the thinking budget was spent",
    Finish.CONTEXT: "the context was full",
    Finish.DEADLINE: "the time for thinking was over",
    Finish.LOOP: "it said the same again and again",
    Finish.CONVERGED: "it had settled on its answer",
    Finish.AGREED: "the other traces had agreed",
    Finish.USER: "the answer was asked for",
    Finish.OFF: "thinking was off",
    Finish.NONE: "this model does not think",
    Finish.CANCELLED: "cancelled",
}
"""Each finish in a few words."""


def used(think: int, budget: int | None) -> str:
    """Thinking tokens of those allowed: `257/320`."""
    return f"{think:,}" if budget is None else f"{think:,}/{budget:,}"


def truth(trace: Trace) -> str:
    """Thinking tokens used and allowed, answer tokens, speed, and why it ended."""
    usage = trace.usage
    parts = [
        f"thinking {used(usage.think, trace.budget)} tokens",
        *((f"probes {usage.probe:,} tokens",) if usage.probe else ()),
        f"answer {usage.answer:,} tokens",
        f"{usage.tokens_per_second:,.0f} tok/s",
        f"finish: {trace.finish.value} ({why(trace)})",
    ]
    return " · ".join([*parts, *remarks(trace)])


def why(trace: Trace) -> str:
    """Why the thinking ended, with the figures where there are any."""
    for event in reversed(trace.budget_events):
        known = {name: f"{number:,.0f}" for name, number in event.figures.items()}
        match event.change, trace.finish:
            case BudgetChange.UNTHINKING, Finish.OFF:
                left = known["tokens"]
                return f"{left} tokens are too few to think with, {known['smallest']} the least"
            case BudgetChange.LANDED, (Finish.CAP | Finish.CONTEXT) if "left" in known:
                return f"{FINISHES[trace.finish]} but for {known['left']}: a sentence had ended"
            case BudgetChange.LOOP, Finish.LOOP:
                return f"it said the same {known['times']} times, {known['tokens']} tokens in all"
            case BudgetChange.CONVERGED, Finish.CONVERGED:
                return settled(event.figures)
            case BudgetChange.DISMISSED, Finish.USER:
                return "somebody dropped it"
            case BudgetChange.DROPPED, Finish.CAP:
                return f"the pool of {known['pool']} tokens was short"
            case BudgetChange.POOL, Finish.CAP if "pool" in known:
                return f"the pool of {known['pool']} tokens was spent"
    return FINISHES[trace.finish]


def fate(trace: Trace) -> str:
    """Why one of several traces had no say in their vote; empty where it came to its answer."""
    if trace.answer_end is AnswerEnd.CANCELLED:
        return "cancelled"
    if trace.answer_end is not AnswerEnd.DROPPED:
        return ""
    last = trace.budget_events[-1].change if trace.budget_events else None
    if last is BudgetChange.DISMISSED:
        return "dropped by hand"
    if last is BudgetChange.DROPPED:
        return f"dropped: {why(trace)}"
    return "not needed: the others had agreed"


def settled(figures: Figures) -> str:
    """What a rule for early stops saw that ended a thought."""
    match figures:
        case {"margin": margin}:
            return f"the end of thinking was {margin:.2g} logits from the likeliest token"
        case {"agreed": times}:
            return f"{times:.0f} trial answers in a row were the same"
        case {"variance": _, "looks": looks}:
            return f"the entropy of what follows had settled in {looks:.0f} looks"
        case {"confidence": confidence}:
            return f"it was {confidence:.1%} sure of its trial answer"
    return FINISHES[Finish.CONVERGED]


def named(model: str, adapters: Sequence[AppliedAdapter]) -> str:
    """A model by its name, with its adapters."""
    return f"{model} with {applied(adapters)}" if adapters else model


def applied(adapters: Sequence[AppliedAdapter]) -> str:
    """Adapters by their files, with the scale where it is not 1: `fine.gguf x 0.5`."""
    return ", ".join(
        one.file if one.scale == 1 else f"{one.file} x {one.scale:g}" for one in adapters
    )


def remarks(trace: Trace) -> list[str]:
    """What a reader of the answer should know about it; empty for most."""
    said = [f"LoRA {applied(trace.adapters)}"] if trace.adapters else []
    if trace.last_resort:
        said.append("ponder had to lead it to an answer")
    if trace.answer_end in (AnswerEnd.LIMIT, AnswerEnd.CONTEXT):
        limit = "the last resort's limit" if trace.last_resort else "its limit"
        cause = limit if trace.answer_end is AnswerEnd.LIMIT else "the end of the context"
        said.append(f"the answer was cut at {cause}")
    elif trace.answer_end is AnswerEnd.DEADLINE:
        said.append("the answer was cut at its deadline")
    elif trace.answer_end is AnswerEnd.CANCELLED and trace.finish is not Finish.CANCELLED:
        said.append("the answer was cancelled")
    elif trace.answer_end is AnswerEnd.DROPPED and trace.finish not in (Finish.AGREED, Finish.CAP):
        last = trace.budget_events[-1].change if trace.budget_events else None
        if last is not BudgetChange.DISMISSED:
            said.append("the other traces had agreed before its answer was complete")
        elif trace.finish is not Finish.USER:
            said.append("somebody dropped it before its answer was complete")
    if trace.within is not None and trace.answer_end is not AnswerEnd.CANCELLED:
        took = trace.usage.wait_seconds + trace.usage.seconds
        late = took - trace.within
        in_time = f"in {brief(took)} of {brief(trace.within)}"
        said.append(in_time if late <= 0 else f"{brief(late)} late")
    return said


def brief(seconds: float) -> str:
    """Seconds, in milliseconds where they are less than one: `12 ms`, `3.2 s`."""
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else duration(seconds)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 9.95 or not isfinite(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
