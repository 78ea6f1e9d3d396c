"""What crosses from the runner's thread: all of it, in order, in batches, and nothing else."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.engines.replay import ByteVocabulary, ReplayEngine, transcript
from ponder.errors import EngineError
from ponder.events import Closed, Event, Finished, Prefilled, Text
from ponder.runner import Runner, Stream
from ponder.session import Answering, Session
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.tui import pump
from ponder.tui.pump import Told
from ponder.types import Author, Budget, Channel, Finish, Sampling, Span
from scripted import SPELLED, TAGGED, TAGS

TEMPLATE = "{% for m in messages %}<user>{{ m.content }}{% endfor %}<assistant>"
VOCAB = ByteVocabulary(TAGS, TEMPLATE)
END = VOCAB.encode("</think>", special=True)[0]
EVENTS = st.lists(
    st.one_of(
        st.builds(
            Text,
            st.just(1),
            st.builds(Span, st.sampled_from(Channel), st.text(max_size=3), st.sampled_from(Author)),
            st.integers(0, 9),
        ),
        st.builds(Prefilled, st.just(1), st.integers(0, 9), st.just(9)),
        st.just(Closed(1, Finish.CAP)),
    ),
    max_size=30,
)


def letters(events: Sequence[Told]) -> list[tuple[Channel, Author, str]]:
    return [
        (e.span.channel, e.span.author, char)
        for e in events
        if isinstance(e, Text)
        for char in e.span.text
    ]


@given(EVENTS)
def test_merging_keeps_text_authors_and_order(events: list[Event]) -> None:
    merged = pump.merged(events)
    assert letters(merged) == letters(events)
    others = [e for e in events if isinstance(e, Closed)]
    assert [e for e in merged if isinstance(e, Closed)] == others
    texts = [e for e in events if isinstance(e, Text)]
    if texts:
        last = [e for e in merged if isinstance(e, Text)][-1]
        assert last.think_tokens == texts[-1].think_tokens


@given(EVENTS)
def test_nothing_is_left_to_merge(events: list[Event]) -> None:
    merged = pump.merged(events)
    assert pump.merged(merged) == merged


@given(st.lists(st.tuples(st.integers(1, 3), EVENTS), max_size=6))
def test_traces_that_are_told_in_turns_are_merged_each_by_itself(
    turns: list[tuple[int, list[Event]]],
) -> None:
    told = [replace(event, question=question) for question, few in turns for event in few]
    merged = pump.merged(told)
    for question in (1, 2, 3):
        own = [event for event in told if event.question == question]
        assert [event for event in merged if event.question == question] == pump.merged(own)


@pytest.fixture
def session() -> Iterator[Session]:
    engine = ReplayEngine(VOCAB, transcript(b"thought" * 60, END, [*b"answer", 257]))
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        yield Session(runner, ChatTemplate(TEMPLATE, VOCAB))


async def test_all_events_arrive_in_order(session: Session) -> None:
    told: list[Told] = []
    asked = session.ask("?", Budget(), Sampling())
    async for events in pump.batches(asked, interval=0.001):
        told += events
    (trace,) = [e.trace for e in told if isinstance(e, Finished)]
    assert isinstance(told[-1], Finished)
    spans = [e.span for e in told if isinstance(e, Text)]
    assert "".join(s.text for s in spans) == "".join(s.text for s in trace.spans)
    assert trace.thought.strip() == "thought" * 60


async def test_a_slow_reader_gets_larger_batches_not_more_of_them() -> None:
    # A tag that is spelled out makes an event of every token.
    script = transcript([*b"x" * 400, *b"[/think"], ord("]"), [*b"answer", 257])
    with Runner(ReplayEngine(VOCAB, script), resolve(SPELLED, VOCAB)) as runner:
        session = Session(runner, ChatTemplate(TEMPLATE, VOCAB))
        asked = session.ask("?", Budget(), Sampling())
        await pump.aside(lambda: _until_over(asked), "test")
        taken = [events async for events in pump.batches(asked)]
    assert len(taken) == 1
    assert len([e for e in taken[0] if isinstance(e, Text)]) < 10


def _until_over(asked: Answering) -> None:
    """Wait until the worker has told everything."""
    over = threading.Event()
    queue = asked.stream.queue

    def look() -> None:
        # SimpleQueue has no peek: the worker is done when it has forgotten the stream.
        if asked.stream.question not in asked.stream._runner._listeners:
            over.set()

    asked.stream.on_event = look
    look()
    assert over.wait(20)
    assert not queue.empty()


async def test_what_the_engine_dies_of_comes_last(session: Session) -> None:
    stream = Stream(session.runner, 99)
    asked = Answering(session, stream, "?", 2)
    stream.put(Text(99, Span(Channel.THOUGHT, "so far"), 1))
    stream.put(EngineError("It died."))
    told: list[Told] = []
    with pytest.raises(EngineError, match="It died"):
        async for events in pump.batches(asked):
            told += events
    assert [type(e).__name__ for e in told] == ["Trimmed", "Text"]


async def test_the_loop_is_woken_only_when_something_happened(session: Session) -> None:
    stream = Stream(session.runner, 99)
    asked = Answering(session, stream, "?", 0)
    taken: list[int] = []

    async def take() -> None:
        async for events in pump.batches(asked, interval=0.0):
            taken.append(len(events))

    task = asyncio.create_task(take())
    await asyncio.sleep(0.05)
    assert taken == []
    stream.put(Text(99, Span(Channel.THOUGHT, "a"), 1))
    while not taken:
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert taken == [1]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_of_many_values_the_last_is_handed_over() -> None:
    got: list[int] = []
    hand = pump.Handover(got.append)

    def work() -> None:
        for number in range(1000):
            hand(number)

    await pump.aside(work, "test")
    await asyncio.sleep(0)
    assert got[-1] == 999
    assert got == sorted(got)


def test_a_loop_that_is_gone_is_no_trouble() -> None:
    async def make() -> pump.Handover[int]:
        return pump.Handover(lambda _: None)

    asyncio.run(make())(1)


async def test_a_job_aside_gives_its_result_or_its_error() -> None:
    name = await pump.aside(lambda: threading.current_thread().name, "aside-test")
    assert name == "aside-test"

    def fail() -> None:
        raise EngineError("No.")

    with pytest.raises(EngineError, match="No"):
        await pump.aside(fail, "aside-test")


def test_threads_reach_the_screen_nowhere_else() -> None:
    crossing = re.compile(r"call_soon_threadsafe|call_from_thread|run_coroutine_threadsafe")
    room = Path(pump.__file__).parent
    files = {
        path.relative_to(room).as_posix(): path.read_text("utf-8") for path in room.rglob("*.py")
    }
    assert "screens/chat.py" in files
    assert [name for name, text in files.items() if crossing.search(text)] == ["pump.py"]


async def test_what_has_come_is_handed_on_also_while_painting_waits(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "PATIENCE", 0.25)
    stream = Stream(session.runner, 99)
    asked = Answering(session, stream, "?", 0)
    written: list[Told] = []
    painted: list[Told] = []
    slow = asyncio.Event()

    async def take() -> None:
        async for events in pump.batches(asked, written.extend, interval=0.0):
            # A batch that costs so much that the next one has to wait.
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            painted.extend(events)
            slow.set()

    task = asyncio.create_task(take())
    stream.put(Text(99, Span(Channel.THOUGHT, "a"), 1))
    await slow.wait()
    stream.put(Text(99, Span(Channel.THOUGHT, "b"), 2))
    while len(written) < 2:
        await asyncio.sleep(0)
    assert len(painted) == 1
    while len(painted) < 2:
        await asyncio.sleep(0.001)
    assert written == painted
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
