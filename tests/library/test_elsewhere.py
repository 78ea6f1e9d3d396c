"""What other programs have is found where it is, used there, and never changed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from library.conftest import content
from ponder.catalogue import Catalogue, catalogue
from ponder.library.elsewhere import found
from ponder.library.local import entries, find

SHIPPED = catalogue()
DATA = content(2000)
OTHER = content(2000, 1)
DIGEST = hashlib.sha256(DATA).hexdigest()


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def cached(cache: Path, repository: str, file: str, data: bytes = DATA, commit: str = "a") -> Path:
    """A file as huggingface_hub keeps it."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    blob = put(folder / "blobs" / hashlib.sha256(data).hexdigest(), data)
    link = folder / "snapshots" / (commit * 40) / file
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return link


def ollama(root: Path, name: str, data: bytes = DATA) -> Path:
    """A model as Ollama keeps it."""
    digest = hashlib.sha256(data).hexdigest()
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"},
    ]
    manifest = json.dumps({"schemaVersion": 2, "layers": layers}).encode()
    put(root / "manifests" / name, manifest)
    return put(root / "blobs" / f"sha256-{digest}", data)


def listed() -> dict[str, tuple[str, Path | None]]:
    named = {entry.name: (entry.origin, entry.path) for entry in entries(SHIPPED)}
    return {name: told for name, told in named.items() if name not in SHIPPED.models}


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert found() == []


def test_each_store_is_found_and_used_in_place(tmp_path: Path, cache: Path) -> None:
    home = Path(os.environ["HOME"])
    paths = {
        "one-Q4_0": cached(cache, "a/b-GGUF", "one-Q4_0.gguf", content(100, 2)),
        "deepseek-r1:7b": ollama(
            tmp_path / "ollama", "registry.ollama.ai/library/deepseek-r1/7b", content(100, 3)
        ),
        "three-Q8_0": put(
            home / ".lmstudio" / "models" / "a" / "b" / "three-Q8_0.gguf", content(100, 4)
        ),
        "four-Q8_0": put(
            home / ".cache" / "lm-studio" / "models" / "a" / "four-Q8_0.gguf", content(100, 5)
        ),
        "a_b_five-Q4_0": put(tmp_path / "llama.cpp" / "a_b_five-Q4_0.gguf", content(100, 6)),
    }
    before = tree(tmp_path)
    assert listed() == {
        "one-Q4_0": ("Hugging Face cache", paths["one-Q4_0"]),
        "deepseek-r1:7b": ("Ollama", paths["deepseek-r1:7b"]),
        "three-Q8_0": ("LM Studio", paths["three-Q8_0"]),
        "four-Q8_0": ("LM Studio", paths["four-Q8_0"]),
        "a_b_five-Q4_0": ("llama.cpp", paths["a_b_five-Q4_0"]),
    }
    for name, path in paths.items():
        assert find(name, SHIPPED).path == path
    assert tree(tmp_path) == before


def test_a_pinned_model_is_recognised_in_ollamas_store(tmp_path: Path) -> None:
    blob = ollama(tmp_path / "ollama", "registry.ollama.ai/library/deepseek-r1/latest")
    known = Catalogue(f"""
        [dialects.plain]
        [models.small]
        title = "Small"
        dialect = "plain"
        parameters = 0.001
        context = 2048
        licences = ["MIT"]
        sampling = {{ temperature = 0.6, top_p = 0.95 }}
        ggufs.Q4_K_M = {{ repository = "a/b", file = "s.gguf", sha256 = "{DIGEST}" }}
    """)
    entry = find("small", known)
    assert (entry.path, entry.origin, entry.model) == (blob, "Ollama", known.models["small"])
    # One file, one name.
    assert [e.path for e in entries(known)] == [blob]


def test_a_file_of_the_cache_is_recognised_by_its_repository(cache: Path) -> None:
    gguf = SHIPPED.models["r1-7b"].gguf
    assert gguf is not None
    # Its blob is not what is pinned: the link says so.
    cached(cache, gguf.repository, gguf.name)
    assert next(e for e in entries(SHIPPED) if e.name == "r1-7b").path is None
    assert find(gguf.name.removesuffix(".gguf"), SHIPPED).origin == "Hugging Face cache"


