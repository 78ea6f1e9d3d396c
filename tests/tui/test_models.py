"""Models on the chat screen: listed, chosen, exchanged in mid-conversation, and not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from ponder import paths
from ponder.errors import EngineError, NotAModel
from ponder.tui.screens.models import ModelScreen
from tui.play import Play, painted, playing, shown
from tui.stage import ANSWER, Opener, staged, typed


@pytest.fixture
def seven(home: Path) -> Path:
    """r1-7b and a model of one's own are on this machine."""
    models = paths.models_dir()
    models.mkdir(parents=True)
    (models / "r1-7b.gguf").write_bytes(b"GGUF")
    (models / "mine.gguf").write_bytes(b"GGUF")
    return models


def names(play: Play) -> list[str]:
    """The models that are listed."""
    options = play.dialog(ModelScreen).query_one(OptionList).options
    return [str(option.prompt).replace("●", "").split()[0] for option in options]


async def opened(play: Play) -> ModelScreen:
    await play.press("ctrl+o")
    await play.until(lambda: isinstance(play.app.screen, ModelScreen))
    await play.pilot.pause()
    return play.dialog(ModelScreen)


async def test_what_is_here_is_listed_first_and_the_current_one_is_marked(seven: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        dialog = await opened(play)
        assert names(play)[:4] == ["ponder-tiny", "ponder-smol", "r1-7b", "mine"]
        assert "r1-1.5b" in names(play)
        highlighted = dialog.query_one(OptionList).highlighted_option
        assert highlighted is not None
        assert str(highlighted.prompt).startswith("● r1-7b")
        screen = painted(play.app)
        assert "built in" in screen
        assert "DeepSeek-R1-Distill-Qwen-1.5B" in screen


async def test_the_list_narrows_as_one_types(seven: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        await typed(play.pilot, "LLAMA")
        assert names(play) == ["r1-8b", "r1-70b"]
        dialog = play.dialog(ModelScreen)
        assert "ponder pull r1-8b" in shown(dialog.query_one("#about"))
        dialog.query_one(Input).value = "nothing like it"
        await play.pilot.pause()
        assert names(play) == []
        await play.press("enter")
        assert play.app.screen is dialog
        await play.press("escape")
        assert play.chatting
        assert opener.opened == ["r1-7b"]


async def test_another_model_takes_over_and_is_told_what_was_said(seven: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("First?")
        await opened(play)
        await typed(play.pilot, "mine")
        await play.press("enter")
        await play.until(lambda: opener.opened == ["r1-7b", "mine"])
        await play.loaded()
        assert play.status.rstrip().endswith("mine")
        assert opener.engines[0].shut
        assert not opener.engines[1].shut
        assert len(play.turns) == 1
        await play.ask("Second?")
        assert f"<user>First?<assistant>{ANSWER.strip()}<user>Second?" in play.prompts[-1]
        assert play.receipt.endswith("mine")
        assert [turn.model for turn in play.written()] == ["r1-7b", "mine"]


async def test_a_path_is_taken_as_it_is_typed(tmp_path: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await opened(play)
        dialog.query_one(Input).value = "/weights/other.gguf"
        await play.press("enter")
        await play.until(lambda: opener.opened == ["r1-7b", "/weights/other.gguf"])


async def test_the_same_model_again_loads_nothing(seven: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        await play.press("enter")
        await play.until(lambda: play.app.screen is play.chat)
        await play.pilot.pause()
        assert opener.opened == ["r1-7b"]


async def test_while_a_question_runs_the_model_stays(seven: Path) -> None:
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await opened(play)
        await typed(play.pilot, "mine")
        await play.press("enter")
        await play.until(lambda: play.app.screen is play.chat)
        await play.until(lambda: bool(play.notices))
        assert any("Stop the question first" in notice for notice in play.notices)
        assert opener.opened == ["r1-7b"]


async def test_one_that_does_not_load_leaves_the_earlier_one_in_place() -> None:
    opener = Opener()
    async with playing(staged(opener, model="/weights/first.gguf"), opener) as play:
        await play.ask("First?")
        opener.refusals["broken"] = NotAModel("broken is damaged.", "Fetch it again.")
        play.app.load_model("broken")
        await play.until(lambda: len(opener.opened) == 3)
        await play.loaded()
        assert opener.opened == ["/weights/first.gguf", "broken", "/weights/first.gguf"]
        assert any("broken is damaged.\nFetch it again." in notice for notice in play.notices)
        assert play.status.rstrip().endswith("first.gguf")
        await play.ask("Second?")
        assert "First?" in play.prompts[-1]


async def test_with_none_to_be_had_the_app_stays_and_says_what_to_do() -> None:
    opener = Opener()
    opener.refusals["r1-7b"] = EngineError("llama.cpp is broken here.", "Build it again.")
    async with playing(staged(opener), opener) as play:
        screen = painted(play.app)
        for told in ("llama.cpp is broken here.", "Build it again.", "ctrl+o", "ponder doctor"):
            assert told in screen
        assert "no model" in play.status
        await play.send("Anybody?")
        await play.until(lambda: bool(play.told))
        assert play.composer.text == "Anybody?"
        play.app.load_model("mine")
        await play.until(lambda: len(opener.opened) == 2)
        await play.loaded()
        assert "broken" not in painted(play.app)
        await play.press("enter")
        await play.until(lambda: len(play.told) == 3)
        assert "Anybody?" in play.prompts[-1]


async def test_when_neither_the_new_nor_the_earlier_one_loads_both_are_told() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        opener.refusals["broken"] = NotAModel("broken is damaged.", "Fetch it again.")
        opener.refusals["r1-7b"] = EngineError("r1-7b is gone.", "Look for it.")
        play.app.load_model("broken")
        await play.until(lambda: len(opener.opened) == 3)
        await play.loaded()
        assert any("broken is damaged" in notice for notice in play.notices)
        assert "r1-7b is gone." in painted(play.app)
        assert "no model" in play.status


async def test_another_choice_while_a_model_loads_wins_and_nothing_is_left_open() -> None:
    opener = Opener()
    opener.gate.clear()
    async with playing(staged(opener), opener, wait=False) as play:
        await play.until(lambda: opener.opened == ["r1-7b"])
        play.app.load_model("mine")
        await play.until(lambda: opener.opened == ["r1-7b", "mine"])
        assert play.app.loading_model
        assert "loading mine" in play.status
        opener.gate.set()
        await play.loaded()
        await play.until(lambda: opener.finished == 2)
        assert play.status.rstrip().endswith("mine")
        assert all(engine.shut for engine in opener.engines if engine is not play.asked)
        assert not any(engine.shut for engine in opener.engines if engine is play.asked)
        await play.ask()
        assert play.receipt.endswith("mine")


@pytest.mark.parametrize("size", [(80, 24), (120, 50)])
async def test_how_to_get_a_model_is_in_sight_below_the_list(size: tuple[int, int]) -> None:
    opener = Opener()
    async with playing(staged(opener), opener, size) as play:
        dialog = await opened(play)
        await play.press("down", "end")
        options, about = dialog.query_one(OptionList), dialog.query_one("#about")
        assert options.highlighted == options.option_count - 1
        assert "Not here." in shown(about)
        assert about.region.y >= options.region.bottom
        box = dialog.query_one(".dialog").content_region
        assert about.region.intersection(box) == about.region
        options.highlighted = names(play).index("r1-70b")
        await play.pilot.pause()
        assert "ponder pull r1-70b" in painted(play.app)
        assert about.region.intersection(box) == about.region


async def test_a_note_about_a_model_is_where_a_newcomer_looks() -> None:
    opener = Opener(note="arithmetic only")
    async with playing(staged(opener), opener) as play:
        assert "r1-7b: arithmetic only" in painted(play.app)


async def test_leaving_while_a_model_loads_ends_the_loading() -> None:
    opener = Opener()
    opener.gate.clear()
    async with playing(staged(opener), opener, wait=False) as play:
        await play.until(lambda: opener.opened == ["r1-7b"])
        await play.press("ctrl+q")
    assert play.saved
    assert opener.engines == []
