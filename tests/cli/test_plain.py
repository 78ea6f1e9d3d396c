"""The chat by lines: what is said, in which order, and what typed commands do."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from ponder import paths
from ponder.cli import run
from ponder.cli.plain import COMMANDS, Plain
from ponder.cli.speaking import Voice
from ponder.errors import EngineError
from ponder.history.recorder import Recorder
from ponder.history.store import History
from ponder.settings import BudgetSettings, Settings
from ponder.thinking.effort import Wish
from ponder.tui.dialogue import Dialogue
from tui.stage import GUARD, NOON, SECOND, Opener


class Heard(io.StringIO):
    """What was said, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._said = threading.Condition()

    def write(self, text: str) -> int:
        with self._said:
            written = super().write(text)
            self._said.notify_all()
        return written

    def until(self, text: str, times: int = 1) -> None:
        with self._said:
            assert self._said.wait_for(lambda: self.getvalue().count(text) >= times, GUARD), (
                f"{text!r} was not said:\n{self.getvalue()}"
            )


@dataclass
class Talk:
    """A chat whose lines are typed as soon as something was heard."""

    opener: Opener
    heard: Heard = field(default_factory=Heard)

    def __call__(
        self,
        *steps: str | Callable[[], None],
        typed: bool = True,
        thinking: bool = True,
        conversation: int | None = None,
        budget: BudgetSettings | None = None,
    ) -> str:
        """Type lines, and between them do what a function does; gives all that was said."""

        def read() -> str:
            for step in script:
                if isinstance(step, str):
                    return step
                step()
            raise EOFError

        script = iter(steps)
        recorder = Recorder(paths.history_file(), lambda _: None)
        dialogue = Dialogue(recorder, lambda: NOON, lambda: 7)
        chat = Plain(
            Settings(model="r1-7b", budget=budget or BudgetSettings()),
            dialogue,
            lambda name: self.opener(name, lambda _: None),
            Wish(tokens=512),
            Voice(self.heard, thinking, latex=True, clock=lambda: 0.0),
            typed,
        )
        try:
            chat.run(read, conversation)
        finally:
            chat.leave()
            dialogue.close()
            assert recorder.close(GUARD)
        return self.heard.getvalue()

    def held(self) -> None:
        """Wait until the engine is held."""
        assert self.opener.engine is not None
        for _ in range(int(GUARD / 0.01)):
            if self.opener.engine.held:
                return
            threading.Event().wait(0.01)
        raise AssertionError("it is not held")

    def go(self) -> None:
        assert self.opener.engine is not None
        self.opener.engine.let_go()


def in_order(said: str, *parts: str) -> bool:
    at = 0
    for part in parts:
        at = said.index(part, at) + len(part)
    return True


def test_every_change_is_a_line_and_text_comes_once_and_in_order() -> None:
    talk = Talk(
        Opener(thought="Let me see. 12 and 30.\nThat is 42.", answer=r"It is \(6 \cdot 7\).")
    )
    said = talk("What is 12 + 30?", lambda: talk.heard.until("question:", 2))
    assert said.splitlines() == [
        "loading r1-7b",
        "r1-7b is ready, 4,096 tokens of context",
        "budget: 512 tokens. /help lists the commands.",
        "question:",
        "thinking, at most 512 tokens",
        "thinking:",
        "Let me see. 12 and 30.",
        "That is 42.",
        "thought 9 of 512 tokens, closed: the model closed its thinking itself",
        "answer:",
        "It is 6 · 7.",
        *said.splitlines()[11:12],
        "question:",
    ]
    assert said.splitlines()[11].startswith("answered 6 tokens, ")
    with History(paths.history_file()) as history:
        (turn,) = history.turns(1)
    assert turn.trace is not None
    assert turn.trace.answer == r"It is \(6 \cdot 7\)."


def test_what_ponder_adds_is_named() -> None:
    talk = Talk(Opener(second=SECOND))
    said = talk("How many?", budget=BudgetSettings(floor=120), typed=False)
    assert in_order(
        said, "thinking:\n", "\nponder adds: Wait\nit goes on: , let me count", "answer:\n"
    )


def test_levers_are_obeyed_while_it_thinks_and_questions_wait() -> None:
    talk = Talk(Opener(second=SECOND, hold_at=20))
    said = talk(
        "How many?",
        talk.held,
        "/more 100",
        "/wait",
        "And then?",
        "/model",
        talk.go,
        lambda: talk.heard.until("question:", 3),
    )
    assert in_order(
        said,
        "asked when this is answered",
        "error: A question runs.",
        "100 tokens more were granted, as was asked",
        "ponder adds: Wait",
        "612 tokens, closed",
        "question: And then?",
        "answer:",
        "question:",
    )


def test_answer_now_ends_the_thinking() -> None:
    talk = Talk(Opener(hold_at=20))
    said = talk(
        "How many?", talk.held, "/answer", talk.go, lambda: talk.heard.until("question:", 2)
    )
    assert re.search(r"thought 2\d of 512 tokens, user: the answer was asked for\n", said)


@pytest.mark.parametrize("how", ["/stop", KeyboardInterrupt])
def test_it_is_stopped_by_a_word_or_by_ctrl_c(how: str | type[KeyboardInterrupt]) -> None:
    talk = Talk(Opener(hold_at=20))

    def interrupt() -> None:
        raise KeyboardInterrupt

    stop = how if isinstance(how, str) else interrupt
    said = talk(
        "How many?", talk.held, "Later?", stop, lambda: talk.heard.until("question:", 2), stop
    )
    assert "thought 20 of 512 tokens, cancelled\n" in said
    assert "stopped, " in said
    assert "Later?" not in said  # nothing is asked after a stop
    assert ("Nothing is being thought about." if stop == "/stop" else "/quit leaves") in said


