"""One trace under one policy, out of the bank: where it would have stopped, and what that costs.

Knows verdicts and the stop rules of `ponder.thinking.stopping`: the very code that stops thoughts
while they run. Decodes nothing. A trace that is stopped is charged with what it thought until
then, with every look on the way and with the forced answer; one that is not, with all of it and
the looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ponder.equality.forms import normal
from ponder.evaluation.traces.form import Sight
from ponder.evaluation.traces.judging import Judged
from ponder.thinking.stopping import Look, Need, Rule, trial_answer

Policy = Callable[[Judged], "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy makes of one trace; all figures in tokens."""

    right: bool
    think: int
    """Sampled as thinking."""
    probe: int
    """Spent on looks, forced and sampled."""
    answer: int
    """The answer, and what was forced to come to it."""
    at: int | None = None
    """Which sight it stopped at; None: it ended by itself."""

    @property
    def total(self) -> int:
        """All that it cost."""
        return self.think + self.probe + self.answer


def natural(judged: Judged, probe: int = 0) -> Outcome:
    """Nobody stops it, whatever was spent on looking at it."""
    trace = judged.trace
    return Outcome(judged.natural.right, trace.think, probe, trace.spent - trace.think)


def stopped(judged: Judged, at: int, probe: int = 0, bare: bool = False) -> Outcome:
    """It is ended at a sight, and gives the answer that was forced there.

    Raises:
        ValueError: a bare close is wanted, and none was recorded.
    """
    sight = judged.trace.sights[at]
    trial, verdicts = (sight.bare, judged.bare) if bare else (sight.trial, judged.trials)
    if trial is None:
        raise ValueError("no bare close was recorded")
    return Outcome(verdicts[at].right, sight.think, probe, trial.tokens, at)


def cut(cap: int, bare: bool = False) -> Policy:
    """End every thought after so many tokens; `cap` has to be a place that was looked at."""

    def policy(judged: Judged) -> Outcome:
        if judged.trace.think <= cap:
            return natural(judged)
        for at, sight in enumerate(judged.trace.sights):
            if sight.think >= cap:
                return stopped(judged, at, bare=bare)
        # It was never looked at from there on: half an end tag, or a thought after the answer.
        return natural(judged)

    return policy


def obeying(rule: Rule) -> Policy:
    """Stop where a rule says so; it sees what it would see live, and pays for that."""

    def policy(judged: Judged) -> Outcome:
        watcher = rule.begin()
        spent = 0
        last = 0
        for at, sight in enumerate(judged.trace.sights):
            if not sight.sentence or sight.think - last < rule.every:
                continue
            last = sight.think
            look = seen(sight, rule.needs)
            spent += look.tokens
            if watcher.see(look) is None:
                continue
            if rule.needs != "margin":
                return stopped(judged, at, spent)
            # A margin tells itself with the next token, which is withdrawn; an end stays an end.
            if not sight.ends:
                return stopped(judged, at, spent + 1)
        return natural(judged, spent)

    return policy


def seen(sight: Sight, needs: Need) -> Look:
    """A sight as a rule sees it that needs one thing: what it did not ask for was not looked at."""
    match needs:
        case "margin":
            return Look(sight.think, margin=sight.margin)
        case "entropy":
            return Look(sight.think, entropy=sight.entropy, tokens=sight.entropy_tokens)
        case "answer":
            trial = sight.trial
            return Look(
                sight.think,
                answer=_tried(trial.said),
                confidence=trial.confidence,
                tokens=trial.tokens,
            )


@lru_cache(1 << 16)
def _tried(said: str) -> str | None:
    """A trial answer as the scheduler shows it to rules; the same ones come again and again."""
    answer = trial_answer(said)
    return None if answer is None else normal(answer)
