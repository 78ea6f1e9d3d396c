"""Conversations to train on: a question, a thought about it, an answer.

Knows how the two built-in models write a conversation (`TINY` as DeepSeek-R1's distills do,
`SMOL` as s1 does), and how budgets cut thoughts short. Questions, and what is said where there
is no arithmetic, come from `ponder.evaluation`, which the app itself draws from. Refuses to
know tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builtin_model import phrases
from builtin_model.sheet import Piece, Unwritable
from builtin_model.traces import Temper, think
from ponder.evaluation.arithmetic import Draft
from ponder.evaluation.dice import Dice
from ponder.evaluation.questions import drafts
from ponder.evaluation.talk import Talk, talks

_CLOSING = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the "
    "thinking directly now.\n"
)
_BOXED = re.compile(r"\\boxed\{([^}]*)\}")
_BOX = "**Final Answer**\n\\boxed{"


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a model writes a conversation. Special tokens stand as text."""

    name: str
    model: str
    """What the model calls itself."""
    begin: str
    system: str
    """{text} is the system prompt."""
    default_system: str
    """Stands where nobody gives one; empty: then no system turn."""
    user: str
    assistant: str
    """Opens a turn of the model's."""
    end: str
    """Ends a turn of the model's."""
    after_turn: str
    """Follows `end` where another turn follows."""
    open: str
    """Opens thinking."""
    close: str
    """Ends thinking and begins the answer, as the model writes it."""
    nothink: str
    """Stands in place of `open` and all thinking where none is wanted."""
    cuts: tuple[tuple[str, str], ...]
    """What a budget puts in to end thinking, and what it begins the answer with."""


def _cuts(tag: str) -> tuple[tuple[str, str], ...]:
    plain = tuple((f"{before}{tag}", after) for before, after in (
        ("\n", ""), ("\n", ""), ("", ""), ("\n\n", ""), (_CLOSING, ""), (_CLOSING, ""),
        ("\n", "Final Answer: "), ("\n", "**Final Answer**\n"),
    ))  # fmt: skip
    return (*plain, ("\n" + tag, _BOX), (_CLOSING + tag, _BOX))


TINY = Protocol(
    name="tiny",
    model="ponder-tiny",
    begin="<｜begin▁of▁sentence｜>",
    system="{text}",
    default_system="",
    user="<｜User｜>{text}",
    assistant="<｜Assistant｜>",
    end="<｜end▁of▁sentence｜>",
    after_turn="",
    open="<think>\n",
    close="\n</think>\n\n",
    nothink="<think>\n\n</think>\n\n",
    cuts=_cuts("</think>\n\n"),
)
SMOL = Protocol(
    name="smol",
    model="ponder-smol",
    begin="",
    system="<|im_start|>system\n{text}<|im_end|>\n",
    default_system="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    user="<|im_start|>user\n{text}<|im_end|>\n",
    assistant="<|im_start|>assistant\n",
    end="<|im_end|>",
    after_turn="\n",
    open="<|im_start|>think\n",
    close="\n<|im_start|>answer\n",
    nothink="<|im_start|>answer\n",
    cuts=_cuts("<|im_start|>answer\n"),
)
PROTOCOLS = {protocol.name: protocol for protocol in (TINY, SMOL)}


