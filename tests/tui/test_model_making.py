"""Models that are made from the chat, of a checkpoint that comes from a real hub: shown, stopped,
gone on with, checked, removed."""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path

import pytest
from textual.widgets import OptionList

from library import conftest as library
from library.hub_server import Hub
from ponder import hardware, paths
from ponder.library import hashing
from ponder.library import lock as locks
from ponder.tui import jobs, progress
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.screens.models import ModelScreen
from ponder.tui.screens.quants import QuantScreen
from ponder_quantize.checkpoint import open_checkpoint
from ponder_quantize.pipeline import quantize
from ponder_quantize.plan import plan
from ponder_quantize.recipes import RECIPES
from quantize import checkpoints
from tui.models_play import Gate, ended, marked, work
from tui.play import Play, painted, playing, shown
from tui.stage import GUARD, Opener, staged

alone, hub = library.alone, library.hub
REPOSITORY = "tiny/Tiny-R1"
OWN = f"""
    [models.small]
    title = "Small"
    repository = "{REPOSITORY}"
    dialect = "plain"
    parameters = 0.0018
    context = 2048
    licences = ["MIT"]
    sampling = {{ temperature = 0.6, top_p = 0.95 }}
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
    [models.nowhere]
    title = "Nowhere"
    dialect = "plain"
    parameters = 0.001
    context = 2048
    licences = ["MIT"]
    sampling = {{ temperature = 0.6, top_p = 0.95 }}
"""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is told of, and shown."""
    monkeypatch.setattr(hashing, "_OFTEN", 0.0)
    monkeypatch.setattr(progress, "OFTEN", 0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in three shards."""
    return checkpoints.write("qwen2-bf16", tmp_path_factory.mktemp("made") / "Tiny-R1")


@pytest.fixture
def shards(hub: Hub, made: Path) -> list[Path]:
    """The checkpoint on the hub, and a catalogue of one's own that calls it `small`."""
    own = paths.user_catalogue()
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(OWN)
    publish(hub, made)
    return sorted(made.glob("*.safetensors"))


def publish(hub: Hub, folder: Path, **changed: bytes) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir()} | changed
    small = frozenset(name for name in files if not name.endswith(".safetensors"))
    hub.add(REPOSITORY, files, small=small)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def make(play: Play, name: str = "small") -> ModelScreen:
    """Mark one, and say twice that it is to be made."""
    dialog = await marked(play, name)
    await play.press("enter")
    await play.until(lambda: isinstance(play.app.screen, QuantScreen))
    await play.press("enter")
    await play.until(lambda: play.app.screen is dialog)
    return dialog


@pytest.fixture
def gate(hub: Hub, shards: list[Path]) -> Gate:
    """The hub says nothing any more in the middle of the second shard."""
    return Gate(hub, 600_000, sha256(shards[1]))


# -- making ---------------------------------------------------------------------------------------


async def test_a_model_is_made_checked_chosen_and_removed(
    hub: Hub, shards: list[Path], made: Path, tmp_path: Path
) -> None:
    quantize(plan(open_checkpoint(made), RECIPES["Q4_K_M"], ""), tmp_path / "expected.gguf")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await marked(play, "small")
        assert "makes it of its checkpoint" in shown(dialog.query_one("#about"))
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        screen = painted(play.app)
        for told in ("Make small", "Q8_0", "Q2_K", "CPU", "About 4 MB", "takes the processor"):
            assert told in screen
        assert hub.asked == []
        await play.press("enter")
        await ended(play, jobs.State.DONE)
        await play.until(lambda: "quantized" in shown(dialog.query_one("#about")))
        assert "small:Q4_K_M is here" in work(play)
        path = paths.models_dir() / "small-Q4_K_M.gguf"
        assert sha256(path) == sha256(tmp_path / "expected.gguf")
        await play.press("f5")
        await play.until(lambda: f"sha256 {sha256(path)} is right" in work(play))
        await play.press("f8")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        assert "small-Q4_K_M" in painted(play.app)
        await play.press("escape", "enter")
        await play.until(lambda: opener.opened == ["r1-7b", "small"])
        await play.loaded()
        await marked(play, "small")
        await play.press("f8")
        await play.until(lambda: any("is loaded" in notice for notice in play.notices))
        await play.press("escape")
        await marked(play, "ponder-tiny")
        await play.press("enter")
        await play.until(lambda: opener.opened[-1] == "ponder-tiny")
        await play.loaded()
        dialog = await marked(play, "small")
        await play.press("f8")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        await play.press("down", "enter")
        await play.until(lambda: "Not here" in shown(dialog.query_one("#about")))
        assert not path.exists()
        assert locks.read_all() == {}


async def test_what_is_made_already_is_not_offered_again(shards: list[Path]) -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (80, 40)) as play:
        dialog = await make(play)
        await play.until(lambda: "quantized" in shown(dialog.query_one("#about")))
        await play.press("f6")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        listed = play.dialog(QuantScreen).query_one(OptionList)
        offered = [str(option.prompt).split()[0] for option in listed.options]
        assert "Q5_K_M" in offered
        assert "Q4_K_M" not in offered
        await play.press("enter")
        await play.until(lambda: "small:Q8_0 is here" in work(play))
        await play.press("escape")
        # Whatever its files are called, it is one model.
        dialog = await marked(play, "small-Q")
        await play.until(lambda: dialog.query_one(OptionList).option_count == 1)
        await play.press("f6")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        await play.press("enter")
        await play.until(lambda: "small:Q6_K is here" in work(play))


