"""What is going to be done, in full, before a weight is read: types, offsets, pieces of work.

Knows the recipe's choices, the layout of the output, and what has to be refused beforehand.
Reads nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from gguf import GGML_QUANT_SIZES

from ponder.errors import BadCheckpoint, BadImatrix, InputError, UnsupportedModel
from ponder_quantize.choosing import Choice, choose, in_order
from ponder_quantize.kernels import PLAIN, TARGETS, Floats, row_size
from ponder_quantize.recipes import Model, Recipe
from ponder_quantize.source import Part, Source, SourceTensor
from ponder_quantize.writing import Info, Layout, layout, quantized_metadata

UNIT = 1 << 21
"""Weights of a piece of work, about: seconds of one core at most, so that little is done twice
after a kill and no core waits long for the last one."""
_MOST_IMPORTANT = 1e18
"""Above this, sums of importances times weights overflow, and ggml aborts on what comes of it."""
_UNMATCHED = ("token_embd.weight", "per_layer_token_embd.weight")
"""llama.cpp lets importances of another size pass for these, and makes no use of them."""


@dataclass(frozen=True, slots=True)
class Importance:
    """An importance matrix, and what the output says about it."""

    file: str
    """As the user called it."""
    datasets: Sequence[str]
    """Of the texts that it was collected on."""
    chunks: int
    """How many of them; 0 if nobody knows."""
    entries: Mapping[str, Floats]
    """Tensor name -> mean squared activation of each column; of experts, one after the other."""


@dataclass(frozen=True, slots=True)
class Work:
    """One tensor: what it is, and what becomes of it."""

    source: SourceTensor
    info: Info
    choice: Choice
    at: int
    """Where it begins in the output."""
    importance: Floats | None
    """Shape (matrices, columns)."""

    @property
    def is_copied(self) -> bool:
        """Whether its bytes stay what they are."""
        return self.source.type == self.info.type

    @property
    def source_row(self) -> int:
        """Bytes of a row of the source."""
        return row_size(self.source.type, self.info.columns)


@dataclass(frozen=True, slots=True)
class Unit:
    """Consecutive rows of one matrix of one tensor, all in one part of the source."""

    work: Work
    part: Part
    first: int
    """Of the tensor's rows."""
    rows: int
    skip: int
    """Rows of the part that come before."""
    matrix: int
    """Which expert's."""

    @property
    def size(self) -> int:
        """Bytes in the output."""
        return self.rows * self.work.info.row_size

    @property
    def source_size(self) -> int:
        """Bytes in the source."""
        return self.rows * self.work.source_row


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it."""

    recipe: Recipe
    tensors: tuple[Work, ...]
    """In the order of the output."""
    units: tuple[Unit, ...]
    """In that order too."""
    layout: Layout
    files: tuple[str, ...]
    """Of the source."""
    identity: str
    """Of the source, the recipe and the importances: sha256 in hex."""
    notes: tuple[str, ...]
    """What a user may want to know."""

    @property
    def source_size(self) -> int:
        """Bytes of the source's tensors."""
        return sum(work.info.rows * work.source_row for work in self.tensors)

    @property
    def size(self) -> int:
        """Bytes of the output's tensors, without padding."""
        return sum(work.info.size for work in self.tensors)


def plan(
    source: Source,
    recipe: Recipe,
    identity: str,
    importance: Importance | None = None,
    requantize: bool = False,
) -> Plan:
    """Work it out.

    Args:
        source: what is quantized.
        recipe: how.
        identity: of the source's weights, such as `journal.identity_of` its files, or a
            revision: another one if they may be others. Nothing is gone on with then.
        importance: an importance matrix; one without entries is none.
        requantize: whether tensors that are quantized already may be quantized again.

    Raises:
        NotAModel: its metadata or tensors make no model.
        UnsupportedModel: nothing is known of its architecture's rules, or of a type in it.
        InputError: the recipe needs importances, or something would be quantized twice.
        BadImatrix: the importances are not of this model, or are no numbers.
    """
    tensors = in_order(source.tensors)
    metadata = {entry.key: entry.value for entry in source.metadata}
    if importance is not None and not importance.entries:
        importance = None
    _check(tensors)
    choices = choose(recipe, Model.of(metadata), tensors, importance is not None)
    infos = [
        Info(tensor.name, tensor.shape, choice.type)
        for tensor, choice in zip(tensors, choices, strict=True)
    ]
    told = importance and (
        importance.file,
        importance.datasets,
        len(importance.entries),
        importance.chunks,
    )
    place = layout(quantized_metadata(source.metadata, recipe.file_type, told or None), infos)
    works = tuple(
        Work(tensor, info, choice, at, _rows_of(tensor, importance))
        for tensor, info, choice, at in zip(tensors, infos, choices, place.offsets, strict=True)
    )
    _refuse(works, recipe, importance, requantize)
    return Plan(
        recipe,
        works,
        tuple(unit for work in works for unit in _units(work)),
        place,
        tuple(source.files),
        _identity(identity, place, importance),
        tuple(_notes(works, importance)),
    )


