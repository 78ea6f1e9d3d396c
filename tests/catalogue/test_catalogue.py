"""models.toml is what it says it is, and a wrong one is refused by name and field."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ponder import paths
from ponder.catalogue import Catalogue, Serving, catalogue, sampling, shipped, source
from ponder.engines.replay import ByteVocabulary
from ponder.errors import EngineError, SettingsError, UnknownName
from ponder.library.local import builtin_path
from ponder.thinking.protocol import resolve
from ponder.types import Sampling
from ponder.vocabulary import Vocabulary
from real_vocab import r1, smollm2, tiny

SHIPPED = shipped()

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
licences = ["MIT"]
sampling = { temperature = 0.6, top_p = 0.95 }

[models.small.ggufs.Q4_K_M]
repository = "someone/Small-1B-GGUF"
file = "Small-1B-Q4_K_M.gguf"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"""

SHAPE = """[models.tiny]
title = "Tiny"
dialect = "plain"
parameters = 0.1
context = 128
licences = ["MIT"]
sampling = { temperature = 0.6, top_p = 0.95 }
shape = { architecture = "llama", checkpoint = "L", hidden = 64, layers = 2, heads = 4, ffn = 9,\
 vocabulary = 9, rope_theta = 1, head_dim = 16, kv_heads = 2 }
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
    assert model.builtin or model.package or re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository)
    if model.package is not None:
        assert re.fullmatch("[0-9a-f]{64}", model.package.sha256)
        assert model.package.extra
    if model.builtin:
        assert builtin_path(model.builtin).is_file()
    for quant, gguf in model.ggufs.items():
        assert re.fullmatch("[0-9a-f]{64}", gguf.sha256)
        assert re.fullmatch(r"[\w.-]+\.gguf", gguf.file)
        assert quant in gguf.file
        assert gguf.url == f"https://huggingface.co/{gguf.repository}/resolve/main/{gguf.file}"
    assert model.gguf == next(iter(model.ggufs.values()), None)
    assert model.shape is not None
    if model.scores is not None:
        assert all(score > 0 for score in model.scores.figures().values())


def test_it_tells_of_every_model_that_ponder_is_for() -> None:
    assert set(SHIPPED.models) == {
        "ponder-tiny", "ponder-smol", "r1-1.5b", "r1-7b", "r1-8b", "r1-14b", "r1-32b", "r1-70b",
        "s1-32b", "s1.1-32b", "r1-671b", "r1-zero-671b",
    }  # fmt: skip
    assert SHIPPED.api("o1").output > SHIPPED.api("deepseek-r1").output > 0
    assert all(layout.gpus for layout in served("r1-671b").layouts)


def served(name: str) -> Serving:
    serving = SHIPPED.model(name).serving
    assert serving is not None
    return serving


@pytest.mark.parametrize(
    ("name", "bytes_a_token"),
    # 2 x layers x KV heads x head size x 2 bytes; MLA: one latent row a layer.
    [("r1-1.5b", 28 << 10), ("r1-7b", 56 << 10), ("r1-8b", 128 << 10), ("r1-14b", 192 << 10),
     ("r1-32b", 256 << 10), ("r1-70b", 320 << 10), ("r1-671b", 70_272)],
)  # fmt: skip
def test_shapes_have_the_cache_that_is_known_of_them(name: str, bytes_a_token: int) -> None:
    shape = SHIPPED.model(name).shape
    assert shape is not None
    if shape.mla is not None:
        width = shape.mla.kv_lora + shape.mla.rope
    else:
        width = 2 * shape.kv_heads * shape.head_dim
        assert shape.heads * shape.head_dim == shape.hidden
    assert 2 * shape.layers * width == bytes_a_token


def test_no_two_models_are_the_same_file() -> None:
    pinned = [g.sha256 for m in SHIPPED.models.values() for g in m.ggufs.values()]
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
    ("old", "new", "line", "told"),
    [
        ("licences =", "license =", 13, ["models.small.license", "no such field"]),
        ("context = 4096", 'context = "4096"', 12, ["models.small.context", "`int`", "`str`"]),
        ("parameters = 1.0", "parameters = true", 11, ["parameters", "`float`"]),
        ("parameters = 1.0", "parameters = 0", 11, ["parameters", "> 0"]),
        ("context = 4096\n", "", 8, ["models.small:", "context", "missing"]),
        ('file = "Small-1B-Q4_K_M.gguf"\n', "", 16, ["small.ggufs.Q4_K_M:", "file", "missing"]),
        ("Small-1B-Q4_K_M.gguf", "../Small.gguf", 18, ["ggufs.Q4_K_M.file", "inside its repos"]),
        ("Small-1B-Q4_K_M.gguf", "Small.bin", 18, ["ggufs.Q4_K_M.file", ".gguf"]),
        ("someone/Small-1B-GGUF", "Small-1B-GGUF", 17, ["ggufs.Q4_K_M.repository", "owner/name"]),
        ('sha256 = "00', 'sha256 = "x0', 19, ["ggufs.Q4_K_M.sha256", "64 hexadecimal"]),
        ("temperature = 0.6", "temprature = 0.6", 14, ["sampling.temprature", "no such field"]),
        ("temperature = 0.6", "temperature = -1", 14, ["sampling.temperature", ">= 0"]),
        ('dialect = "r1"', 'dialect = "r2"', 10, ["small", "'r2'", "known: r1, plain"]),
        ('end = "</think>"', "end = 3", 4, ["dialects.r1.end", "`str`"]),
        ("[models.small]", '[models."small:1"]', 8, ["models", "a name of letters"]),
        ("[dialects.plain]", "[dialects.plain", 6, ["no TOML"]),
        ('sha256 = "00', 'sha256 = """00', 19, ["no TOML"]),
        ("[dialects.plain]", "[dialect.plain]", 6, ["dialect"]),
        ("[dialects.plain]", "[dialects.plane]", 2, ["plain", "missing"]),
        (GOOD, "", 1, ["missing", "dialects"]),
        (GOOD, "models = 1\ndialects = {}", 1, ["models", "`object`"]),
        ("", SHAPE.replace(", kv_heads = 2", ""), 8, ["models.tiny.shape", "needs kv_heads"]),
        ("", SHAPE.replace("heads = 4", "heads = 3"), 8, ["models.tiny.shape", "3 heads"]),
    ],
)
def test_a_wrong_one_is_refused_by_file_line_and_field(
    old: str, new: str, line: int, told: list[str]
) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as refused:
        Catalogue(GOOD.replace(old, new, 1), "mine.toml")
    assert refused.value.message.startswith(f"mine.toml, line {line}: "), refused.value.message
    for word in told:
        assert word in refused.value.message
    assert refused.value.hint


