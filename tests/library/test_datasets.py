"""Files of question sets, fetched from a hub on loopback and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from library.hub_server import Hub as Server
from ponder.errors import HubRefused, HubUnreachable, OfflineError
from ponder.evaluation.sets.known import KNOWN, Source, open_set
from ponder.library import datasets
from ponder.library.hub import Hub

LINES = b'{"problem": "What is 6 * 7?", "solution": "So \\\\boxed{42}.", "unique_id": "t/1"}\n'


def patient() -> Hub:
    """A hub that is waited for without waiting."""
    return Hub(sleep=lambda _seconds: None)


@pytest.mark.parametrize("small", [frozenset({"test.jsonl"}), frozenset()])
def test_a_set_is_fetched_once(hub: Server, cache: Path, small: frozenset[str]) -> None:
    hub.add("HuggingFaceH4/MATH-500", {"test.jsonl": LINES}, small=small)

    def fetch(source: Source, file: str) -> Path:
        return datasets.fetch(source.repository, file, source.revision, hub=patient())

    found = open_set("math500", None, 0, fetch)
    (item,) = found.items
    assert (item.id, item.answer) == ("t/1", "42")
    assert item.text.startswith("What is 6 * 7?\n\nPlease reason step by step")
    assert all(asked.path.startswith(("/datasets/", "/cdn/")) for asked in hub.asked)
    # Where other tools look, and where it is found again without a question.
    assert datasets.fetch("HuggingFaceH4/MATH-500", "test.jsonl").is_relative_to(cache)
    asked = len(hub.asked)
    assert open_set("math500", 1, 0, fetch).items == found.items
    assert len(hub.asked) == asked


def test_offline_takes_what_is_here_and_fetches_nothing(
    hub: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("some/set", {"test.jsonl": LINES})
    monkeypatch.setenv("PONDER_OFFLINE", "1")
    with pytest.raises(OfflineError) as caught:
        datasets.fetch("some/set", "test.jsonl")
    assert "PONDER_OFFLINE" in caught.value.message
    assert "ponder eval FILE.jsonl" in caught.value.hint
    assert hub.asked == []
    monkeypatch.delenv("PONDER_OFFLINE")
    here = datasets.fetch("some/set", "test.jsonl", hub=patient())
    monkeypatch.setenv("PONDER_OFFLINE", "1")
    assert datasets.fetch("some/set", "test.jsonl") == here


def test_a_gated_set_says_where_its_terms_are(hub: Server) -> None:
    hub.add("Idavidrein/gpqa", {"gpqa_diamond.csv": b""}, gated=True, token="secret")
    with pytest.raises(HubRefused) as caught:
        datasets.fetch("Idavidrein/gpqa", "gpqa_diamond.csv", hub=patient())
    assert "gated" in caught.value.message
    assert f"{hub.url}/datasets/Idavidrein/gpqa" in caught.value.hint


def test_what_is_not_there_is_told_of_and_not_cached(hub: Server) -> None:
    hub.add("opencompass/gsm8k", {"README.md": b"moved"})

    def fetch(source: Source, file: str) -> Path:
        return datasets.fetch(source.repository, file, source.revision, hub=patient())

    with pytest.raises(HubRefused) as caught:
        open_set("gsm8k", None, 0, fetch)
    assert "has no file test.jsonl" in caught.value.message
    assert "github.com/openai/grade-school-math" in caught.value.hint
    # It appears, and is found: that it was missing is not remembered against it.
    hub.add("opencompass/gsm8k", {"test.jsonl": b'{"question": "1+1?", "answer": "#### 2"}'})
    assert open_set("gsm8k", None, 0, fetch).items[0].answer == "2"


def test_an_unreachable_hub_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    # The discard port: nobody is there.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubUnreachable) as caught:
        datasets.fetch("HuggingFaceH4/MATH-500", "test.jsonl", hub=patient())
    assert "127.0.0.1:9 cannot be reached" in caught.value.message
    assert "HF_ENDPOINT" in caught.value.hint


def test_trouble_that_passes_is_waited_for(hub: Server) -> None:
    hub.add("some/set", {"test.jsonl": LINES})
    hub.fault("resolve", times=2, status=503)
    assert datasets.fetch("some/set", "test.jsonl", hub=patient()).read_bytes() == LINES


def test_every_known_set_is_of_files_that_are_read_here() -> None:
    for source in KNOWN.values():
        assert source.files
        assert all(file.endswith((".jsonl", ".csv", ".tsv")) for file in source.files)
