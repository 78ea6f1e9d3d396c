"""A Hugging Face checkpoint as a `Source`: its shards, held to its index and its config.

Everything that can be known without a weight is checked before one is read: that the shards
are there and what the index says of them, that they hold the tensors that the architecture
promises, in its shapes, and nothing else. The shards may also be on their way: their headers
are enough. Pickle is never opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gguf import GGMLQuantizationType, LlamaFileType

from ponder.errors import BadCheckpoint, UnsupportedModel
from ponder_quantize.architectures import Architecture, architecture_of
from ponder_quantize.config import read_json
from ponder_quantize.metadata import metadata
from ponder_quantize.shards import ShardHeader, Shards, Stored
from ponder_quantize.source import Entry
from ponder_quantize.vocabulary import Vocabulary
from ponder_quantize.weights import (
    CheckpointTensor,
    EncodedPart,
    Scales,
    Weights,
    readable,
)

_INDEX = "model.safetensors.index.json"
_SCALE = "_scale_inv"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_FILE_TYPES = {
    GGMLQuantizationType.F32: LlamaFileType.ALL_F32,
    GGMLQuantizationType.F16: LlamaFileType.MOSTLY_F16,
    GGMLQuantizationType.BF16: LlamaFileType.MOSTLY_BF16,
}
_OWN = {"BF16": GGMLQuantizationType.BF16, "F16": GGMLQuantizationType.F16}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that has been checked: a `Source`."""

    metadata: Sequence[Entry]
    """In the order in which the converter writes it."""
    tensors: Sequence[CheckpointTensor]
    """In no order that matters."""
    files: Sequence[str]
    """The shards that are needed, by name; one that holds only what is left out is not."""


def open_checkpoint(
    directory: Path, *, pre: str | None = None, name: str | None = None
) -> Checkpoint:
    """The checkpoint in a directory, with all its shards.

    Args:
        pre: llama.cpp's name of the pre-tokenizer, where it would not be recognized.
        name: what the directory would be called on the hub, where it is called otherwise; the
            model's own name and size label may come from it.

    Raises:
        BadCheckpoint: a file is missing or damaged, or they contradict each other.
        UnsupportedModel: an architecture, a vocabulary or numbers that cannot be converted.
        UnknownName: `pre` is no pre-tokenizer of llama.cpp.
    """
    headers = [ShardHeader.of(directory / file) for file in shard_names(directory)]
    return checkpoint_of(directory, headers, lambda file: directory / file, pre=pre, name=name)


def checkpoint_of(
    directory: Path,
    headers: Sequence[ShardHeader],
    locate: Callable[[str], Path],
    *,
    pre: str | None = None,
    name: str | None = None,
) -> Checkpoint:
    """A checkpoint whose shards may still be on their way.

    Args:
        directory: with everything but the shards.
        headers: of all shards that `shard_names` gives.
        locate: where a shard lies, asked whenever it is read; what lies there has to be the
            file that its header was taken from.
        pre: as of `open_checkpoint`.
        name: as of `open_checkpoint`.

    Raises:
        BadCheckpoint: as of `open_checkpoint`; of data that contradicts its header not before
            it is read.
        UnsupportedModel: as of `open_checkpoint`.
        UnknownName: as of `open_checkpoint`.
    """
    raw = read_json(directory / "config.json")
    architecture = architecture_of(raw)
    headers = sorted(headers, key=lambda header: header.file)
    stored = _stored(directory, headers)
    book = _Book(Shards(headers, locate), stored, _block(raw))
    names = book.check(architecture)
    own = _own_type(headers, [stored[name] for name in names])
    tensors = [
        _typed(name, shape, own, layouts)
        for name, shape, layouts in architecture.outputs(names, book.find)
    ]
    return Checkpoint(
        metadata(
            directory,
            name or directory.name or directory.resolve().name,
            architecture,
            Vocabulary(directory, architecture.vocabulary, pre),
            tensors,
            _FILE_TYPES[own],
        ),
        tensors,
        sorted(frozenset().union(*(part.needs for t in tensors for part in t.parts))),
    )


