"""tokenizer.json and its neighbours -> the vocabulary of a GGUF.

Byte-level BPE, the vocabulary of Qwen, Llama 3 and DeepSeek: tokens, types, merges, the name
of the pre-tokenizer, special tokens, chat template. Text is encoded by the `tokenizers`
package; what transformers would change about the tokenizer before llama.cpp's converter sees
it is done here (tokens that tokenizer_config.json adds, the BOS of LlamaTokenizerFast). Knows
no model but its number of tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing

from ponder.errors import BadCheckpoint, UnsupportedModel
from ponder_quantize import pretokenizers
from ponder_quantize.config import read_json
from ponder_quantize.special_tokens import SpecialTokens

_SPECIAL = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
)  # fmt: skip
_DEFAULTS: dict[str, dict[str, str | None]] = {
    "LlamaTokenizer": {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    "Qwen2Tokenizer": dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|endoftext|>"),
    "GPT2Tokenizer": dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>"),
}
"""Special tokens that a class of transformers has where tokenizer_config.json says nothing."""
_CLASSES = {"qwen2": "Qwen2Tokenizer", "llama": "LlamaTokenizer", "deepseek_v3": "LlamaTokenizer"}
"""The class for a model_type, where tokenizer_config.json names none."""


class Vocabulary:
    """The vocabulary of a checkpoint, read and checked."""

    def __init__(self, directory: Path, size: int, pre: str | None = None) -> None:
        """Args:
        directory: with tokenizer.json, tokenizer_config.json and config.json.
        size: tokens in the embedding; the vocabulary is padded to it.
        pre: llama.cpp's name of the pre-tokenizer, where it would not be recognized.

        Raises:
            BadCheckpoint: a file is missing, damaged, or names more tokens than `size`.
            UnsupportedModel: no byte-level BPE, or a pre-tokenizer that llama.cpp does not know.
            UnknownName: `pre` is no pre-tokenizer of llama.cpp.
        """
        if (directory / "tokenizer.model").exists():
            raise UnsupportedModel(
                f"{directory} has a SentencePiece vocabulary, tokenizer.model.",
                "llama.cpp's converter would take it. If tokenizer.json is the vocabulary, "
                "remove it.",
            )
        self._raw = read_json(directory / "tokenizer.json")
        self.config = _optional(directory / "tokenizer_config.json")
        _expect_byte_level(self._raw)
        self._tokenizer = _tokenizer(directory, self._raw, self.config)
        self._added = self._tokenizer.get_added_tokens_decoder()
        self._texts = {
            token: text for text, token in self._tokenizer.get_vocab(with_added_tokens=True).items()
        }
        if max(self._texts, default=-1) >= size:
            raise BadCheckpoint(
                f"tokenizer.json has {max(self._texts) + 1} tokens, vocab_size is {size}.",
                "These files are not of the same model.",
            )
        self._size = size
        self._pre = self._name(pre)
        try:
            self._merges = _merges(self._raw["model"].get("merges"))
            self._special = SpecialTokens(directory, self._raw, self.config)
        except (AttributeError, TypeError, IndexError) as error:
            raise BadCheckpoint(
                f"tokenizer.json or tokenizer_config.json is not of the known form: {error}."
            ) from error

    def write(self, writer: GGUFWriter) -> None:
        """Record it, in the converter's order."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self._pre)
        tokens = [self._token(token) for token in range(self._size)]
        writer.add_token_list([text for text, _ in tokens])
        writer.add_token_types([kind for _, kind in tokens])
        if self._merges:
            writer.add_token_merges(self._merges)
        self._special.write(writer)

    def _name(self, pre: str | None) -> str:
        pre = pre or self.config.get(pretokenizers.PLACE)
        if pre is not None:
            return pretokenizers.named(str(pre))
        return pretokenizers.recognized(self._tokenizer.encode(pretokenizers.TEXT).ids)

    def _token(self, token: int) -> tuple[str, TokenType]:
        text = self._texts.get(token)
        if text is None:
            return f"[PAD{token}]", TokenType.UNUSED
        added = self._added.get(token)
        if added is None:
            return text, TokenType.NORMAL
        if not added.normalized:
            # llama.cpp looks for added tokens in text as it stands: they are kept as they
            # come out of the tokenizer, not as they are written down.
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
            text = self._tokenizer.decode(ids, skip_special_tokens=False)
        if added.special or _looks_special(text):
            return text, TokenType.CONTROL
        return text.replace("▁", " "), TokenType.USER_DEFINED


