"""A piece of work done: rows of the source read, checked, quantized, handed on in slabs.

Knows which values cannot be quantized: those that are no numbers, and those too large for the
scales of the blocks. Runs on any thread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gguf import GGMLQuantizationType

from ponder.errors import BadCheckpoint
from ponder_quantize.kernels import PLAIN, Floats, finite, kernels
from ponder_quantize.plan import Unit
from ponder_quantize.source import Bytes

Type = GGMLQuantizationType

SLAB = 1 << 18
"""Weights that are in work at a time on a thread: what the processor's caches hold."""
_LARGEST = 65504.0
"""Of a half float, which scales are. Above it the iq types may abort instead."""
_WIDTHS = {Type.F32: "<f4", Type.F16: "<f2"}


def process(
    unit: Unit,
    write: Callable[[Bytes, int], None],
    stopped: Callable[[], bool],
    allow_nonfinite: bool = False,
) -> bool:
    """Do it.

    Args:
        unit: which rows.
        write: takes bytes of the output and their position in it.
        stopped: whether to leave off between two slabs.
        allow_nonfinite: copy NaN and infinity where numbers are kept; where blocks are made,
            take NaN for 0 and infinity for the largest half float.

    Returns:
        Whether it was done to the end.

    Raises:
        BadCheckpoint: a value cannot be quantized.
    """
    work, columns = unit.work, max(1, unit.work.info.columns)
    step = max(1, SLAB // columns)
    for start in range(0, unit.rows, step):
        if stopped():
            return False
        stop = min(unit.rows, start + step)
        data = unit.part.read(unit.skip + start, unit.skip + stop)
        row = unit.first + start
        done = _copied(unit, data, row, allow_nonfinite)
        if done is None:
            done = _quantized(unit, data, row, allow_nonfinite)
        write(done, work.at + row * work.info.row_size)
    return True


def _copied(unit: Unit, data: Bytes, row: int, allow_nonfinite: bool) -> Bytes | None:
    """The same bytes, where the type stays."""
    work = unit.work
    if not work.is_copied:
        return None
    kind = work.source.type
    if not allow_nonfinite:
        if kind in PLAIN:
            if not finite(kind, data):
                raise _not_finite(unit, _numbers(kind, data), row)
        elif kernels().can_read(kind):
            numbers = kernels().to_float(kind, data)
            if not finite(Type.F32, numbers.view(np.uint8)):
                raise _not_finite(unit, numbers, row)
    return data


def _quantized(unit: Unit, data: Bytes, row: int, allow_nonfinite: bool) -> Bytes:
    work, ggml = unit.work, kernels()
    was, kind = work.source.type, work.info.type
    numbers = ggml.to_float(was, data)
    checked = data if was in PLAIN else numbers.view(np.uint8)
    if not finite(was if was in PLAIN else Type.F32, checked):
        if not allow_nonfinite:
            raise _not_finite(unit, numbers, row)
        if kind not in PLAIN:
            numbers = np.nan_to_num(numbers, nan=0.0, posinf=_LARGEST, neginf=-_LARGEST)
    if kind.name.startswith("IQ"):
        too_large = np.abs(numbers) > _LARGEST
        if too_large.any():
            if not allow_nonfinite:
                raise _too_large(unit, numbers, too_large, row)
            numbers = np.clip(numbers, -_LARGEST, _LARGEST)
    importance = None if work.importance is None else work.importance[unit.matrix]
    done = ggml.quantize(kind, numbers, importance)
    if not allow_nonfinite and not _valid(kind, done):
        raise _too_large(unit, numbers, np.abs(numbers) == np.abs(numbers).max(), row)
    return done


def _valid(kind: Type, done: Bytes) -> bool:
    return finite(kind, done) if kind in PLAIN else kernels().valid(kind, done)


def _numbers(kind: Type, data: Bytes) -> Floats:
    if kind == Type.BF16:
        return kernels().to_float(kind, data)
    return data.view(_WIDTHS[kind]).astype(np.float32)


def _not_finite(unit: Unit, numbers: Floats, row: int) -> BadCheckpoint:
    at, column = np.argwhere(~np.isfinite(numbers))[0]
    what = "NaN" if np.isnan(numbers[at, column]) else "infinity"
    return BadCheckpoint(
        f"The tensor {unit.work.info.name} holds {what}, first in row {row + int(at)}, column "
        f"{int(column)}.",
        "The file is damaged, or the model is broken. --allow-nonfinite goes on all the same.",
    )


def _too_large(unit: Unit, numbers: Floats, where: np.ndarray, row: int) -> BadCheckpoint:
    at, column = np.argwhere(where)[0]
    return BadCheckpoint(
        f"The tensor {unit.work.info.name} holds {numbers[at, column]:g} in row {row + int(at)}, "
        f"column {int(column)}, which is too large for {unit.work.info.type.name}.",
        "Take another recipe, such as BF16; --allow-nonfinite goes on all the same.",
    )
