"""A conversation as a page: all of it there, foldable without a script, and nothing obeyed."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import chromium
from history.traces import ANSWER, THOUGHT, trace
from ponder.history.page import page
from ponder.history.records import Conversation, Turn
from ponder.printable import safe
from ponder.types import AppliedAdapter, Author, Budget, Sampling, Span, Trace

HOSTILE = "</details><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
ABOUT = Conversation(3, "Marbles & more", "r1-7b", "Be brief.", 1.7e9, 1.7e9, 1)
THINKING = f"First, 38 + 47.\n\nThat is 85. {HOSTILE}\n\n"


def turn(whole: Trace | None, question: str = "How many?", error: str = "") -> Turn:
    spans = whole.spans if whole is not None else (Span(THOUGHT, "Hm"),)
    return Turn(7, 3, 0, 1.7e9, question, "r1-7b", Budget(), Sampling(), spans, whole, error, None)


def told(*spans: Span) -> str:
    return page([(ABOUT, [turn(trace(*spans))])])


class _Tags(HTMLParser):
    """Which elements there are, and whether each is closed in its turn."""

    EMPTY = ("meta", "br", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def tags(markup: str) -> _Tags:
    found = _Tags()
    found.feed(markup)
    found.close()
    assert found.open == []
    return found


def test_everything_that_was_said_is_there() -> None:
    made = told(
        Span(THOUGHT, THINKING),
        Span(THOUGHT, "Wait", Author.WAIT),
        Span(THOUGHT, ", let me check.\n"),
        Span(
            ANSWER, "| a | b |\n|---|---|\n| 1 | **85** |\n\n\\(x\\) [a](http://x) ![b](http://y)"
        ),
    )
    text = "".join(tags(made).text)
    for words in ("Marbles & more", "Be brief.", "How many?", "38 + 47", "let me check.", HOSTILE):
        assert words in text
    assert '<span class="forced"><b>wait:</b> Wait</span>' in made
    assert "<strong>85</strong>" in made and "<table>" in made
    assert r"\(x\)" in text
    assert "257 of 320 tokens, closed by the model" in text
    assert "finish: closed" in text
    assert "seed 5" in text
    assert made.count('<details class="step" open>') == 3


def test_without_thinking_there_is_none() -> None:
    made = page([(ABOUT, [turn(trace())])], thinking=False)
    assert "38 and 47" not in made
    assert "<strong>85</strong>" in made


def test_what_broke_off_or_failed_is_told() -> None:
    assert "unfinished" in page([(ABOUT, [turn(None)])])
    assert "failed: &lt;b&gt;" in page([(ABOUT, [turn(None, error="<b>")])])


def test_adapters_are_in_the_receipt() -> None:
    whole = replace(trace(), adapters=(AppliedAdapter("fine<.gguf", "ab" * 32, 0.5),))
    assert "fine&lt;.gguf × 0.5" in page([(ABOUT, [turn(whole)])])


@given(st.text(), st.text(), st.text(), st.sampled_from(Author))
def test_nothing_that_is_said_becomes_markup(
    question: str, thought: str, answer: str, author: Author
) -> None:
    whole = trace(Span(THOUGHT, thought, author), Span(ANSWER, answer))
    made = page([(replace(ABOUT, title=question), [turn(whole, question)])])
    found = tags(made)
    assert not found.seen & {"script", "img", "a", "iframe", "link", "svg", "form", "object"}
    assert found.attributes <= {
        "class", "title", "id", "open", "lang", "charset", "name", "content", "http-equiv", "start",
        "style",
    }  # fmt: skip
    if author is Author.MODEL and thought.strip():
        assert "".join(safe(thought).split()) in "".join("".join(found.text).split())


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    made = told(Span(THOUGHT, THINKING), Span(ANSWER, HOSTILE))
    assert "default-src 'none'" in html.unescape(made)
    assert not re.search(r"<(script|img|link|iframe)", made)
    assert "prefers-color-scheme: dark" in made


@chromium.needed
def test_it_folds_in_a_browser_and_a_hostile_trace_stays_text(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        told(Span(THOUGHT, THINKING), Span(THOUGHT, "Wait", Author.WAIT), Span(ANSWER, HOSTILE)),
        "utf-8",
    )
    with chromium.opened(file, tmp_path / "profile") as shown:
        step = ".trace .step:nth-of-type(2)"
        seen = f"document.querySelector('{step} .thought').checkVisibility()"
        assert shown.ask(seen) is False
        shown.click("section .trace > summary")
        assert shown.ask(seen) is True
        assert HOSTILE in shown.ask(f"document.querySelector('{step} .thought').innerText")
        shown.click(f"{step} > summary")
        assert shown.ask(seen) is False
        assert shown.ask("document.querySelector('.step .thought').checkVisibility()") is True
        shown.click("section .trace > summary")
        assert shown.ask("document.querySelector('.step .thought').checkVisibility()") is False
        assert HOSTILE in shown.ask("document.querySelector('.answer').innerText")
        assert shown.ask("document.scripts.length + document.images.length") == 0
        assert shown.ask("typeof window.hacked") == "undefined"
        assert shown.ask("document.querySelector('.forced').textContent") == "wait: Wait"
        assert shown.told == []


@chromium.needed
def test_what_slipped_through_would_be_refused(tmp_path: Path) -> None:
    """The policy of the page holds by itself, and the test before would see it."""
    file = tmp_path / "page.html"
    made = told(Span(THOUGHT, "x")).replace("</main>", "<script>window.hacked = 1</script></main>")
    file.write_text(made, "utf-8")
    with chromium.opened(file, tmp_path / "profile") as shown:
        assert shown.ask("typeof window.hacked") == "undefined"
        assert any("Content Security Policy" in line for line in shown.told)