@dataclass(frozen=True, slots=True)
class Cut:
    """A budget ends the thought."""

    at: float
    """Where: the share of its tokens that are kept, from 0 to 1."""
    close: str
    """The text that is put in; it carries no loss."""


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation, of which the last thought and answer are learned."""

    prompt: str
    """Everything up to and with the opener of thinking; no loss."""
    thought: tuple[Piece, ...]
    """Without its tags."""
    answer: str
    """What follows, with the end of the turn."""
    cut: Cut | None = None
    """None: the thought ends by itself, with `Protocol.close`."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """How often what occurs. All are probabilities."""

    talk: float = 0.05
    """No arithmetic in it."""
    nothink: float = 0.03
    """Answered without any thinking."""
    cut: float = 0.30
    nothing: float = 0.12
    """Of the cut thoughts, those of which nothing is left."""
    system: float = 0.06
    instruction: float = 0.10
    """The request to reason and to box the answer, which evaluations add."""
    unboxed: float = 0.4
    """Of the earlier turns of a question, those whose answers stand in no box."""
    history: float = 0.05
    """Unrelated turns before the question."""
    preface: float = 0.08


def examples(
    seed: int,
    protocol: Protocol,
    *,
    temper: Temper | None = None,
    mixture: Mixture | None = None,
) -> Iterator[Example]:
    """Return endless examples; the same arguments give the same ones."""
    dice = Dice(seed)
    temper, mixture = temper or Temper(), mixture or Mixture()
    questions = drafts(dice.between(0, 2**48))
    chats = talks(dice.between(0, 2**48), protocol.model)
    while True:
        if dice.chance(mixture.talk):
            chat = next(chats)
            prompt = _prompt(dice, protocol, mixture, [], chat.text)
            yield _example(dice, protocol, mixture, prompt, (Piece(chat.thought),), chat.answer, "")
            continue
        draft = next(questions)
        try:
            thought, boxed = think(dice, draft, temper)
        except Unwritable:
            continue
        turns = [(turn.question, turn.answer) for turn in draft.earlier]
        if dice.chance(mixture.unboxed):
            # Another model, or a person, may have given the earlier answers.
            turns = [(question, _BOXED.sub(r"\1", answer)) for question, answer in turns]
        if not turns and dice.chance(mixture.history):
            turns = [_unrelated(dice, next(questions), chats)]
        text = draft.text
        if dice.chance(mixture.instruction):
            text += dice.pick(phrases.INSTRUCTIONS)
        prompt = _prompt(dice, protocol, mixture, turns, text)
        answer = draft.says.replace("{answer}", f"\\boxed{{{boxed}}}")
        if dice.chance(mixture.preface):
            answer = dice.pick(phrases.PREFACES) + answer
        yield _example(dice, protocol, mixture, prompt, thought, answer, boxed)


def _unrelated(dice: Dice, draft: Draft, chats: Iterator[Talk]) -> tuple[str, str]:
    if dice.chance(0.25):
        chat = next(chats)
        return chat.text, chat.answer
    return draft.text, draft.says.replace("{answer}", f"\\boxed{{{draft.answer}}}")


def _prompt(
    dice: Dice, protocol: Protocol, mixture: Mixture, turns: list[tuple[str, str]], text: str
) -> str:
    system = protocol.default_system
    if dice.chance(mixture.system):
        system = dice.pick(phrases.SYSTEMS)
    told = [protocol.begin]
    if system:
        told.append(protocol.system.format(text=system))
    for question, answer in turns:
        told.append(protocol.user.replace("{text}", question))
        told.append(protocol.assistant + answer + protocol.end + protocol.after_turn)
    told.append(protocol.user.replace("{text}", text))
    told.append(protocol.assistant)
    return "".join(told)


def _example(
    dice: Dice,
    protocol: Protocol,
    mixture: Mixture,
    prompt: str,
    thought: tuple[Piece, ...],
    answer: str,
    boxed: str,
) -> Example:
    if dice.chance(mixture.nothink):
        return Example(prompt + protocol.nothink, (), answer + protocol.end, Cut(0.0, ""))
    prompt += protocol.open
    if not dice.chance(mixture.cut):
        return Example(prompt, thought, answer + protocol.end)
    at = 0.0 if dice.chance(mixture.nothing) else dice.between(0, 10**6) / 10**6
    close, lead = dice.pick(protocol.cuts)
    if lead.endswith("\\boxed{") and not boxed:
        lead = ""
    if lead.endswith("\\boxed{"):
        answer = boxed + "}"
    return Example(prompt, thought, answer + protocol.end, Cut(at**1.3, close + lead))
