"""What ponder quantizes itself has a name, is found under its model's, verified and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from library.conftest import content
from library.pulls import pinned
from ponder.catalogue import Catalogue, catalogue
from ponder.errors import InputError, UnknownName
from ponder.library import lock as locks
from ponder.library import quantized
from ponder.library.bundle import contents
from ponder.library.checking import check, locked
from ponder.library.keeping import removal, remove
from ponder.library.local import builtin_path, entries, find
from ponder.library.watching import Checked, Event

SHIPPED = catalogue()
COMMIT = "0123456789" * 4


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PONDER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    return folder


def make(said: str, known: Catalogue = SHIPPED, seed: int = 0) -> locks.Lock:
    want = quantized.wanted(said, known)
    path = quantized.place(want)
    path.write_bytes(content(10_000, seed))
    return quantized.keep(want, path, COMMIT, lambda _event: None)


@pytest.mark.parametrize(
    ("said", "repository", "revision", "name"),
    [
        ("r1-1.5b", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "main", "r1-1.5b-Q4_K_M"),
        ("r1-1.5b:q6_k", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "main", "r1-1.5b-Q6_K"),
        ("s1-32b", "simplescaling/s1-32B", "main", "s1-32b-Q4_K_M"),
        ("some/Model", "some/Model", "main", "Model-Q4_K_M"),
        ("some/Model@v2:IQ4_XS", "some/Model", "v2", "Model-IQ4_XS"),
        ("https://huggingface.co/some/Model:q8_0", "some/Model", "main", "Model-Q8_0"),
    ],
)
def test_what_is_meant(said: str, repository: str, revision: str, name: str) -> None:
    want = quantized.wanted(said, SHIPPED)
    assert (want.repository, want.revision, want.name) == (repository, revision, name)


def test_what_is_not_known_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="r1-1") as told:
        quantized.wanted("r1-1.5", SHIPPED)
    assert "owner/repo:QUANT" in told.value.hint


def test_a_model_without_a_checkpoint_says_what_to_do() -> None:
    with pytest.raises(InputError, match="does not say"):
        quantized.wanted("small", pinned())


def test_it_is_found_under_its_models_name_and_its_own() -> None:
    lock = make("s1-32b:Q4_K_M")
    for name in ("s1-32b", "s1-32b:q4_k_m", "s1-32b-Q4_K_M", "simplescaling/s1-32B:Q4_K_M"):
        assert find(name, SHIPPED).path == lock.path
    (entry,) = [e for e in entries(SHIPPED) if e.origin == "quantized"]
    assert entry.name == "s1-32b"
    assert entry.model is SHIPPED.models["s1-32b"]
    other = make("s1-32b:Q8_0", seed=1)
    assert find("s1-32b:Q8_0", SHIPPED).path == other.path
    assert find("s1-32b-Q8_0", SHIPPED).path == other.path


def test_a_bundle_of_all_that_ponder_keeps_takes_it_along() -> None:
    want = quantized.wanted("r1-7b:Q4_K_M", SHIPPED)
    path = quantized.place(want)
    path.write_bytes(builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes())
    lock = quantized.keep(want, path, COMMIT, lambda _event: None)
    (packed,) = contents.models([], SHIPPED, lambda _event: None)
    assert packed.lock.name == lock.name


def test_it_is_not_taken_for_a_published_file() -> None:
    lock = make("r1-7b:Q4_K_M")
    (verdict,) = check("r1-7b:Q4_K_M", SHIPPED)
    assert verdict.right
    assert verdict.expected == lock.parts[0].sha256
    lock.path.write_bytes(content(10_000, 9))
    (verdict,) = check("r1-7b-Q4_K_M", SHIPPED)
    assert not verdict.right


def test_it_is_removed_with_its_lock() -> None:
    lock = make("some/Model:Q8_0")
    remove(removal(locked("Model-Q8_0", SHIPPED)))
    assert not lock.path.exists()
    assert locks.read(lock.name) is None


def test_another_model_of_that_name_is_left_alone(models: Path) -> None:
    (models / "Model-Q8_0.gguf").write_bytes(b"GGUF mine")
    with pytest.raises(InputError, match="another model"):
        make("some/Model:Q8_0")
    with pytest.raises(InputError, match="another model"):
        quantized.place(quantized.wanted("some/Model:Q8_0", SHIPPED), force=True)
    assert (models / "Model-Q8_0.gguf").read_bytes() == b"GGUF mine"


def test_one_that_is_there_is_made_anew_only_if_told_so() -> None:
    lock = make("some/Model:Q8_0")
    want = quantized.wanted("some/Model:Q8_0", SHIPPED)
    with pytest.raises(InputError, match="here already"):
        quantized.place(want)
    assert quantized.place(want, force=True) == lock.path
    # A second owner's model of the same name is another model.
    with pytest.raises(InputError, match="another model"):
        quantized.place(quantized.wanted("other/Model:Q8_0", SHIPPED), force=True)


def test_its_hash_is_told() -> None:
    told: list[Event] = []
    want = quantized.wanted("some/Model:Q8_0", SHIPPED)
    path = quantized.place(want)
    path.write_bytes(content(100))
    lock = quantized.keep(want, path, COMMIT, told.append)
    assert told[-1] == Checked("Model-Q8_0.gguf", lock.parts[0].sha256)
    assert locks.read(lock.name) == lock
