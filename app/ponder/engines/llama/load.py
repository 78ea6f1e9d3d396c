"""From a GGUF file to a model and a context, or to an error that says why not.

Knows files, memory and llama.cpp's parameters; decodes nothing. llama.cpp asserts, and so
kills the process, on some arguments: they are checked here before it sees them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import llama_cpp.llama_cpp as lib

from ponder import hardware, lora
from ponder.engines.llama import adapters, backend
from ponder.errors import EngineError, InputError, NotAModel, UnsupportedModel
from ponder.gguf_header import LEAST_CONTEXT, parts, read_header
from ponder.provenance import Engine
from ponder.sizing import (
    DEFAULT_CONTEXT,
    GPU_MARGIN,
    KV_BITS,
    MAX_SEQUENCES,
    SMALLEST_CONTEXT,
    Outline,
    batch,
    kv_bytes,
    outline_of,
    slice_size,
    slots,
)

KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3, "q4_0": 2}
"""Types a KV cache can have, with ggml's numbers for them (ggml.h)."""
_FLASH = {"auto": -1, "off": 0, "on": 1}


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """How a model is loaded and run. None means: what suits this machine."""

    n_ctx: int | None = None
    """Tokens one sequence may hold."""
    n_seqs: int = 1
    """Sequences that may be open at once; the context has room for all of them."""
    gpu_layers: int | None = None
    """Layers on GPUs; None puts all there that fit, 0 none."""
    threads: int | None = None
    """CPU threads for decoding."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    kv_type_k: str = "f16"
    """Type of the keys in the KV cache, one of `KV_TYPES`."""
    kv_type_v: str = "f16"
    """Type of the values; anything below f16 needs flash attention."""
    slice_size: int | None = None
    """Prompt tokens read in one step: how long a cancel may have to wait."""
    extra_buffers: bool = True
    """Whether llama.cpp may repack weights for this CPU (AMX and the like)."""
    mmap: bool = True
    """Whether weights are mapped from the file rather than copied."""
    adapters: tuple[lora.Adapter, ...] = ()
    """LoRA adapters that everything goes through; what they do adds up."""


@dataclass(slots=True)
class Loaded:
    """A model and a context of it, with what was settled for them."""

    model: Any
    context: Any
    n_ctx: int
    n_seqs: int
    n_slots: int
    slice_size: int
    gpu_layers: int
    metadata: dict[str, str]
    setting: Engine
    """All that the last bits of its logits depend on, the file and the machine aside."""


def load(path: Path, config: LlamaConfig, on_progress: Callable[[float], None] | None) -> Loaded:
    """Load a model.

    Args:
        path: a GGUF, or the first part of a split one.
        config: how.
        on_progress: told the fraction loaded, from 0 to 1.

    Raises:
        NotAModel: missing, unreadable, damaged or no GGUF; of an adapter, no adapter.
        UnsupportedModel: llama.cpp or ponder cannot run it; or an adapter is another model's.
        InputError: the config asks for something impossible.
        EngineError: there is not enough memory for it.
    """
    _check(config)
    header = read_header(path)
    if header.facts.get("general.type") == "adapter":
        raise NotAModel(
            f"{path.name} is an adapter, and no model of its own.",
            f"Ask the model that it was trained on: --model MODEL --lora {path}",
        )
    if header.facts.get("tokenizer.ggml.model") == "none":
        raise _mute(path)
    lora.check(config.adapters, path, header)
    outline = outline_of(header.facts, header.lists, vocabulary=0)
    backend.start()
    backend.forget_log()
    gpus = [device for device in backend.devices() if device.gpu]
    wanted = config.gpu_layers
    for layers in _layer_attempts(path, outline, config, gpus) if wanted is None else [wanted]:
        loaded = _attempt(path, outline, config, layers, on_progress)
        if isinstance(loaded, Loaded):
            return loaded
        failure = loaded
    raise failure


def _check(config: LlamaConfig) -> None:
    for name, value, known in (
        ("KV cache type", config.kv_type_k, KV_TYPES),
        ("KV cache type", config.kv_type_v, KV_TYPES),
        ("flash attention setting", config.flash_attention, _FLASH),
    ):
        if value not in known:
            raise InputError(
                f"There is no {name} {value!r}.", f"Known: {', '.join(sorted(known))}."
            )
    if KV_BITS[config.kv_type_v] < 16 and config.flash_attention == "off":
        raise InputError(
            f"A {config.kv_type_v} value cache needs flash attention.",
            "Leave flash attention on auto, or use f16 values.",
        )
    if not 1 <= config.n_seqs <= MAX_SEQUENCES // 2:
        raise InputError(
            f"{config.n_seqs} sequences at once are not possible.",
            f"Choose 1 to {MAX_SEQUENCES // 2}.",
        )
    for name, number in (("context", config.n_ctx), ("slice", config.slice_size)):
        if number is not None and number < LEAST_CONTEXT:
            raise InputError(
                f"A {name} of {number} tokens is too small.", f"Choose at least {LEAST_CONTEXT}."
            )
    if config.threads is not None and config.threads < 1:
        raise InputError("Decoding needs at least one thread.")


def _layer_attempts(
    path: Path, outline: Outline | None, config: LlamaConfig, gpus: list[backend.Device]
) -> list[int]:
    """Numbers of GPU layers to try, the most first; -1 is all of them."""
    if not gpus or not lib.llama_supports_gpu_offload():
        return [0]
    layers = outline.layers if outline is not None else 0
    free = sum(max(0, device.free - GPU_MARGIN) for device in gpus)
    files = [*parts(path), *(adapter.path for adapter in config.adapters)]
    weights = sum(file.stat().st_size for file in files)
    cache = _kv_bytes(outline, (config.n_ctx or DEFAULT_CONTEXT) * config.n_seqs, config)
    if not layers or weights + cache <= free:
        estimate = layers + 1
    else:
        estimate = int(free / ((weights + cache) / (layers + 1)))
    # The estimate knows nothing of graphs: step back by tenths until it holds.
    attempts = [estimate * tenth // 10 for tenth in range(10, -1, -1)]
    return [-1 if n > layers else n for n in dict.fromkeys(attempts)]


def _attempt(
    path: Path,
    outline: Outline | None,
    config: LlamaConfig,
    layers: int,
    on_progress: Callable[[float], None] | None,
) -> Loaded | EngineError:
    params = lib.llama_model_default_params()
    params.n_gpu_layers = layers
    params.use_extra_bufts = config.extra_buffers
    params.load_mode = lib.LLAMA_LOAD_MODE_AUTO if config.mmap else lib.LLAMA_LOAD_MODE_NONE
    stopped: list[BaseException] = []
    if on_progress is not None:
        tell = on_progress

        def report(fraction: float, _data: Any) -> bool:
            try:
                tell(fraction)
            except BaseException as error:  # noqa: BLE001 - Ctrl-C too: C cannot pass it on
                stopped.append(error)
                return False
            return True

        params.progress_callback = lib.llama_progress_callback(report)
    backend.forget_log()
    model = lib.llama_model_load_from_file(str(path).encode(), params)
    if stopped:
        if model:
            lib.llama_model_free(model)
        raise stopped[0]
    if not model:
        return _why_not(path, layers)
    try:
        facts = metadata(model)
        _check_model(path, model, facts)
        handles = adapters.load(model, config.adapters)
        loaded = _context(model, facts, outline, config, layers)
    except EngineError as error:
        lib.llama_model_free(model)
        if layers == 0 or config.gpu_layers is not None:
            raise
        return error
    except BaseException:
        lib.llama_model_free(model)
        raise
    try:
        adapters.apply(loaded.context, config.adapters, handles)
    except BaseException:
        lib.llama_free(loaded.context)
        lib.llama_model_free(model)
        raise
    return loaded


def _why_not(path: Path, layers: int) -> EngineError:
    """Turn llama.cpp's log into an error; memory failures are returned, to be tried again."""
    told, cause = backend.complaints(), backend.log_cause()
    if "unknown model architecture" in told or "unknown architecture" in told:
        raise UnsupportedModel(
            f"This llama.cpp does not know the architecture of {path.name}: {cause}.",
            "A newer llama-cpp-python may: pip install --upgrade llama-cpp-python.",
        )
    if "tokenizer" in cause and any(why in cause for why in ("not found", "not find", "unknown")):
        raise UnsupportedModel(
            f"{path.name} has no tokenizer that llama.cpp can use: {cause}.",
            "Convert the model again with its tokenizer files beside it.",
        )
    if layers != 0 and ("alloc" in told or "memory" in told):
        return EngineError(f"{layers} layers do not fit on the GPU: {cause}.")
    if "allocate" in told or "out of memory" in told:
        raise EngineError(
            f"There is not enough memory for {path.name}: {cause}.",
            "Choose a smaller quant, or fewer GPU layers.",
        )
    raise NotAModel(
        f"{path.name} is damaged or incomplete: {cause or 'llama.cpp could not load it'}.",
        "Compare its size and sha256 with its source, and download it again.",
    )


