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

from ponder import hardware
from ponder.engines.llama import backend
from ponder.engines.llama.gguf_header import LEAST_CONTEXT, read_header
from ponder.errors import EngineError, InputError, NotAModel, UnsupportedModel

KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3, "q4_0": 2}
"""Types a KV cache can have, with ggml's numbers for them (ggml.h)."""
_KV_BITS = {
    "f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5,
}  # fmt: skip
_FLASH = {"auto": -1, "off": 0, "on": 1}
DEFAULT_CONTEXT = 32_768
"""Tokens of context where nothing else is asked for: what DeepSeek evaluates R1 with."""
_GPU_MARGIN = 1 << 30
"""Bytes of GPU memory left for graphs and for whoever else uses the device."""
MAX_SEQUENCES = 256
"""LLAMA_MAX_SEQ (llama-cparams.h)."""


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


def load(path: Path, config: LlamaConfig, on_progress: Callable[[float], None] | None) -> Loaded:
    """Load a model.

    Args:
        path: a GGUF, or the first part of a split one.
        config: how.
        on_progress: told the fraction loaded, from 0 to 1.

    Raises:
        NotAModel: missing, unreadable, damaged or no GGUF.
        UnsupportedModel: llama.cpp or ponder cannot run it.
        InputError: the config asks for something impossible.
        EngineError: there is not enough memory for it.
    """
    _check(config)
    header = read_header(path)
    if header.facts.get("tokenizer.ggml.model") == "none":
        raise _mute(path)
    backend.start()
    backend.forget_log()
    gpus = [device for device in backend.devices() if device.gpu]
    wanted = config.gpu_layers
    for layers in _layer_attempts(path, config, gpus) if wanted is None else [wanted]:
        loaded = _attempt(path, config, layers, on_progress)
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
    if _KV_BITS[config.kv_type_v] < 16 and config.flash_attention == "off":
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


def _layer_attempts(path: Path, config: LlamaConfig, gpus: list[backend.Device]) -> list[int]:
    """Numbers of GPU layers to try, the most first; -1 is all of them."""
    if not gpus or not lib.llama_supports_gpu_offload():
        return [0]
    facts = read_metadata(path)
    layers = int(_fact(facts, "block_count") or 0)
    free = sum(max(0, device.free - _GPU_MARGIN) for device in gpus)
    weights = sum(part.stat().st_size for part in parts(path))
    context = (config.n_ctx or DEFAULT_CONTEXT) * config.n_seqs
    cache = kv_bytes_per_token(facts, config) * context
    if not layers or weights + cache <= free:
        estimate = layers + 1
    else:
        estimate = int(free / ((weights + cache) / (layers + 1)))
    # The estimate knows nothing of graphs: step back by tenths until it holds.
    attempts = [estimate * tenth // 10 for tenth in range(10, -1, -1)]
    return [-1 if n > layers else n for n in dict.fromkeys(attempts)]


def parts(path: Path) -> list[Path]:
    """The files of a split GGUF (name-00001-of-00003.gguf), or the one file."""
    stem, found, count = path.stem.rpartition("-of-")
    if not found or not count.isdigit() or stem[-6:-5] != "-":
        return [path]
    siblings = sorted(path.parent.glob(f"{stem[:-6]}-?????-of-{count}{path.suffix}"))
    return siblings or [path]


def _attempt(
    path: Path, config: LlamaConfig, layers: int, on_progress: Callable[[float], None] | None
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
        return _context(model, facts, config, layers)
    except EngineError as error:
        lib.llama_model_free(model)
        if layers == 0 or config.gpu_layers is not None:
            raise
        return error
    except BaseException:
        lib.llama_model_free(model)
        raise


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


def _context(model: Any, facts: dict[str, str], config: LlamaConfig, layers: int) -> Loaded:
    trained = lib.llama_model_n_ctx_train(model)
    n_ctx = config.n_ctx or _fitting_context(trained, facts, config)
    if n_ctx > trained:
        raise InputError(
            f"A context of {n_ctx:,} tokens is beyond what this model was trained for "
            f"({trained:,}).",
            f"Choose at most {trained:,}.",
        )
    slice_size = config.slice_size or _slice_size(lib.llama_model_n_params(model), layers)
    # Closed sequences stay as cached prefixes, so there are more slots than open sequences.
    n_slots = min(MAX_SEQUENCES, 2 * config.n_seqs + 2)
    threads = config.threads or hardware.decode_threads()
    params = lib.llama_context_default_params()
    params.n_ctx = n_ctx * config.n_seqs
    params.n_batch = max(slice_size, 32) + config.n_seqs
    params.n_ubatch = params.n_batch
    params.n_seq_max = n_slots
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
    return Loaded(model, context, n_ctx, config.n_seqs, n_slots, slice_size, layers, facts)


def _fitting_context(trained: int, facts: dict[str, str], config: LlamaConfig) -> int:
    """The default context, halved until its KV cache fits into half of the free memory."""
    n_ctx = min(trained, DEFAULT_CONTEXT)
    per_token = kv_bytes_per_token(facts, config) * config.n_seqs
    while n_ctx > 2048 and n_ctx * per_token > hardware.free_memory() / 2:
        n_ctx //= 2
    return n_ctx


def _slice_size(params: int, layers: int) -> int:
    """Prompt tokens that take about a quarter of a second, from the model's size.

    Estimated and not measured, so that the same question is read in the same slices, and
    answered with the same tokens, every time: 2 operations a weight and token, 30 GFLOP/s a
    core as small AVX2 machines do.
    """
    if layers != 0:
        return 512
    rate = hardware.prefill_threads() * 30e9 / (2 * max(params, 1))
    return min(512, max(32, 1 << max(0, int(rate / 4)).bit_length()))


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


def read_metadata(path: Path) -> dict[str, str]:
    """A file's metadata without its weights; empty if it cannot be loaded."""
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        return {}
    try:
        return metadata(model)
    finally:
        lib.llama_model_free(model)


def _architecture(facts: dict[str, str]) -> str:
    return facts.get("general.architecture", "?")


def _fact(facts: dict[str, str], key: str) -> float | None:
    try:
        return float(facts[f"{_architecture(facts)}.{key}"])
    except (KeyError, ValueError):
        return None


def kv_bytes_per_token(facts: dict[str, str], config: LlamaConfig) -> float:
    """Bytes of KV cache for one token of one sequence; 0 where the file does not tell.

    2 x layers x KV heads x head size x bytes; MLA (DeepSeek) keeps one latent row instead.
    """
    layers, heads = _fact(facts, "block_count"), _fact(facts, "attention.head_count")
    embedding = _fact(facts, "embedding_length")
    if not layers or not heads or not embedding:
        return 0.0
    latent = _fact(facts, "attention.kv_lora_rank")
    if latent:
        return (
            layers
            * (latent + (_fact(facts, "rope.dimension_count") or 0))
            * (_KV_BITS[config.kv_type_k] / 8)
        )
    kv_heads = _fact(facts, "attention.head_count_kv") or heads
    key = _fact(facts, "attention.key_length") or embedding / heads
    value = _fact(facts, "attention.value_length") or embedding / heads
    bits = key * _KV_BITS[config.kv_type_k] + value * _KV_BITS[config.kv_type_v]
    return layers * kv_heads * bits / 8
