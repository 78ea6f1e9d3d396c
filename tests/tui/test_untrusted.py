"""What comes from models, files and clipboards is shown as text, and never obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual import events
from textual.app import App
from textual.widgets import Input, Markdown, OptionList
from textual.widgets.option_list import Option

from ponder import paths
from ponder.errors import EngineError
from ponder.history.store import History
from ponder.settings import TuiSettings
from ponder.tui.screens.history import HistoryScreen
from ponder.tui.screens.models import ModelScreen
from ponder.types import Budget, Channel, Sampling, Span
from tui.play import Play, painted, playing
from tui.stage import NOON, Opener, staged

ESCAPE = "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f"
BIDI = "abc\u202edef\u2066ghi\u2069"
OBEYED = (0x1B, 0x07, 0x9B, 0x7F, 0x202E, 0x2066, 0x2069)
MARKUP = "[bold red]x[/bold red] [@click=app.quit]y[/] [/] [link=https://a.b]z[/link]"
OPEN = TuiSettings(thinking="open", fold_when_done=False)


def harmless(play: Play) -> bool:
    """Whether nothing on the screen would be obeyed by a terminal, or does something on a click."""
    strips = play.app.screen._compositor.render_strips()
    text = "".join(strip.text for strip in strips)
    metas = [segment.style.meta for strip in strips for segment in strip if segment.style]
    return not any(chr(code) in text for code in OBEYED) and not any(
        "app.quit" in str(meta) for meta in metas
    )


def options(play: Play) -> Sequence[Option]:
    """What is listed in the dialog that is open."""
    return play.app.screen.query_one(OptionList).options


@pytest.mark.parametrize("nasty", [ESCAPE, BIDI, MARKUP])
async def test_questions_thinking_and_answers_are_shown_as_they_are(nasty: str) -> None:
    opener = Opener(thought=f"I think {nasty}.", answer=f"So {nasty}.")
    async with playing(staged(opener, tui=OPEN), opener, (200, 40)) as play:
        await play.ask(f"What is {nasty}?")
        assert harmless(play)
        screen = painted(play.app)
        if nasty is MARKUP:
            assert f"What is {MARKUP}?" in screen
            assert f"I think {MARKUP}." in screen
            assert "So [bold red]x[/bold red] [@click=app.quit]y[/]" in screen
        (turn,) = play.written()
        assert turn.question == f"What is {nasty}?"
        assert nasty in play.prompts[0]
        await play.pilot.click(offset=(60, 4))
        assert play.app.is_running
        await play.press("ctrl+r")
        await play.until(lambda: isinstance(play.app.screen, HistoryScreen))
        await play.until(lambda: bool(options(play)))
        assert harmless(play)


@pytest.mark.parametrize("nasty", [ESCAPE, BIDI, MARKUP])
async def test_what_is_being_written_is_harmless_too(nasty: str) -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (200, 40)) as play:
        play.composer.insert(nasty)
        await play.pilot.pause()
        assert harmless(play)
        assert play.composer.text == nasty
        for key in ("ctrl+b", "ctrl+o", "ctrl+r"):
            await play.press(key)
            await play.until(lambda: play.app.screen is not play.chat)
            play.app.post_message(events.Paste(nasty))
            await play.pilot.pause()
            assert play.app.screen.query_one(Input).value
            assert harmless(play)
            await play.press("escape")


@pytest.mark.parametrize("nasty", [ESCAPE, BIDI, MARKUP])
async def test_a_models_name_and_a_title_are_shown_as_they_are(nasty: str, home: Path) -> None:
    name = nasty.replace("/", "|")
    models = paths.models_dir()
    models.mkdir(parents=True)
    (models / f"{name}.gguf").write_bytes(b"GGUF")
    with History(paths.history_file()) as history:
        number = history.new_conversation(nasty, name, "", NOON)
        turn = history.begin_turn(number, nasty, name, Budget(), Sampling(), NOON)
        history.append(turn, [Span(Channel.THOUGHT, nasty), Span(Channel.ANSWER, nasty)])
        history.fail_turn(turn, nasty)
    opener = Opener(note=nasty)
    async with playing(staged(opener, model=name), opener, (200, 50)) as play:
        assert harmless(play)
        await play.press("ctrl+o")
        await play.until(lambda: isinstance(play.app.screen, ModelScreen))
        await play.until(lambda: "built in" in painted(play.app))
        assert harmless(play)
        await play.press("escape", "ctrl+r")
        await play.until(lambda: isinstance(play.app.screen, HistoryScreen))
        await play.until(lambda: bool(options(play)))
        assert harmless(play)
        await play.press("e" if nasty is not MARKUP else "x")
        await play.until(lambda: "\n" in str(options(play)[0].prompt))
        assert harmless(play)
        await play.press("backspace")
        await play.until(lambda: "\n" not in str(options(play)[0].prompt))
        await play.press("enter")
        await play.until(lambda: bool(play.turns))
        assert harmless(play)
        await play.ask("Now?")
        assert harmless(play)


@pytest.mark.parametrize("nasty", [ESCAPE, BIDI, MARKUP])
async def test_errors_are_shown_as_they_are(nasty: str) -> None:
    opener = Opener(hold_at=10)
    opener.refusals["bad"] = EngineError(f"It has {nasty}.", f"Remove {nasty}.")
    async with playing(staged(opener), opener, (200, 40)) as play:
        await play.ask_and_hold()
        play.engine.fail(EngineError(f"Died of {nasty}.", f"Avoid {nasty}."))
        await play.idle()
        assert harmless(play)
        play.app.load_model("bad")
        await play.until(lambda: bool(play.notices))
        await play.loaded()
        assert harmless(play)
    opener = Opener()
    opener.refusals["bad"] = EngineError(f"It has {nasty}.", f"Remove {nasty}.")
    async with playing(staged(opener, model="bad"), opener, (200, 40)) as play:
        assert harmless(play)
        if nasty is MARKUP:
            assert f"It has {MARKUP}." in painted(play.app)


# -- Markdown ------------------------------------------------------------------------------------


async def test_html_is_shown_as_text() -> None:
    told = '<script>alert(1)</script> <img src="x"> <b>bold</b>'
    opener = Opener(answer=f"{told}\n\n<div>\nblock\n</div>")
    async with playing(staged(opener), opener, (120, 40)) as play:
        await play.ask()
        screen = painted(play.app)
        assert told in screen
        assert "<div>" in screen
        assert "</div>" in screen


async def test_mathematics_keeps_its_backslashes_where_it_is_to_stay_latex() -> None:
    opener = Opener(answer=r"It is \( x_1 \) and \[ y \] and \boxed{42}, \*so\*.")
    tui = TuiSettings(latex=False)
    async with playing(staged(opener, tui=tui), opener, (120, 40)) as play:
        await play.ask()
        assert r"It is \( x_1 \) and \[ y \] and \boxed{42}" in painted(play.app)


async def test_a_link_is_told_and_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []
    monkeypatch.setattr(App, "open_url", lambda self, url, **_: followed.append(url))
    opener = Opener(answer="Go [here](https://evil.example/[b]x).")
    async with playing(staged(opener), opener, (120, 40)) as play:
        await play.ask()
        rows = painted(play.app).splitlines()
        (y,) = (number for number, row in enumerate(rows) if "Go here" in row)
        await play.pilot.click(offset=(rows[y].index("here") + 1, y))
        await play.until(lambda: bool(play.notices))
        assert play.notices == ["Link\nhttps://evil.example/[b]x"]
        assert followed == []


async def test_markdown_is_laid_out() -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        await play.ask()
        screen = painted(play.app)
        assert "There are 3 times the letter r" in screen
        assert "**" not in screen
        assert "|--" not in screen
        assert len(play.turn.query(Markdown)) == 1


async def test_an_answer_that_is_no_markdown_at_all_is_shown() -> None:
    opener = Opener(answer="```\nnever closed\n| a | b\n> [x](")
    async with playing(staged(opener), opener, (120, 40)) as play:
        await play.ask()
        assert "never closed" in painted(play.app)