def shard_names(directory: Path) -> list[str]:
    """Names of all shards, by the index where there is one, sorted.

    Raises:
        BadCheckpoint: no checkpoint is there, or one that is pickled, or the index is damaged.
    """
    if (directory / _INDEX).exists():
        return sorted(set(_weight_map(directory).values()))
    try:
        found = sorted(path.name for path in directory.glob("model*.safetensors"))
        pickles = sorted(path.name for each in _PICKLES for path in directory.glob(each))
        there = any(directory.iterdir())
    except OSError as error:
        raise BadCheckpoint(f"{directory} cannot be read: {error.strerror}.") from error
    if found:
        return found
    if pickles:
        raise BadCheckpoint(
            f"{directory} has its weights as pickle ({pickles[0]}), which is never opened: "
            "reading it can run any program.",
            "Take the model's safetensors; most repositories have both.",
        )
    raise BadCheckpoint(
        f"{directory} {'has no model*.safetensors' if there else 'is empty'}.",
        "A checkpoint is a directory with config.json, tokenizer.json, "
        "tokenizer_config.json and *.safetensors, as on the hub.",
    )


def _weight_map(directory: Path) -> dict[str, str]:
    """Where the index says that each tensor is."""
    places = read_json(directory / _INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise BadCheckpoint(f"{_INDEX} has no weight_map.", "Fetch it again.")
    for tensor, file in places.items():
        # A name that leads elsewhere would be read, and deleted when it is done.
        plain = isinstance(file, str) and PurePosixPath(file).name == file and "\\" not in file
        if not plain or not file.endswith(".safetensors"):
            raise BadCheckpoint(f"{_INDEX} puts {tensor!r} into {file!r}, which is no shard.")
    return places


def _stored(directory: Path, headers: Iterable[ShardHeader]) -> dict[str, Stored]:
    """All tensors by name, in the converter's order, held to the index."""
    found: dict[str, Stored] = {}
    for header in headers:
        for name, tensor in header.tensors.items():
            if name in found:
                raise BadCheckpoint(
                    f"{name!r} is in {found[name].file} and in {header.file}.",
                    "Remove the shards that do not belong to this checkpoint.",
                )
            found[name] = tensor
    if not (directory / _INDEX).exists():
        return found
    places = _weight_map(directory)
    for name, file in places.items():
        if name not in found:
            raise BadCheckpoint(f"{_INDEX} puts {name!r} into {file}, and it is not there.")
        if found[name].file != file:
            raise BadCheckpoint(
                f"{_INDEX} puts {name!r} into {file}, and it is in {found[name].file}.",
                "Index and shards are not of one checkpoint. Fetch both again.",
            )
    for name, tensor in found.items():
        if name not in places:
            raise BadCheckpoint(
                f"{name!r} is in {tensor.file}, and {_INDEX} does not know it.",
                "Index and shards are not of one checkpoint. Fetch both again.",
            )
    return found


def _block(raw: dict[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of an FP8 block; none where nothing is quantized."""
    quantization = raw.get("quantization_config")
    if not quantization:
        return None
    method = quantization.get("quant_method") if isinstance(quantization, dict) else quantization
    block = quantization.get("weight_block_size") if isinstance(quantization, dict) else None
    if method != "fp8" or not isinstance(block, list) or len(block) != 2:
        raise UnsupportedModel(
            f"The weights of this checkpoint are quantized already ({str(method)[:40]}).",
            "Known: none, and FP8 in blocks, as DeepSeek-R1 has it. Take the original.",
        )
    tall, wide = block
    if type(tall) is not int or type(wide) is not int or tall < 1 or wide < 1:
        raise BadCheckpoint(f"weight_block_size in config.json is {block!r}.")
    return tall, wide


class _Book:
    """The stored tensors of a checkpoint, with the scales of those that are FP8."""

    def __init__(
        self, shards: Shards, stored: dict[str, Stored], block: tuple[int, int] | None
    ) -> None:
        self._shards = shards
        self._stored = stored
        self._block = block

    def check(self, architecture: Architecture) -> list[str]:
        """Names of the tensors that are written, in the converter's order."""
        wanted = dict(architecture.wanted())
        allowed = {**wanted, **dict(architecture.spare())}
        names = [
            name
            for name in self._stored
            if not architecture.dropped(name) and not self._is_scale(name)
        ]
        _compare(architecture, wanted.keys() - set(names), set(names) - allowed.keys())
        for name in names:
            if self._stored[name].shape != allowed[name]:
                raise BadCheckpoint(
                    f"{name!r} is {_times(self._stored[name].shape)}; config.json makes it "
                    f"{_times(allowed[name])}.",
                    "config.json and shards are not of one checkpoint.",
                )
            self._check_numbers(readable(self._stored[name]))
        return names

    def find(self, name: str) -> Weights:
        """The weights of that name."""
        tensor = self._stored[name]
        scales = None
        if self._block and name + _SCALE in self._stored:
            scales = Scales(self._stored[name + _SCALE], self._block)
        return Weights(self._shards, tensor, scales)

    def _is_scale(self, name: str) -> bool:
        base = name.removesuffix(_SCALE)
        return self._block is not None and base != name and base in self._stored

    def _check_numbers(self, tensor: Stored) -> None:
        scale = self._stored.get(tensor.name + _SCALE) if self._block else None
        if scale is None:
            if tensor.dtype == "F8_E4M3":
                raise BadCheckpoint(f"{tensor.name!r} is FP8 and has no {_SCALE[1:]}.")
            return
        tall, wide = self._block or (1, 1)
        shape = tensor.shape
        if (
            tensor.dtype != "F8_E4M3"
            or len(shape) != 2
            or readable(scale).shape != (-(-shape[0] // tall), -(-shape[1] // wide))
            or scale.dtype == "F8_E4M3"
        ):
            raise BadCheckpoint(
                f"{scale.name!r} ({scale.dtype}, {_times(scale.shape)}) is not the scales of "
                f"{tensor.name!r} ({tensor.dtype}, {_times(shape)})."
            )


def _compare(architecture: Architecture, missing: set[str], extra: set[str]) -> None:
    for names, told in ((missing, "has no"), (extra, f"has, beyond what {architecture.name} is,")):
        if names:
            first = ", ".join(sorted(names)[:3])
            more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
            raise BadCheckpoint(
                f"The checkpoint {told} {first}{more}.",
                "config.json and shards are not of one checkpoint, or a shard is missing.",
            )


def _own_type(headers: Iterable[ShardHeader], kept: Iterable[Stored]) -> GGMLQuantizationType:
    """The type of the file that llama.cpp's converter would write without losing anything.

    That of the first matrix. What FP8 stands for only float32 holds.
    """
    if any(tensor.dtype == "F8_E4M3" for tensor in kept):
        return GGMLQuantizationType.F32
    for header in headers:
        for tensor in header.tensors.values():
            if len(tensor.shape) > 1:
                return _OWN.get(tensor.dtype, GGMLQuantizationType.F32)
    return GGMLQuantizationType.F32


def _typed(
    name: str, shape: tuple[int, ...], own: GGMLQuantizationType, layouts: Sequence[Any]
) -> CheckpointTensor:
    """In the type that the converter gives it (conversion/base.py, `prepare_tensors`)."""
    plain = (
        len(shape) < 2
        or name.endswith(("_norm.weight", ".ffn_gate_inp.weight"))
        or not name.endswith(".weight")
    )
    kind = GGMLQuantizationType.F32 if plain else own
    return CheckpointTensor(name, shape, kind, [EncodedPart(layout, kind) for layout in layouts])


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape) or "one number"
