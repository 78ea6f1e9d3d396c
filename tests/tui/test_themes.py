"""Themes: ponder's own, the user's, and every way in which a user's file can be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.color import Color as RichColour
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from ponder import paths, settings
from ponder.errors import SettingsError, UnknownName
from ponder.settings import TuiSettings
from ponder.tui import themes
from ponder.tui.widgets.trace_text import TraceText
from tui.play import Play, painted, playing
from tui.stage import THOUGHT, Opener, staged


def written(folder: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_theme_is_called_as_its_file_is(tmp_path: Path) -> None:
    text = 'primary = "#ff8800"\ndark = false\n[variables]\nborder = "teal"\n'
    theme = themes.read(written(tmp_path, text, "sun-set_2.toml"))
    assert (theme.name, theme.primary, theme.dark) == ("sun-set_2", "#ff8800", False)
    assert theme.variables == {"border": "teal"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("primary = ", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        ('dark = true\nsecondary = "red"', "does not set primary"),
        ("", "does not set primary"),
        ('primary = "reddish"', "primary = 'reddish' is no colour"),
        ('primary = ""', "primary = '' is no colour"),
        ("primary = 7", "primary = 7 is no colour"),
        ('primary = "red"\nerror = ["red"]', "error = ['red'] is no colour"),
        ('primary = "red"\nprimry = "red"', "sets primry, which themes do not have"),
        ('primary = "red"\nname = "x"', "sets name, which themes do not have"),
        ('primary = "red"\ndark = "yes"', "dark = 'yes' is no bool"),
        ('primary = "red"\nvariables = "x"', "variables = 'x' is no dict"),
        ('primary = "red"\nluminosity_spread = "red"', "luminosity_spread = 'red'"),
        ('primary = "red"\nluminosity_spread = true', "luminosity_spread = True"),
        ('primary = "red"\ntext_alpha = "0.9"', "text_alpha = '0.9'"),
        ('primary = "red"\n[variables]\nborder = 3', "border = 3"),
        ('primary = "red"\n[variables]\nprimary-muted = "reddish"', "primary-muted = 'reddish'"),
        ('primary = "red"\n[variables]\nborder = "red; x"', "border = 'red; x' is no colour"),
        ('primary = "red"\n[variables]\nx = "}"', "x = '}' is no colour"),
        ('primary = "red"\n[variables]\n"a b" = "red"', "a b = 'red'"),
        ('primary = "red"\n[variables]\nlink-style = "wobbly"', "'wobbly' is no text style"),
        ('primary = "red"\nansi = "yes"', "ansi = 'yes' is no bool"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(
    tmp_path: Path, text: str | bytes, word: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        themes.read(path)
    assert word in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["my theme.toml", "[b].toml", "é.toml", "-x.toml"])
def test_a_name_that_nobody_could_write_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is no name for a theme"):
        themes.read(written(tmp_path, 'primary = "red"', name))


def test_a_file_that_is_not_there_or_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    for path in (tmp_path / "none.toml", tmp_path / "folder.toml"):
        with pytest.raises(SettingsError, match="cannot be read"):
            themes.read(path)


@pytest.mark.parametrize(
    "text",
    [
        'primary = "red"',
        'primary = "#abc"\nsecondary = "rgb(1, 2, 3)"\naccent = "hsl(10, 20%, 30%)"',
        'primary = "ansi_blue"',
        'primary = "red"\nluminosity_spread = 0.3\ntext_alpha = 1',
        'primary = "red"\n[variables]\nlink-style = "bold underline"\nborder = "#abc 50%"',
        'primary = "red"\n[variables]\ntext-muted = "auto 60%"\npanel = "transparent"',
        'primary = "red"\n[variables]\nfooter-key-foreground = "#a0b0c0"\nborder = "teal"',
    ],
)
async def test_every_theme_that_is_accepted_can_be_worn(home: Path, text: str) -> None:
    written(paths.themes_dir(), text)
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(theme="mine")), opener) as play:
        assert play.app.theme == "mine"
        assert play.notices == []
        await play.ask()
        assert "There are 3 times" in painted(play.app)


def test_all_in_the_folder_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "c.txt"):
        written(tmp_path, 'primary = "red"', name)
    wrong = written(tmp_path, "", "aa.toml")
    good, errors = themes.of_user(tmp_path)
    assert [theme.name for theme in good] == ["a", "b"]
    assert [str(wrong) in error.message for error in errors] == [True]
    assert themes.of_user(tmp_path / "none") == ([], [])


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    assert themes.checked("b", ["a", "b"]) == "b"
    with pytest.raises(UnknownName, match="no theme called 'c'") as caught:
        themes.checked("c", ["a", "b"])
    assert "a, b" in caught.value.hint


@pytest.mark.parametrize("theme", themes.OWN, ids=lambda theme: theme.name)
def test_ponders_own_have_text_that_can_be_read(theme: Theme) -> None:
    background = Color.parse(theme.background or "")
    for colour in (theme.foreground, theme.primary, theme.warning, theme.error, theme.success):
        contrast = _contrast(Color.parse(colour or ""), background)
        assert contrast >= 4.5  # WCAG 2, level AA


def _contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: Color) -> float:
        parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
        r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


# -- on the screen -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "dark"), [("ponder-dark", True), ("ponder-light", False)])
async def test_ponders_own_are_worn(name: str, dark: bool) -> None:
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(theme=name)), opener) as play:
        assert play.app.theme == name
        assert play.app.current_theme.dark is dark
        background = next(t.background for t in themes.OWN if t.name == name)
        assert play.conversation.background_colors[1].hex == (background or "").upper()


async def test_the_users_own_is_worn(home: Path) -> None:
    written(paths.themes_dir(), 'primary = "#123456"\nbackground = "#010203"\n')
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(theme="mine")), opener) as play:
        assert play.app.theme == "mine"
        assert play.conversation.background_colors[1].hex == "#010203"


async def test_a_theme_that_is_not_there_is_told_and_the_default_worn() -> None:
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(theme="ponder-lihgt")), opener) as play:
        assert play.app.theme == "ponder-dark"
        (notice,) = play.notices
        assert "There is no theme called 'ponder-lihgt'." in notice
        assert "Did you mean ponder-light?" in notice


async def test_a_wrong_file_is_told_and_the_theme_that_was_chosen_is_worn(home: Path) -> None:
    path = written(paths.themes_dir(), 'primary = "reddish"', "broken.toml")
    written(paths.themes_dir(), 'primary = "red"', "mine.toml")
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(theme="mine")), opener) as play:
        (notice,) = play.notices
        assert str(path) in notice
        assert "is no colour" in notice
        assert play.app.theme == "mine"


async def test_the_chosen_file_is_wrong_and_the_default_is_worn(home: Path) -> None:
    written(paths.themes_dir(), 'primary = "reddish"')
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(theme="mine")), opener) as play:
        assert play.app.theme == "ponder-dark"
        assert any("is no colour" in notice for notice in play.notices)


async def test_a_theme_chosen_on_the_screen_is_kept() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        play.app.theme = "ponder-light"
        await play.until(lambda: paths.config_file().exists())
    assert settings.read(paths.config_file()).tui.theme == "ponder-light"


@dataclass(frozen=True)
class Painted:
    """Some text on the screen and its colours."""

    text: str
    colour: RichColour
    ground: RichColour

    def contrast(self, colours: ColorSystem) -> float:
        """Of its colours, as a terminal that has so many shows them."""
        one, other = (
            Color(*c.downgrade(colours).get_truecolor()) for c in (self.colour, self.ground)
        )
        return _contrast(one, other)


def seen(play: Play) -> list[Painted]:
    """All words on the screen; rules, scroll bars and what stands in an empty field are none."""
    found = []
    for strip in play.app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if style and style.color and style.bgcolor and re.search(r"\w|[❯▸▾⟦⟧]", text):
                one, other = style.color, style.bgcolor
                if style.reverse:
                    one, other = other, one
                found.append(Painted(text.strip(), one, other))
    return found


@pytest.mark.parametrize("colours", [ColorSystem.TRUECOLOR, ColorSystem.STANDARD])
@pytest.mark.parametrize("theme", ["ponder-dark", "ponder-light"])
async def test_all_words_of_a_chat_can_be_read(theme: str, colours: ColorSystem) -> None:
    opener = Opener(thought=THOUGHT + "Wait, is it?\n\nBut why.\n\nSo it is.", hold_at=20)
    app = staged(opener, tui=TuiSettings(theme=theme, thinking="open", fold_when_done=False))
    # WCAG 2: level AA, and what it asks of large text where a terminal has but 16 colours.
    least = 4.5 if colours is ColorSystem.TRUECOLOR else 3.0
    async with playing(app, opener, (100, 40)) as play:
        await play.ask_and_hold()
        words = seen(play)
        await play.press("f2")
        play.engine.let_go()
        await play.idle()
        words += seen(play)
        await play.press("alt+up", "up", "enter", "up")
        words += seen(play)
        view = play.turn.query_one(TraceText)
        view.find("it")
        view.show_hit(0)
        await play.pilot.pause()
        words += seen(play)
    assert {"⟦", "❯", "▸"} <= {word.text for word in words}
    assert not [(word, word.contrast(colours)) for word in words if word.contrast(colours) < least]
