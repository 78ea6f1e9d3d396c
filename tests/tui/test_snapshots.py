"""Pictures of the screens. A change of looks is seen here, and accepted with --snapshot-update.

The engine recites, the clocks stand still, no cursor blinks: the same picture each time.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, TextArea

from ponder import paths
from ponder.errors import EngineError, NotAModel
from ponder.history.store import History
from ponder.library import telling
from ponder.library.local import builtin_path
from ponder.library.stopping import Stop
from ponder.library.watching import Planned, Receiving
from ponder.settings import TuiSettings
from ponder.tui import jobs
from ponder.tui.app import PonderApp
from ponder.tui.progress import Told
from ponder.tui.screens.diff import DiffScreen
from ponder.tui.screens.history import WIDE, HistoryScreen
from ponder.tui.screens.models import ModelScreen
from ponder.tui.screens.quants import QuantScreen
from ponder.tui.screens.writing import WriteScreen
from ponder.types import Author, Budget, Channel, Sampling, Span
from ponder_quantize.events import Noted, Quantizing
from tui.play import Play, shown
from tui.screenshot import painted
from tui.stage import GUARD, NOON, SECOND, Opener, staged, typed

Scene = Callable[[Play], Awaitable[None]]
Compare = Callable[..., bool]
GB = 1_000_000_000
SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=lambda size: f"{size[0]}")
THREE = pytest.mark.parametrize(
    "size", [(80, 24), (200, 50), (40, 24)], ids=lambda size: f"{size[0]}"
)


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No cursor blinks, and it is the same time in all places."""
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _: None)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def shows(snap_compare: Compare) -> Callable[..., bool]:
    """Plays a scene, and compares what is on the screen at its end."""

    def compare(
        opener: Opener, scene: Scene, size: tuple[int, int], tui: TuiSettings | None = None
    ) -> bool:
        app: PonderApp = staged(opener, tui=tui)

        async def play(pilot: Pilot[int]) -> None:
            playing = Play(app, pilot, opener)
            await playing.loaded()
            await scene(playing)

        try:
            return snap_compare(app, terminal_size=size, run_before=play)
        finally:
            app.close()

    return compare


async def nothing(play: Play) -> None:
    """Just look."""


async def answered(play: Play) -> None:
    await play.ask_and_hold()
    play.engine.let_go()
    await play.idle()


async def cut_short(play: Play, keys: tuple[str, ...]) -> None:
    """Press keys while it thinks, and ask for the answer later."""
    await play.ask_and_hold()
    await play.press(*keys)
    play.engine.let_go(60)
    await play.held()
    await play.press("f2")
    play.engine.let_go()
    await play.idle()


@SIZES
def test_empty(shows: Compare, size: tuple[int, int]) -> None:
    assert shows(Opener(), nothing, size)


