"""Checkpoints that are not what they say: refused by name, before a weight is read."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.errors import BadCheckpoint, PonderError, UnknownName, UnsupportedModel
from ponder_quantize.checkpoint import open_checkpoint
from quantize import checkpoints

INDEX = "model.safetensors.index.json"
FIRST = "model-00001-of-00003.safetensors"


def _edit(file: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        raw = json.loads((directory / file).read_text())
        change(raw)
        (directory / file).write_text(json.dumps(raw))

    return edit


def _config(**changes: Any) -> Callable[[Path], None]:
    return _edit("config.json", lambda raw: raw.update(changes))


def _tokenizer(**changes: Any) -> Callable[[Path], None]:
    return _edit("tokenizer_config.json", lambda raw: raw.update(changes))


def _without(key: str, file: str = "config.json") -> Callable[[Path], None]:
    return _edit(file, lambda raw: raw.pop(key))


def _places(change: Callable[[dict[str, str]], Any]) -> Callable[[Path], None]:
    return _edit(INDEX, lambda raw: change(raw["weight_map"]))


def _cut(directory: Path) -> None:
    path = directory / FIRST
    path.write_bytes(path.read_bytes()[:-100])


def _longer(directory: Path) -> None:
    with (directory / FIRST).open("ab") as file:
        file.write(b"more")


def _text(file: str, content: bytes) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        (directory / file).write_bytes(content)

    return write


def _gone(file: str) -> Callable[[Path], None]:
    return lambda directory: (directory / file).unlink()


def _twice(directory: Path) -> None:
    (directory / INDEX).unlink()
    (directory / "model-copy.safetensors").write_bytes((directory / FIRST).read_bytes())


def _pickled(directory: Path) -> None:
    for path in directory.glob("model*"):
        path.unlink()
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was opened",)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


CASES: dict[str, tuple[Callable[[Path], None], type[PonderError], str]] = {
    "empty directory": (_empty, BadCheckpoint, "is empty"),
    "pickle": (_pickled, BadCheckpoint, "never opened"),
    "no config": (_gone("config.json"), BadCheckpoint, r"has no config\.json"),
    "config is no JSON": (_text("config.json", b"{"), BadCheckpoint, r"config\.json is no JSON"),
    "config is a list": (_text("config.json", b"[]"), BadCheckpoint, "no JSON object"),
    "config nested": (_text("config.json", b"[" * 99999), BadCheckpoint, "no JSON"),
    "no architecture": (_without("architectures"), BadCheckpoint, "names no architecture"),
    "unknown architecture": (
        _config(architectures=["GPT2LMHeadModel"]), UnsupportedModel, "GPT2LMHeadModel",
    ),
    "no hidden size": (_without("hidden_size"), BadCheckpoint, "does not say hidden_size"),
    "a word for a number": (
        _config(num_hidden_layers="three"), BadCheckpoint, "num_hidden_layers .* 'three'",
    ),
    "true for a number": (_config(hidden_size=True), BadCheckpoint, "hidden_size"),
    "layers without end": (_config(num_hidden_layers=10**9), BadCheckpoint, "num_hidden_layers"),
    "heads do not divide": (_config(num_attention_heads=7), BadCheckpoint, "do not divide"),
    "another hidden size": (_config(hidden_size=512), BadCheckpoint, "320 x 256.*320 x 512"),
    "a layer more": (_config(num_hidden_layers=4), BadCheckpoint, r"has no model\.layers\.3"),
    "a layer less": (_config(num_hidden_layers=2), BadCheckpoint, r"beyond .*model\.layers\.2"),
    "quantized by others": (
        _config(quantization_config={"quant_method": "gptq"}), UnsupportedModel, "gptq",
    ),
    "unknown rope": (
        _config(rope_scaling={"rope_type": "longrope"}), UnsupportedModel, "longrope",
    ),
    "shard missing": (_gone(FIRST), BadCheckpoint, FIRST),
    "shard cut short": (_cut, BadCheckpoint, f"{FIRST} is cut short"),
    "shard too long": (_longer, BadCheckpoint, "4 bytes more"),
    "shard empty": (_text(FIRST, b""), BadCheckpoint, "has no header"),
    "LFS pointer": (_text(FIRST, b"version https://git-lfs"), BadCheckpoint, "no safetensors"),
    "two shards with one tensor": (_twice, BadCheckpoint, "is in model-.* and in model-"),
    "index: another shard": (
        _places(lambda m: m.update({"model.norm.weight": FIRST})), BadCheckpoint,
        f"puts 'model.norm.weight' into {FIRST}, and it is in",
    ),
    "index: tensor that is nowhere": (
        _places(lambda m: m.update(ghost=FIRST)), BadCheckpoint, "'ghost' .* is not there",
    ),
    "index: tensor forgotten": (
        _places(lambda m: m.pop("model.norm.weight")), BadCheckpoint, "does not know it",
    ),
    "index: elsewhere": (
        _places(lambda m: m.update(ghost="../x.safetensors")), BadCheckpoint, "is no shard",
    ),
    "index: empty": (_text(INDEX, b"{}"), BadCheckpoint, "no weight_map"),
    "no tokenizer": (_gone("tokenizer.json"), BadCheckpoint, r"has no tokenizer\.json"),
    "SentencePiece": (_text("tokenizer.model", b"x"), UnsupportedModel, "SentencePiece"),
    "tokenizer is no tokenizer": (
        _text("tokenizer.json", b"{}"), UnsupportedModel, "byte-level BPE",
    ),
    "tokenizer damaged": (
        _edit("tokenizer.json", lambda raw: raw["model"].pop("vocab")), BadCheckpoint, "is damaged",
    ),
    "more tokens than rows": (_config(vocab_size=200), BadCheckpoint, "200"),
    "unknown pre-tokenizer": (
        _without("tokenizer.ggml.pre", "tokenizer_config.json"), UnsupportedModel, "pre-tokenizer",
    ),
    "wrong pre-tokenizer": (
        _tokenizer(**{"tokenizer.ggml.pre": "qwen"}), UnknownName, "pre-tokenizer",
    ),
    "template is a number": (
        _tokenizer(chat_template=[{"name": "a", "template": 7}]), BadCheckpoint, "chat_template.a",
    ),
    "card is no YAML": (_text("README.md", b"---\na: [\n---\n"), BadCheckpoint, "README"),
    "sampling is a word": (
        _edit("generation_config.json", lambda raw: raw.update(top_k="many")), BadCheckpoint,
        "general.sampling.top_k",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str, tmp_path: Path) -> None:
    spoil, kind, told = CASES[case]
    directory = checkpoints.write("qwen2-bf16", tmp_path / "m")
    open_checkpoint(directory)
    spoil(directory)
    with pytest.raises(kind, match=told):
        open_checkpoint(directory)


def test_an_unknown_architecture_lists_the_known(tmp_path: Path) -> None:
    directory = checkpoints.write("qwen2-tied", tmp_path / "m", architectures=["Mamba"])
    with pytest.raises(UnsupportedModel) as refused:
        open_checkpoint(directory)
    for known in ("Qwen2ForCausalLM", "LlamaForCausalLM", "DeepseekV3ForCausalLM"):
        assert known in refused.value.hint


def test_a_pre_tokenizer_can_be_named_and_a_wrong_name_lists_the_right(tmp_path: Path) -> None:
    directory = checkpoints.write("qwen2-tied", tmp_path / "m")
    _without("tokenizer.ggml.pre", "tokenizer_config.json")(directory)
    with pytest.raises(UnsupportedModel) as unknown:
        open_checkpoint(directory)
    assert "--pre" in unknown.value.hint and "tokenizer.ggml.pre" in unknown.value.hint
    found = {e.key: e.value for e in open_checkpoint(directory, pre="qwen2").metadata}
    assert found["tokenizer.ggml.pre"] == "qwen2"
    with pytest.raises(UnknownName, match="lama-bpe") as wrong:
        open_checkpoint(directory, pre="lama-bpe")
    assert wrong.value.hint.startswith("Did you mean llama-bpe?")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shape": [3, 2]}, r"_scale_inv.* is not the scales of"),
        ({"dtype": "I32"}, "is of type I32"),
        (None, "is FP8 and has no"),
    ],
)
def test_scales_have_to_fit_their_matrix(
    change: dict[str, Any] | None, told: str, tmp_path: Path
) -> None:
    directory = checkpoints.write("deepseek-fp8", tmp_path / "m")
    (directory / INDEX).unlink()
    for path in directory.glob("*.safetensors"):
        content = path.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        tensors = {
            name: checkpoints.Tensor(
                entry["dtype"],
                tuple(entry["shape"]),
                content[slice(*(end + at for at in entry["data_offsets"]))],
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
        spoiled = "model.layers.0.mlp.down_proj.weight_scale_inv"
        if spoiled in tensors:
            old = tensors.pop(spoiled)
            if change is not None:
                tensors[spoiled] = checkpoints.Tensor(
                    change.get("dtype", old.dtype),
                    tuple(change.get("shape", old.shape)),
                    old.data,
                )
        checkpoints.write_shard(path, tensors)
    with pytest.raises(BadCheckpoint, match=told):
        open_checkpoint(directory)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(data=st.data())
def test_any_key_may_hold_anything(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """It is read, or refused as a checkpoint; nothing else is raised."""
    directory = checkpoints.write(
        data.draw(st.sampled_from(["qwen2-odd", "llama-tied", "deepseek-bf16"])),
        tmp_path_factory.mktemp("m"),
        num_hidden_layers=1,
    )
    file = directory / data.draw(st.sampled_from(_FILES))
    raw = json.loads(file.read_text())
    inner = raw
    while True:
        key = data.draw(st.sampled_from(sorted(inner)))
        if not (isinstance(inner[key], dict) and inner[key] and data.draw(st.booleans())):
            break
        inner = inner[key]
    inner[key] = data.draw(_JSON)
    file.write_text(json.dumps(raw))
    try:
        open_checkpoint(directory)
    except PonderError as error:
        assert error.message
