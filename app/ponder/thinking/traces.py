"""The traces that run: opened when their room is free, granted tokens, let go of at their end.

Puts the parts of one scheduler together, and keeps what they share: who runs on which sequence,
what each may bring in the next step, what is to be told. Decides nothing on a thought (`course.py`)
and not whose turn it is (`sharing.py`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

from ponder.errors import PonderError
from ponder.events import Event, Finished, Started
from ponder.thinking.course import Course
from ponder.thinking.learned import Learned
from ponder.thinking.ledger import Ledger
from ponder.thinking.live import Live
from ponder.thinking.pace import Pace
from ponder.thinking.parser import TraceParser
from ponder.thinking.planning import Plan, Request, plan
from ponder.thinking.probing import Probes
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.purse import Keeper
from ponder.thinking.record import never_started, trace_of
from ponder.thinking.retracing import End
from ponder.thinking.scribe import Scribe
from ponder.thinking.sequences import Sequences
from ponder.thinking.sharing import Sharing, Waiting
from ponder.types import AnswerEnd, BudgetChange, Chunk, Figures, Finish, Seq


class Traces:
    """The traces of one scheduler.

    Args:
        sequences: the engine's hands.
        protocol: how its model thinks.
        learned: what is known of that model and this machine; learns from all that runs.
        normal: a normal form of answers, for rules that compare them.
    """

    def __init__(
        self,
        sequences: Sequences,
        protocol: ThinkProtocol,
        learned: Learned,
        normal: Callable[[str], str],
    ) -> None:
        self._hands = sequences
        self._protocol = protocol
        self._learned = learned
        self.now = 0.0
        """By the scheduler's clock; set by it."""
        self.ledger = Ledger(sequences.capacity)
        self.live: dict[int, Live] = {}
        self.by_seq: dict[Seq, Live] = {}
        self.grants: dict[Seq, int] = {}
        self.events: deque[Event] = deque()
        self._later: dict[int, list[Callable[[], None]]] = {}
        """What is to be done to questions in the queue as soon as they start."""
        self._prompt: tuple[int, ...] = ()
        """The last that was read: what begins like it need not be read again."""
        self.scribe = Scribe(sequences, protocol, self.ledger, self.events)
        self.pace = Pace(protocol, learned, self.live, sequences.n_ctx)
        self.probes = Probes(
            sequences,
            protocol,
            self.ledger,
            self.scribe,
            self.pace,
            self.grants,
            normal,
            self._pays,
        )
        self.course = Course(protocol, self.scribe, self.pace, self.probes)
        self.keeper = Keeper(self.scribe, self.course, self._cannot_keep)
        self.sharing = Sharing(
            protocol,
            learned,
            self.live,
            self.scribe,
            self.course,
            self.pace,
            sequences.n_ctx,
            self._admit,
            self.regrant,
        )

    # -- before it runs -----------------------------------------------------------------

    def planned(self, request: Request) -> Plan:
        """What a question would have; takes nothing in.

        Raises:
            InputError: it can never run: a bad budget, or a prompt that is too long.
        """
        planned = plan(request, self._protocol, self._hands.n_ctx)
        pairs = zip(self._prompt, planned.opening, strict=False)
        known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self.pace.refuse_too_short(request, len(planned.opening) - known)
        return planned

    def ask(self, question: int, act: Callable[[Live], None]) -> None:
        """Do something to the thinking of a question; one in the queue, as soon as it runs."""
        live = self.live.get(question)
        if live is not None and live.finish is None:
            self.scribe.settle(live)
            act(live)
            self.regrant(live)
        elif self.sharing.waits(question):
            self._later.setdefault(question, []).append(lambda: self.ask(question, act))

    def hold(self, question: int, still: bool) -> None:
        """Have a question stand still, thinking or answering, or go on; a deadline waits for
        nobody. One in the queue stands still as soon as it begins."""
        live = self.live.get(question)
        if live is not None and live.held is not still:
            self.scribe.settle(live)
            live.held = still
            left = {} if live.deadline == math.inf else {"seconds_left": live.deadline - self.now}
            change = BudgetChange.HELD if still else BudgetChange.WENT_ON
            self.scribe.rebudget(live, change, figures=left)
            self.regrant(live)
            if not still and live.finish is None:
                self.course.review(live, self.now)
                self.regrant(live)
        elif self.sharing.waits(question):
            self._later.setdefault(question, []).append(lambda: self.hold(question, still))

    # -- it begins ----------------------------------------------------------------------

    def _admit(self, waiting: Waiting, planned: Plan) -> bool:
        """Start a question by this plan; false where its room is not free."""
        if len(self.live) >= self._hands.n_seqs:
            return False
        request, _, asked = waiting
        if request.turn is not None:
            # From now on its deadline is one like any other.
            own = min(request.budget.within or math.inf, self.now - asked + request.turn)
            request = replace(request, budget=replace(request.budget, within=own))
        planned = self.pace.in_time(request, planned, asked, self.now)
        if planned.lease > self.ledger.free:
            return False
        self._start(request, planned, asked, self.now)
        return True

    def _start(self, request: Request, planned: Plan, asked: float, now: float) -> None:
        """Open a sequence for a question whose room is free."""
        self.ledger.lease(request.id, planned.lease)
        marks = (self._protocol.end_id, self._protocol.vocab.eos)
        stops = tuple(token for token in marks if token is not None)
        watch = self.probes.watched(request.budget.stop) if planned.cap is not None else ()
        seq = self._hands.open(planned.opening, request.sampling, watch, stops, request.signals)
        self._prompt = planned.opening
        inside = planned.cap is not None
        parser = TraceParser(self._protocol, inside)
        live = Live(request, planned, seq, parser, started=now, asked=asked)
        live.answer_tokens = self.pace.answer_tokens(request)
        if not inside:
            live.finish = Finish.OFF if planned.limited_by == "off" else Finish.NONE
        self.live[request.id] = self.by_seq[seq] = live
        self.keeper.join(live)
        self.probes.begin(live)
        self.pace.look()
        self.events.append(
            Started(request.id, len(planned.prompt), planned.cap, planned.limited_by)
        )
        self.sharing.begin(live)
        if planned.begun.tokens:
            self.scribe.begin(live)
            self.course.review(live, now)
        self.regrant(live)
        if planned.too_little is not None:
            self.scribe.too_little(live, planned.too_little)
        self._tell_pace(live)
        for note in self._later.pop(request.id, ()):
            note()

    # -- it runs ------------------------------------------------------------------------

    def take(self, live: Live, chunk: Chunk) -> None:
        """Take what a step brought of a trace."""
        self.scribe.measure(live, chunk)
        tokens = chunk.tokens
        if not tokens:
            return
        if (
            len(tokens) < live.quota
            and self.now < live.heed
            and live.last_resort is None
            and not live.hinted
            and not self._protocol.end_text
            and self._protocol.marks.isdisjoint(tokens)
        ):
            # Most tokens decide nothing: they are gathered, and charged and told together.
            live.gathered += tokens
            live.pieces += chunk.pieces
            live.quota -= len(tokens)
            self.grants[live.seq] = live.quota
            return
        self.scribe.settle(live)
        self.course.take(live, chunk, self.now)
        self.go_on(live)

    def go_on(self, live: Live) -> None:
        """Something was decided on it, or its quota is spent: grant it more, or it is over."""
        if live.answer_end is None:
            self.regrant(live)
        else:
            self._complete(live)

    def regrant(self, live: Live) -> None:
        """Work out how many tokens may come, and until when, before something is decided."""
        self.pace.update(live)
        if self.probes.runs(live):
            return
        if live.held:
            self.grants.pop(live.seq, None)
            return
        if live.awaits_share(self.scribe.thinking(live)):
            self.grants.pop(live.seq, None)
            self.sharing.stirred = True
            return
        live.quota = self.course.quota(live)
        if (coming := live.coming) is not None:
            live.quota = max(1, min(live.quota, coming.at - len(live.tokens)))
        self.grants[live.seq] = live.quota

    def retrace(self) -> None:
        """Have befall the traces what is to befall them where they have come to."""
        for live in list(self.live.values()):
            while live.answer_end is None and (coming := live.coming) is not None:
                if len(live.tokens) + len(live.gathered) < coming.at:
                    break
                live.befallen += 1
                self.scribe.settle(live)
                if isinstance(coming.act, End):
                    self.end(live.request.id, coming.act.finish, coming.act.answer)
                else:
                    self.course.befall(live, coming.act, self.now)
                    self.regrant(live)

    def _tell_pace(self, live: Live) -> None:
        """Tell what a deadline comes to, where there is news of it."""
        if (figures := self.pace.news(live, self.now)) is not None:
            self.scribe.rebudget(live, BudgetChange.DEADLINE, figures=figures)

    def _pays(self, live: Live, tokens: int) -> bool:
        """Whether what it shares with others pays for a look at it."""
        return self.keeper.pays(live, tokens) and self.sharing.pays(live, tokens)

    def settle(self) -> None:
        """Charge and tell what was gathered, and reckon with time anew."""
        self.pace.look()
        self.sharing.look()
        for live in self.live.values():
            self.scribe.settle(live)
            self.pace.update(live)
            self._tell_pace(live)

    # -- it is over ---------------------------------------------------------------------

    def drop(self, question: int, why: BudgetChange, figures: Figures, finish: Finish) -> None:
        """End a question where it stands: its vote goes on, or is decided, without it."""
        live = self.live.get(question)
        if live is not None:
            self.scribe.settle(live)
            self.scribe.rebudget(live, why, figures=figures)
        self.end(question, finish, AnswerEnd.DROPPED)

    def end(self, question: int, finish: Finish, answer_end: AnswerEnd) -> None:
        """End a question where it stands; if its thinking goes on, that ends with `finish`."""
        waiting = self.sharing.withdraw(question)
        if waiting is not None:
            self._later.pop(question, None)
            over = never_started(waiting.request, waiting.plan, finish, answer_end)
            self.events.append(over)
            return
        live = self.live.get(question)
        if live is not None:
            self.scribe.settle(live)
            if live.finish is None:
                self.scribe.close(live, finish, self.now)
            live.answer_end = answer_end
            self._complete(live)

    def _cannot_keep(self, live: Live, figures: Figures) -> None:
        """The purse that a trace lives on is short: it is dropped."""
        self.scribe.settle(live)
        self.scribe.rebudget(live, BudgetChange.DROPPED, figures=figures)
        self.end(live.request.id, Finish.CAP, AnswerEnd.DROPPED)

    def _complete(self, live: Live) -> None:
        """Its last token is there: let go of everything that it had."""
        self.probes.forget(live)
        self.scribe.tell(live, live.parser.flush())
        if live.plan.cap is not None and not live.request.revisable:
            # A later prompt leaves this thinking out: nothing after the prompt can serve it.
            self._hands.rewind(live.seq, len(live.plan.prompt))
        self._hands.close(live.seq)
        del self.by_seq[live.seq]
        self.grants.pop(live.seq, None)
        question = live.request.id
        trace = trace_of(live, self.ledger, self.now)
        self._learned.learn(trace)
        self.keeper.leave(live)
        self.events.append(Finished(question, trace))
        self.sharing.over(live)
        self.ledger.release(question)
        del self.live[question]

    def abandon(self) -> None:
        """Close every sequence: the engine failed, and nothing will be told any more."""
        self.probes.drop_all()
        for live in self.live.values():
            with suppress(PonderError):
                self._hands.close(live.seq)
        self.live.clear()
        self.by_seq.clear()
        self.grants.clear()
