"""How an answer ended that ponder had to lead the model to, and what is told of that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adversary import VOCAB, drive
from ponder.engines.replay import ReplayEngine
from ponder.events import Finished
from ponder.receipt import remarks
from ponder.thinking.planning import LAST_RESORT, Request
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, Sampling, Trace
from scripted import TAGGED

AGAIN, END, EOS = (VOCAB.encode(tag, special=True)[0] for tag in ("<think>", "</think>", "<eos>"))
PROTOCOL = resolve(TAGGED, VOCAB)
LEAD = PROTOCOL.lead(boxed=False)


def asked(first: int, budget: Budget, then: int = 97) -> Trace:
    """Thinks for two tokens, says nothing but `first`, and `then` nothing but that once led."""

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = tuple(tokens[prompt:])
        if END not in said:
            return 97 if len(said) < 2 else END
        led = any(said[at : at + len(LEAD)] == LEAD for at in range(len(said)))
        return then if led else first

    engine = ReplayEngine(VOCAB, script, n_ctx=400)
    scheduler = Scheduler(engine, PROTOCOL)
    scheduler.submit(Request(1, (256, 120), budget, Sampling()), 0.0)
    (trace,) = (e.trace for e in drive(engine, scheduler) if isinstance(e, Finished))
    assert trace.last_resort
    return trace


BLANK = ord(" ")


@pytest.mark.parametrize(
    ("first", "budget", "end", "told"),
    [
        (EOS, Budget(), AnswerEnd.LIMIT, "the last resort's limit"),
        (AGAIN, Budget(cap=3), AnswerEnd.LIMIT, "the last resort's limit"),
        (BLANK, Budget(max_answer=9), AnswerEnd.LIMIT, "the last resort's limit"),
        (BLANK, Budget(), AnswerEnd.CONTEXT, "the end of the context"),
        (BLANK, Budget(within=0.3), AnswerEnd.DEADLINE, "its deadline"),
    ],
    ids=["no answer", "thinks again", "limit", "context", "deadline"],
)
def test_what_is_told_is_why_it_was_led(
    first: int, budget: Budget, end: AnswerEnd, told: str
) -> None:
    trace = asked(first, budget)
    assert trace.answer.endswith("a" * LAST_RESORT)
    assert trace.answer_end is end
    assert f"the answer was cut at {told}" in remarks(trace)


def test_an_answer_that_ends_by_itself_was_not_cut() -> None:
    trace = asked(EOS, Budget(), then=EOS)
    assert trace.answer_end is AnswerEnd.STOP
    assert not any("cut" in remark for remark in remarks(trace))
