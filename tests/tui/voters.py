"""Voters for the stage: a model whose traces each think and answer as they are told to."""

from __future__ import annotations

from collections.abc import Sequence

from ponder.engines.replay import transcript
from ponder.polling import seeds
from tui.stage import Opener

SEED = 7
"""Of every question on the stage."""
FIRST = "Let me see. 17 times 23 is 391, and 4 more is 395. "
OTHER = "Well, 17 times 23 is 381, and 4 more is 385. "


def said(answer: str) -> str:
    """An answer that can be read."""
    return f"\n\nIt is \\boxed{{{answer}}}, I think."


class Voters(Opener):
    """Opens a model whose traces think so and answer that.

    Args:
        voters: for each trace, what it thinks and what it answers.
        hold_at: sampled tokens of all traces after which the engine is held.
    """

    def __init__(self, *voters: tuple[str, str], hold_at: int | None = None) -> None:
        texts = " ".join(thought + answer for thought, answer in voters)
        super().__init__(thought=texts, hold_at=hold_at)
        end = self.vocab.encode("</think>", special=True)[0]
        spoken = {
            seed: transcript(self._ids(thought), end, [*self._ids(answer), 257])
            for seed, (thought, answer) in zip(seeds(SEED, len(voters)), voters, strict=True)
        }

        def script(tokens: Sequence[int], prompt: int, seed: int) -> int:
            return spoken[seed](tokens, prompt, seed)

        self.script = script

    def _ids(self, text: str) -> list[int]:
        return self.vocab.encode(text, special=True)


def eight(hold_at: int | None = None) -> Voters:
    """Five of eight say 395, two say 385, and one does not say."""
    thoughts = [FIRST * n for n in (1, 2, 2, 3, 4)] + [OTHER * n for n in (1, 2)] + [FIRST * 3]
    answers = ["395"] * 5 + ["385"] * 2
    pairs = [(thought, said(answer)) for thought, answer in zip(thoughts, answers, strict=False)]
    return Voters(*pairs, (thoughts[-1], "\n\nWho knows."), hold_at=hold_at)


def three(hold_at: int | None = None) -> Voters:
    """Two of three say 395."""
    pairs = ((FIRST, said("395")), (OTHER * 2, said("385")), (FIRST * 3, said("395")))
    return Voters(*pairs, hold_at=hold_at)
