"""What of the catalogue, and which file, fits on this machine: where, how, and how fast.

Knows weights (`weights`), what llama.cpp needs beside them (`ponder.sizing`) and what the
machine has. Loads nothing, and does not know whether llama.cpp was built to use a GPU: whoever
asks says which GPUs count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ponder import hardware
from ponder.errors import InputError, PonderError, UnknownName
from ponder.gguf_header import LEAST_CONTEXT
from ponder.library import weights as weighing
from ponder.library.local import Entry
from ponder.library.weights import QUANTS, Weights
from ponder.settings import EngineSettings
from ponder.sizing import (
    DEFAULT_CONTEXT,
    GPU_MARGIN,
    KV_BITS,
    MAX_SEQUENCES,
    Outline,
    Room,
    compute_bytes,
    kv_bytes,
    output_bytes,
    slice_size,
)

_GPU_OWN = 512 << 20
"""Bytes a GPU's driver and libraries take for themselves, about."""
_OWN = 256 << 20
"""Bytes that ponder and llama.cpp take beside any model, about."""
_USUAL = "Q4_K_M"
"""The quant that is meant where none is named."""
Verdict = Literal["gpu", "partly", "cpu", "no"]


@dataclass(frozen=True, slots=True)
class Wish:
    """How a model is to be run."""

    n_ctx: int | None = None
    """Tokens of context; None is the default, as far as the model goes."""
    traces: int = 1
    """Traces at once, each with room for as much."""
    type_k: str = "f16"
    type_v: str = "f16"
    """Types of the KV cache."""
    flash: bool = True
    """Whether flash attention may be used."""

    def __post_init__(self) -> None:
        for kind in (self.type_k, self.type_v):
            if kind not in KV_BITS:
                raise InputError(
                    f"There is no KV cache type {kind!r}.", f"Known: {', '.join(sorted(KV_BITS))}."
                )
        if not 1 <= self.traces <= MAX_SEQUENCES // 2:
            raise InputError(
                f"{self.traces} traces at once are not possible.",
                f"Choose 1 to {MAX_SEQUENCES // 2}.",
            )
        if self.n_ctx is not None and self.n_ctx < LEAST_CONTEXT:
            raise InputError(
                f"A context of {self.n_ctx} tokens is too small.",
                f"Choose at least {LEAST_CONTEXT}.",
            )


def wish_of(engine: EngineSettings, traces: int = 1) -> Wish:
    """What is wished for where settings say how llama.cpp is to run."""
    flash = engine.flash_attention != "off"
    return Wish(engine.ctx, traces, engine.kv_type_k, engine.kv_type_v, flash)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to put a model on."""

    free: int
    """Bytes of memory that can be taken without swapping."""
    total: int
    """Bytes of memory."""
    gpus: tuple[hardware.Gpu, ...] = ()
    """Those that llama.cpp may use."""
    threads: int = 1
    """Cores for reading prompts."""

    @property
    def unified(self) -> bool:
        """Whether the GPUs' memory is the machine's own."""
        return any(gpu.unified for gpu in self.gpus)


def given_back(now: Machine, before: Machine, after: Machine) -> Machine:
    """A machine on which a model is loaded, as it will be when that model has gone.

    Args:
        now: as it is.
        before: as it was before the model was loaded.
        after: as it was right after; the same GPUs in the same order.
    """
    taken = max(0, before.free - after.free)
    gpus = tuple(
        replace(gpu, free=min(gpu.total, gpu.free + max(0, was.free - then.free)))
        for gpu, was, then in zip(now.gpus, before.gpus, after.gpus, strict=False)
    )
    return replace(now, free=min(now.total, now.free + taken), gpus=gpus)


def this_machine() -> Machine:
    """The machine ponder runs on, with all GPUs that it has."""
    return Machine(
        hardware.free_memory(),
        hardware.total_memory(),
        tuple(hardware.gpus()),
        hardware.prefill_threads(),
    )


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model takes with so many layers on GPUs (llama.cpp's `n_gpu_layers`)."""

    gpu_layers: int
    weights: int
    kv: int
    compute: int
    """Compute buffers, the logits handed out, and room for what is brought to a GPU."""
    gpu: int
    """Of it all, on GPUs."""
    ram: int
    """In the machine's memory. Weights mapped from a file count once, and so do those that
    llama.cpp repacks for the CPU: the file's own pages can then be dropped."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv + self.compute


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether one model in one quant can be run as wished."""

    name: str
    quant: str
    here: bool
    exact: bool
    """Read from a file; what is reckoned from the catalogue is about right."""
    n_ctx: int
    trained: int
    """Tokens of context the model was made for."""
    traces: int
    verdict: Verdict
    need: Need
    layers: int
    """All that could be on GPUs: the model's own, and its output."""
    largest_ctx: int
    """The largest context that still fits, for as many traces; 0 for none."""
    cpu_bytes: int
    """Bytes of weights that the CPU reads for every token; with the memory's bandwidth they bound
    how fast it decodes."""
    cpu_bytes_full: int
    """The same at the end of a full context: the cache is read too."""

    def tokens_per_second(self, bandwidth: float) -> tuple[float, float] | None:
        """The most that the memory allows one trace, at the beginning and with a full context;
        None where a GPU does it all, or nothing does it.

        Args:
            bandwidth: bytes a second.
        """
        if self.verdict not in ("cpu", "partly") or not self.cpu_bytes:
            return None
        return bandwidth / self.cpu_bytes, bandwidth / self.cpu_bytes_full


