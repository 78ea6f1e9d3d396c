"""Looks at thoughts while they run: forks that end the thought, answer, and are gone again.

Knows where a rule looks (sentence ends, some thinking tokens apart, by tokens alone, so that a stop
falls at the same place every time), what a look costs, and how to read it. Acts on forks and never
on the trace: what follows from a look is decided by whoever takes it.

A probe is short, and lives in the room that is set aside for the closing words and the answer, of
which a thought that goes on needs nothing yet. The trace stands still meanwhile. A look is left out
where there is no seat or no time for it, or where a pool does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import exp, fsum
from typing import NamedTuple

from ponder.errors import ContextFull, PonderError
from ponder.thinking.ledger import Account, Ledger
from ponder.thinking.live import Live
from ponder.thinking.pace import Pace
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.scribe import Scribe
from ponder.thinking.sequences import Sequences
from ponder.thinking.stopping import Look, Need, Rule, Watcher, box_end, parse, trial_answer
from ponder.types import Chunk, Figures, Sampling, Seq

LONGEST = 20
"""Tokens of a trial answer at most, as in Dynasor (core/cot.py) and DEER (vllm-deer.py)."""
_FAR = 1 << 62
"""More tokens than anybody samples."""
_GREEDY = Sampling(temperature=0)


class Looked(NamedTuple):
    """A look that is over."""

    live: Live
    """The trace."""
    figures: Figures | None
    """What a stop would rest on; None: the thought goes on."""
    rest: Chunk
    """What the engine had brought of the trace beyond the place that was looked at."""


@dataclass(slots=True)
class _Probe:
    """A fork."""

    live: Live
    seq: Seq
    need: Need
    think: int
    """Thinking tokens of the trace when it began."""
    rest: Chunk
    cost: int
    """Tokens forced and sampled so far."""
    left: int
    """Tokens that it may still sample."""
    said: bytes = b""
    logprobs: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Watch:
    """A trace with a rule."""

    rule: Rule
    watcher: Watcher
    next: int
    """Thinking tokens before which there is no look."""
    margin_at: int | None = None
    """The place whose margin the next token tells."""
    probe: _Probe | None = None


class Probes:
    """Looks at the traces of one scheduler.

    Args:
        sequences: the engine's hands.
        protocol: how its model thinks.
        ledger: the accounts: every token of a probe is charged to its trace.
        scribe: is told of forced tokens.
        pace: knows what there is time for.
        grants: tokens that each sequence may bring; a probe takes its trace's place.
        normal: a normal form of answers: those with the same are the same.
        pays: whether what a trace shares with others pays so many tokens more.
    """

    def __init__(
        self,
        sequences: Sequences,
        protocol: ThinkProtocol,
        ledger: Ledger,
        scribe: Scribe,
        pace: Pace,
        grants: dict[Seq, int],
        normal: Callable[[str], str],
        pays: Callable[[Live, int], bool],
    ) -> None:
        self._hands = sequences
        self._protocol = protocol
        self._ledger = ledger
        self._scribe = scribe
        self._pace = pace
        self._grants = grants
        self._normal = normal
        self._pays = pays
        self._watches: dict[int, _Watch] = {}
        self._by_seq: dict[Seq, _Probe] = {}

    def watched(self, stop: str) -> tuple[int, ...]:
        """The tokens whose margin a rule wants to be told."""
        rule = self._rule(stop)
        end = self._protocol.end_id
        return (end,) if end is not None and rule is not None and rule.needs == "margin" else ()

    def begin(self, live: Live) -> None:
        """Watch a trace that begins to think, if it has a rule that can be followed here."""
        budget = live.request.budget
        rule = self._rule(budget.stop)
        if rule is not None and live.finish is None:
            first = max(int(rule.every), budget.floor)
            self._watches[live.request.id] = _Watch(rule, rule.begin(), first)

    def _rule(self, stop: str) -> Rule | None:
        rule, can = parse(stop), self._hands.capabilities
        possible = {
            "margin": can.margin and self._protocol.end_id is not None,
            "entropy": can.fork and can.signals,
            "answer": can.fork,
        }
        return rule if rule is not None and possible[rule.needs] else None

    # -- what the course of a trace asks ------------------------------------------------

    def left(self, live: Live, think: int) -> int:
        """Thinking tokens until it may have to be looked at."""
        watch = self._watches.get(live.request.id)
        if watch is None:
            return _FAR
        return 1 if watch.margin_at is not None else max(1, watch.next - think)

    def runs(self, live: Live) -> bool:
        """Whether a probe of this trace runs: it stands still."""
        watch = self._watches.get(live.request.id)
        return watch is not None and watch.probe is not None

    def margin(self, live: Live, chunk: Chunk, at: int) -> Figures | None:
        """See the margin that came with a token, if the place before it was to be looked at."""
        watch = self._watches.get(live.request.id)
        if watch is None or watch.margin_at is None:
            return None
        look = Look(watch.margin_at, margin=chunk.gaps[at][0])
        watch.margin_at = None
        figures = watch.watcher.see(look)
        # The model may be about to end by itself, and a wait that somebody asked for comes first.
        return None if live.waits or chunk.tokens[at] in self._protocol.marks else figures

    def look(self, live: Live, think: int, rest: Chunk, now: float) -> None:
        """A sentence has ended: look, if it is time to.

        Args:
            live: the trace.
            think: its thinking tokens.
            rest: what the engine has brought of it beyond this place; kept until the look is over.
            now: the time.
        """
        watch = self._watches.get(live.request.id)
        if watch is None or think < watch.next:
            return
        watch.next = think + int(watch.rule.every)
        if watch.rule.needs == "margin":
            watch.margin_at = think
        else:
            watch.probe = self._forked(live, watch.rule.needs, think, rest, now)

    def _forked(self, live: Live, need: Need, think: int, rest: Chunk, now: float) -> _Probe | None:
        # What would end the thought, and lead to what is to be seen.
        words, most = self._protocol.cut_ids, 1
        if need == "answer":
            words, most = words + self._protocol.lead(boxed=True), LONGEST
        if live.used() + len(words) + most > live.lease:
            return None
        if not self._pace.allows(live, len(words), most, now):
            return None
        # What was sampled beyond this place becomes thought, if the look ends nothing.
        owing = most + len(rest.tokens)
        if not self._pays(live, len(words) + owing):
            return None
        try:
            seq = self._hands.fork(live.seq, _GREEDY, self._hands.capabilities.signals)
        except ContextFull:
            return None
        self._hands.rewind(seq, live.used())
        self._hands.feed(seq, words)
        self._scribe.forcings += 1
        live.owing = owing
        self._charge(live, len(words))
        probe = self._by_seq[seq] = _Probe(live, seq, need, think, rest, len(words), most)
        self._grants.pop(live.seq, None)
        self._grants[seq] = most
        return probe

    # -- what a probe brings ------------------------------------------------------------

    def take(self, chunk: Chunk, now: float) -> Looked | None:
        """Take what a step brought of a probe; the look, once it is over."""
        probe = self._by_seq.get(chunk.seq)
        if probe is None:
            return None
        live = probe.live
        probe.cost += len(chunk.tokens)
        probe.left -= len(chunk.tokens)
        live.owing -= len(chunk.tokens)
        self._charge(live, len(chunk.tokens))
        look = self._read(probe, chunk)
        if look is None and now < live.due:
            self._grants[probe.seq] = probe.left
            return None
        self._close(probe)
        # What is not seen in time is not seen.
        figures = self._watches[live.request.id].watcher.see(look) if look is not None else None
        return Looked(live, None if live.waits else figures, probe.rest)

    def _read(self, probe: _Probe, chunk: Chunk) -> Look | None:
        """What a probe has seen; None if it is not done."""
        if not chunk.tokens:
            return None
        if probe.need == "entropy":
            return Look(probe.think, entropy=chunk.entropies[0], tokens=probe.cost)
        for at, piece in enumerate(chunk.pieces):
            probe.said += piece
            probe.logprobs += chunk.logprobs[at : at + 1]
            text = probe.said.decode("utf-8", "replace")
            if box_end(text) is not None or chunk.tokens[at] in self._protocol.marks:
                break
        else:
            if probe.left > 0:
                return None
        answer, logprobs = trial_answer(text), probe.logprobs
        return Look(
            probe.think,
            answer=None if answer is None else self._normal(answer),
            confidence=exp(fsum(logprobs) / len(logprobs)) if logprobs else None,
            tokens=probe.cost,
        )

    # -- the end ------------------------------------------------------------------------

    def abandon(self, live: Live) -> None:
        """End a probe of a trace, if one runs: nobody wants to know any more."""
        watch = self._watches.get(live.request.id)
        if watch is None or watch.probe is None:
            return
        rest = watch.probe.rest
        self._close(watch.probe)
        self._scribe.waste(live, len(rest.tokens))
        self._scribe.rewind(live)

    def forget(self, live: Live) -> None:
        """A trace is over."""
        self.abandon(live)
        self._watches.pop(live.request.id, None)

    def drop_all(self) -> None:
        """Close every fork: the engine failed."""
        for seq in self._by_seq:
            with suppress(PonderError):
                self._hands.close(seq)
        self._by_seq.clear()
        self._watches.clear()

    def _charge(self, live: Live, tokens: int) -> None:
        self._ledger.charge(live.request.id, Account.PROBE, tokens)
        live.probed += tokens

    def _close(self, probe: _Probe) -> None:
        probe.live.owing = 0
        self._watches[probe.live.request.id].probe = None
        del self._by_seq[probe.seq], self._grants[probe.seq]
        self._hands.close(probe.seq)