@SIZES
def test_thinking_with_a_wait_asked_for(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await play.ask_and_hold()
        await play.press("f4")
        play.engine.let_go(20)
        await play.held()

    assert shows(Opener(second=SECOND, hold_at=30), scene, size)


@SIZES
def test_folded_while_it_thinks(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await play.ask_and_hold()
        await play.press("ctrl+t", "ctrl+t")
        await play.send("And in raspberry?")

    assert shows(Opener(hold_at=40), scene, size)


@SIZES
def test_answered(shows: Compare, size: tuple[int, int]) -> None:
    assert shows(Opener(hold_at=30), answered, size)


def test_answered_in_light_colours(shows: Compare) -> None:
    tui = TuiSettings(theme="ponder-light")
    assert shows(Opener(hold_at=30), answered, (80, 24), tui)


@SIZES
def test_answered_unfolded_with_forced_text(shows: Compare, size: tuple[int, int]) -> None:
    opener = Opener(second=SECOND, hold_at=30)
    assert shows(opener, partial(cut_short, keys=("f4", "ctrl+t")), size)


@SIZES
def test_answered_and_why(shows: Compare, size: tuple[int, int]) -> None:
    opener = Opener(second=SECOND, hold_at=30)
    assert shows(opener, partial(cut_short, keys=("f4", "f3", "f5")), size)


@SIZES
def test_budget(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await play.press("ctrl+b")

    assert shows(Opener(), scene, size)


@SIZES
def test_failed(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await play.ask_and_hold()
        play.engine.fail(
            EngineError("The GPU has no memory left.", "Choose a smaller model with ctrl+o.")
        )
        await play.idle()

    assert shows(Opener(hold_at=40), scene, size)


@SIZES
def test_without_a_model(shows: Compare, size: tuple[int, int]) -> None:
    opener = Opener()
    opener.refusals["r1-7b"] = NotAModel(
        "r1-7b is not on this machine.", "Fetch it: curl -L --fail -o models/r1-7b.gguf URL"
    )
    assert shows(opener, nothing, size)


@SIZES
def test_a_wrong_budget(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await play.press("ctrl+b")
        await typed(play.pilot, "lots")
        await play.press("enter")

    assert shows(Opener(), scene, size)


@pytest.fixture
def somewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialogs name folders and what is free there, and a picture must not."""
    monkeypatch.chdir(home.parent)
    monkeypatch.setenv("PONDER_HOME", "ponder-home")
    monkeypatch.setenv("HF_HUB_CACHE", "hub")
    usage = shutil.disk_usage("/")._replace(free=120_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)


async def listed(play: Play) -> None:
    """Open the list of models, and wait until everything is told."""
    await play.press("ctrl+o")
    await play.until(lambda: isinstance(play.app.screen, ModelScreen))
    # The catalogue grows; this part of it stays.
    await typed(play.pilot, "r1-7")
    dialog = play.dialog(ModelScreen)
    await play.until(lambda: len(dialog.advised.advice) + len(dialog.advised.unknown) > 10)


@pytest.mark.usefixtures("somewhere")
@SIZES
def test_models(shows: Compare, size: tuple[int, int]) -> None:
    models = paths.models_dir()
    models.mkdir(parents=True)
    tiny = builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes()
    (models / "r1-7b.gguf").write_bytes(b"GGUF")
    (models / "my-finetune-of-r1-7b-for-chess.gguf").write_bytes(tiny)

    async def scene(play: Play) -> None:
        await listed(play)
        await play.press("down", "down", "down")

    assert shows(Opener(), scene, size)


@pytest.mark.usefixtures("somewhere")
@THREE
def test_quants(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await listed(play)
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))

    assert shows(Opener(), scene, size)


@pytest.mark.usefixtures("somewhere")
@THREE
def test_fetching(shows: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.Rates, "rate", lambda _self, _what, _done: 12.3e6)
    over = threading.Event()

    def work(stop: Stop[Told]) -> jobs.Outcome:
        file = "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M"
        repository = "bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF"
        stop.tell(Planned(file, repository, "0123456789ab", 1, 4_683_073_184, 0))
        stop.tell(Receiving(f"{file}.gguf", 2_013_721_469, 4_683_073_184))
        over.wait(GUARD)
        return jobs.Outcome("")

    async def scene(play: Play) -> None:
        play.app.begin(jobs.Job("fetch", "r1-7b:Q4_K_M", work))
        play.app.begin(jobs.fetch("r1-1.5b:Q4_K_M"))
        await play.until(lambda: "43%" in play.status)
        await listed(play)
        play.app.jobs.waiting.clear()

    try:
        assert shows(Opener(), scene, size)
    finally:
        over.set()


@pytest.mark.usefixtures("somewhere")
@THREE
def test_quants_to_make(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await listed(play)
        play.dialog(ModelScreen).query_one(Input).value = "s1-32b"
        await play.pilot.pause()
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))

    assert shows(Opener(), scene, size)


@pytest.mark.usefixtures("somewhere")
@THREE
def test_making(shows: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.Rates, "rate", lambda _self, _what, _done: 12.3e6)
    over = threading.Event()

    def work(stop: Stop[Told]) -> jobs.Outcome:
        shards = [f"model-{number:05}-of-00014.safetensors" for number in (1, 2, 3)]
        stop.tell(Planned("s1-32b-Q4_K_M", "simplescaling/s1-32B", "0123456789ab", 14, 65 * GB, 0))
        for shard in shards:
            stop.tell(Receiving(shard, 5 * GB, 5 * GB))
        stop.tell(Quantizing(2 * GB, 20 * GB, 8 * GB, 65 * GB, "blk.3.ffn_up.weight"))
        stop.tell(Noted("48 tensors get another type than the recipe's: Q5_0 for Q4_K."))
        over.wait(GUARD)
        return jobs.Outcome("")

    async def scene(play: Play) -> None:
        play.app.begin(jobs.Job("quantize", "s1-32b:Q4_K_M", work))
        play.app.begin(jobs.fetch("r1-1.5b:Q4_K_M"))
        await play.until(lambda: "quantizing s1-32b 12%" in play.status)
        await listed(play)
        play.app.jobs.waiting.clear()

    try:
        assert shows(Opener(), scene, size)
    finally:
        over.set()


@pytest.mark.usefixtures("somewhere")
@SIZES
def test_fetching_failed(
    shows: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stop, "sleep", lambda _self, _seconds: None)

    async def scene(play: Play) -> None:
        await listed(play)
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, QuantScreen))
        await play.press("enter")
        await play.until(lambda: play.app.jobs.current is not None and play.app.jobs.current.over)

    assert shows(Opener(), scene, size)


def remember_four() -> None:
    told = [
        ("How heavy is a marble of lead?", "Lead has a density of 11.34 g/cm³.", "About 47 g."),
        ("Who discovered helium?", "Janssen and Lockyer; lead no further.", "Janssen."),
        ("Why is the sky blue?", "Rayleigh scattering.", "Short waves are scattered most."),
        ("How do I lead a meeting with people who never come on time?", "Hm.", "Begin on time."),
    ]
    with History(paths.history_file()) as history:
        for hours, (question, thought, answer) in enumerate(told):
            at = NOON - 36_000 * hours
            number = history.new_conversation(question, "r1-7b", "", at)
            turn = history.begin_turn(number, question, "r1-7b", Budget(), Sampling(), at)
            history.append(turn, [Span(Channel.THOUGHT, thought), Span(Channel.ANSWER, answer)])
        history.pin(2)


async def hits(play: Play) -> None:
    await play.press("ctrl+r")
    await play.until(lambda: isinstance(play.app.screen, HistoryScreen))
    await typed(play.pilot, "lead")
    dialog = play.dialog(HistoryScreen)
    await play.until(lambda: dialog.query_one(OptionList).option_count == 3)
    await play.press("down", "down", "space", "up", "up")
    if play.app.size.width >= WIDE:
        await play.until(lambda: "11.34" in shown(dialog.query_one("#text")))


@SIZES
def test_history_with_hits(shows: Compare, size: tuple[int, int]) -> None:
    remember_four()
    assert shows(Opener(), hits, size)


@SIZES
def test_history_in_light_colours(shows: Compare, size: tuple[int, int]) -> None:
    remember_four()
    assert shows(Opener(), hits, size, TuiSettings(theme="ponder-light"))


@pytest.mark.parametrize("theme", ["ponder-dark", "ponder-light"])
@SIZES
def test_two_thinkings_compared(shows: Compare, size: tuple[int, int], theme: str) -> None:
    said = [
        "The marble is a ball of 2 cm. Lead has 11.34 g/cm³.\n\nSo it is 47.5 g.",
        "The marble is a ball of 1 cm. Lead has 11.34 g/cm³.\n\nWait, is it hollow? No.",
    ]
    with History(paths.history_file()) as history:
        for hours, thought in enumerate(said):
            at = NOON - 36_000 * hours
            number = history.new_conversation(f"Marble {hours + 1}", "r1-7b", "", at)
            turn = history.begin_turn(number, "How heavy?", "r1-7b", Budget(), Sampling(), at)
            history.append(turn, [Span(Channel.THOUGHT, thought)])
            history.append(turn, [Span(Channel.THOUGHT, "\n\nWait", Author.WAIT)])

    async def scene(play: Play) -> None:
        await play.press("ctrl+r")
        await play.until(lambda: isinstance(play.app.screen, HistoryScreen))
        listed = play.dialog(HistoryScreen).query_one(OptionList)
        await play.until(lambda: listed.option_count == 2)
        await play.press("down", "space", "space", "d")
        await play.until(lambda: isinstance(play.app.screen, DiffScreen))
        rows = play.dialog(DiffScreen).query_one("#rows")
        await play.until(lambda: "hollow" in str(rows.render()))

    assert shows(Opener(), scene, size, TuiSettings(theme=theme))


@SIZES
def test_exporting(shows: Compare, size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await answered(play)
        await play.press("alt+e")
        await play.until(lambda: isinstance(play.app.screen, WriteScreen))
        await play.press("down", "down")

    assert shows(Opener(hold_at=30), scene, size)


async def test_the_picture_in_the_readme_is_true() -> None:
    kept = Path(__file__).parents[2] / "docs" / "chat.svg"
    assert kept.read_text("utf-8") == await painted(), "The chat looks otherwise: make screenshot"
