"""Models fetched in a real pseudo-terminal: left in mid-pull, gone on with, chosen, asked."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from e2e.terminal import GUARD, Terminal
from library.hub_server import Hub
from ponder.library.local import builtin_path

REPOSITORY, FILE = "someone/small-GGUF", "small-Q8_0.gguf"
DATA = builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes()
SHA256 = hashlib.sha256(DATA).hexdigest()
CTRL_O, CTRL_Q, F5 = "\x0f", "\x11", "\x1b[15~"
QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"


def chat(home: Path, hub: Hub, cache: Path) -> Terminal:
    terminal = Terminal(home, HF_ENDPOINT=hub.url, HF_HUB_CACHE=str(cache), HF_TOKEN="")
    terminal.until(lambda text: "ponder-tiny" in text.split("\n")[0])
    terminal.until(lambda text: "loading" not in text.split("\n")[0])
    terminal.send(CTRL_O)
    terminal.until("not here")  # what is typed before goes to the chat
    terminal.send("small")
    terminal.until("enter fetches it")
    terminal.send("\r")
    terminal.until("are free at")
    terminal.send("\r")
    return terminal


def wait(gate: threading.Event) -> None:
    gate.wait(GUARD)


def test_a_pull_outlives_the_chat_that_began_it(home: Path, tmp_path: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "models.toml").write_text(f"""
        [models.small]
        title = "Small"
        dialect = "tiny"
        parameters = 0.0084
        context = 2048
        licences = ["MIT"]
        sampling = {{ temperature = 0.6, top_p = 0.95 }}
        [models.small.ggufs.Q8_0]
        repository = "{REPOSITORY}"
        file = "{FILE}"
        sha256 = "{SHA256}"
    """)
    cache, gate = tmp_path / "hub", threading.Event()
    with Hub() as hub:
        hub.add(REPOSITORY, {FILE: DATA})
        hub.pieces = lambda _path, at: None if at < len(DATA) // 2 else wait(gate)
        first = chat(home, hub, cache)
        first.until(lambda _text: any(p.stat().st_size for p in cache.rglob("*.incomplete")))
        first.until(f" of {len(DATA) / 1e6:.0f} MB")
        first.send("\x1b")
        first.until(lambda text: "fetching small" in text.split("\n")[0])
        first.send(CTRL_Q)
        assert first.end() == 0
        gate.set()
        (partial,) = cache.rglob("*.incomplete")
        came = partial.stat().st_size
        assert 0 < came < len(DATA)
        assert not list(cache.rglob(f"snapshots/*/{FILE}"))

        second = chat(home, hub, cache)
        second.until("is here")
        assert [asked.start for asked in hub.bodies()] == [0, came]
        second.send(F5)
        second.until(SHA256)
        second.send("\r")
        second.until(lambda text: "small" in text.split("\n")[0] and "loading" not in text)
        second.send(QUESTION + "\r")
        second.until("closed: the model closed its thinking itself")
        second.send(CTRL_Q)
        assert second.end() == 0
