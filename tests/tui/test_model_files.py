"""Models from the chat: fetched from a real hub, stopped, gone on with, checked, removed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import WeakFileLock
from textual.widgets import HelpPanel, Input, OptionList

from library.hub_server import Hub
from ponder import paths
from ponder.library import hashing
from ponder.library import lock as locks
from ponder.library.importing import import_
from ponder.library.local import builtin_path
from ponder.settings import TuiSettings
from ponder.tui import jobs, progress
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.screens.models import ModelScreen
from ponder.tui.screens.quants import QuantScreen
from ponder.tui.widgets.keys import KeyLine
from ponder.tui.widgets.work import WorkView
from tui.models_play import Gate, ended, marked, work
from tui.play import Play, painted, playing, shown
from tui.stage import Opener, staged

ANY, FILE = "someone/small-GGUF", "small-Q4_K_M.gguf"
DATA = builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes()
HALF = len(DATA) // 2


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is told of, and shown."""
    monkeypatch.setattr(hashing, "_OFTEN", 0.0)
    monkeypatch.setattr(progress, "OFTEN", 0.0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, which a catalogue of one's own calls `small`."""
    from huggingface_hub import close_session, constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "PONDER_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    own = paths.user_catalogue()
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(f"""
        [models.small]
        title = "Small"
        dialect = "plain"
        parameters = 0.01
        context = 2048
        licences = ["MIT"]
        sampling = {{ temperature = 0.6, top_p = 0.95 }}
        [models.small.ggufs.Q4_K_M]
        repository = "{ANY}"
        file = "{FILE}"
        sha256 = "{hashlib.sha256(DATA).hexdigest()}"
        [models.small.shape]
        architecture = "qwen2"
        checkpoint = "Qwen2ForCausalLM"
        hidden = 256
        layers = 8
        heads = 4
        kv_heads = 2
        head_dim = 64
        ffn = 1024
        vocabulary = 2048
        rope_theta = 10000.0
    """)
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add(ANY, {FILE: DATA})
        yield hub
        close_session()


@pytest.fixture
def gate(hub: Hub) -> Iterator[Gate]:
    gate = Gate(hub, HALF)
    yield gate
    gate.open()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub"


def partial(cache: Path) -> Path:
    (found,) = cache.rglob("*.incomplete")
    return found


async def fetch(play: Play, name: str = "small") -> ModelScreen:
    """Mark one, and say twice that it is to be fetched."""
    dialog = await marked(play, name)
    await play.press("enter")
    await play.until(lambda: isinstance(play.app.screen, QuantScreen))
    await play.press("enter")
    await play.until(lambda: play.app.screen is dialog)
    return dialog


# -- fetching -------------------------------------------------------------------------------------


async def test_a_model_is_fetched_and_chosen(hub: Hub) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await marked(play, "small")
        assert "Not here" in shown(dialog.query_one("#about"))
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        screen = painted(play.app)
        for told in ("Q4_K_M", "Q8_0", "CPU", "to fetch", "are free at", "pinned"):
            assert told in screen
        assert hub.asked == []
        await play.press("enter")
        await ended(play, jobs.State.DONE)
        await play.until(lambda: "pulled" in shown(dialog.query_one("#about")))
        assert "small:Q4_K_M is here" in work(play)
        await play.press("enter")
        await play.until(lambda: opener.opened == ["r1-7b", "small"])
        lock = locks.read(Path(FILE).stem)
        assert lock is not None
        assert lock.path.read_bytes() == DATA


async def test_progress_is_shown_wherever_one_looks(hub: Hub, gate: Gate) -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        await fetch(play)
        await play.until(lambda: " left" in work(play))
        for told in ("fetching small:Q4_K_M", "━", "%", " of ", "/s"):
            assert told in work(play)
        await play.press("escape")
        assert "fetching small" in play.status
        assert "%" in play.status
        await play.ask()
        await marked(play, "small")
        assert "fetching small:Q4_K_M" in work(play)
        await play.press("escape")
        gate.open()
        await play.until(lambda: any("is here" in notice for notice in play.notices))
        assert "fetching" not in play.status


async def test_what_is_stopped_is_gone_on_from(hub: Hub, gate: Gate, cache: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await fetch(play)
        await play.until(lambda: "%" in work(play))
        await play.press("f7")
        await play.until(lambda: "stopping" in work(play))
        gate.open()
        await ended(play, jobs.State.STOPPED)
        assert "What has come is kept" in work(play)
        came = partial(cache).stat().st_size
        assert 0 < came < len(DATA)
        before = len(hub.bodies())
        await play.press("escape")
        await fetch(play)
        await ended(play, jobs.State.DONE)
        assert [asked.start for asked in hub.bodies()[before:]] == [came]


async def test_leaving_ends_it_and_what_has_come_is_kept(hub: Hub, gate: Gate, cache: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await fetch(play)
        await play.until(lambda: "%" in work(play))
        await play.press("ctrl+q")
    assert play.saved
    assert DATA.startswith(partial(cache).read_bytes())
    assert not list(cache.rglob(f"snapshots/*/{FILE}"))


async def test_one_at_a_time_the_others_wait(hub: Hub, gate: Gate) -> None:
    hub.add("other/small-GGUF", {FILE: DATA[::-1]})
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await fetch(play)
        await play.until(lambda: "%" in work(play))
        dialog.query_one(Input).value = "other/small-GGUF:Q4_K_M"
        for _ in range(2):
            await play.pilot.pause()
            await play.press("enter")
            await play.until(lambda: isinstance(play.app.screen, QuantScreen))
            assert "before the first byte" in painted(play.app)
            await play.press("enter")
            await play.until(lambda: play.app.screen is dialog)
        assert any("on its way already" in notice for notice in play.notices)
        assert "then: other/small-GGUF:Q4_K_M" in work(play)
        gate.open()
        await play.until(lambda: len(locks.read_all()) == 2 and not play.app.jobs.running)
        assert not play.app.jobs.waiting
        assert all(lock.here for lock in locks.read_all().values())


@pytest.mark.parametrize("why", ["gated", "gone", "room", "wrong"])
async def test_what_goes_wrong_is_told_and_the_list_lives_on(
    hub: Hub, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "gated":
        hub.repositories[ANY].gated, hub.repositories[ANY].token = True, "secret"
    elif why == "gone":
        del hub.repositories[ANY]
    elif why == "wrong":
        hub.fault("/cdn/", times=9, wrong=True)
    else:
        usage = shutil.disk_usage("/")._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)
    words = {
        "gated": ("is gated", "Accept them at"),
        "gone": ("has no repository", "Check the name"),
        "room": ("has room for", "Make room"),
        "wrong": ("was wrong twice", "Try another"),
    }[why]
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await fetch(play)
        await ended(play, jobs.State.FAILED)
        for told in words:
            assert told in work(play)
        assert locks.read_all() == {} or why == "wrong"
        await play.press("escape")
        await play.ask()
        await marked(play, "small")
        assert not play.dialog(ModelScreen).query_one(WorkView).display


async def test_what_goes_wrong_is_told_though_the_next_one_follows(hub: Hub, gate: Gate) -> None:
    hub.fault("/cdn/", times=2, wrong=True)
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await fetch(play)
        await play.until(lambda: "%" in work(play))
        play.app.begin(jobs.fetch(f"{ANY}:Q4_K_M"))
        gate.open()
        await play.until(lambda: any("was wrong twice" in notice for notice in play.notices))
        await play.until(lambda: f"{ANY}:Q4_K_M is here" in work(play))
        assert play.app.screen is dialog


async def test_another_pull_is_waited_for(hub: Hub) -> None:
    held = paths.cache_dir() / "pulls" / f"{Path(FILE).stem}.lock"
    held.parent.mkdir(parents=True)
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        with WeakFileLock(held):
            await fetch(play)
            await play.until(lambda: "another pull is at it" in work(play))
        await ended(play, jobs.State.DONE)


@pytest.mark.parametrize("switch", ["PONDER_OFFLINE", "HF_HUB_OFFLINE"])
async def test_offline_nothing_is_tried(
    hub: Hub, switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(switch, "1")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await marked(play, "small")
        assert f"{switch} is set" in shown(dialog.query_one("#about"))
        await play.press("enter")
        await play.until(lambda: any("nothing is fetched" in notice for notice in play.notices))
        assert play.app.screen is dialog
        assert hub.asked == []


# -- checking, removing ---------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A model of one's own, copied into the models folder."""
    source = tmp_path / "mine.gguf"
    source.write_bytes(DATA)
    return import_(source, how="copy").path


async def test_what_is_here_is_checked(mine: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await marked(play, "mine")
        await play.press("f5")
        await ended(play, jobs.State.DONE)
        assert f"sha256 {hashlib.sha256(DATA).hexdigest()} is right" in work(play)
        mine.write_bytes(DATA[:-1] + b"?")
        await play.press("f5")
        await ended(play, jobs.State.FAILED)
        assert "damaged" in work(play)
        assert "import it again" in work(play)


async def test_what_ponder_brought_can_be_removed(mine: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await marked(play, "mine")
        await play.press("f5")
        await ended(play, jobs.State.DONE)
        await play.press("f8")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        assert str(mine.name) in painted(play.app)
        await play.press("enter")
        await play.until(lambda: play.app.screen is dialog)
        assert mine.exists()
        await play.press("f8")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        await play.press("down", "enter")
        await play.until(lambda: dialog.query_one(OptionList).option_count == 0)
        assert not mine.exists()
        assert locks.read_all() == {}
        assert not dialog.query_one(WorkView).display


async def test_what_is_not_ponders_or_in_use_stays(mine: Path) -> None:
    opener = Opener()
    async with playing(staged(opener, model="mine"), opener) as play:
        await marked(play, "mine")
        await play.press("f8")
        await play.until(lambda: any("is loaded" in notice for notice in play.notices))
        await play.press("escape")
        await marked(play, "ponder-tiny")
        await play.press("f8")
        await play.until(lambda: any("ships with ponder" in notice for notice in play.notices))
        assert mine.exists()


# -- keys and mouse -------------------------------------------------------------------------------


async def test_keys_are_told_clicked_and_changed(mine: Path) -> None:
    opener = Opener()
    settings = TuiSettings(keys={"models-check": "ctrl+y"})
    async with playing(staged(opener, tui=settings), opener) as play:
        dialog = await marked(play, "mine")
        line = dialog.query_one(KeyLine).render_line(0).text
        for told in ("esc Close", "^y Check", "f8 Remove", "f1 Keys"):
            assert told in line
        assert "f7" not in line
        await play.pilot.click(KeyLine, offset=(line.index("^y"), 0))
        await ended(play, jobs.State.DONE)
        await play.press("f1")
        await play.until(lambda: bool(dialog.query(HelpPanel)))
        await play.press("f1")
        await play.until(lambda: not dialog.query(HelpPanel))


async def test_a_click_on_a_model_that_is_not_here_offers_it(hub: Hub) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await marked(play, "small")
        await play.pilot.click(OptionList, offset=(4, 0))
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        await play.pilot.click(OptionList, offset=(2, 0))
        await ended(play, jobs.State.DONE)
