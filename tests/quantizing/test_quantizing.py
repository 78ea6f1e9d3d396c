"""A checkpoint of the hub becomes a model here while it comes: the same file as from a folder,
two shards on the disk, gone on with after whatever ended it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from library import conftest as library
from library.hub_server import Hub as Server
from ponder import paths, quantizing
from ponder.catalogue import Catalogue, catalogue
from ponder.errors import (
    BadCheckpoint,
    HubUnreachable,
    InputError,
    NoRoom,
    UnknownName,
    UnsupportedModel,
)
from ponder.library import lock as locks
from ponder.library.local import entries, find
from ponder.library.lock import Lock
from ponder.library.watching import Checked, Heading, Planned, Receiving
from ponder.quantizing import Event, Wish
from ponder_quantize.checkpoint import open_checkpoint
from ponder_quantize.pipeline import quantize
from ponder_quantize.plan import plan
from ponder_quantize.recipes import recipe
from quantize import checkpoints

alone, hub = library.alone, library.hub
REPOSITORY = "tiny/Tiny-R1"
SHIPPED = catalogue()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PONDER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Checkpoints in folders that are called as their repository is."""
    yield {
        name: checkpoints.write(name, tmp_path_factory.mktemp(name) / "Tiny-R1")
        for name in ("qwen2-bf16", "deepseek-fp8")
    }


