"""Documents: Markdown that nothing in a trace can break, JSON that leaves nothing out."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from history.traces import ANSWER, THOUGHT, budgets, samplings, texts, trace, traces
from ponder.errors import InputError
from ponder.history import document
from ponder.history.export import as_json, bracketed, markdown
from ponder.history.records import Conversation, Turn
from ponder.printable import safe
from ponder.types import Author, Budget, Finish, Sampling, Span, Trace

CONVERSATION = Conversation(3, "Mia's *marbles*", "r1-7b", "", 1.7e9, 1.7e9, 1)


def turn(finished: Trace | None = None, question: str = "38 + 47?", error: str = "") -> Turn:
    spans = finished.spans if finished else (Span(THOUGHT, "Hm"),)
    return Turn(
        id=5,
        conversation=3,
        position=0,
        asked=1.7e9,
        question=question,
        model="r1-7b",
        budget=Budget(),
        sampling=Sampling(),
        spans=spans,
        trace=finished,
        error=error,
        folded=None,
    )


def blocks(text: str) -> list[tuple[str, str]]:
    """The leaves of a Markdown document: what kind, and what is in them."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [(token.type, token.content) for token in tokens if token.content]


def test_a_turn_as_markdown() -> None:
    text = markdown(CONVERSATION, [turn(trace())])
    assert text.startswith("# Mia's \\*marbles\\*\n\n`r1-7b` · 20")
    assert "> 38 + 47?" in text
    assert "<summary>Thinking: 257 of 320 tokens, closed by the model</summary>" in text
    assert "38 and 47 is 85.\n⟦wait: Wait⟧" in text
    assert "\n\nThe answer is **85**.\n\n" in text
    receipt = text.rstrip("\n").rsplit("\n", 1)[1]
    assert "thinking 257/320 tokens" in receipt
    assert "3.2 s in all" in receipt
    assert "finish: closed" in receipt


def test_without_thinking_nothing_of_it_is_left() -> None:
    text = markdown(CONVERSATION, [turn(trace())], thinking=False)
    assert "details" not in text
    assert "38 and 47" not in text
    assert "Wait" not in text
    assert "The answer is **85**." in text


@pytest.mark.parametrize("finish", Finish)
def test_every_finish_has_its_words(finish: Finish) -> None:
    text = markdown(CONVERSATION, [turn(replace(trace(), finish=finish, budget=None))])
    summary = text.partition("<summary>")[2].partition("</summary>")[0]
    assert summary.startswith("Thinking: 257 tokens, ")
    assert f"finish: {finish.value}" in text


def test_what_is_not_finished_is_said() -> None:
    assert "unfinished" in markdown(CONVERSATION, [turn()])
    failed = markdown(CONVERSATION, [turn(error="The engine\ndied.")])
    assert "failed: The engine died." in failed
    assert "unfinished" not in failed


