"""The vocabulary of the built-in model: byte-level BPE, trained on examples.

Knows the pre-tokenizer, special tokens and chat template of R1's distills, which the built-in
model shares so that whatever speaks with them speaks with it. Refuses to know what examples
say. The same examples give the same vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer

if TYPE_CHECKING:
    from builtin_model.examples import Example

PRE_TOKENIZER = "deepseek-r1-qwen"
"""What llama.cpp calls the way text is split: by this pattern, each digit alone."""
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END, BEGIN = "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>"
_SPECIAL = {
    END: True,
    "<｜User｜>": False,
    "<｜Assistant｜>": False,
    BEGIN: True,
    "<|EOT|>": False,
    "<think>": False,
    "</think>": False,
}
"""In the order of the distills; what transformers drops from text is marked as they mark it."""

CHAT_TEMPLATE = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}"
    "{% endif %}"
    "{% set ns = namespace(system_prompt='') %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}"
    "{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}"
    "{{bos_token}}{{ns.system_prompt}}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}"
    "{% set content = message['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}"
    "{% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}{% endif %}"
)
"""That of the distills, without tools: they are beyond a model of this size."""


def train(examples: Iterable[Example], close: str, size: int = 4096) -> Tokenizer:
    """Return a vocabulary of `size` tokens, special ones included; fewer if text runs out.

    `close` is the natural end of thinking.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=size - len(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(examples, close), trainer)
    tokenizer.add_tokens(
        [AddedToken(text, special=special, normalized=False) for text, special in _SPECIAL.items()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A",
        pair=f"{BEGIN} $A $B:1",
        special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))],
    )
    return tokenizer


def configuration(tokenizer: Tokenizer, context: int) -> dict[str, Any]:
    """Return tokenizer_config.json: the special tokens, the template and the pre-tokenizer."""
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": END,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Read by `ponder quantize`: no list of known vocabularies has this one.
        "tokenizer.ggml.pre": PRE_TOKENIZER,
        "added_tokens_decoder": {
            str(number): {
                "content": token.content,
                "lstrip": token.lstrip,
                "normalized": token.normalized,
                "rstrip": token.rstrip,
                "single_word": token.single_word,
                "special": token.special,
            }
            for number, token in sorted(tokenizer.get_added_tokens_decoder().items())
        },
        "chat_template": CHAT_TEMPLATE,
    }


def save(tokenizer: Tokenizer, file: Path) -> None:
    """Write tokenizer.json."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1)
    part = file.with_name(file.name + ".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(file)


def load(file: Path) -> Tokenizer:
    """Read tokenizer.json."""
    return Tokenizer.from_str(file.read_text(encoding="utf-8"))


def _texts(examples: Iterable[Example], close: str) -> Iterator[str]:
    """Yield all the text of examples, special tokens taken out: they merge with nothing."""
    for example in examples:
        thought = "".join(piece.text for piece in example.thought)
        cut = example.cut.close if example.cut else ""
        for text in (example.prompt, thought + close + example.answer, cut):
            for tag in _SPECIAL:
                text = text.replace(tag, "\0")
            yield from filter(None, text.split("\0"))
