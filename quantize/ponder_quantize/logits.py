"""A model run over a text in chunks, and all its logits.

As llama.cpp's measuring tools do it (tools/perplexity, tools/imatrix): the text is cut into
chunks of tokens that know nothing of each other, each begins with BOS where the model wants
one, and several are decoded at once. Knows files and llama.cpp; refuses to know what becomes
of the logits.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from ponder.errors import EngineError, InputError, NotAModel, UnsupportedModel
from ponder.gguf_header import LEAST_CONTEXT, read_header

Tokens = npt.NDArray[np.int32]
Logits = npt.NDArray[np.float32]

CHUNK = 512
"""Tokens; what llama-perplexity and llama-imatrix take where they are not told."""
_BATCH = 2048
"""Tokens decoded at once by those tools."""
_ERROR = 4
"""GGML_LOG_LEVEL_ERROR (ggml.h)."""

Watch = Callable[[Any, bool], bool]
"""(address of a graph's node, asked whether to wait for it) -> yes; or, told that it is there,
whether to go on."""

_complaints: deque[str] = deque(maxlen=40)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep(level: int, text: bytes, _user_data: Any) -> None:
    if level == _ERROR:
        _complaints.append(text.decode("utf-8", "replace").strip())


@dataclass(frozen=True, slots=True)
class Running:
    """How a model is run."""

    extra_buffers: bool = True
    """Whether llama.cpp may repack weights for this CPU (AMX and the like)."""
    gpu_layers: int | None = None
    """Layers on GPUs; None leaves it to llama.cpp."""
    threads: int | None = None
    """CPU threads; None is one for each core."""


class Reader:
    """One model, ready to read; a context manager that gives it back.

    Args:
        path: a GGUF, or the first part of a split one.
        running: how to run it.
        chunk: tokens of a chunk.
        watch: told of each node of each graph; what it raises ends the decode.

    Raises:
        NotAModel: missing, damaged, or no GGUF.
        UnsupportedModel: it does not write text left to right.
        EngineError: there is not enough memory for it.
    """

    def __init__(
        self,
        path: Path,
        running: Running | None = None,
        chunk: int = CHUNK,
        watch: Watch | None = None,
    ) -> None:
        if not LEAST_CONTEXT <= chunk <= _BATCH:
            raise InputError(
                f"Chunks of {chunk:,} tokens cannot be read.",
                f"Choose {LEAST_CONTEXT} to {_BATCH:,}.",
            )
        running = running or Running()
        header = read_header(path)
        self.name = path.name
        self.chunk = chunk
        self._failure: BaseException | None = None
        self._stopping = False
        self._model = self._context = None
        # Decoding has a thread of its own: Ctrl-C reaches this one, and C hears of it.
        self._thread = ThreadPoolExecutor(1, "ponder-reader")
        lib.llama_log_set(_keep, ctypes.c_void_p(0))
        lib.llama_backend_init()
        _complaints.clear()
        params = lib.llama_model_default_params()
        params.use_extra_bufts = running.extra_buffers
        if running.gpu_layers is not None:
            params.n_gpu_layers = running.gpu_layers
        if header.facts.get("tokenizer.ggml.model") != "none":
            self._model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise NotAModel(
                f"{path.name} cannot be run: {_cause() or 'it has no tokenizer'}.",
                "Compare its size and sha256 with its source: ponder verify FILE. What this "
                "llama-cpp-python does not know, a newer one may.",
            )
        try:
            self._open(running, watch)
        except BaseException:
            self.close()
            raise

    def _open(self, running: Running, watch: Watch | None) -> None:
        model = self._model
        vocab = lib.llama_model_get_vocab(model)
        if (
            lib.llama_vocab_type(vocab) == lib.LLAMA_VOCAB_TYPE_NONE
            or lib.llama_model_has_encoder(model)
            or not lib.llama_model_has_decoder(model)
            or lib.llama_model_is_diffusion(model)
        ):
            raise UnsupportedModel(
                f"{self.name} does not write text from left to right.",
                "Only decoder-only language models can be read.",
            )
        self._vocab = vocab
        self.n_vocab = int(lib.llama_vocab_n_tokens(vocab))
        self.at_once = _BATCH // self.chunk
        """Chunks decoded together."""
        cells = self.at_once * self.chunk
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = cells
        params.n_ubatch = min(params.n_ubatch, cells)
        params.n_seq_max = self.at_once
        params.n_threads = params.n_threads_batch = running.threads or os.cpu_count() or 1
        params.no_perf = True
        # Kept alive as long as the context.
        self._callbacks: list[Any] = [lib.ggml_abort_callback(self._abort)]
        params.abort_callback = self._callbacks[0]
        if watch is not None:
            self._callbacks.append(lib.ggml_backend_sched_eval_callback(self._guarded(watch)))
            params.cb_eval = self._callbacks[1]
        self._context = lib.llama_init_from_model(model, params)
        if not self._context:
            raise EngineError(
                f"llama.cpp could not make a context of {cells:,} tokens: {_cause()}.",
                "Close other programs, or put fewer layers on the GPU.",
            )

    def _abort(self, _data: Any) -> bool:
        """Called between nodes, so that Ctrl-C need not wait for the whole batch."""
        return self._stopping

    def _guarded(self, watch: Watch) -> Callable[[Any, bool, Any], bool]:
        def told(node: Any, ask: bool, _data: Any) -> bool:
            if self._stopping:
                return False
            try:
                return watch(node, ask)
            except Exception as error:  # noqa: BLE001 - C cannot pass it on
                self._failure, self._stopping = error, True
                return False

        return told

    def encode(self, text: str, special: bool = False) -> Tokens:
        """Text to tokens, with what the model wants before it; `special` reads tags as tokens."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        ids = np.empty(room, np.int32)
        pointer = ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        n = lib.llama_tokenize(self._vocab, data, len(data), pointer, room, True, special)
        if n < 0:
            raise EngineError("llama.cpp could not tokenize the text.")
        return ids[:n]

    def chunks(self, tokens: Tokens, most: int | None = None) -> Tokens:
        """Cut tokens into chunks; what is left over at the end is not read.

        Returns:
            Shape (chunks, tokens of a chunk).

        Raises:
            InputError: there is not enough text for two.
        """
        n = len(tokens) // self.chunk
        if n < 2:
            raise InputError(
                f"The text has {len(tokens):,} tokens, and two chunks of {self.chunk} are needed.",
                "Give a longer text.",
            )
        n = min(n, most) if most is not None else n
        return tokens[: n * self.chunk].reshape(n, self.chunk)

    def read(self, chunks: Tokens, first: int = 0) -> Iterator[tuple[slice, Logits]]:
        """Decode chunks, `at_once` at a time.

        Args:
            chunks: shape (chunks, tokens of a chunk).
            first: the position in a chunk from which logits are wanted.

        Yields:
            Which chunks they are, and the logits: shape (chunks, tokens of a chunk - first,
            vocabulary). They are overwritten by the next ones.

        Raises:
            EngineError: llama.cpp could not decode them.
        """
        batch = lib.llama_batch_init(self.at_once * self.chunk, 0, 1)
        try:
            for start in range(0, len(chunks), self.at_once):
                some = chunks[start : start + self.at_once]
                self._decode(batch, some, first)
                rows = (len(some), self.chunk - first, self.n_vocab)
                pointer = lib.llama_get_logits(self._context)
                yield slice(start, start + len(some)), np.ctypeslib.as_array(pointer, rows)
        finally:
            lib.llama_batch_free(batch)

    def _decode(self, batch: Any, chunks: Tokens, first: int) -> None:
        n, size = chunks.shape
        tokens = chunks.copy()
        if lib.llama_vocab_get_add_bos(self._vocab):
            tokens[:, 0] = lib.llama_vocab_bos(self._vocab)
        positions = np.tile(np.arange(size, dtype=np.int32), n)
        for pointer, values in (
            (batch.token, tokens.ravel()),
            (batch.pos, positions),
            (batch.n_seq_id, np.ones(n * size, np.int32)),
            (batch.logits, (positions >= first).astype(np.int8)),
        ):
            np.ctypeslib.as_array(pointer, (n * size,))[:] = values
        for at in range(n * size):
            batch.seq_id[at][0] = at // size
        batch.n_tokens = n * size
        lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        _complaints.clear()
        self._failure, self._stopping = None, False
        decoding = self._thread.submit(self._run, batch)
        try:
            result = decoding.result()
        except BaseException:
            self._stopping = True
            wait([decoding])
            raise
        if self._failure is not None:
            raise self._failure
        if result != 0:
            raise EngineError(
                f"llama.cpp could not decode (code {result}): {_cause() or 'it gave no reason'}."
            )

    def _run(self, batch: Any) -> int:
        result = lib.llama_decode(self._context, batch)
        lib.llama_synchronize(self._context)
        return int(result)

    def close(self) -> None:
        """Give the model back; may be called twice."""
        self._thread.shutdown()
        if self._context:
            lib.llama_free(self._context)
        if self._model:
            lib.llama_model_free(self._model)
        self._context = self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cause() -> str:
    """The first complaint is the cause, what follows are its consequences."""
    return _complaints[0].split(": ", 1)[-1].rstrip(".") if _complaints else ""