def test_quit_stops_what_runs_and_writes_it_down() -> None:
    talk = Talk(Opener(hold_at=20))
    talk("How many?", talk.held, "/quit", "never read")
    with History(paths.history_file()) as history:
        (turn,) = history.turns(1)
    assert turn.trace is not None
    assert turn.trace.finish == "cancelled"


def test_a_pipe_waits_for_every_answer() -> None:
    talk = Talk(Opener())
    said = talk("One?", "Two?", "/why", "/quit", typed=False)
    assert said.count("answer:\n") == 2
    assert "asked when" not in said
    assert "end: the model closed its thinking itself" in said


def test_thinking_is_not_read_out_where_that_is_not_wanted() -> None:
    talk = Talk(Opener())
    said = talk("One?", "/thinking on", "Two?", "/thinking perhaps", typed=False, thinking=False)
    first, second = said.split("thinking is read out")
    assert "strawberry. Let me" not in first
    assert "strawberry. Let me" in second
    assert "'perhaps' is neither on nor off." in second


def test_budgets_rules_and_lines_of_a_question() -> None:
    talk = Talk(Opener())
    said = talk(
        "/budget 20", "/budget twelve apples", "/budget", "/rule converged", "/rule nonsense",
        "Two \\", "lines?", "//help?", "/help", "", typed=False,
    )  # fmt: skip
    assert in_order(
        said, "budget: 20 tokens\n", "error: 'twelve apples' is no budget.", "20 tokens\n"
    )
    assert in_order(said, "stops early by: converged", "error: ", "thinking, at most 20 tokens")
    assert "cap: the thinking budget was spent" in said
    assert all(f"/{name}: {told}" in said for name, told in COMMANDS.items())
    assert talk.opener.engine is not None
    assert [
        prompt.split("<user>")[-1].split("<assistant>")[0] for prompt in talk.opener.engine.prompts
    ] == [
        "Two \nlines?",
        "/help?",
    ]


def test_conversations_are_listed_found_taken_up_and_begun() -> None:
    Talk(Opener())("How many r in strawberry?", "/new", "Why is the sky blue?", typed=False)
    talk = Talk(Opener())
    said = talk("/history", "/history strawberry", "/open 1", "/open x", "/open 99", typed=False)
    assert in_order(said, "2: Why is the sky blue?", "1: How many r", "1: How many r", "question:")
    assert in_order(said, "conversation 1: How many r", "last question: How many r", "answer:")
    assert "error: 'x' is no conversation's number." in said
    again = Talk(Opener())("And i?", conversation=2, typed=False)
    assert "conversation 2: Why is the sky blue?" in again


def test_another_model_is_taken_and_the_one_there_was_where_that_fails() -> None:
    opener = Opener()
    opener.refusals["bad"] = EngineError("It is damaged.", "Fetch it again.")
    talk = Talk(opener)
    # What is said while it answers is heard at once: the last line waits until it does.
    answered = partial(talk.heard.until, "answer:")
    said = talk("/model r1-8b", "/model bad", "Who?", answered, "/modle", typed=False)
    assert in_order(said, "r1-8b is ready", "error: It is damaged.\nhint: Fetch it again.")
    assert in_order(
        said, "loading r1-8b again", "r1-8b is ready", "answer:", "Did you mean /model?"
    )


def test_without_a_model_it_says_what_to_do() -> None:
    opener = Opener()
    opener.refusals["r1-7b"] = EngineError("It is not here.", "Fetch it.")
    said = Talk(opener)("Anybody?", typed=False)
    assert in_order(said, "error: It is not here.", "error: No model is loaded.", "/model NAME")


def test_what_an_engine_dies_of_is_said() -> None:
    talk = Talk(Opener(hold_at=20))

    def fail() -> None:
        assert talk.opener.engine is not None
        talk.opener.engine.fail(EngineError("It died.", "Try again."))

    said = talk("How many?", talk.held, fail, lambda: talk.heard.until("question:", 2))
    assert in_order(said, "error: It died.", "hint: Try again.", "question:")


def test_nothing_is_obeyed_by_a_terminal() -> None:
    nasty = "a\x1b[31m\x1b]52;c;aGk=\x07 \u202eb\x9bc. "
    said = Talk(Opener(thought=nasty, answer=nasty))(f"Why {nasty}?", "/history", typed=False)
    assert not set("\x1b\x07\x9b\u202e") & set(said)
    assert "a␛[31m" in said


def test_a_listener_who_is_gone_costs_nothing_that_was_said() -> None:
    class Gone(Heard):
        def write(self, text: str) -> int:
            if "answer" in text:
                raise BrokenPipeError
            return super().write(text)

    talk = Talk(Opener(), Gone())
    talk("How many?", typed=False)
    with History(paths.history_file()) as history:
        (turn,) = history.turns(1)
    assert turn.trace is not None
    assert turn.trace.answer


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    yield lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_command_chats_through_a_pipe(
    piped: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    piped("What is 12 + 30?\n")
    assert run(["chat", "--plain", "--budget", "100"]) == 0
    out = capsys.readouterr().out
    assert in_order(out, "ponder-tiny is ready", "thinking, at most 100 tokens", "answer:", "42")
    assert "\\boxed{42}" in out  # a pipe gets what the model said


def test_no_screen_is_imported_for_it() -> None:
    told = "import sys, ponder.cli.plain; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
