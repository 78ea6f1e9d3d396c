"""Models that other programs keep on this machine: found, and used where they are.

Knows where the Hugging Face cache, Ollama, LM Studio and llama.cpp keep theirs. Looks only:
nothing here is ever changed, and what cannot be read, or is odd, is passed over. Costs a walk
over some folders, bounded in depth and number, and four bytes of each file: the shell waits
for it when it completes a name.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ponder.library import hfcache
from ponder.library.naming import groups

Store = Literal["Hugging Face cache", "Ollama", "LM Studio", "llama.cpp"]

_MOST_LOOKED_AT = 20_000
"""Folder entries, of one store; more is no folder of models."""
_DEEPEST = 5
"""Folders below the top of a store."""
_LARGEST_MANIFEST = 1 << 18
_MODEL_LAYER = "application/vnd.ollama.image.model"
"""Of several layers in a manifest the weights (ollama, server/images.go)."""
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_DIGEST = re.compile(r"^sha256[:-]([0-9a-f]{64})$")
_OLLAMA_HOME = "registry.ollama.ai"
_TAGS: dict[str, Store] = {
    "hf": "Hugging Face cache",
    "ollama": "Ollama",
    "lmstudio": "LM Studio",
    "llama.cpp": "llama.cpp",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A model of somebody else's."""

    name: str
    """What its owner calls it, or its file; not unique."""
    path: Path
    store: Store
    sha256: str = ""
    """Where the store knows it: it calls the file so."""
    repository: str = ""
    """owner/name on the hub, where that is known."""

    @property
    def tag(self) -> str:
        """The store in short, to tell two of one name apart."""
        return next(tag for tag, store in _TAGS.items() if store == self.store)


def found() -> list[Found]:
    """All that others have here; a file that several stores lead to comes once."""
    seen: set[tuple[int, int]] = set()
    unique = []
    for finder in (_hugging_face, _ollama, _lm_studio, _llama_cpp):
        # One store may be on a disk that went away, or be odd in a way nobody thought of.
        with suppress(OSError, ValueError, RecursionError):
            for entry in finder():
                key = _identity(entry.path)
                if key is not None and key not in seen and entry.name.isprintable():
                    seen.add(key)
                    unique.append(entry)
    return unique


def folders() -> dict[str, Path]:
    """Where is looked, by what it is called."""
    return {
        "Hugging Face cache": hfcache.cache_dir(),
        "Ollama": _ollama_dir(),
        **{f"LM Studio {n}".removesuffix(" 1"): p for n, p in enumerate(_lm_studio_dirs(), 1)},
        "llama.cpp": _llama_cpp_dir(),
    }


def _hugging_face() -> Iterator[Found]:
    cache = hfcache.cache_dir()
    for folder in _entries(cache):
        kind, _, rest = folder.name.partition("--")
        if kind != "models" or "--" not in rest:
            continue
        repository = rest.replace("--", "/", 1)
        seen: set[str] = set()
        snapshots = Path(folder.path) / "snapshots"
        for revision in sorted(_entries(snapshots), key=lambda e: _newest(e.path), reverse=True):
            for found in _in_folder(Path(revision.path), "Hugging Face cache", repository):
                if found.sha256 not in seen or not found.sha256:
                    seen.add(found.sha256)
                    yield found


def _ollama() -> Iterator[Found]:
    top = _ollama_dir()
    manifests = top / "manifests"
    for path in _files(manifests, _DEEPEST):
        parts = path.relative_to(manifests).parts
        if len(parts) < 4:
            continue
        sha256 = _model_of(path)
        if not sha256:
            continue
        for form in ("sha256-", "sha256:"):
            blob = top / "blobs" / (form + sha256)
            if _is_gguf(blob):
                host, *names, tag = parts
                if names[0] == "library" and host == _OLLAMA_HOME:
                    names = names[1:]
                where = [] if host == _OLLAMA_HOME else [host]
                yield Found(f"{'/'.join([*where, *names])}:{tag}", blob, "Ollama", sha256)
                break


def _model_of(manifest: Path) -> str:
    """The sha256 of the weights that a manifest names; empty if it names not just one."""
    try:
        with manifest.open("rb") as file:
            told = json.loads(file.read(_LARGEST_MANIFEST))
        digests = [
            layer["digest"] for layer in told["layers"] if layer.get("mediaType") == _MODEL_LAYER
        ]
        match = _DIGEST.match(digests[0]) if len(digests) == 1 else None
        return match[1] if match else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _lm_studio() -> Iterator[Found]:
    for folder in _lm_studio_dirs():
        yield from _in_folder(folder, "LM Studio")


def _llama_cpp() -> Iterator[Found]:
    yield from _in_folder(_llama_cpp_dir(), "llama.cpp")


def _in_folder(folder: Path, store: Store, repository: str = "") -> Iterator[Found]:
    """Models below a folder, those that are whole; of a split one its first part."""
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder, _DEEPEST)}
    for group in groups(files):
        first = files[group.files[0]]
        if not group.missing and all(_is_gguf(files[file]) for file in group.files):
            yield Found(group.stem, first, store, _named_by_hash(first), repository)


def _named_by_hash(path: Path) -> str:
    """The sha256 that a link of the Hugging Face cache leads to; empty if it is none."""
    try:
        name = Path(os.readlink(path)).name  # noqa: PTH115
    except OSError:
        return ""
    return name if _SHA256.match(name) else ""


def _files(top: Path, depth: int) -> Iterator[Path]:
    """Files below a folder, links to files included; links to folders are not followed."""
    left = _MOST_LOOKED_AT
    below = [(top, depth)]
    while below:
        folder, deep = below.pop()
        for entry in _entries(folder):
            left -= 1
            if left < 0:
                return
            if entry.is_dir(follow_symlinks=False):
                if deep > 1 and not entry.name.startswith("."):
                    below.append((Path(entry.path), deep - 1))
            elif not entry.name.startswith("."):
                yield Path(entry.path)


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder, in order; nothing if it cannot be read."""
    entries: list[os.DirEntry[str]] = []
    with suppress(OSError, ValueError), os.scandir(folder) as scan:
        for entry in scan:
            entries.append(entry)
            if len(entries) >= _MOST_LOOKED_AT:
                break
    return sorted(entries, key=lambda entry: entry.name)


def _is_gguf(path: Path) -> bool:
    """Whether a plain file begins like a GGUF; a pipe of that name is not even opened."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb", buffering=0) as file:
            return file.read(4) == b"GGUF"
    except (OSError, ValueError):
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _newest(path: str) -> float:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116
    except OSError:
        return 0.0


def _ollama_dir() -> Path:
    told = os.environ.get("OLLAMA_MODELS")
    return _home(told) if told else _home("~/.ollama/models")


def _lm_studio_dirs() -> tuple[Path, ...]:
    return _home("~/.lmstudio/models"), _home("~/.cache/lm-studio/models")


def _llama_cpp_dir() -> Path:
    """fs_get_cache_directory (llama.cpp, common/common.cpp)."""
    told = os.environ.get("LLAMA_CACHE")
    if told:
        return _home(told)
    if sys.platform == "darwin":
        return _home("~/Library/Caches/llama.cpp")
    if sys.platform == "win32":
        return _home(os.environ.get("LOCALAPPDATA") or "~/AppData/Local") / "llama.cpp"
    return _home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "llama.cpp"


def _home(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111
