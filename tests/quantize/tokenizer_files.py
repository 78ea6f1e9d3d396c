"""The tokenizer files of the families, with a vocabulary of some three hundred tokens.

Real in all but size: byte-level BPE with the families' own splitting rules, special tokens
and templates. No table knows their hash, so `tokenizer_config.json` names the pre-tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

_MERGES = (
    ("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("in", "g"), ("a", "n"), ("an", "d"),
    ("Ġ", "and"), ("o", "n"), ("e", "r"), ("Ġ", "s"), ("1", "2"),
)  # fmt: skip
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN2 = rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|{_WORDS}|\p{{N}}|{_REST}"
_LLAMA3 = rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<｜{{ m['role'] }}｜>{{ m['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
_BOS, _EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"


@dataclass(frozen=True)
class Files:
    """What goes into which file."""

    tokenizer: dict[str, Any]
    config: dict[str, Any]
    ids: dict[str, int]
    """Of config.json."""


def qwen2() -> Files:
    """Qwen2.5: no BOS, merges as strings, the post-processor says nothing of special tokens."""
    added = [_added(t) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    added += [_added("<tool_call>", special=False)]
    tokenizer = _tokenizer(added, _QWEN2, _byte_level())
    tokenizer["model"]["merges"] = [" ".join(pair) for pair in _MERGES]
    ids = _ids(tokenizer)
    return Files(
        tokenizer,
        {
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
            "chat_template": _TEMPLATE,
            "tokenizer.ggml.pre": "qwen2",
        },
        {"bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"]},
    )


def qwen2_of(tokens: list[str], kinds: list[int], merges: list[str]) -> dict[str, Any]:
    """The tokenizer.json of a real vocabulary, of which a GGUF keeps the three lists."""
    normal, control, user, unused = 1, 3, 4, 5
    added = [
        {**_added(text, special=kind == control), "id": at}
        for at, (text, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (control, user)
    ]
    assert set(kinds) <= {normal, control, user, unused}
    tokenizer = _tokenizer([], _QWEN2, _byte_level())
    tokenizer["normalizer"] = None
    tokenizer["added_tokens"] = added
    tokenizer["model"]["vocab"] = {t: i for i, t in enumerate(tokens) if kinds[i] == normal}
    tokenizer["model"]["merges"] = merges
    return tokenizer


def distill() -> Files:
    """DeepSeek-R1's distills: LlamaTokenizerFast, special tokens as objects."""
    added = [_added(_EOS), _added("<｜User｜>", special=False)]
    added += [_added("<｜Assistant｜>", special=False), _added(_BOS)]
    added += [_added("<|EOT|>", special=False), _added("<think>", special=False)]
    added += [_added("</think>", special=False)]
    tokenizer = _tokenizer(added, _QWEN2, _template(_BOS, added, len(_MERGES)))
    ids = _ids(tokenizer)
    return Files(
        tokenizer,
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": _named(_BOS),
            "eos_token": _named(_EOS),
            "legacy": True,
            "pad_token": _named(_EOS),
            "unk_token": None,
            "tokenizer_class": "LlamaTokenizerFast",
            "chat_template": _TEMPLATE,
            "tokenizer.ggml.pre": "deepseek-r1-qwen",
        },
        {"bos_token_id": ids[_BOS], "eos_token_id": ids[_EOS]},
    )


def llama3() -> Files:
    """Llama 3: `ignore_merges`, BOS by the post-processor, template in a list of two."""
    names = ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>")
    added = [_added(t) for t in names]
    post = _template(names[0], added, len(_MERGES))
    tokenizer = _tokenizer(
        added, _LLAMA3, {"type": "Sequence", "processors": [_byte_level(), post]}
    )
    tokenizer["model"]["ignore_merges"] = True
    ids = _ids(tokenizer)
    return Files(
        tokenizer,
        {
            "bos_token": names[0],
            "eos_token": names[1],
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": [
                {"name": "default", "template": _TEMPLATE},
                {"name": "tool use", "template": "{{ tools }}" + _TEMPLATE},
            ],
            "tokenizer.ggml.pre": "llama-bpe",
        },
        {"bos_token_id": ids[names[0]], "eos_token_id": ids[names[1]]},
    )


def deepseek() -> Files:
    """DeepSeek-R1: special tokens in front, a tail of tokens that no word needs."""
    added = [_added(_BOS), _added(_EOS), _added("<｜▁pad▁｜>")]
    added += [_added("<think>", special=False, normalized=True)]
    added += [_added("▁hole▁", special=False), _added("<pad>", special=False)]
    post = _template(_BOS, added, len(_MERGES))
    tokenizer = _tokenizer(added, _LLAMA3, post)
    ids = _ids(tokenizer)
    return Files(
        tokenizer,
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": _named(_BOS),
            "eos_token": _named(_EOS),
            "pad_token": _named(_EOS),
            "unk_token": None,
            "tokenizer_class": "LlamaTokenizerFast",
            "chat_template": _TEMPLATE,
            "tokenizer.ggml.pre": "deepseek-v3",
        },
        {"bos_token_id": ids[_BOS], "eos_token_id": ids[_EOS]},
    )


def _tokenizer(added: list[dict[str, Any]], pattern: str, post: dict[str, Any]) -> dict[str, Any]:
    words = sorted(ByteLevel.alphabet()) + ["".join(pair) for pair in _MERGES]
    for at, token in enumerate(added):
        token["id"] = len(words) + at
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split | {"invert": False}, _byte_level()],
        },
        "post_processor": post,
        "decoder": _byte_level(),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {word: at for at, word in enumerate(words)},
            "merges": [list(pair) for pair in _MERGES],
        },
    }


def _added(text: str, special: bool = True, normalized: bool = False) -> dict[str, Any]:
    return {
        "id": 0, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": normalized, "special": special,
    }  # fmt: skip


def _named(text: str) -> dict[str, Any]:
    return {
        "__type": "AddedToken", "content": text, "lstrip": False, "normalized": True,
        "rstrip": False, "single_word": False,
    }  # fmt: skip


def _byte_level() -> dict[str, Any]:
    return {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False,
    }  # fmt: skip


def _template(bos: str, added: list[dict[str, Any]], merges: int) -> dict[str, Any]:
    first = {"SpecialToken": {"id": bos, "type_id": 0}}
    one = {"Sequence": {"id": "A", "type_id": 0}}
    two = {"Sequence": {"id": "B", "type_id": 1}}
    at = 256 + merges + [token["content"] for token in added].index(bos)
    return {
        "type": "TemplateProcessing",
        "single": [first, one],
        "pair": [first, one, {"SpecialToken": {"id": bos, "type_id": 1}}, two],
        "special_tokens": {bos: {"id": bos, "ids": [at], "tokens": [bos]}},
    }


def _ids(tokenizer: dict[str, Any]) -> dict[str, int]:
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