def test_the_wrong_one_of_many_is_the_one_that_is_told() -> None:
    text = source().read_text("utf-8")
    at = text.index("hidden = 5120")
    with pytest.raises(SettingsError, match=r"models\.r1-14b\.shape\.hidden: expected") as refused:
        Catalogue(text[:at] + text[at:].replace("5120", '"wide"', 1))
    line = text[:at].count("\n") + 1
    assert f"models.toml, line {line}: " in refused.value.message
    at = text.index('gpu = "H100"')
    with pytest.raises(SettingsError, match=r"layouts\[1\]\.gpu: expected `str`") as refused:
        Catalogue(text[:at] + text[at:].replace('"H100"', "100", 1))
    # An inline table begins where its statement does.
    line = text[: text.rindex("layouts", 0, at)].count("\n") + 1
    assert f"models.toml, line {line}: " in refused.value.message


# -- a user's own ---------------------------------------------------------------------------


OWN = """
[models.mine]
title = "Mine-3B"
dialect = "r1"
parameters = 3
context = 8192
licences = ["MIT"]
sampling = { temperature = 1, top_p = 1 }
"""


def own(text: str) -> Path:
    """Writes the user's file."""
    path = paths.user_catalogue()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_without_a_file_of_ones_own_the_catalogue_is_ponders(home: Path) -> None:
    assert paths.user_catalogue() == home / "models.toml"
    assert catalogue() is shipped()
    assert (set(catalogue().own), catalogue().problem, catalogue().trouble) == (set(), None, "")


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "BOM"])
def test_a_users_own_models_are_added(mark: str) -> None:
    own(mark + OWN.lstrip())
    found = catalogue()
    assert set(found.models) == {*SHIPPED.models, "mine"}
    assert found.model("mine").title == "Mine-3B"
    assert (set(found.own), set(found.replaced)) == ({"mine"}, set())
    assert "mine" not in shipped().models
    assert found.recognise("x.gguf", "mine 3b") == ("mine", found.models["mine"])


def test_a_users_own_take_the_place_of_ponders() -> None:
    own(
        OWN.replace("models.mine", 'models."r1-7b"').replace('"r1"', '"loud"')
        + """
[dialects.loud]
end = "STOP"
[dialects.s1]
end = "</s1>"
[apis.o1]
title = "o1"
input = 1
output = 2
date = "2026"
"""
    )
    found = catalogue()
    assert found.model("r1-7b").dialect == "loud"
    assert found.own == found.replaced == {"r1-7b"}
    assert found.dialect("s1").end == "</s1>"
    assert found.api("o1").output == 2
    assert list(found.models) == list(SHIPPED.models)
    assert shipped().model("r1-7b").dialect == "r1"


def test_a_users_file_is_read_when_it_has_changed() -> None:
    path = own(OWN)
    assert "mine" in catalogue().models
    path.unlink()
    assert "mine" not in catalogue().models


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OWN.replace("context = 8192", "context = 1"), r"line 6: models\.mine\.context"),
        (OWN.replace('"r1"', '"r3"'), r"line 4: models\.mine\.dialect: .*'r3'"),
        (OWN + "= 3", "line 9: .*no TOML"),
    ],
)
def test_a_wrong_file_is_left_out_and_says_so(text: str, told: str) -> None:
    path = own(OWN.replace("mine", "other") + text)
    found = catalogue()
    assert found.problem is not None
    assert re.match(re.escape(f"{path}, "), found.problem.message)
    assert str(path) in found.problem.hint
    assert (dict(found.models), dict(found.dialects)) == (
        dict(SHIPPED.models), dict(SHIPPED.dialects),
    )  # fmt: skip
    assert found.own == set()
    # Whoever asks for what it should have brought hears why it is missing.
    with pytest.raises(UnknownName) as refused:
        found.model("mine")
    assert found.problem.message in refused.value.hint


def test_a_file_that_cannot_be_read_is_left_out() -> None:
    paths.user_catalogue().mkdir(parents=True)
    found = catalogue()
    assert found.problem is not None
    assert "cannot be read" in found.problem.message
    paths.user_catalogue().rmdir()
    paths.user_catalogue().write_bytes(b"\xff\xfe")
    problem = catalogue().problem
    assert problem is not None
    assert "not UTF-8" in problem.message


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "kind", "near", "known"),
    [
        (lambda: SHIPPED.model("r1-7"), "model", "r1-7b", SHIPPED.models),
        (lambda: SHIPPED.dialect("r3"), "dialect", "r1", SHIPPED.dialects),
        (lambda: SHIPPED.api("o3"), "service", "o1", SHIPPED.apis),
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
        ("ponder-tiny-Q4_K_M.gguf", "ponder-tiny", "ponder-tiny"),
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
