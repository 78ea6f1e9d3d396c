"""One trace's course: its tokens in, one by one, and what the policies decide on them done.

Acts through the scribe, on one trace at a time: ends a thought, withdraws an end, leads to an
answer, ends that. Who runs beside it, and when it is its turn, is the scheduler's business.
"""

from __future__ import annotations

from ponder.thinking import landing
from ponder.thinking.ledger import Account
from ponder.thinking.live import LOOP_CHECK, Live
from ponder.thinking.pace import Pace
from ponder.thinking.parser import Edge
from ponder.thinking.policies import Close, Extend, decide
from ponder.thinking.probing import Looked, Probes
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.retracing import Act, Again, AnswerNow, Lead, More, Say
from ponder.thinking.scribe import Scribe
from ponder.types import AnswerEnd, Author, BudgetChange, Chunk, Figures, Finish


class Course:
    """Takes the tokens of the traces of one scheduler.

    Args:
        protocol: how the model thinks.
        scribe: writes traces down.
        pace: reckons with time.
        probes: look at what would be answered now.
    """

    def __init__(self, protocol: ThinkProtocol, scribe: Scribe, pace: Pace, probes: Probes) -> None:
        self._protocol = protocol
        self._scribe = scribe
        self._pace = pace
        self._probes = probes
        self._break = protocol.words("\n\n")

    def quota(self, live: Live) -> int:
        """Tokens that may come before something has to be decided."""
        if live.finish is None:
            think = self._scribe.thinking(live)
            left = live.thinking_left(self._protocol, think)
            return min(left, self._probes.left(live, think))
        if live.last_resort is not None:
            return max(1, live.last_resort)
        return max(1, live.answer_left(self._protocol, self._scribe.answered(live)))

    def take(self, live: Live, chunk: Chunk, now: float) -> None:
        """Take the tokens of a chunk: one of them ends something, or spends the quota."""
        for at, (token, piece) in enumerate(zip(chunk.tokens, chunk.pieces, strict=True)):
            rest = len(chunk.tokens) - at - 1
            figures = self._probes.margin(live, chunk, at)
            if figures is not None:
                self._converge(live, figures, rest + 1, now)
                return
            take = self._thought if live.finish is None else self._answered
            if take(live, token, piece, rest, now):
                # What was sampled beyond this token belongs to a future that will not be.
                if live.answer_end is None:
                    self._scribe.waste(live, rest)
                return
            if rest and live.awaits_share(self._scribe.thinking(live)):
                # Granted as an answer, which opened its thinking again: others may come first.
                self._scribe.waste(live, rest)
                self._scribe.rewind(live)
                return
            if live.finish is None and self._boundary(live, piece):
                self._probes.look(live, self._scribe.thinking(live), _after(chunk, at), now)
                if self._probes.runs(live):
                    return

    def looked(self, seen: Looked, now: float) -> None:
        """Take what a probe has seen of a trace that stood still meanwhile."""
        live, rest = seen.live, len(seen.rest.tokens)
        if seen.figures is not None:
            self._converge(live, seen.figures, rest, now)
        elif self.review(live, now, rest=rest):
            self._scribe.waste(live, rest)
        else:
            self.take(live, seen.rest, now)

    def _converge(self, live: Live, figures: Figures, rest: int, now: float) -> None:
        """A rule says that the thinking may end before the last `rest` tokens of its chunk."""
        self._scribe.rebudget(live, BudgetChange.CONVERGED, figures=figures)
        self.cut(live, Finish.CONVERGED, now, rest)
        self._scribe.waste(live, rest)

    @staticmethod
    def _boundary(live: Live, piece: bytes) -> bool:
        """Whether a sentence has just ended; half an end tag is none."""
        return not live.parser.held and landing.ends(live.tail, piece)

    # -- what somebody asks for -----------------------------------------------------------

    def answer_now(self, live: Live, now: float) -> None:
        """End the thinking; the answer follows."""
        live.answer_now = True
        self._scribe.rebudget(live, BudgetChange.ANSWER_NOW)
        self.review(live, now)

    def extend(self, live: Live, tokens: int) -> None:
        """Grant more thinking, as far as the context allows."""
        slack = live.slack(self._protocol, self._scribe.thinking(live))
        self._scribe.grow(live, tokens - min(slack, 0))
        slack = live.slack(self._protocol, self._scribe.thinking(live))
        granted = max(0, min(tokens, slack))
        live.extra += granted
        self._scribe.rebudget(live, BudgetChange.EXTEND, granted)

    def wait(self, live: Live) -> None:
        """Withdraw the next end of thinking."""
        self._scribe.grow(live, len(self._protocol.wait_ids))
        live.waits += 1
        self._scribe.rebudget(live, BudgetChange.WAIT)

    def hint(self, live: Live, words: tuple[int, ...]) -> None:
        """Put words of a person in where the next sentence ends, if there is room beside its
        budget and the answer's reserve."""
        words = words if live.hinted else self._break + words
        think = self._scribe.thinking(live)
        room = live.room_for_words(self._protocol, think)
        if room < len(words):
            self._scribe.grow(live, len(words) - room)
            room = live.room_for_words(self._protocol, think)
        if room < len(words):
            self._unheard(live, len(words), room)
        else:
            live.hinted += words

    def _say(self, live: Live, words: tuple[int, ...], rest: int = 0) -> bool:
        """Put words of a person in; true if they are there."""
        live.hinted = ()
        room = live.room(self._protocol) - 1
        if room < len(words):
            self._unheard(live, len(words), room)
            return False
        self._scribe.rebudget(live, BudgetChange.HINT, figures={"tokens": len(words)})
        self._scribe.force(live, words, Author.USER, rest=rest)
        return True

    def _unheard(
        self, live: Live, tokens: int, room: int | None = None, at: int | None = None
    ) -> None:
        figures: dict[str, float] = {"tokens": tokens}
        if room is not None:
            figures["room"] = max(0, room)
        self._scribe.rebudget(live, BudgetChange.UNHEARD, figures=figures, at=at)

    def befall(self, live: Live, act: Act, now: float) -> None:
        """Have happen to a trace what happened to one like it at this token."""
        match act:
            case AnswerNow() if live.finish is None:
                self.answer_now(live, now)
            case More(tokens) if live.finish is None:
                self.extend(live, tokens)
            case Again() if live.finish is None:
                self.wait(live)
            case Say(words) if live.finish is None:
                self._scribe.grow(
                    live, len(words) - live.slack(self._protocol, self._scribe.thinking(live))
                )
                self._say(live, words)
            case Close() if live.finish is None:
                live.verdict = act
                self.review(live, now)
            case Lead() if live.finish is not None and live.last_resort is None:
                self._lead(live, AnswerEnd.DEADLINE, now, drop=0, rest=0)

    # -- decisions ------------------------------------------------------------------------

    def review(
        self,
        live: Live,
        now: float,
        ending: bool = False,
        think: int | None = None,
        drop: int = 0,
        rest: int = 0,
        boundary: bool = False,
    ) -> bool:
        """Ask the policies; true if one of them acted.

        Args:
            live: the trace.
            now: the time.
            ending: the model has just ended its thinking.
            think: thinking tokens before that end; None: all there are.
            drop: tokens that the end took.
            rest: tokens of the chunk that follow.
            boundary: whether a sentence has just ended.
        """
        think = self._scribe.thinking(live) if think is None else think
        match decide(live.view(think, ending, self._protocol, now, boundary)):
            case Close(finish, why, figures):
                if why is not None:
                    self._scribe.rebudget(live, why, figures=figures)
                self.cut(live, finish, now, rest)
            case Extend(asked, figures):
                live.stalled = live.stalled + 1 if think == live.thought_at_extension else 1
                live.thought_at_extension = think
                live.waits -= asked
                if not live.parser.inside:
                    live.parser.reopen()
                self._scribe.force(live, self._protocol.wait_ids, Author.WAIT, drop=drop, rest=rest)
                self._scribe.rebudget(live, BudgetChange.WITHDRAWN, figures=figures)
            case None:
                return False
        return True

    def cut(self, live: Live, finish: Finish, now: float, rest: int = 0) -> None:
        """End a thought where it stands; the answer follows."""
        self._probes.abandon(live)
        self._close(live, finish, now)
        self._scribe.force(live, self._protocol.cut_ids, Author.CLOSING, rest=rest)

    def _close(self, live: Live, finish: Finish, now: float, at: int | None = None) -> None:
        if live.hinted:
            self._unheard(live, len(live.hinted), at=at)
            live.hinted = ()
        self._scribe.close(live, finish, now)
        self._pace.update(live)

    def _thought(self, live: Live, token: int, piece: bytes, rest: int, now: float) -> bool:
        """Take a token of thought; true if what follows it in its chunk is void."""
        think = self._scribe.thinking(live)
        self._scribe.book(live, token, Account.THINK)
        live.tail = (live.tail + piece)[-landing.TAIL :]
        if token in self._protocol.vocab.ends:
            # A turn ended inside the thinking: the model meant to close it and answer.
            if not self.review(live, now, ending=True, think=think, drop=1, rest=rest):
                self._close(live, Finish.CLOSED, now, think)
                self._scribe.force(
                    live, self._protocol.close_ids, Author.CLOSING, drop=1, rest=rest
                )
            return True
        if self._scribe.read(live, token, piece) is Edge.CLOSED:
            tag = live.parser.tag_tokens
            if self.review(live, now, ending=True, think=think - tag + 1, drop=tag, rest=rest):
                return True
            self._close(live, Finish.CLOSED, now)
            return False
        if live.watched and (think + 1) % LOOP_CHECK == 0:
            live.watch.read(live.tokens[len(live.watch) :])
        boundary = self._boundary(live, piece)
        if self.review(live, now, rest=rest, boundary=boundary):
            return True
        if not (boundary and live.hinted):
            return False
        # A paragraph of its own.
        began = len(self._break) if live.tail.endswith(b"\n") else 0
        return self._say(live, live.hinted[began:], rest)

    def _answered(self, live: Live, token: int, piece: bytes, rest: int, now: float) -> bool:
        """Take a token of the answer; true if what follows it in its chunk is void."""
        self._scribe.book(live, token, Account.ANSWER)
        if live.last_resort is not None:
            live.last_resort -= 1
        if self._protocol.reopens(token):
            return self._reopened(live, token, piece, rest, now)
        self._scribe.read(live, token, piece)
        answered = self._scribe.answered(live)
        if token in self._protocol.vocab.ends:
            if live.last_resort is None and not live.answer_text.strip():
                self._lead(live, AnswerEnd.LIMIT, now, drop=1, rest=rest)
            else:
                live.answer_end = AnswerEnd.STOP
            return True
        if live.last_resort is not None:
            if live.request.boxed and live.box_closed():
                live.answer_end = AnswerEnd.STOP
            elif live.last_resort <= 0:
                live.answer_end = live.resort_end
        elif live.answer_left(self._protocol, answered) <= 0:
            limit = live.answer_limit(answered)
            if live.needs_resort():
                self._lead(live, limit, now, drop=0, rest=rest)
                return True
            live.answer_end = limit
        if live.answer_end is None and now >= live.due:
            return self._late(live, rest, now)
        return live.answer_end is not None

    def _late(self, live: Live, rest: int, now: float) -> bool:
        """The time for the answer is up, unless text that came meanwhile has moved that."""
        self._pace.update(live)
        if now < live.due:
            return False
        if live.needs_resort():
            self._lead(live, AnswerEnd.DEADLINE, now, drop=0, rest=rest)
        else:
            live.answer_end = AnswerEnd.DEADLINE
        return True

    def _lead(self, live: Live, cut: AnswerEnd, now: float, drop: int, rest: int) -> None:
        """Lead it to an answer; `cut` is why that ends, if the model does not end it."""
        live.resort_end = cut
        figures: dict[str, float] = {"answer_tokens": self._scribe.answered(live)}
        if cut is AnswerEnd.DEADLINE:
            figures["seconds_left"] = live.deadline - now
        self._scribe.rebudget(live, BudgetChange.LED, figures=figures)
        self._scribe.lead(live, drop=drop, rest=rest)
        self._pace.update(live)

    def _reopened(self, live: Live, token: int, piece: bytes, rest: int, now: float) -> bool:
        """The model opens another thinking block inside its answer."""
        if (
            live.finish is Finish.CLOSED
            and self._scribe.thinking(live) < live.cap
            and live.shares(self._scribe.thinking(live) + 1)
            # What is left of a purse was dealt to those who think.
            and live.request.purse is None
            and live.room(self._protocol) > 0
        ):
            self._scribe.rebook_last(live, Account.THINK)
            live.finish = None
            self._pace.update(live)
            self._scribe.read(live, token, piece)
            return self.review(live, now, rest=rest)
        if live.needs_resort():
            self._lead(live, AnswerEnd.LIMIT, now, drop=1, rest=rest)
        else:
            self._scribe.withdraw(live, 1)
            live.answer_end = AnswerEnd.STOP
        return True


def _after(chunk: Chunk, at: int) -> Chunk:
    """What a chunk holds beyond one of its tokens."""
    beyond = slice(at + 1, None)
    return chunk._replace(
        tokens=chunk.tokens[beyond], pieces=chunk.pieces[beyond], gaps=chunk.gaps[beyond]
    )
