"""Golden prompts: a conversation with a real R1 distill, as exact text and exact token ids.

The ids are written down by hand from the vendor's tokenizer: 151646 begins a sequence, 151644 is
the user, 151645 the assistant, 151648 opens the thinking, 151643 ends a turn; what stands
between two tags is tokenized by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.catalogue import catalogue
from ponder.engines.replay import ReplayEngine
from ponder.runner import Runner
from ponder.session import Session
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.types import Message
from real_vocab import r1

BOS, EOS, USER, ASSISTANT, THINK, END = 151646, 151643, 151644, 151645, 151648, 151649
LINE = 198


def _silent(tokens: Sequence[int], prompt: int, seed: int) -> int:
    return EOS


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    vocab = r1()
    assert vocab.chat_template is not None
    protocol = resolve(catalogue().dialect("r1"), vocab)
    with Runner(ReplayEngine(vocab, _silent), protocol) as runner:
        template = ChatTemplate(vocab.chat_template, vocab)
        yield Session(runner, template, today=lambda: date(2025, 1, 20))


def opened(session: Session, messages: list[Message]) -> tuple[int, ...]:
    """The prompt as it is decoded, its thinking block open."""
    return session.runner.protocol.opened(session.prompt(messages))


def spelled(ids: Sequence[int]) -> str:
    return b"".join(r1().piece(i) for i in ids).decode()


QUESTION = [Message("user", "What is 2+2?")]
SYSTEM = [Message("system", "Be brief."), Message("user", "Hi")]
TURNS = [
    Message("user", "2+2?"),
    Message("assistant", "<think>\nTwo and two.\n</think>\n\n4"),
    Message("user", "And 3+3?"),
    Message("assistant", "Hm.\n</think>\n\nIt is 6."),
    Message("user", "Sum?"),
]
UNICODE = [Message("user", "Café 🙂 数学 π≈3")]
LINES = [Message("user", "a\n\nb\n")]

Parts = list[int | str]
"""Tags as ids, and the text between them."""

GOLDEN = [
    pytest.param(
        QUESTION,
        "<｜begin▁of▁sentence｜><｜User｜>What is 2+2?<｜Assistant｜><think>\n",
        [BOS, USER, "What is 2+2?", ASSISTANT, THINK, "\n"],
        (BOS, USER, 3838, 374, 220, 17, 10, 17, 30, ASSISTANT, THINK, 198),
        id="a question",
    ),
    pytest.param(
        SYSTEM,
        "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜><think>\n",
        [BOS, "Be brief.", USER, "Hi", ASSISTANT, THINK, "\n"],
        (BOS, 3430, 9814, 13, USER, 13048, ASSISTANT, THINK, 198),
        id="a system prompt",
    ),
    pytest.param(
        TURNS,
        "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜>4<｜end▁of▁sentence｜>"
        "<｜User｜>And 3+3?<｜Assistant｜>It is 6.<｜end▁of▁sentence｜>"
        "<｜User｜>Sum?<｜Assistant｜><think>\n",
        [
            *(BOS, USER, "2+2?", ASSISTANT, "4", EOS),
            *(USER, "And 3+3?", ASSISTANT, "It is 6.", EOS),
            *(USER, "Sum?", ASSISTANT, THINK, "\n"),
        ],
        (
            *(BOS, USER, 17, 10, 17, 30, ASSISTANT, 19, EOS),
            *(USER, 3036, 220, 18, 10, 18, 30, ASSISTANT, 2132, 374, 220, 21, 13, EOS),
            *(USER, 9190, 30, ASSISTANT, THINK, 198),
        ),
        id="three turns",
    ),
    pytest.param(
        UNICODE,
        "<｜begin▁of▁sentence｜><｜User｜>Café 🙂 数学 π≈3<｜Assistant｜><think>\n",
        [BOS, USER, "Café 🙂 数学 π≈3", ASSISTANT, THINK, "\n"],
        (
            *(BOS, USER, 34, 2577, 963, 27484, 47685, 47764, 51745, 144540, 18),
            *(ASSISTANT, THINK, 198),
        ),
        id="unicode",
    ),
    pytest.param(
        LINES,
        "<｜begin▁of▁sentence｜><｜User｜>a\n\nb\n<｜Assistant｜><think>\n",
        [BOS, USER, "a\n\nb\n", ASSISTANT, THINK, "\n"],
        (BOS, USER, 64, 271, 65, 198, ASSISTANT, THINK, 198),
        id="lines",
    ),
]


@pytest.mark.parametrize(("messages", "text", "parts", "ids"), GOLDEN)
def test_the_prompt_is_exactly_this(
    session: Session, messages: list[Message], text: str, parts: Parts, ids: tuple[int, ...]
) -> None:
    prompt = opened(session, messages)
    assert spelled(prompt) == text
    assert prompt == ids
    # What stands between two tags is plain text, tokenized by itself.
    piecewise: list[int] = []
    for part in parts:
        piecewise += [part] if isinstance(part, int) else r1().encode(part, special=False)
    assert prompt == tuple(piecewise)


def test_the_tags_are_the_vocabularys_own() -> None:
    named = {
        BOS: "<｜begin▁of▁sentence｜>",
        EOS: "<｜end▁of▁sentence｜>",
        USER: "<｜User｜>",
        ASSISTANT: "<｜Assistant｜>",
        THINK: "<think>",
        END: "</think>",
    }
    assert {token: r1().piece(token).decode() for token in named} == named
    assert (r1().bos, r1().eos) == (BOS, EOS)


thoughts = st.text("θ <\n", max_size=12)
answers = st.text("ab4 .\né🙂", max_size=12)
questions = st.lists(st.sampled_from([*"ab?\né<", "<think>"]), min_size=1).map("".join)
turns = st.lists(st.tuples(questions, thoughts, answers, st.integers(0, 3)), max_size=5)
SHAPES = (
    "<think>\n{thought}\n</think>\n\n{answer}",
    "{thought}</think>{answer}",
    "<think>{thought}</think>a<think>{thought}</think>{answer}",
    "<think>\n{thought}",
)
"""What an assistant's turn may carry: a block, the rest of one, two, or one that never closed."""


@settings(max_examples=150, deadline=None)
@given(turns, st.sampled_from(("", "Be brief.")), questions)
def test_no_earlier_thinking_is_ever_sent(
    session: Session, asked: list[tuple[str, str, str, int]], system: str, question: str
) -> None:
    messages = [Message("system", system)] if system else []
    expected = [BOS, *r1().encode(system, special=False)]
    said = ""
    for text, thought, answer, shape in asked:
        content = SHAPES[shape].format(thought=thought, answer=answer)
        messages += [Message("user", text), Message("assistant", content)]
        kept = "" if shape == 3 else answer.lstrip("\n")
        said += text
        for tag, part in ((USER, text), (ASSISTANT, kept)):
            expected += [tag, *r1().encode(part, special=True)]
        expected.append(EOS)
    messages.append(Message("user", question))
    expected += [USER, *r1().encode(question, special=True), ASSISTANT, THINK, LINE]

    prompt = opened(session, messages)
    assert prompt == tuple(expected)
    assert prompt.count(BOS) == 1
    assert END not in prompt
    # The one block is the one that is about to be thought in; users may write what they like.
    assert prompt.count(THINK) == 1 + (said + question).count("<think>")
    assert "θ" not in spelled(prompt)
