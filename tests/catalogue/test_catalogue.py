"""models.toml is what it says it is, and a wrong one is refused by name and field."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ponder.catalogue import Catalogue, catalogue, sampling, source
from ponder.engines.replay import ByteVocabulary
from ponder.errors import EngineError, SettingsError, UnknownName
from ponder.library.local import builtin_path
from ponder.thinking.protocol import resolve
from ponder.types import Sampling, Vocabulary
from real_vocab import r1, smollm2, tiny

SHIPPED = catalogue()

GOOD = """
[dialects.r1]
open = "<think>"
end = "</think>"

[dialects.plain]

[models.small]
title = "Small-1B"
dialect = "r1"
parameters = 1.0
context = 4096
licence = "MIT"
sampling = { temperature = 0.6, top_p = 0.95 }

[models.small.gguf]
repository = "someone/Small-1B-GGUF"
file = "Small-1B-Q4_K_M.gguf"
sha256 = "00"
"""


# -- the shipped one ------------------------------------------------------------------------


def test_the_shipped_one_is_the_one_at_the_top_of_the_checkout() -> None:
    top = Path(__file__).parents[2] / "models.toml"
    assert source().read_text("utf-8") == top.read_text("utf-8")


def test_every_model_thinks_in_a_dialect_that_exists() -> None:
    assert {model.dialect for model in SHIPPED.models.values()} <= set(SHIPPED.dialects)
    assert all(name == dialect.name for name, dialect in SHIPPED.dialects.items())
    assert "plain" in SHIPPED.dialects


@pytest.mark.parametrize("name", SHIPPED.models)
def test_every_model_can_be_had_and_checked(name: str) -> None:
    model = SHIPPED.model(name)
    assert model.builtin or re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository)
    if model.builtin:
        assert builtin_path(model.builtin).is_file()
    if model.gguf is not None:
        assert re.fullmatch("[0-9a-f]{64}", model.gguf.sha256)
        assert re.fullmatch(r"[\w.-]+\.gguf", model.gguf.file)
        assert model.gguf.url == (
            f"https://huggingface.co/{model.gguf.repository}/resolve/main/{model.gguf.file}"
        )
    assert model.parameters > 0
    assert model.context > 0
    assert model.licence


def test_no_two_models_are_the_same_file() -> None:
    pinned = [m.gguf.sha256 for m in SHIPPED.models.values() if m.gguf]
    assert len(set(pinned)) == len(pinned) > 0


def test_vendors_settings_become_sampling() -> None:
    assert sampling(SHIPPED.model("r1-7b")) == Sampling(temperature=0.6, top_p=0.95)
    assert sampling(SHIPPED.model("s1-32b")) == Sampling(temperature=0.0, top_p=1.0)


@pytest.mark.parametrize("name", ["ponder-tiny"])
def test_the_builtin_model_speaks_its_dialect(name: str) -> None:
    protocol = resolve(SHIPPED.dialect(SHIPPED.model(name).dialect), tiny())
    assert protocol.end_id is not None


# -- wrong ones -----------------------------------------------------------------------------


def test_a_small_one_is_read() -> None:
    small = Catalogue(GOOD).model("small")
    assert (small.title, small.builtin, small.note) == ("Small-1B", "", "")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("licence =", "license =", ["license", "models"]),
        ("context = 4096", 'context = "4096"', ["context", "`int`", "`str`"]),
        ("parameters = 1.0", "parameters = true", ["parameters", "`float`"]),
        ("context = 4096\n", "", ["context", "missing"]),
        ('sha256 = "00"\n', "", ["sha256", "missing", "gguf"]),
        ("temperature = 0.6", "temprature = 0.6", ["temprature", "sampling"]),
        ('dialect = "r1"', 'dialect = "r2"', ["small", "r2"]),
        ('end = "</think>"', "end = 3", ["end", "`str`"]),
        ("[dialects.plain]", "[dialects.plain", ["line 6"]),
        ("[dialects.plain]", "[dialect.plain]", ["dialect"]),
        (GOOD, "", ["missing", "dialects"]),
        (GOOD, "models = 1\ndialects = {}", ["models"]),
    ],
)
def test_a_wrong_one_is_refused_by_file_and_field(old: str, new: str, told: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as refused:
        Catalogue(GOOD.replace(old, new, 1), "mine.toml")
    assert "mine.toml" in refused.value.message
    for word in told:
        assert word in refused.value.message
    assert refused.value.hint


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "kind", "near", "known"),
    [
        (lambda: SHIPPED.model("r1-7"), "model", "r1-7b", SHIPPED.models),
        (lambda: SHIPPED.dialect("r3"), "dialect", "r1", SHIPPED.dialects),
    ],
)
def test_an_unknown_name_lists_the_right_ones(
    ask: Callable[[], object], kind: str, near: str, known: dict[str, object]
) -> None:
    with pytest.raises(UnknownName, match=f"no {kind} called") as refused:
        ask()
    assert refused.value.hint.startswith(f"Did you mean {near}?")
    assert all(name in refused.value.hint for name in known)


# -- files and vocabularies that nobody named -----------------------------------------------


@pytest.mark.parametrize(
    ("file", "general_name", "name"),
    [
        ("DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf", "", "r1-7b"),
        ("my-own.gguf", "DeepSeek R1 Distill Qwen 7B", "r1-7b"),
        ("my-own.gguf", "DeepSeek-R1-Distill-Llama-70B", "r1-70b"),
        ("my-own.gguf", "deepseek_r1_distill_qwen_1.5b", "r1-1.5b"),
        ("my-own.gguf", "s1.1 32B", "s1.1-32b"),
        ("ponder-tiny-Q8_0.gguf", "ponder-tiny", "ponder-tiny"),
        ("my-own.gguf", "", None),
        ("my-own.gguf", "--", None),
        ("my-own.gguf", "DeepSeek R1 Distill", None),
        ("", "", None),
    ],
)
def test_a_file_is_recognised_by_its_name_or_its_metadata(
    file: str, general_name: str, name: str | None
) -> None:
    found = SHIPPED.recognise(file, general_name)
    assert found == (None if name is None else (name, SHIPPED.models[name]))


def test_a_files_name_counts_more_than_what_it_calls_itself() -> None:
    found = SHIPPED.recognise(
        "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf", "DeepSeek R1 Distill Qwen 1.5B"
    )
    assert found is not None
    assert found[0] == "r1-7b"


TAGLESS = ByteVocabulary(("<bos>", "<eos>"))
TAGGED = ByteVocabulary(("<bos>", "<eos>", "</think>"))


class Mute(ByteVocabulary):
    """Cannot tokenize at all."""

    def encode(self, text: str, special: bool) -> list[int]:
        raise EngineError("llama.cpp could not tokenize the text.")


@pytest.mark.parametrize(
    ("vocab", "template", "dialect"),
    [
        (TAGLESS, "{{ messages }}", "plain"),
        (TAGLESS, "{{ content.split('</think>')[-1] }}", "r1"),
        (TAGGED, "{{ messages }}", "r1"),
        (TAGLESS, "", "plain"),
        (Mute(()), "", "plain"),
    ],
)
def test_an_unknown_model_thinks_if_it_has_think_tags(
    vocab: Vocabulary, template: str, dialect: str
) -> None:
    assert SHIPPED.guess_dialect(vocab, template).name == dialect


def test_r1_would_be_known_by_its_vocabulary_alone() -> None:
    assert SHIPPED.guess_dialect(r1(), "").name == "r1"
    assert SHIPPED.guess_dialect(r1(), r1().chat_template or "").name == "r1"


@pytest.mark.weights
def test_smollm2_does_not_think() -> None:
    assert SHIPPED.guess_dialect(smollm2(), smollm2().chat_template or "").name == "plain"