def needed(outline: Outline, weights: Weights, room: Room, gpu_layers: int) -> Need:
    """What a model takes with so many layers on GPUs.

    llama.cpp puts the output there first, then the last layer, the last but one, and so on; each
    layer's cache is where the layer is. The embedding never leaves the machine's memory. What of
    the rest a long prompt goes through is brought to the GPU matrix by matrix: there is room for
    the largest, and for one layer's cache (as seen on an H100; `op_offload` of llama.cpp).
    """
    gpu_layers = min(gpu_layers, outline.layers + 1)
    cache = kv_bytes(outline, room.cells, room.type_k, room.type_v)
    compute, handed = compute_bytes(outline, room), output_bytes(outline, room)
    there = max(0, gpu_layers - 1)
    first = outline.layers - there
    gpu = sum(weights.layers[first:]) + sum(cache[first:])
    ram = weights.embedding + sum(weights.layers[:first]) + sum(cache[:first]) + handed
    copied = brought = 0
    if gpu_layers:
        gpu += weights.head + compute
        copied = weights.head - weights.output
        if first:
            brought = weights.largest + max(cache)
            gpu += brought
    else:
        ram += weights.output
    if first:
        ram += compute
    spread = compute * (2 if gpu_layers and first else 1) + brought
    return Need(gpu_layers, weights.total + copied, sum(cache), spread + handed, gpu, ram)


def room_for(weights: Weights, wish: Wish, n_ctx: int, on_gpu: bool, threads: int) -> Room:
    """What the engine would ask llama.cpp for."""
    read = slice_size(weights.parameters, on_gpu, threads)
    return Room(n_ctx, wish.traces, read, wish.type_k, wish.type_v, wish.flash)


def placed(
    outline: Outline, weights: Weights, wish: Wish, n_ctx: int, machine: Machine
) -> tuple[Verdict, Need]:
    """Where a model goes: as many layers as possible on GPUs, the rest on the CPU."""
    whole = outline.layers + 1
    if machine.gpus:
        room = room_for(weights, wish, n_ctx, True, machine.threads)
        compute = compute_bytes(outline, room)
        # The engine leaves a margin on each GPU, which graphs may fill.
        margin = max(GPU_MARGIN, compute + _GPU_OWN)
        free = sum(max(0, gpu.free - margin) for gpu in machine.gpus)

        def holds(n: int) -> bool:
            return n == 0 or needed(outline, weights, room, n).gpu - compute <= free

        # All of it may fit where all but one layer does not: nothing is brought there then.
        layers = whole if holds(whole) else _most(whole - 1, holds)
        need = needed(outline, weights, room, layers)
        if layers > 1 and _holds(need, machine):
            return "gpu" if layers == whole else "partly", need
    room = room_for(weights, wish, n_ctx, False, machine.threads)
    need = needed(outline, weights, room, 0)
    return "cpu" if _holds(need, machine) else "no", need