def _expect_byte_level(raw: dict[str, Any]) -> None:
    found = raw.get("model")
    model = found if isinstance(found, dict) else {}
    kind = model.get("type")
    steps = json.dumps([raw.get("pre_tokenizer"), raw.get("decoder")])
    if kind != "BPE" or model.get("byte_fallback") or '"ByteLevel"' not in steps:
        raise UnsupportedModel(
            f"The vocabulary of this checkpoint is {kind or 'of no type'}, not byte-level BPE.",
            "Qwen, Llama 3 and DeepSeek have byte-level BPE, and that is what ponder converts.",
        )


def _tokenizer(directory: Path, raw: dict[str, Any], config: dict[str, Any]) -> Tokenizer:
    """As transformers' AutoTokenizer would hand it to the converter."""
    name = config.get("tokenizer_class")
    if name is None:
        name = _CLASSES.get(str(read_json(directory / "config.json").get("model_type")))
    name = str(name).removesuffix("Fast")
    before = raw.get("pre_tokenizer")
    if isinstance(before, dict) and "add_prefix_space" in before:
        raw = {**raw, "pre_tokenizer": {**before, "add_prefix_space": _prefix(config)}}
    try:
        tokenizer = Tokenizer.from_str(json.dumps(raw))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        special = _special_of(directory, config, name)
        _add_missing(tokenizer, config, special)
        if name == "LlamaTokenizer":
            _begin(tokenizer, config, special)
    except Exception as error:
        # What the Rust side raises is a bare Exception.
        raise BadCheckpoint(
            f"{directory / 'tokenizer.json'} is damaged: {error}.", "Fetch it again."
        ) from error
    return tokenizer


def _prefix(config: dict[str, Any]) -> bool:
    return bool(config.get("add_prefix_space", False))


def _special_of(directory: Path, config: dict[str, Any], name: str) -> dict[str, Any]:
    """The special tokens as transformers sees them, by their role."""
    found = {**_DEFAULTS.get(name, {}), **{k: v for k, v in config.items() if k in _SPECIAL}}
    if "added_tokens_decoder" not in config:
        # Where the newer table is missing, transformers lets this file overrule.
        found |= _optional(directory / "special_tokens_map.json")
    return {k: v for k, v in found.items() if k in _SPECIAL and v is not None}


def _add_missing(tokenizer: Tokenizer, config: dict[str, Any], special: dict[str, Any]) -> None:
    """Add what tokenizer_config.json lists and tokenizer.json has not, or has otherwise."""
    table = config.get("added_tokens_decoder") or {}
    there = {repr(token) for token in tokenizer.get_added_tokens_decoder().values()}
    roles = [_content(token) for token in special.values()]
    more = [_content(token) for token in config.get("additional_special_tokens") or []]
    wanted = []
    for _, entry in sorted(table.items(), key=lambda item: int(item[0])):
        token = AddedToken(**{k: v for k, v in entry.items() if k != "__type"})
        if repr(token) not in there:
            token.special = token.special or token.content in (*roles, *more)
            wanted.append(token)
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    known |= {token.content for token in wanted}
    for text in dict.fromkeys((*roles, *more)):
        if text not in known:
            wanted.append(AddedToken(text, special=True))
    if wanted:
        tokenizer.add_tokens(wanted)


def _begin(tokenizer: Tokenizer, config: dict[str, Any], special: dict[str, Any]) -> None:
    """What LlamaTokenizerFast puts around a text, whatever tokenizer.json says."""
    around: dict[str, list[str]] = {"bos_token": [], "eos_token": []}
    for role, default in (("bos_token", True), ("eos_token", False)):
        if config.get(f"add_{role}", default):
            around[role] = [_content(special[role])]
    ids = [(text, tokenizer.token_to_id(text)) for texts in around.values() for text in texts]
    single = [f"{text}:0" for text in around["bos_token"]] + ["$A:0"]
    single += [f"{text}:0" for text in around["eos_token"]]
    tokenizer.post_processor = TemplateProcessing(
        single=single, pair=[*single, "$B:1"], special_tokens=ids
    )


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _looks_special(text: str) -> bool:
    """Whether it is a control token though its file does not say so (conversion/base.py)."""
    brackets = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
    return text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]") or any(
        text.startswith(begin) and text.endswith(end) for begin, end in brackets
    )


def _merges(merges: Any) -> list[str]:
    """Pairs with a space between, from either form; a space within a pair becomes Ġ."""
    if not merges:
        return []
    if all(isinstance(merge, str) for merge in merges):
        return list(merges)
    return [" ".join(part.replace(" ", "Ġ") for part in pair) for pair in merges]


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
