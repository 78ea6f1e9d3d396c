"""What names of GGUF files say."""

from __future__ import annotations

import pytest

from ponder.library.naming import Group, groups, quant_of


@pytest.mark.parametrize(
    "stem, quant",
    [
        ("DeepSeek-R1-Distill-Qwen-7B-Q4_K_M", "Q4_K_M"),
        ("model.q8_0", "Q8_0"),
        ("model-IQ4_XS", "IQ4_XS"),
        ("model-UD-Q2_K_XL", "UD-Q2_K_XL"),
        ("model-bf16", "BF16"),
        ("model-MXFP4_MOE", "MXFP4_MOE"),
        ("Q6_K", "Q6_K"),
        ("model", ""),
        ("model-7B", ""),
        ("model-Q4_K_M-imatrix", ""),
        ("notQ4_0", ""),
    ],
)
def test_the_quant_is_at_the_end(stem: str, quant: str) -> None:
    assert quant_of(stem) == quant


def test_parts_belong_together_in_order() -> None:
    files = [
        "b/x-Q8_0-00002-of-00002.gguf",
        "b/x-Q8_0-00001-of-00002.gguf",
        "x-Q4_0.gguf",
        "y-00001-of-00003.gguf",
        "mmproj-x.gguf",
        "x.imatrix.gguf",
        "README.md",
    ]
    assert groups(files) == [
        Group("x-Q8_0", ("b/x-Q8_0-00001-of-00002.gguf", "b/x-Q8_0-00002-of-00002.gguf")),
        Group("x-Q4_0", ("x-Q4_0.gguf",)),
        Group("y", ("y-00001-of-00003.gguf",), missing=2),
    ]


@pytest.mark.parametrize(
    "word", ["q8_0", "Q8_0", "x-Q8_0", "x-q8_0.gguf", "b/x-Q8_0-00001-of-00002.gguf"]
)
def test_a_file_is_called_many_ways(word: str) -> None:
    group = Group("x-Q8_0", ("b/x-Q8_0-00001-of-00002.gguf", "b/x-Q8_0-00002-of-00002.gguf"))
    assert group.answers_to(word)
    assert not group.answers_to("")
    assert not group.answers_to("Q8")


def test_a_claim_of_very_many_parts_costs_nothing() -> None:
    assert groups(["x-00001-of-99999.gguf"])[0].missing == 99_998
