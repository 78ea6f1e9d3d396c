"""llama.cpp's log is kept as far as somebody may ask for it."""

from __future__ import annotations

from pathlib import Path

from ponder.engines.llama import LlamaConfig, LlamaEngine, backend


def test_details_do_not_push_out_what_matters(builtin: Path) -> None:
    LlamaEngine(builtin, LlamaConfig(n_ctx=256, threads=1)).shutdown()
    backend.forget_log()
    for text in (b"cause: first", b" and last\n"):
        backend._keep(4 if text.startswith(b"cause") else 5, text, None)
    for _ in range(1000):
        backend._keep(1, b"a detail", None)
        backend._keep(5, b" goes on\n", None)
    assert backend.log_cause() == "first and last"
    assert "detail" not in backend.complaints()
    assert len(backend._log) == 2