def _mute(path: Path) -> UnsupportedModel:
    return UnsupportedModel(
        f"{path.name} has no tokenizer.",
        "Convert the model again with its tokenizer files beside it.",
    )


def _check_model(path: Path, model: Any, facts: dict[str, str]) -> None:
    if lib.llama_vocab_type(lib.llama_model_get_vocab(model)) == lib.LLAMA_VOCAB_TYPE_NONE:
        raise _mute(path)
    if not lib.llama_model_has_decoder(model) or lib.llama_model_has_encoder(model):
        raise UnsupportedModel(
            f"{path.name} is a {_architecture(facts)} model, which does not write text left to "
            "right.",
            "ponder runs decoder-only language models.",
        )
    if lib.llama_model_is_diffusion(model):
        raise UnsupportedModel(f"{path.name} is a diffusion model, which ponder does not run.")


def _context(
    model: Any,
    facts: dict[str, str],
    outline: Outline | None,
    config: LlamaConfig,
    layers: int,
) -> Loaded:
    trained = lib.llama_model_n_ctx_train(model)
    n_ctx = config.n_ctx or _fitting_context(trained, outline, config)
    if n_ctx > trained:
        raise InputError(
            f"A context of {n_ctx:,} tokens is beyond what this model was trained for "
            f"({trained:,}).",
            f"Choose at most {trained:,}.",
        )
    prompt_slice = config.slice_size or slice_size(
        lib.llama_model_n_params(model), layers != 0, hardware.prefill_threads()
    )
    n_slots = slots(config.n_seqs)
    threads = config.threads or hardware.decode_threads()
    params = lib.llama_context_default_params()
    params.n_ctx = n_ctx * config.n_seqs
    params.n_batch = batch(prompt_slice, config.n_seqs)
    params.n_ubatch = params.n_batch
    params.n_seq_max = n_slots
    # Every sequence wants the logits of its last token at most; llama.cpp has rows for all slots,
    # and asserts that there are no more of them than this (llama-context.cpp, output_reserve).
    params.n_outputs_max = n_slots
    # Without it the context is split evenly between slots, and copying part of one asserts.
    params.kv_unified = True
    params.n_threads = threads
    params.n_threads_batch = config.threads or hardware.prefill_threads()
    params.flash_attn_type = _FLASH[config.flash_attention]
    params.type_k = KV_TYPES[config.kv_type_k]
    params.type_v = KV_TYPES[config.kv_type_v]
    params.no_perf = True
    context = lib.llama_init_from_model(model, params)
    if not context:
        raise EngineError(
            f"llama.cpp could not make a context of {n_ctx:,} tokens: {backend.log_cause()}.",
            "Choose a smaller context, or a smaller KV cache type.",
        )
    backend.forget_log()
    setting = Engine(
        version=f"llama-cpp-python {backend.version()}",
        build=backend.build(),
        n_ctx=n_ctx,
        n_seqs=config.n_seqs,
        batch=params.n_batch,
        slice=prompt_slice,
        threads=params.n_threads,
        prompt_threads=params.n_threads_batch,
        gpu_layers=layers,
        kv_type_k=config.kv_type_k,
        kv_type_v=config.kv_type_v,
        flash_attention=config.flash_attention,
        repacked=config.extra_buffers,
    )
    return Loaded(
        model, context, n_ctx, config.n_seqs, n_slots, prompt_slice, layers, facts, setting
    )


