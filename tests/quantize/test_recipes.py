"""llama.cpp itself is asked which types it would choose: libllama can be, without a model."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import pytest
from gguf import GGMLQuantizationType
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_cpp import llama_cpp as bindings
from llama_cpp._ggml import libggml_base_path

from ponder.errors import NotAModel, UnknownName, UnsupportedModel
from ponder_quantize.choosing import choose, in_order
from ponder_quantize.recipes import RECIPES, Model, Recipe, recipe

Type = GGMLQuantizationType

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names of C++ functions")


@dataclass(frozen=True)
class Weights:
    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType = Type.BF16


class _Description(ctypes.Structure):
    """llama_quant_model_desc (src/llama-ext.h)."""

    _fields_ = (
        ("architecture", ctypes.c_char_p),
        *(
            (name, ctypes.c_uint32)
            for name in (
                "n_embd", "n_ff", "n_layer", "n_head", "n_head_kv", "n_expert", "n_embd_head_k",
                "n_embd_head_v",
            )
        ),
    )  # fmt: skip


class Oracle:
    """llama_quant_compute_types (src/llama-ext.h), by its C++ name."""

    def __init__(self) -> None:
        library = bindings._lib
        self._base = ctypes.CDLL(str(next(Path(libggml_base_path).glob("libggml-base.*"))))
        self._init = library._Z16llama_quant_initPK11llama_modelPK27llama_model_quantize_params
        self._model = library._Z31llama_quant_model_from_metadataPK22llama_quant_model_desc
        self._free = library._Z16llama_quant_freeP19quantize_state_impl
        self._compute = library[
            "_Z25llama_quant_compute_types"
            "P19quantize_state_impl11llama_ftypePP11ggml_tensorP9ggml_typem"
        ]
        for function in (self._init, self._model, self._base.ggml_init):
            function.restype = ctypes.c_void_p
        self._base.ggml_new_tensor.restype = ctypes.c_void_p
        self._base.ggml_tensor_overhead.restype = ctypes.c_size_t

    def types(
        self, recipe: Recipe, model: Model, tensors: Sequence[Weights]
    ) -> list[GGMLQuantizationType]:
        described = _Description(
            model.architecture.encode(), 256, 256, model.layers, model.heads, model.kv_heads,
            model.experts, 64, 64,
        )  # fmt: skip
        mock = ctypes.c_void_p(self._model(ctypes.byref(described)))
        parameters = bindings.llama_model_quantize_default_params()
        state = ctypes.c_void_p(self._init(mock, ctypes.byref(parameters)))
        found = (ctypes.c_int * len(tensors))()
        try:
            with self._tensors(tensors) as made:
                self._compute(state, recipe.file_type, made, found, ctypes.c_size_t(len(tensors)))
        finally:
            self._free(state)
            llama_cpp.llama_model_free(mock)
        return [Type(kind) for kind in found]

    @contextmanager
    def _tensors(self, tensors: Sequence[Weights]) -> Iterator[ctypes.Array[ctypes.c_void_p]]:
        class Parameters(ctypes.Structure):
            _fields_ = (
                ("size", ctypes.c_size_t),
                ("buffer", ctypes.c_void_p),
                ("no_alloc", ctypes.c_bool),
            )

        size = (len(tensors) + 1) * self._base.ggml_tensor_overhead()
        context = ctypes.c_void_p(self._base.ggml_init(Parameters(size, None, True)))
        made = (ctypes.c_void_p * len(tensors))()
        for number, tensor in enumerate(tensors):
            dims = (ctypes.c_int64 * len(tensor.shape))(*reversed(tensor.shape))
            made[number] = self._base.ggml_new_tensor(context, tensor.type, len(dims), dims)
            self._base.ggml_set_name(ctypes.c_void_p(made[number]), tensor.name.encode())
        try:
            yield made
        finally:
            self._base.ggml_free(context)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def tensors_of(
    layers: int, experts: int, columns: int, wide: int, tied: bool, mla: bool, fused: bool
) -> list[Weights]:
    """All the tensors that the rules know, and some that they leave alone."""
    found = [Weights("token_embd.weight", (64, columns)), Weights("output_norm.weight", (columns,))]
    if not tied:
        found.append(Weights("output.weight", (64, columns)))
    for layer in range(layers):
        names = {"attn_norm.weight": (columns,), "attn_output.weight": (columns, columns)}
        if mla:
            names |= {
                "attn_q_a.weight": (64, columns), "attn_kv_a_mqa.weight": (64, columns),
                "attn_kv_b.weight": (64, columns), "attn_k_b.weight": (2, 64, 128),
                "attn_v_b.weight": (2, 64, 128), "attn_q_b.weight": (64, columns),
            }  # fmt: skip
        elif fused:
            names["attn_qkv.weight"] = (3 * columns, columns)
        else:
            names |= {f"attn_{part}.weight": (64, columns) for part in "qkv"}
            names["attn_q.bias"] = (64,)
        if experts:
            names["ffn_gate_inp.weight"] = (experts, columns)
            names |= {
                f"ffn_{part}_exps.weight": (experts, wide, columns) for part in ("gate", "up")
            }
            names["ffn_down_exps.weight"] = (experts, columns, wide)
            names |= {f"ffn_{part}_shexp.weight": (wide, columns) for part in ("gate", "up")}
            names["ffn_down_shexp.weight"] = (columns, wide)
        else:
            names |= {f"ffn_{part}.weight": (wide, columns) for part in ("gate", "up")}
            names["ffn_down.weight"] = (columns, wide)
        found += [
            Weights(f"blk.{layer}.{name}", shape, Type.F32 if len(shape) == 1 else Type.BF16)
            for name, shape in names.items()
        ]
    return in_order(found)


@settings(deadline=None, max_examples=20)
@given(
    architecture=st.sampled_from(["qwen2", "llama", "deepseek2"]),
    layers=st.one_of(st.integers(1, 40), st.just(80)),
    heads=st.sampled_from([(8, 8), (8, 4), (8, 2), (28, 4), (64, 8), (128, 1)]),
    experts=st.sampled_from([0, 4, 8, 16]),
    columns=st.sampled_from([256, 512, 288, 96, 100]),
    wide=st.sampled_from([256, 320, 1024, 80]),
    tied=st.booleans(),
    fused=st.booleans(),
)
def test_llama_cpp_would_choose_the_same(
    oracle: Oracle,
    architecture: str,
    layers: int,
    heads: tuple[int, int],
    experts: int,
    columns: int,
    wide: int,
    tied: bool,
    fused: bool,
) -> None:
    if architecture == "qwen2" and layers == 80:
        layers = 81  # the oracle takes no Qwen for a 70B; llama-quantize does, see golden.json
    model = Model(architecture, layers, *heads, experts)
    mla = architecture == "deepseek2"
    tensors = tensors_of(layers, experts, columns, wide, tied, mla, fused)
    for one in RECIPES.values():
        chosen = [choice.type for choice in choose(one, model, tensors, has_importance=False)]
        assert chosen == oracle.types(one, model, tensors), one


def test_a_qwen_as_deep_as_a_70b_is_one(oracle: Oracle) -> None:
    tensors = tensors_of(80, 0, 256, 256, tied=False, mla=False, fused=False)
    llama, qwen = Model("llama", 80, 64, 8), Model("qwen2", 80, 64, 8)
    recipe = RECIPES["Q4_K_M"]
    assert llama.is_70b
    assert qwen.is_70b
    assert not Model("llama", 80, 64, 64).is_70b
    assert not Model("qwen2", 81, 64, 8).is_70b
    assert Model("qwen2", 81, 64, 8, extra_layers=1).is_70b
    as_llama = choose(recipe, llama, tensors, has_importance=False)
    assert choose(recipe, qwen, tensors, has_importance=False) == as_llama
    assert [choice.type for choice in as_llama] == oracle.types(recipe, llama, tensors)


def test_layers_are_counted_as_numbers() -> None:
    names = ["blk.10.a", "output.weight", "blk.2.b", "blk.2.a", "blk.x", "token_embd.weight"]
    ordered = [weights.name for weights in in_order(Weights(name, (1,)) for name in names)]
    assert ordered == [
        "blk.x", "output.weight", "token_embd.weight", "blk.2.a", "blk.2.b", "blk.10.a",
    ]  # fmt: skip


def test_names_are_found_in_any_case_and_a_wrong_one_lists_the_right_ones() -> None:
    assert recipe("q4_k_m") is recipe("Q4_K") is RECIPES["Q4_K_M"]
    with pytest.raises(UnknownName) as told:
        recipe("Q4_K_X")
    assert "Q4_K_M" in told.value.hint
    assert set(told.value.known) == set(RECIPES)


def test_a_model_has_to_say_what_the_rules_ask() -> None:
    with pytest.raises(NotAModel, match="architecture"):
        Model.of({})
    with pytest.raises(NotAModel, match=r"qwen2\.block_count"):
        Model.of({"general.architecture": "qwen2"})
    with pytest.raises(UnsupportedModel, match="falcon"):
        Model.of({"general.architecture": "falcon"})
    told = {"general.architecture": "llama", "llama.block_count": 2}
    by_layer = told | {
        "llama.attention.head_count": [8, 4],
        "llama.attention.head_count_kv": [2, 2],
    }
    assert Model.of(told) == Model("llama", 2, 0, 0)
    assert Model.of(by_layer).sharing == 4


def test_an_expert_has_to_be_in_a_layer() -> None:
    stray = [Weights("blk.7.ffn_down_exps.weight", (8, 256, 256))]
    with pytest.raises(NotAModel, match=r"blk\.7"):
        choose(RECIPES["Q4_K_M"], Model("llama", 2, 8, 8, 8), stray, has_importance=False)