def publish(server: Server, folder: Path, **changed: bytes | None) -> str:
    """Put a checkpoint on the hub."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, data in changed.items():
        files.pop(name, None)
        if data is not None:
            files[name] = data
    small = frozenset(name for name in files if not name.endswith(".safetensors"))
    return server.add(REPOSITORY, files, small=small)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def expected(folder: Path, quant: str, out: Path) -> str:
    """The hash of what a folder becomes."""
    quantize(plan(open_checkpoint(folder), recipe(quant), ""), out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def make(wish: Wish, told: list[Event] | None = None, known: Catalogue = SHIPPED) -> Lock | None:
    tell = told.append if told is not None else lambda _event: None
    with quantizing.opened(wish, known, tell, lambda _seconds: None) as found:
        return found.carry_out()


@pytest.mark.parametrize("name", ["qwen2-bf16", "deepseek-fp8"])
def test_what_comes_is_what_a_folder_gives(
    hub: Server, made: dict[str, Path], tmp_path: Path, name: str
) -> None:
    commit = publish(hub, made[name])
    told: list[Event] = []
    lock = make(Wish(f"{REPOSITORY}:Q4_K_M"), told)
    assert lock is not None
    assert lock.parts[0].sha256 == expected(made[name], "Q4_K_M", tmp_path / "out.gguf")
    assert lock.revision == commit
    assert find(f"{REPOSITORY}:q4_k_m", SHIPPED).path == lock.path
    # Nothing is left behind, and every shard came once.
    assert not (paths.cache_dir() / "checkpoints").exists() or not any(
        (paths.cache_dir() / "checkpoints").iterdir()
    )
    count = len(shards(made[name]))
    assert [e for e in told if isinstance(e, Heading)][-1] == Heading(count, count)
    last = {e.file: e for e in told if isinstance(e, Receiving)}
    assert all(e.done == e.size for e in last.values())


def test_no_more_than_two_shards_are_on_the_disk(hub: Server, made: dict[str, Path]) -> None:
    """Of a model whose layers lie in two shards each, as in R1."""
    publish(hub, made["deepseek-fp8"])
    most, guard = 0, threading.Lock()

    def look(path: str, _at: int) -> None:
        nonlocal most
        staged = paths.cache_dir() / "checkpoints"
        if path.startswith("/cdn/"):
            found = [*staged.rglob("model-*.safetensors"), *staged.rglob(".model-*.incomplete")]
            with guard:
                most = max(most, len(found))

    hub.pieces = look
    make(Wish(f"{REPOSITORY}:Q8_0"))
    assert 1 <= most <= 2


def test_it_goes_on_after_a_cut(hub: Server, made: dict[str, Path], tmp_path: Path) -> None:
    publish(hub, made["qwen2-bf16"])
    third = hashlib.sha256(shards(made["qwen2-bf16"])[2].read_bytes()).hexdigest()
    wish = Wish(f"{REPOSITORY}:Q6_K")
    with (
        pytest.raises(HubUnreachable),
        quantizing.opened(wish, SHIPPED, lambda _event: None, lambda _seconds: None) as found,
    ):
        hub.fault(f"/cdn/{third}", cut=0, times=100)
        found.carry_out()
    hub.faults.clear()
    asked = len(hub.bodies())
    told: list[Event] = []
    lock = make(wish, told)
    assert lock is not None
    assert lock.parts[0].sha256 == expected(made["qwen2-bf16"], "Q6_K", tmp_path / "out.gguf")
    # What was quantized is not fetched again.
    assert {a.path for a in hub.bodies()[asked:]} == {f"/cdn/{third}"}
    (planned,) = [e for e in told if isinstance(e, Planned)]
    assert planned.files == 1


def test_kills_at_any_moment_lose_nothing(
    hub: Server, made: dict[str, Path], tmp_path: Path, home: Path
) -> None:
    publish(hub, made["deepseek-fp8"])
    right = expected(made["deepseek-fp8"], "Q4_K_M", tmp_path / "out.gguf")
    command = [sys.executable, "-m", "ponder", "quantize", f"{REPOSITORY}:Q4_K_M", "--json"]
    rng = random.Random(5)
    seen = 0
    # Each piece that leaves the hub is a moment; so is each line that is told.
    for kill_at in [rng.randrange(1, 60) for _ in range(6)]:
        process = subprocess.Popen(
            command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        for number, _line in enumerate(process.stdout):
            if number >= kill_at:
                process.send_signal(signal.SIGKILL)
                seen += 1
                break
        process.stdout.close()
        process.wait()
        out = home / "models" / "Tiny-R1-Q4_K_M.gguf"
        assert not out.exists() or hashlib.sha256(out.read_bytes()).hexdigest() == right
        if process.returncode == 0:
            out.unlink()
            (home / "models" / "Tiny-R1-Q4_K_M.lock.json").unlink()
    assert seen
    done = subprocess.run([*command, "--force"], env=dict(os.environ), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(out.read_bytes()).hexdigest() == right


def test_shards_that_are_kept_are_used_again(hub: Server, made: dict[str, Path]) -> None:
    publish(hub, made["qwen2-bf16"])
    make(Wish(f"{REPOSITORY}:Q8_0", keep_source=True))
    sent = hub.sent()
    assert make(Wish(f"{REPOSITORY}:Q4_0")) is not None
    assert hub.sent() == sent
    # And then they go.
    assert not list((paths.cache_dir() / "checkpoints").rglob("*.safetensors"))


def test_a_file_elsewhere_gets_no_name_here(
    hub: Server, made: dict[str, Path], tmp_path: Path
) -> None:
    publish(hub, made["qwen2-bf16"])
    out = tmp_path / "mine.gguf"
    assert make(Wish(f"{REPOSITORY}:Q8_0", out=out)) is None
    assert hashlib.sha256(out.read_bytes()).hexdigest() == expected(
        made["qwen2-bf16"], "Q8_0", tmp_path / "out.gguf"
    )
    assert not list(paths.models_dir().glob("*"))


def test_a_shard_whose_index_lies_is_refused_before_it_comes(
    hub: Server, made: dict[str, Path]
) -> None:
    folder = made["qwen2-bf16"]
    index = (folder / "model.safetensors.index.json").read_bytes()
    names = [path.name.encode() for path in shards(folder)]
    lying = index.replace(names[0], b"@").replace(names[1], names[0]).replace(b"@", names[1])
    publish(hub, folder, **{"model.safetensors.index.json": lying})
    with pytest.raises(BadCheckpoint, match="index"):
        make(Wish(f"{REPOSITORY}:Q8_0"))
    assert not list(paths.models_dir().glob("*"))


@pytest.mark.parametrize(
    ("said", "error", "match"),
    [
        ("r1-1.5", UnknownName, "r1-1.5"),
        (f"{REPOSITORY}:Q9_K", UnknownName, "Q9_K"),
        (f"{REPOSITORY}:IQ2_XS", InputError, "importance matrix"),
    ],
)
def test_wrong_words(
    hub: Server, made: dict[str, Path], said: str, error: type[Exception], match: str
) -> None:
    publish(hub, made["qwen2-bf16"])
    with pytest.raises(error, match=match):
        make(Wish(said))
    assert hub.sent() == 0 or not list(paths.models_dir().glob("*"))


def test_an_architecture_that_is_not_known_is_told(hub: Server, made: dict[str, Path]) -> None:
    config = (made["qwen2-bf16"] / "config.json").read_bytes()
    other = config.replace(b"Qwen2ForCausalLM", b"GemmaForCausalLM")
    publish(hub, made["qwen2-bf16"], **{"config.json": other})
    with pytest.raises(UnsupportedModel, match="GemmaForCausalLM"):
        make(Wish(f"{REPOSITORY}:Q8_0"))


def test_room_is_looked_for_before_the_first_shard(
    hub: Server, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, made["qwen2-bf16"])
    usage = shutil.disk_usage("/")
    sizes = sorted(path.stat().st_size for path in shards(made["qwen2-bf16"]))
    with quantizing.opened(Wish(f"{REPOSITORY}:Q8_0"), SHIPPED, lambda _event: None) as found:
        need = sum(sizes[-2:]) + found.planned.layout.size
        before = hub.sent()
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=need - 1))
        with pytest.raises(NoRoom, match="two shards"):
            found.carry_out()
        assert hub.sent() == before
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=need))
        assert found.carry_out() is not None


def test_it_is_written_down_before_it_has_its_name(hub: Server, made: dict[str, Path]) -> None:
    """So that no kill leaves a model here that nobody knows the hash of."""
    publish(hub, made["qwen2-bf16"])
    wish = Wish(f"{REPOSITORY}:Q8_0")

    def leave(event: Event) -> None:
        if isinstance(event, Checked) and event.file.endswith(".gguf"):
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        quantizing.opened(wish, SHIPPED, leave) as found,
    ):
        found.carry_out()
    lock = locks.read("Tiny-R1-Q8_0")
    assert lock is not None
    assert not lock.here
    assert [e.name for e in entries(SHIPPED) if e.origin == "quantized"] == []
    again = make(wish)
    assert again is not None
    assert again.parts[0].sha256 == lock.parts[0].sha256
    assert again.here