def _fitting_context(trained: int, outline: Outline | None, config: LlamaConfig) -> int:
    """The default context, halved until its KV cache fits into half of the free memory."""
    n_ctx = min(trained, DEFAULT_CONTEXT)
    half = hardware.free_memory() / 2
    while n_ctx > SMALLEST_CONTEXT and _kv_bytes(outline, n_ctx * config.n_seqs, config) > half:
        n_ctx //= 2
    return n_ctx


def _kv_bytes(outline: Outline | None, cells: int, config: LlamaConfig) -> int:
    """Bytes of the KV cache; 0 where the file does not tell."""
    if outline is None:
        return 0
    return sum(kv_bytes(outline, cells, config.kv_type_k, config.kv_type_v))


def metadata(model: Any) -> dict[str, str]:
    """Every key of the GGUF that has one value, as text."""
    buffer = ctypes.create_string_buffer(64 * 1024)
    facts = {}
    for index in range(lib.llama_model_meta_count(model)):
        n = lib.llama_model_meta_key_by_index(model, index, buffer, len(buffer))
        key = buffer.raw[:n].decode("utf-8", "replace")
        n = lib.llama_model_meta_val_str_by_index(model, index, buffer, len(buffer))
        facts[key] = buffer.raw[: min(n, len(buffer) - 1)].decode("utf-8", "replace")
    return facts


def _architecture(facts: dict[str, str]) -> str:
    return facts.get("general.architecture", "?")