def _holds(need: Need, machine: Machine) -> bool:
    ram = need.ram + (need.gpu if machine.unified else 0)
    return ram + _OWN <= machine.free


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to a limit for which something holds that holds for 0, and for every
    number below one that it holds for."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def advise(
    entry: Entry, wish: Wish, machine: Machine, quant: str | None = None, strict: bool = True
) -> Advice:
    """Whether a model can be run here as wished.

    Args:
        entry: which model.
        quant: one of `QUANTS`; None is the file that is here, or the one the catalogue means.
        strict: whether a context beyond what the model was made for is refused, or cut to that.

    Raises:
        ModelError: its file cannot be read.
        InputError: the context is too long, the quant unknown, or nothing is known of its shape.
    """
    if entry.path is not None and quant is None:
        outline, weights = weighing.of_file(entry.path)
    else:
        outline, weights = _reckoned(entry, quant)
    for adapter in entry.adapters:
        weights = weighing.with_adapter(weights, adapter.path)
    trained = outline.context or (entry.model.context if entry.model else 0) or DEFAULT_CONTEXT
    n_ctx = wish.n_ctx or min(trained, DEFAULT_CONTEXT)
    if n_ctx > trained and strict:
        raise InputError(
            f"A context of {n_ctx:,} tokens is beyond what {entry.name} was trained for "
            f"({trained:,}).",
            f"Choose at most {trained:,}.",
        )
    n_ctx = min(n_ctx, trained)
    verdict, need = placed(outline, weights, wish, n_ctx, machine)

    def as_good(tokens: int) -> bool:
        if tokens < LEAST_CONTEXT:
            return True
        found = placed(outline, weights, wish, tokens, machine)[0]
        return found != "no" if verdict == "no" else found == verdict

    largest = _most(trained, as_good) if verdict == "no" else _largest(n_ctx, trained, as_good)
    room = room_for(weights, wish, n_ctx, need.gpu_layers > 0, machine.threads)
    first = outline.layers - max(0, need.gpu_layers - 1)
    read = sum(weights.active[:first]) + (0 if need.gpu_layers else weights.head)
    cache = kv_bytes(outline, n_ctx, room.type_k, room.type_v)
    return Advice(
        name=entry.name,
        quant=weights.quant,
        here=entry.path is not None and quant is None,
        exact=weights.exact,
        n_ctx=n_ctx,
        trained=trained,
        traces=wish.traces,
        verdict=verdict,
        need=need,
        layers=outline.layers + 1,
        largest_ctx=largest if largest >= LEAST_CONTEXT else 0,
        cpu_bytes=read,
        cpu_bytes_full=read + sum(cache[:first]),
    )


def most_traces(entry: Entry, wish: Wish, machine: Machine) -> int:
    """How many traces of the wished context can run here at once, up to those wished for."""

    def fits(traces: int) -> bool:
        if traces == 0:
            return True
        fewer = replace(wish, traces=traces)
        return advise(entry, fewer, machine, strict=False).verdict != "no"

    return _most(wish.traces, fits)


def _largest(n_ctx: int, trained: int, as_good: Callable[[int], bool]) -> int:
    """The largest context up to `trained` that is as good as the one asked for."""
    return n_ctx + _most(trained - n_ctx, lambda more: as_good(n_ctx + more))


def quants(entry: Entry, wish: Wish, machine: Machine) -> list[Advice]:
    """Advice on every quant of a model: the file that is here first, then what could be had.

    Raises:
        ModelError: its file cannot be read.
        InputError: the context is too long, or nothing is known of its shape.
    """
    found = [] if entry.path is None else [advise(entry, wish, machine)]
    if entry.model is None or entry.model.shape is None:
        return found or [advise(entry, wish, machine)]
    here = {advice.quant for advice in found}
    return found + [advise(entry, wish, machine, q) for q in QUANTS if q not in here]


def overview(
    entries: list[Entry], wish: Wish, machine: Machine
) -> tuple[list[Advice], list[tuple[str, PonderError]]]:
    """Advice on each model in the quant that its name stands for; and why there is none on some."""
    found: list[Advice] = []
    unknown: list[tuple[str, PonderError]] = []
    for entry in entries:
        try:
            found.append(advise(entry, wish, machine, strict=False))
        except PonderError as error:
            unknown.append((entry.name, error))
    return found, unknown


def bandwidth_for(found: Iterable[Advice], measured: bool = True) -> float:
    """Bytes a second that memory gives, if some speed is to be told with it; else 0.

    Args:
        found: what is advised.
        measured: whether it is measured where it is not known yet.
    """
    if not any(advice.verdict in ("cpu", "partly") for advice in found):
        return 0.0
    from ponder.library.bandwidth import bandwidth

    return bandwidth(measured)


def _reckoned(entry: Entry, quant: str | None) -> tuple[Outline, Weights]:
    """From the catalogue's shape."""
    if entry.model is None or entry.model.shape is None:
        raise InputError(
            f"How {entry.name} is built is not known.",
            "Give its GGUF, or add its shape to your own models.toml.",
        )
    if quant is None:
        named = next(iter(entry.model.ggufs), "")
        quant = named if named in QUANTS else _USUAL
    if quant not in QUANTS:
        raise UnknownName("quant", quant, QUANTS)
    return weighing.of_shape(entry.model.shape, entry.model.context, quant)
