"""Files of this machine get a name: linked or copied, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from ponder.catalogue import catalogue
from ponder.errors import InputError, NoRoom, NotAModel
from ponder.library import lock as locks
from ponder.library.importing import import_
from ponder.library.keeping import removal, remove, verify
from ponder.library.local import builtin_path, entries, find

SHIPPED = catalogue()
TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")
How = Literal["copy", "link"]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A model of the user's."""
    return Path(shutil.copy(TINY, tmp_path / "mine-Q8_0.gguf"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint in two files."""
    folder = tmp_path / "Checkpoint"
    folder.mkdir()
    for name in ("a", "b"):
        safetensors(folder / f"model-{name}.safetensors", bytes(range(64)))
    weights = {"x": "model-a.safetensors", "y": "model-b.safetensors"}
    index = {"metadata": {}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "notes.doc").write_text("private")
    return folder


def safetensors(path: Path, data: bytes) -> None:
    told = {"x": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}
    header = json.dumps(told).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


@pytest.mark.parametrize("how", ["copy", "link"])
def test_a_gguf_gets_a_name(mine: Path, home: Path, how: How) -> None:
    lock = import_(mine, how=how)
    assert lock.name == "mine-Q8_0"
    entry = find("mine-Q8_0", SHIPPED)
    assert (entry.path, entry.origin) == (home / "models" / "mine-Q8_0.gguf", "imported")
    assert lock.path.is_symlink() == (how == "link")
    assert lock.parts[0].sha256 == hashlib.sha256(mine.read_bytes()).hexdigest()
    assert verify(lock)[0].right
    assert {path.name for path in (home / "models").iterdir()} == {
        "mine-Q8_0.gguf",
        "mine-Q8_0.lock.json",
    }
    remove(removal(lock))
    assert mine.is_file()
    assert list((home / "models").iterdir()) == []


def test_a_name_can_be_chosen(mine: Path, home: Path) -> None:
    assert import_(mine, "other").path == home / "models" / "other.gguf"
    assert find("other", SHIPPED).origin == "imported"


def test_a_name_of_the_catalogue_is_that_model(mine: Path) -> None:
    lock = import_(mine, "s1-32b")
    entry = find("s1-32b", SHIPPED)
    assert (entry.path, entry.model) == (lock.path, SHIPPED.models["s1-32b"])


def test_a_link_is_to_the_file_itself(mine: Path, tmp_path: Path, home: Path) -> None:
    link = tmp_path / "link-Q8_0.gguf"
    link.symlink_to(mine)
    lock = import_(link)
    link.unlink()
    assert lock.path.resolve() == mine


@pytest.mark.parametrize("part", [1, 2])
def test_split_files_come_together(mine: Path, home: Path, part: int) -> None:
    parts = [mine.with_name(f"big-Q8_0-0000{n}-of-00002.gguf") for n in (1, 2)]
    for path in parts:
        shutil.copy(mine, path)
    lock = import_(parts[part - 1], how="copy")
    assert lock.name == "big-Q8_0"
    assert lock.path == home / "models" / "big-Q8_0-00001-of-00002.gguf"
    assert len(lock.parts) == 2
    assert [e.name for e in entries(SHIPPED) if e.origin == "imported"] == ["big-Q8_0"]
    remove(removal(lock))
    assert list((home / "models").iterdir()) == []


@pytest.mark.parametrize("how", ["copy", "link"])
def test_a_checkpoint_comes_with_what_it_needs(checkpoint: Path, home: Path, how: How) -> None:
    lock = import_(checkpoint, how=how)
    assert lock.form == "safetensors"
    assert find("Checkpoint", SHIPPED).path == home / "models" / "Checkpoint"
    assert sorted(path.name for path in lock.path.iterdir()) == [
        "config.json",
        "model-a.safetensors",
        "model-b.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    assert all(verdict.right for verdict in verify(lock))
    remove(removal(lock))
    assert list((home / "models").iterdir()) == []
    assert len(list(checkpoint.iterdir())) == 6


def test_what_is_no_model_is_refused(tmp_path: Path, home: Path) -> None:
    for name, data, words in [
        ("a.gguf", b"not a model at all, by its first bytes", "not a GGUF"),
        ("b.gguf", b"GGUF\x03\0\0\0", "ends inside"),
        ("c.gguf", TINY.read_bytes()[:5000], "damaged"),
        ("d.bin", b"PK\x03\x04" + b"\0" * 100, "not a GGUF"),
        ("e-00001-of-00002.gguf", TINY.read_bytes(), "Parts are missing"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(NotAModel, match=words):
            import_(tmp_path / name)
    with pytest.raises(NotAModel, match="no file"):
        import_(tmp_path / "nothing.gguf")
    assert not (home / "models").exists()


@pytest.mark.parametrize(
    "name, data, words",
    [
        ("config.json", None, "config.json"),
        ("model-a.safetensors", None, "missing"),
        ("model-a.safetensors", b"", "no safetensors file"),
        ("model-a.safetensors", b"\xff" * 100, "no safetensors file"),
        ("model-a.safetensors", b"\x02" + b"\0" * 7 + b"[]", "no safetensors file"),
        ("model-a.safetensors", b"cut", "no safetensors file"),
        ("model.safetensors.index.json", b"{", "damaged"),
        ("model.safetensors.index.json", b"[]", "damaged"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused(
    checkpoint: Path, home: Path, name: str, data: bytes | None, words: str
) -> None:
    path = checkpoint / name
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    with pytest.raises(NotAModel, match=words):
        import_(checkpoint)
    assert not (home / "models").exists()


def test_a_truncated_weight_is_refused(checkpoint: Path) -> None:
    path = checkpoint / "model-b.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotAModel, match="not all of it"):
        import_(checkpoint)


def test_a_folder_of_ggufs_says_to_name_one(mine: Path) -> None:
    with pytest.raises(NotAModel) as refused:
        import_(mine.parent)
    assert mine.name in refused.value.hint


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", "a:b", "a b", "x" * 200, "a\n"])
def test_a_name_that_is_none_is_refused(mine: Path, name: str) -> None:
    with pytest.raises(InputError, match="no name"):
        import_(mine, name)


def test_a_name_that_is_taken_is_refused(mine: Path, home: Path) -> None:
    import_(mine)
    with pytest.raises(InputError, match="already"):
        import_(mine)
    (home / "models" / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="already"):
        import_(mine, "other")
    assert (home / "models" / "other.gguf").read_bytes() == b"GGUF"


def test_no_room_is_told_before_the_first_byte(
    mine: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10))
    with pytest.raises(NoRoom, match="do not fit"):
        import_(mine, how="copy")
    assert list((home / "models").iterdir()) == []
    assert import_(mine, how="link").path.is_symlink()


def test_a_disk_that_fills_up_leaves_nothing(
    mine: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_reader: object, writer: object, _block: int) -> None:
        writer.write(b"GGUF")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(NoRoom):
        import_(mine, how="copy")
    assert list((home / "models").iterdir()) == []
    assert locks.read_all() == {}