def test_other_hosts_and_owners_of_ollama_keep_their_names(tmp_path: Path) -> None:
    ollama(tmp_path / "ollama", "hf.co/bartowski/X-GGUF/Q4_K_M", DATA)
    ollama(tmp_path / "ollama", "registry.ollama.ai/someone/thing/latest", OTHER)
    assert set(listed()) == {"hf.co/bartowski/X-GGUF:Q4_K_M", "someone/thing:latest"}
    assert find("hf.co/bartowski/X-GGUF:Q4_K_M", SHIPPED).origin == "Ollama"


def test_one_file_that_several_lead_to_comes_once(tmp_path: Path, cache: Path) -> None:
    link = cached(cache, "a/b", "one-Q4_0.gguf", commit="a")
    cached(cache, "a/b", "again-Q4_0.gguf", commit="b")
    (tmp_path / "llama.cpp").mkdir()
    (tmp_path / "llama.cpp" / "one.gguf").symlink_to(link)
    assert len(found()) == 1


def test_two_of_one_name_are_told_apart(tmp_path: Path, home: Path) -> None:
    mine = put(home / "models" / "one-Q4_0.gguf", OTHER)
    theirs = put(tmp_path / "llama.cpp" / "one-Q4_0.gguf")
    assert find("one-Q4_0", SHIPPED).path == mine
    assert find("one-Q4_0@llama.cpp", SHIPPED).path == theirs


def test_split_models_are_one_and_only_whole_ones_count(tmp_path: Path) -> None:
    folder = tmp_path / "llama.cpp"
    for n in (1, 2):
        put(folder / f"big-Q4_0-0000{n}-of-00002.gguf", content(100, n))
        put(folder / f"half-Q4_0-0000{n}-of-00003.gguf", content(100, 10 + n))
    assert listed() == {"big-Q4_0": ("llama.cpp", folder / "big-Q4_0-00001-of-00002.gguf")}


def test_what_is_no_model_is_passed_over(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "llama.cpp"
    good = put(folder / "good.gguf")
    put(folder / "mmproj-good.gguf", OTHER)
    put(folder / "text.gguf", b"no model")
    put(folder / "empty.gguf", b"")
    put(folder / "good.gguf.downloadInProgress", OTHER)
    put(folder / "a\nb.gguf", OTHER)
    (folder / "folder.gguf").mkdir()
    (folder / "gone.gguf").symlink_to(folder / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.gguf")
    put(cache / "models--a--b" / "snapshots", b"a file where a folder has to be")
    put(cache / "version.txt", b"1")
    assert [entry.path for entry in found()] == [good]


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"[]", b"3", b'{"layers": 3}', b'{"layers": [3]}', b'{"layers": [{}]}',
     b'{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}',
     b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": 3}]}',
     b'{"layers": [{"mediaType": "application/vnd.ollama.image.model",'
     b' "digest": "sha256:../../../../etc/passwd"}]}',
     b"[" * 100_000, b"\xff\xfe"],
)  # fmt: skip
def test_odd_manifests_are_passed_over(tmp_path: Path, manifest: bytes) -> None:
    ollama(tmp_path / "ollama", "registry.ollama.ai/library/good/1")
    put(tmp_path / "ollama/manifests/registry.ollama.ai/library/odd/1", manifest)
    assert list(listed()) == ["good:1"]


def test_a_manifest_without_its_blob_is_passed_over(tmp_path: Path) -> None:
    ollama(tmp_path / "ollama", "registry.ollama.ai/library/good/1").unlink()
    assert listed() == {}


def test_loops_of_links_do_not_hang_it(tmp_path: Path) -> None:
    folder = tmp_path / "llama.cpp"
    good = put(folder / "sub" / "good.gguf")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    assert [entry.path for entry in found()] == [good]


def test_a_huge_tree_is_not_walked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "llama.cpp"
    put(folder / "z" / "late.gguf")
    for n in range(40):
        put(folder / "y" / f"{n}.txt")
    monkeypatch.setattr("ponder.library.elsewhere._MOST_LOOKED_AT", 20)
    assert len(found()) <= 1
    deep = folder
    for _ in range(30):
        deep = deep / "d"
    put(deep / "deep.gguf")
    monkeypatch.undo()
    assert all(entry.name != "deep" for entry in found())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "llama.cpp"
    good = put(folder / "good.gguf")
    put(folder / "closed.gguf", OTHER).chmod(0)
    (folder / "closed").mkdir(mode=0)
    assert [entry.path for entry in found()] == [good]
