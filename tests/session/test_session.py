"""A conversation: what is remembered, what is sent again, and what no longer fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import pytest

from ponder.attachments import Attachment, wrapped
from ponder.dialect import Dialect
from ponder.engines.replay import ByteVocabulary, ReplayEngine, Script, transcript
from ponder.errors import BudgetError, EngineError, InputError, PromptTooLong
from ponder.events import Event, Finished, Started, Text, Trimmed
from ponder.runner import Runner, Stream
from ponder.session import Session, fresh_seed
from ponder.thinking.beginning import Beginning
from ponder.thinking.planning import NOTHING
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.types import AnswerEnd, Budget, Message, Sampling, Trace
from scripted import LABELLED, TAGGED, TAGS

VOCAB = ByteVocabulary(TAGS)
EOS, END = 257, VOCAB.encode("</think>", special=True)[0]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content }}{% else %}"
    "{{ '<' + m.role + '>' }}{{ m.content }}{% endif %}{% endfor %}<assistant>"
)
SPOKEN = TEMPLATE.replace("{{ '<' + m.role + '>' }}", "{{ '<user>' if m.role == 'user' else '' }}")
HMM = transcript([*b"secret"], END, [*b"\n\n42", EOS])

Sessions = Callable[..., Session]


@pytest.fixture
def session() -> Iterator[Sessions]:
    """Makes sessions over scripted engines, and closes them."""
    runners = []

    def make(
        script: Script = HMM,
        n_ctx: int = 400,
        dialect: Dialect = TAGGED,
        template: str = TEMPLATE,
        system: str = "",
        trim: bool = False,
    ) -> Session:
        runner = Runner(ReplayEngine(VOCAB, script, n_ctx=n_ctx), resolve(dialect, VOCAB))
        runners.append(runner)
        return Session(runner, ChatTemplate(template, VOCAB), system, trim)

    yield make
    for runner in runners:
        runner.close()


def ask(session: Session, text: str, budget: Budget = Budget()) -> list[Event]:  # noqa: B008
    return list(session.ask(text, budget, Sampling()))


def trace(events: Sequence[Event]) -> Trace:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.trace


def prompt(session: Session) -> str:
    ids = session.prompt(session.messages)
    return b"".join(VOCAB.piece(i) for i in ids).decode()


def test_the_next_prompt_holds_answers_and_no_thinking(session: Sessions) -> None:
    talk = session(system="Be brief. ")
    first = trace(ask(talk, "One?"))
    assert (first.thought, first.answer) == ("secret", "42")
    ask(talk, "Two?")
    assert talk.messages == [
        Message("system", "Be brief. "),
        Message("user", "One?"),
        Message("assistant", "42"),
        Message("user", "Two?"),
        Message("assistant", "42"),
    ]
    assert prompt(talk) == (
        "<bos>Be brief. <user>One?<assistant>42<user>Two?<assistant>42<assistant>"
    )


def test_what_is_asked_is_what_the_prompt_says(session: Sessions) -> None:
    seen: list[str] = []

    def script(tokens: Sequence[int], start: int, seed: int) -> int:
        if len(tokens) == start:
            seen.append(b"".join(VOCAB.piece(i) for i in tokens).decode())
        return HMM(tokens, start, seed)

    talk = session(script)
    ask(talk, "One?")
    ask(talk, "Two?")
    assert seen == [
        "<bos><user>One?<assistant><think>\n",
        "<bos><user>One?<assistant>42<user>Two?<assistant><think>\n",
    ]


def test_thinking_that_a_turn_carries_is_left_out(session: Sessions) -> None:
    talk = session()
    talk.messages += [
        Message("user", "One </think>?"),
        Message("assistant", "<think>\nsecret\n</think>\n\n42"),
    ]
    assert prompt(talk) == "<bos><user>One </think>?<assistant>42<assistant>"
    labelled = session(dialect=LABELLED, template=SPOKEN)
    labelled.messages += [
        Message("user", "One?"),
        Message("assistant", "<|im_start|>think\nsecret<|im_start|>answer\n42"),
    ]
    assert prompt(labelled) == "<bos><user>One?42<assistant>"


def test_it_is_remembered_only_once_it_is_answered(session: Sessions) -> None:
    talk = session()
    events = talk.ask("One?", Budget(), Sampling())
    for event in events:
        assert bool(talk.messages) is isinstance(event, Finished)
    assert [m.content for m in talk.messages] == ["One?", "42"]
    assert list(events) == []
    assert len(talk.messages) == 2


def test_a_cancelled_question_is_not_remembered(session: Sessions) -> None:
    talk = session(lambda tokens, start, seed: 97, n_ctx=10**9)
    events = talk.ask("One?", Budget(), Sampling())
    for event in events:
        if isinstance(event, Text):
            events.cancel()
            break
    assert trace(list(events)).answer_end is AnswerEnd.CANCELLED
    assert talk.messages == []


def test_a_question_that_failed_is_not_remembered(session: Sessions) -> None:
    def script(tokens: Sequence[int], start: int, seed: int) -> int:
        if b"Two" in bytes(t for t in tokens if t < 256):
            raise ZeroDivisionError("oh")
        return HMM(tokens, start, seed)

    talk = session(script)
    ask(talk, "One?")
    with pytest.raises(EngineError, match="oh"):
        ask(talk, "Two?")
    assert [m.content for m in talk.messages] == ["One?", "42"]
    ask(talk, "Three?")
    assert [m.content for m in talk.messages] == ["One?", "42", "Three?", "42"]


@pytest.mark.parametrize("trim", [False, True])
def test_a_refused_question_changes_nothing(session: Sessions, trim: bool) -> None:
    talk = session(trim=trim)
    ask(talk, "One?")
    before = list(talk.messages)
    with pytest.raises(BudgetError):
        ask(talk, "Two?", Budget(cap=-1))
    with pytest.raises(PromptTooLong) as refused:
        ask(talk, "x" * 400)
    assert refused.value.hint
    assert talk.messages == before
    assert trace(ask(talk, "Three?")).answer == "42"


def test_a_full_context_is_refused_and_nothing_is_lost(session: Sessions) -> None:
    talk = session(n_ctx=300)
    ask(talk, "a" * 80)
    before = list(talk.messages)
    with pytest.raises(PromptTooLong):
        ask(talk, "b" * 130)
    assert talk.messages == before
    assert trace(ask(talk, "short?")).answer == "42"


def test_trimming_leaves_out_the_oldest_turns_and_says_so(session: Sessions) -> None:
    seen: list[bytes] = []

    def script(tokens: Sequence[int], start: int, seed: int) -> int:
        if len(tokens) == start:
            seen.append(b"".join(VOCAB.piece(i) for i in tokens))
        return HMM(tokens, start, seed)

    talk = session(script, n_ctx=300, system="SYS", trim=True)
    for letter in "abc":
        assert not isinstance(ask(talk, letter * 40)[0], Trimmed)
    before = list(talk.messages)
    told = ask(talk, "d" * 140)
    question = told[-1].question
    assert told[0] == Trimmed(question, 4)
    assert isinstance(told[1], Started)
    assert [type(event) for event in told].count(Trimmed) == 1
    assert seen[-1] == b"<bos>SYS<user>%b<assistant>42<user>%b<assistant><think>\n" % (
        b"c" * 40,
        b"d" * 140,
    )
    # Only the prompt was trimmed: the conversation itself is whole.
    assert talk.messages[:-2] == before
    assert [m.content for m in talk.messages[-2:]] == ["d" * 140, "42"]


@pytest.mark.parametrize("length", [1, 40, 100, 180, 260, 320, 390, 500])
def test_what_is_foretold_comes_true(session: Sessions, length: int) -> None:
    talk = session(trim=True, system="Be brief. ")
    for letter in "abc":
        ask(talk, letter * 40)
    before = list(talk.messages)
    seen = talk.foretell("d" * length, Budget(), talk.messages)
    assert talk.messages == before
    if not seen.fits:
        with pytest.raises(PromptTooLong, match=f"{seen.prompt:,} tokens"):
            ask(talk, "d" * length)
        return
    events = ask(talk, "d" * length)
    left_out = [event.messages for event in events if isinstance(event, Trimmed)]
    assert left_out == ([seen.left_out] if seen.left_out else [])
    assert trace(events).usage.prompt == seen.prompt
    assert seen.left == 400 - seen.prompt


def test_a_box_in_a_file_is_no_wish_for_one(session: Sessions) -> None:
    talk = session()
    asked: list[bool] = []
    file = Attachment("a.tex", r"\boxed{1}")
    for question in ("What is this?", r"Put it into \boxed{}."):
        talk.put(wrapped([file], question), lambda _, boxed: asked.append(boxed))
    assert asked == [False, True]


def test_trimming_without_a_system_prompt_can_leave_the_question_alone(session: Sessions) -> None:
    talk = session(n_ctx=300, trim=True)
    ask(talk, "a" * 80)
    told = ask(talk, "b" * 150)
    assert told[0] == Trimmed(told[-1].question, 2)


def test_trimming_never_leaves_out_the_system_prompt_or_the_question(session: Sessions) -> None:
    talk = session(n_ctx=300, system="s" * 150, trim=True)
    ask(talk, "a")
    with pytest.raises(PromptTooLong):
        ask(talk, "b" * 100)
    assert [m.content for m in talk.messages[1:]] == ["a", "42"]


def test_what_the_template_refuses_changes_nothing(session: Sessions) -> None:
    talk = session(template="{{ raise_exception('No!') }}", system="s")
    with pytest.raises(InputError, match="No!"):
        ask(talk, "One?")
    assert talk.messages == [Message("system", "s")]


class Seen(Runner):
    """Notes which questions asked for a box."""

    def __init__(self, engine: ReplayEngine) -> None:
        self.boxed: list[bool] = []
        super().__init__(engine, resolve(TAGGED, VOCAB))

    def submit(
        self,
        prompt: tuple[int, ...],
        budget: Budget,
        sampling: Sampling,
        boxed: bool = False,
        beginning: Beginning = NOTHING,
        revisable: bool = False,
    ) -> Stream:
        self.boxed.append(boxed)
        return super().submit(prompt, budget, sampling, boxed, beginning, revisable)


@pytest.mark.parametrize(
    ("system", "questions", "boxed"),
    [
        ("", ["2+2?"], [False]),
        ("", [r"2+2? Answer in \boxed{}."], [True]),
        (r"Put answers into \boxed{}.", ["2+2?", "3+3?"], [True, True]),
        # Only the question itself and the system prompt ask for a box.
        ("", [r"2+2? Answer in \boxed{}.", "Why?"], [True, False]),
        ("Be brief.", [r"2+2? Answer in \boxed{}.", "Why?"], [True, False]),
    ],
)
def test_a_box_is_asked_for_by_the_question_or_the_system_prompt(
    system: str, questions: list[str], boxed: list[bool]
) -> None:
    with Seen(ReplayEngine(VOCAB, HMM)) as runner:
        talk = Session(runner, ChatTemplate(TEMPLATE, VOCAB), system)
        for question in questions:
            ask(talk, question)
        assert runner.boxed == boxed


def test_the_template_is_told_the_date(session: Sessions) -> None:
    talk = session(template="{{ strftime_now('%Y') }}<user>{{ messages[0].content }}")
    dated = Session(talk.runner, talk.template, "x", today=lambda: date(1999, 12, 31))
    assert prompt(dated) == "<bos>1999<user>x"


def test_a_fresh_seed_fits_the_sampler() -> None:
    seeds = {fresh_seed() for _ in range(20)}
    assert len(seeds) > 10
    assert all(0 <= seed < 2**31 for seed in seeds)