async def test_a_repository_of_the_hub(shards: list[Path]) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await marked(play, f"{REPOSITORY}:q8_0")
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        assert "made of its checkpoint" in painted(play.app)
        await play.press("down", "enter")
        await ended(play, jobs.State.DONE)
        assert (paths.models_dir() / "Tiny-R1-Q8_0.gguf").exists()


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 24)], ids=lambda size: f"{size[0]}")
async def test_each_stage_is_shown_wherever_one_looks(gate: Gate, size: tuple[int, int]) -> None:
    opener = Opener()
    try:
        async with playing(staged(opener), opener, size) as play:
            await make(play)
            await play.until(lambda: "fetching small:Q4_K_M" in work(play))
            await play.until(lambda: any("quantizing   3" in line for line in lines(play)))
            assert ("file 2 of 3" in work(play)) == (size[0] > 40)
            for told in ("━", "/s", " of 4 MB"):
                assert told in work(play)
            assert all(len(line) <= size[0] for line in lines(play))
            await play.press("escape")
            assert "quantizing small 3" in play.status
            await play.ask()
            await marked(play, "small")
            assert "quantizing   3" in work(play)
            await play.press("escape")
            gate.open()
            await play.until(lambda: any("is here" in notice for notice in play.notices))
            assert "quantizing" not in play.status
    finally:
        gate.open()


def lines(play: Play) -> list[str]:
    return work(play).splitlines()


async def test_what_is_stopped_is_gone_on_from(hub: Hub, gate: Gate, shards: list[Path]) -> None:
    opener = Opener()
    try:
        async with playing(staged(opener), opener) as play:
            await make(play)
            await play.until(lambda: "quantizing   3" in work(play))
            await play.press("f7")
            # Though the hub is silent.
            await ended(play, jobs.State.STOPPED)
            assert "stopped at " in work(play)
            assert "What is done is kept" in work(play)
            assert not gate.opened
            assert locks.read_all() == {}
            gate.open()
            await play.press("escape")
            before = len(hub.bodies())
            await make(play)
            await ended(play, jobs.State.DONE)
            # What the first shard became is there.
            assert {asked.path for asked in hub.bodies()[before:]} <= {
                f"/cdn/{sha256(shard)}" for shard in shards[1:]
            }
            assert all(lock.here for lock in locks.read_all().values())
    finally:
        gate.open()


async def test_leaving_ends_it_and_what_is_done_is_kept(gate: Gate) -> None:
    opener = Opener()
    try:
        async with playing(staged(opener), opener) as play:
            await make(play)
            await play.until(lambda: "quantizing   3" in work(play))
            await play.press("ctrl+q")
        assert play.saved
        assert not gate.opened
        assert [path.name for path in paths.models_dir().glob("*.gguf*part")]
        assert not list(paths.models_dir().glob("*.gguf"))
        # Nobody works any more: a program that ends waits for such threads.
        workers = [t for t in threading.enumerate() if t.name.startswith("quantize")]
        for worker in workers:
            worker.join(GUARD)
        assert not any(worker.is_alive() for worker in workers)
    finally:
        gate.open()


async def test_a_core_is_left_to_the_model(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cores", lambda: 6)
    opener = Opener()
    try:
        async with playing(staged(opener), opener) as play:
            await make(play)
            await play.until(lambda: "quantizing   3" in work(play))
            names = [thread.name for thread in threading.enumerate()]
            # And one that writes down what is done.
            assert len([name for name in names if name.startswith("quantize_")]) == 5 + 1
    finally:
        gate.open()


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("gated", ("is gated", "Accept them at")),
        ("gone", ("has no repository", "Check the name")),
        ("room", ("are needed on the disk", "Make room")),
        ("damaged", ("does not begin like a safetensors file", "owners would have to mend it")),
        ("unknown", ("GemmaForCausalLM", "Qwen2ForCausalLM")),
        ("pickle", ("which are programs", "Look for a repository")),
    ],
)
async def test_it_is_told_and_the_list_lives_on(
    hub: Hub,
    shards: list[Path],
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    words: tuple[str, ...],
) -> None:
    config = (made / "config.json").read_bytes()
    if why == "gated":
        hub.repositories[REPOSITORY].gated, hub.repositories[REPOSITORY].token = True, "secret"
    elif why == "gone":
        del hub.repositories[REPOSITORY]
    elif why == "room":
        usage = shutil.disk_usage("/")._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)
    elif why == "damaged":
        publish(hub, made, **{shards[1].name: b"\xff" * 2000})
    elif why == "unknown":
        other = config.replace(b"Qwen2ForCausalLM", b"GemmaForCausalLM")
        publish(hub, made, **{"config.json": other})
    else:
        hub.add(REPOSITORY, {"config.json": config, "pytorch_model.bin": b"PK"})
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await make(play)
        await ended(play, jobs.State.FAILED)
        for told in words:
            assert told in work(play)
        assert locks.read_all() == {}
        await play.press("escape")
        await play.ask()


async def test_where_the_checkpoint_is_nobody_knows(shards: list[Path]) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await marked(play, "nowhere")
        await play.press("enter")
        await play.until(lambda: any("does not say" in notice for notice in play.notices))


@pytest.mark.parametrize("switch", ["PONDER_OFFLINE", "HF_HUB_OFFLINE"])
async def test_offline_nothing_is_tried(
    hub: Hub, shards: list[Path], switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(switch, "1")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await marked(play, "small")
        await play.press("enter")
        await play.until(lambda: any("nothing is fetched" in notice for notice in play.notices))
        assert play.app.screen is dialog
        assert hub.asked == []
