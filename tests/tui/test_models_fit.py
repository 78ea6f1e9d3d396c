"""What fits on this machine, in the list of models: the shell's words, and at nobody's cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from textual.widgets import OptionList

from ponder.cli import run
from ponder.library import bandwidth, fit
from ponder.library.fit import Machine
from ponder.settings import EngineSettings
from ponder.tui.screens.models import ModelScreen
from tui.play import Play, painted, playing, shown
from tui.stage import Opener, staged


def rows(play: Play) -> list[str]:
    """The list, as far as it is known."""
    options = play.dialog(ModelScreen).query_one(OptionList).options
    return [str(option.prompt).replace("●", " ") for option in options]


async def advised(play: Play) -> list[str]:
    """Open the list, and wait until everything is told."""
    await play.press("ctrl+o")
    await play.until(lambda: isinstance(play.app.screen, ModelScreen))
    await play.until(lambda: not any("…" in row for row in rows(play)))
    return rows(play)


async def test_it_is_what_the_shell_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "--ctx", "16384", "--kv-type", "q8_0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {line.split()[0]: line for line in lines if line.strip()}
    opener = Opener()
    app = staged(opener)
    engine = EngineSettings(ctx=16384, kv_type_k="q8_0", kv_type_v="q8_0")
    app.settings = msgspec.structs.replace(app.settings, engine=engine)
    async with playing(app, opener, (80, 40)) as play:
        found = await advised(play)
        assert len(found) > 8
        for row in found:
            name, figures = row.split()[0], row.split("here", 1)[1]
            assert set(figures.split()) <= set(told[name].split())


async def test_it_is_told_for_the_size_of_the_screen() -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        assert any("not here" in row and "-Qwen-1.5B" in row for row in await advised(play))
        await play.pilot.resize_terminal(40, 24)
        await play.until(lambda: "not here" not in rows(play)[1])
        (small,) = (row for row in rows(play) if "r1-1.5b" in row)
        assert small.split() == ["r1-1.5b", "CPU"]
        assert "r1-1.5b" in painted(play.app)


async def test_the_model_that_would_make_room_is_reckoned_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(free=12 << 30, total=16 << 30, threads=4)
    free = [12 << 30]
    monkeypatch.setattr(fit, "this_machine", lambda: replace(machine, free=free[-1]))
    opener = Opener()
    opener.gate.clear()
    async with playing(staged(opener), opener, wait=False) as play:
        await play.until(lambda: bool(opener.opened))
        free.append(5 << 30)
        opener.gate.set()
        await play.loaded()
        assert play.app.footprint.machine() == machine
        free.append(4 << 30)
        assert play.app.footprint.machine().free == 11 << 30


async def test_memory_is_not_measured_while_a_model_thinks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = []

    def measure() -> float:
        measured.append(True)
        return 40e9

    monkeypatch.setattr(bandwidth, "measure", measure)
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await advised(play)
        assert not measured
        await play.press("escape")
        play.engine.let_go()
        await play.idle()
        await advised(play)
        await play.until(lambda: bool(measured))
        options = play.dialog(ModelScreen).query_one(OptionList)
        options.highlighted = next(at for at, row in enumerate(rows(play)) if "r1-8b" in row)
        await play.until(lambda: "tok/s" in shown(play.app.screen.query_one("#about")))


async def test_what_cannot_be_told_says_why(home: Path) -> None:
    opener = Opener()
    app = staged(opener)
    engine = EngineSettings(kv_type_k="q9")
    app.settings = msgspec.structs.replace(app.settings, engine=engine)
    async with playing(app, opener) as play:
        await play.press("ctrl+o")
        await play.until(lambda: any("KV cache type 'q9'" in notice for notice in play.notices))
        assert "r1-1.5b" in painted(play.app)
