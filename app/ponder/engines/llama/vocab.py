"""The vocabulary inside a loaded model. Knows text, bytes and ids; no context, no sampling."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib

from ponder.engines.llama import backend
from ponder.errors import EngineError, NotAModel
from ponder.gguf_header import read_header

_NO_TOKEN = -1


@contextmanager
def vocabulary_of(path: Path) -> Iterator[LlamaVocabulary]:
    """A file's vocabulary without its weights, which need not even be there.

    Raises:
        NotAModel: it has none that llama.cpp can read.
    """
    read_header(path)
    backend.start()
    backend.forget_log()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise NotAModel(
            f"{path} has no vocabulary: {backend.log_cause()}.",
            "Convert the model again with its tokenizer files beside it.",
        )
    vocab = LlamaVocabulary(model)
    try:
        yield vocab
    finally:
        vocab.close()
        lib.llama_model_free(model)


class LlamaVocabulary:
    """Tokens of one model, read from its GGUF.

    Args:
        model: a `llama_model *` that outlives this object.
    """

    def __init__(self, model: Any) -> None:
        self._vocab: Any = lib.llama_model_get_vocab(model)
        self._pieces: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(1024)
        self.size: int = lib.llama_vocab_n_tokens(self._vocab)
        self.bos = self._token(lib.llama_vocab_bos(self._vocab))
        self.eos = self._token(lib.llama_vocab_eos(self._vocab))
        self.add_bos = bool(lib.llama_vocab_get_add_bos(self._vocab)) and self.bos is not None
        template = lib.llama_model_chat_template(model, None)
        self.chat_template: str | None = template.decode("utf-8", "replace") if template else None
        self._fingerprint = ""

    @staticmethod
    def _token(token: int) -> int | None:
        return None if token == _NO_TOKEN else int(token)

    @property
    def handle(self) -> Any:
        """The `llama_vocab *`, for samplers.

        Raises:
            EngineError: its model has been given back.
        """
        if self._vocab is None:
            raise EngineError("The model of this vocabulary has been shut down.")
        return self._vocab

    def close(self) -> None:
        """Forget the model, which is about to go: asking on is an error, not a crash."""
        self._vocab = None

    @property
    def fingerprint(self) -> str:
        """sha256 over every token's text."""
        if not self._fingerprint:
            digest, handle = hashlib.sha256(), self.handle
            for token in range(self.size):
                text = lib.llama_vocab_get_text(handle, token) or b""
                digest.update(len(text).to_bytes(4, "little") + text)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def encode(self, text: str, special: bool) -> list[int]:
        """Text to ids, nothing added; `special` reads tags as the tokens they name."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        ids = (ctypes.c_int32 * room)()
        n = lib.llama_tokenize(self.handle, data, len(data), ids, room, False, special)
        if n < 0:
            room = -n
            ids = (ctypes.c_int32 * room)()
            n = lib.llama_tokenize(self.handle, data, len(data), ids, room, False, special)
        if n < 0:
            raise EngineError("llama.cpp could not tokenize the text.")
        return ids[:n]

    def piece(self, token: int) -> bytes:
        """The bytes of one token; a special token gives its tag."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token)
        return known

    def _read_piece(self, token: int) -> bytes:
        if not 0 <= token < self.size:
            raise EngineError(f"There is no token {token}; the vocabulary has {self.size}.")
        buffer = self._buffer
        n = lib.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, True)
        if n < 0:
            buffer = ctypes.create_string_buffer(-n)
            n = lib.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, True)
        return buffer.raw[:n]

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens the model ends its turn with."""
        handle, is_end = self.handle, lib.llama_vocab_is_eog
        return frozenset(token for token in range(self.size) if is_end(handle, token))
