"""What a trace came from: weights, template, engine, machine. Plain frozen words.

Kept with a turn from the moment it is asked; with its messages, its budget, its sampling and
what befell it, it is all that asking the same again needs. Nothing here reads a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class File:
    """A file of weights, as it lay there when it was loaded."""

    path: str
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""
    inode: int
    sha256: str = ""
    """Of its bytes; empty as long as nobody has read them all."""

    @property
    def name(self) -> str:
        """Without the folders that it lies in."""
        return self.path.replace("\\", "/").rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine and how it was set: what the last bits of a logit depend on."""

    version: str
    """Its binding: `llama-cpp-python 0.3.36`."""
    build: str
    """llama.cpp's commit, and the instruction sets that it uses."""
    n_ctx: int
    """Tokens that one sequence may hold."""
    n_seqs: int
    """Sequences that may be open at once."""
    batch: int
    """Tokens that one decode takes at most."""
    slice: int
    """Prompt tokens that are read in one step."""
    threads: int
    """For decoding."""
    prompt_threads: int
    """For reading prompts."""
    gpu_layers: int
    """Layers on GPUs; -1 is all of them."""
    kv_type_k: str
    kv_type_v: str
    flash_attention: str
    repacked: bool
    """Whether weights may be repacked for this processor (AMX and the like)."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What one turn came from."""

    ponder: str
    """Its version."""
    files: tuple[File, ...]
    """The weights; a split GGUF has several."""
    sample: str
    """Tells weights and adapters apart in a moment, as `measured.identity` does."""
    template: str
    """sha256 of the chat template."""
    dialect: str
    """Name of the way in which the model thinks."""
    words: str
    """sha256 of what that way puts into the model's mouth, and how it is recognised."""
    engine: Engine
    hardware: str
    prompt: str = ""
    """sha256 of the prompt's token ids."""
    left_out: int = 0
    """Earlier messages that the context had no room for."""
    traces: int = 1
    """Traces that were thought at once."""

    @property
    def weights(self) -> str:
        """The sha256 of the weights; of a split GGUF the first part's. Empty: not known."""
        return self.files[0].sha256 if self.files else ""

    def with_hashes(self, hashes: Iterable[str]) -> Provenance:
        """With what became known of its files since; empty hashes change nothing."""
        known = (
            replace(file, sha256=file.sha256 or found)
            for file, found in zip(self.files, hashes, strict=True)
        )
        return replace(self, files=tuple(known))


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was."""

    what: str
    then: str
    now: str
    decisive: bool
    """Whether another trace is to be expected, rather than feared."""


def digest(tokens: Sequence[int]) -> str:
    """sha256 of token ids, 32 bits each, little-endian."""
    return hashlib.sha256(b"".join(token.to_bytes(4, "little") for token in tokens)).hexdigest()


_NAMES = {
    "version": "llama-cpp-python",
    "build": "llama.cpp build",
    "n_ctx": "context",
    "n_seqs": "traces at once",
    "batch": "batch",
    "slice": "prompt slice",
    "threads": "threads",
    "prompt_threads": "threads for prompts",
    "gpu_layers": "layers on GPUs",
    "kv_type_k": "KV cache type of keys",
    "kv_type_v": "KV cache type of values",
    "flash_attention": "flash attention",
    "repacked": "repacked weights",
}
_DECISIVE = ("kv_type_k", "kv_type_v", "flash_attention")


def differences(then: Provenance, now: Provenance) -> list[Difference]:
    """What is not the same, by name: what decides the tokens first."""
    found = []

    def compare(what: str, old: object, new: object, decisive: bool) -> None:
        if old != new:
            found.append(Difference(what, str(old), str(new), decisive))

    if then.weights and now.weights:
        for old, new in zip(then.files, now.files, strict=False):
            compare(f"weights ({old.name})", old.sha256[:12], new.sha256[:12], True)
        compare("files of the weights", len(then.files), len(now.files), True)
    else:
        # Samples of the bytes: whoever has not read all of a file has read these.
        compare("weights and adapters", then.sample[:12], now.sample[:12], True)
    compare("chat template", then.template[:12], now.template[:12], True)
    compare("way of thinking", then.dialect, now.dialect, True)
    compare(f"words of {then.dialect}", then.words[:12], now.words[:12], True)
    compare("prompt", then.prompt[:12], now.prompt[:12], True)
    for field in fields(Engine):
        old, new = getattr(then.engine, field.name), getattr(now.engine, field.name)
        compare(_NAMES[field.name], old, new, field.name in _DECISIVE)
    compare("ponder", then.ponder, now.ponder, False)
    compare("machine", then.hardware, now.hardware, False)
    return found