nasty = st.lists(
    st.sampled_from(
        ["</details>", "```", "`", "````", "~~~", "\n", "\n\n", " ", "    ", "<b>", "# ", "> ", "x",
         "\r", "\x1b[31m", "-->", "]]>", "<!--", "⟧"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(thinking=nasty | texts, question=nasty | texts)
@example("\n```\n</details>\n", "")
@example("\n`````\n<b>\n", "```")
@example("\n~~~\n\n</details>\n\n# ", "<!--")
def test_no_thinking_can_break_out_of_its_fence(thinking: str, question: str) -> None:
    spans = (Span(THOUGHT, f"a{thinking}z"), Span(ANSWER, "the answer"))
    one = turn(replace(trace(), spans=spans), question)
    found = blocks(markdown(CONVERSATION, [one]))
    fences = [content for kind, content in found if kind == "fence"]
    assert f"{safe(f'a{thinking}z')}\n" in fences
    at = found.index(("fence", f"{safe(f'a{thinking}z')}\n"))
    assert found[at - 1][0] == "html_block"
    assert found[at - 1][1].startswith("<details>\n<summary>Thinking")
    assert found[at + 1] == ("html_block", "</details>\n")
    assert found[at + 2] == ("inline", "the answer")


@given(name=nasty | texts)
def test_a_title_and_a_model_stay_on_their_lines(name: str) -> None:
    named = replace(CONVERSATION, title=f"a{name}z", model=f"a{name}z")
    kinds = [kind for kind, _ in blocks(markdown(named, []))]
    assert kinds == ["inline", "inline"]


@given(text=texts)
def test_control_characters_are_pictures(text: str) -> None:
    spans = (Span(THOUGHT, text), Span(ANSWER, text))
    made = markdown(
        replace(CONVERSATION, title=text, system=text),
        [turn(replace(trace(), spans=spans), text, error=text)],
    )
    assert made == safe(made)


def test_thought_after_an_answer_keeps_its_place() -> None:
    spans = (
        Span(THOUGHT, "one"),
        Span(ANSWER, "two"),
        Span(THOUGHT, "three"),
        Span(ANSWER, "four"),
    )
    text = markdown(CONVERSATION, [turn(replace(trace(), spans=spans))])
    places = [text.index(word) for word in ("one", "two", "continued", "three", "four")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("spans", "shown"),
    [
        ([("a ", "model"), ("b", "wait"), (" c", "model")], "a ⟦wait: b⟧ c"),
        (
            [("a", "model"), ("\n b ", "closing"), ("c\n", "closing"), ("d", "model")],
            "a\n ⟦closing: b c⟧\nd",
        ),
        ([("a", "user"), (" b", "wait")], "⟦user: a⟧ ⟦wait: b⟧"),
        ([(" ", "lead-in")], " "),
        ([("", "lead-in")], ""),
        ([("a a", "ponder")], "⟦ponder: a a⟧"),
    ],
)
def test_ponders_words_are_bracketed_without_the_blanks(
    spans: list[tuple[str, str]], shown: str
) -> None:
    assert bracketed(Span(THOUGHT, text, Author(name)) for text, name in spans) == shown


@given(finished=traces, question=texts, budget=budgets, sampling=samplings)
def test_json_leaves_nothing_out(
    finished: Trace, question: str, budget: Budget, sampling: Sampling
) -> None:
    one = replace(turn(finished, question), budget=budget, sampling=sampling)
    facts = json.loads(json.dumps(as_json(CONVERSATION, [one])))
    (read,) = facts.pop("turns")
    assert facts | {"turns": 1} == asdict(CONVERSATION)
    read["trace"]["spans"] = read["spans"]
    assert read == json.loads(json.dumps(asdict(one)))


def test_json_without_thinking_has_no_trace_of_it() -> None:
    facts = json.dumps(as_json(CONVERSATION, [turn(trace())], thinking=False))
    assert "38 and 47" not in facts
    assert "Wait" not in facts
    assert '"tokens": [' not in facts
    assert "The answer is" in facts


# -- to a file ----------------------------------------------------------------------------


def test_a_document_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.md"
    document.check(target, force=False)
    document.write(target, "ä\n")
    assert target.read_text("utf-8") == "ä\n"
    assert [file.name for file in tmp_path.iterdir()] == ["out.md"]


def test_what_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    target = tmp_path / "out.md"
    target.write_text("old")
    with pytest.raises(InputError, match="already there") as refused:
        document.check(target, force=False)
    assert "--force" in refused.value.hint
    document.check(target, force=True)
    with pytest.raises(UnicodeEncodeError):
        document.write(target, "\ud800")
    assert target.read_text() == "old"
    document.write(target, "new")
    assert target.read_text() == "new"


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.md"
    target.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        document.write(target, "new")
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.md"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "out.md", tmp_path / "link.md"
    target.write_text("old")
    link.symlink_to(target)
    document.write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_to(tmp_path: Path) -> None:
    document.check(Path("/dev/null"), force=False)
    document.write(Path("/dev/null"), "text")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("place", [".", "missing/out.md"])
def test_where_nothing_can_be_written_is_told(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError) as refused:
        document.check(tmp_path / place, force=True)
    assert refused.value.hint