def _check(tensors: Sequence[SourceTensor]) -> None:
    """That the tensors are what they say, before anything is computed from it."""
    for before, tensor in zip([None, *tensors], tensors, strict=False):
        if before is not None and before.name == tensor.name:
            raise BadCheckpoint(f"There are two tensors called {tensor.name}.", "")
        rows, have = prod(tensor.shape[:-1]), sum(part.rows for part in tensor.parts)
        if rows != have:
            raise BadCheckpoint(
                f"The tensor {tensor.name} has {have} rows, and should have {rows}.", ""
            )
        block, _ = GGML_QUANT_SIZES[tensor.type]
        if tensor.shape[-1] % block:
            raise BadCheckpoint(
                f"Rows of {tensor.shape[-1]} values of the tensor {tensor.name} cannot be "
                f"{tensor.type.name}.",
                "",
            )


def _rows_of(tensor: SourceTensor, importance: Importance | None) -> Floats | None:
    """A tensor's importances, a row for each of its matrices."""
    found = None if importance is None else importance.entries.get(tensor.name)
    if found is None:
        return None
    columns = tensor.shape[-1]
    # llama.cpp knows three dimensions here: the last but two is that of the experts.
    matrices = tensor.shape[-3] if len(tensor.shape) > 2 else 1
    if found.size != columns * matrices:
        if tensor.name in _UNMATCHED:
            return None
        raise BadImatrix(
            f"The importance matrix has {found.size} values for the tensor {tensor.name}, "
            f"which takes {columns * matrices}.",
            "It belongs to another model: compute one from this one.",
        )
    if not np.isfinite(found).all() or found.min() < 0 or found.max() > _MOST_IMPORTANT:
        raise BadImatrix(
            f"The importance matrix has impossible values for the tensor {tensor.name}: "
            f"from {found.min()} to {found.max()}.",
            "It is damaged, or was computed with a broken model: compute it again.",
        )
    return np.ascontiguousarray(found, np.float32).reshape(matrices, columns)


def _refuse(
    works: Sequence[Work], recipe: Recipe, importance: Importance | None, requantize: bool
) -> None:
    for work in works:
        name, was, kind = work.info.name, work.source.type, work.info.type
        if work.choice.needs_importance and (
            importance is None or (work.importance is None and not work.is_copied)
        ):
            without = "" if importance is None else ", and this one has none for it"
            raise InputError(
                f"{recipe.name} needs an importance matrix for {name} ({kind.name}){without}.",
                "Give one with --imatrix, or take a recipe that can do without, such as Q3_K_M.",
            )
        if work.is_copied:
            continue
        if was not in PLAIN and not requantize:
            raise InputError(
                f"{name} is quantized already ({was.name}), and would lose more.",
                "Begin from the F16, BF16 or F32 file; or allow it with --requantize.",
            )
        if kind not in TARGETS:
            raise UnsupportedModel(f"{name} cannot be made into {kind.name} here.", "")
    if importance is not None and not any(work.importance is not None for work in works):
        raise BadImatrix(
            "The importance matrix has nothing for any tensor of this model.",
            "It belongs to another model: compute one from this one.",
        )


def _units(work: Work) -> Iterator[Unit]:
    columns = max(1, work.info.columns)
    step = max(1, UNIT // columns)
    shape = work.info.shape
    matrix = max(1, shape[-2] if len(shape) > 1 else 1)
    first = 0
    for part in work.source.parts:
        skip = 0
        while skip < part.rows:
            inside = first % matrix
            rows = min(step, part.rows - skip, matrix - inside)
            yield Unit(work, part, first, rows, skip, first // matrix)
            skip += rows
            first += rows


def _identity(source: str, place: Layout, importance: Importance | None) -> str:
    told = hashlib.sha256(place.header)
    told.update(f"{source}\0{UNIT}\0".encode(errors="surrogateescape"))
    for name, values in sorted(importance.entries.items()) if importance else ():
        told.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return told.hexdigest()


def _notes(works: Sequence[Work], importance: Importance | None) -> Iterator[str]:
    other = [work for work in works if work.choice.type != work.choice.wanted]
    if other:
        first = other[0]
        yield (
            f"{len(other)} of {len(works)} tensors get another type than the recipe's, because "
            f"its blocks do not divide their rows: {first.info.name}, {first.info.columns} "
            f"columns, {first.info.type.name} for {first.choice.wanted.name}."
        )
    if importance is None:
        return
    without = [
        work.info.name
        for work in works
        if not work.is_copied and work.importance is None and work.info.name not in _UNMATCHED
    ]
    if without:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        yield f"The importance matrix has nothing for {without[0]}{more}."
