"""Every dialect in the tokens of real vocabularies, and what is refused before it can harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ponder.catalogue import catalogue
from ponder.dialect import Dialect
from ponder.engines.replay import ByteVocabulary
from ponder.errors import UnsupportedModel
from ponder.thinking.protocol import resolve
from ponder.vocabulary import Vocabulary
from real_vocab import r1, smollm2, tiny
from scripted import LABELLED, PLAIN, SPELLED, TAGGED, TAGS

BYTES = ByteVocabulary(TAGS)
DIALECTS = catalogue().dialects
VOCABULARIES = [
    pytest.param(r1, id="r1"),
    pytest.param(tiny, id="tiny"),
    pytest.param(smollm2, id="smollm2", marks=pytest.mark.weights),
]

USER, ASSISTANT, THINK, END_THINK = 151644, 151645, 151648, 151649
"""Of the R1 distills on Qwen, from the vendor's tokenizer_config.json."""


def spell(vocab: Vocabulary, ids: tuple[int, ...]) -> str:
    return b"".join(vocab.piece(i) for i in ids).decode()


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_survives_every_tokenizer(
    vocabulary: Callable[[], Vocabulary], name: str
) -> None:
    vocab, dialect = vocabulary(), DIALECTS[name]
    protocol = resolve(dialect, vocab)
    assert spell(vocab, protocol.open_ids) == dialect.open
    assert spell(vocab, protocol.close_ids) == dialect.close
    assert spell(vocab, protocol.cut_ids) == dialect.cut
    assert spell(vocab, protocol.wait_ids) == dialect.wait
    assert spell(vocab, protocol.nothink_ids) == dialect.nothink
    assert spell(vocab, protocol.lead(boxed=False)) == dialect.last_resort
    assert spell(vocab, protocol.lead(boxed=True)) == dialect.last_resort_boxed
    assert protocol.thinks is (name != "plain")


@pytest.mark.parametrize(
    ("vocabulary", "name", "end"),
    [
        pytest.param(r1, "r1", END_THINK, id="r1"),
        pytest.param(tiny, "tiny", 4095, id="tiny"),
        pytest.param(smollm2, "s1", 1, id="s1 on ChatML", marks=pytest.mark.weights),
        pytest.param(smollm2, "smol", 1, id="ponder-smol", marks=pytest.mark.weights),
    ],
)
def test_the_end_is_the_models_own_token_once(
    vocabulary: Callable[[], Vocabulary], name: str, end: int
) -> None:
    vocab = vocabulary()
    protocol = resolve(DIALECTS[name], vocab)
    assert protocol.end_id == end
    assert protocol.end_text == b""
    assert vocab.piece(end).decode() == DIALECTS[name].end
    assert protocol.close_ids.count(end) == 1
    assert protocol.cut_ids.count(end) == 1


def test_r1_speaks_in_the_ids_of_its_vendor() -> None:
    protocol = resolve(DIALECTS["r1"], r1())
    assert protocol.open_ids == (THINK, 198)
    assert protocol.open_tag == (THINK,)
    assert protocol.close_ids == (198, END_THINK, 271)
    assert protocol.cut_ids[-2:] == (END_THINK, 271)
    assert protocol.wait_ids == (14190,)
    assert protocol.reopens(THINK)
    assert not protocol.reopens(END_THINK)


@pytest.mark.parametrize(
    ("vocabulary", "name"),
    [
        pytest.param(r1, "s1", id="s1 without ChatML's tokens"),
        pytest.param(smollm2, "r1", id="r1 without its tags", marks=pytest.mark.weights),
    ],
)
def test_a_tag_of_several_tokens_is_looked_for_as_text(
    vocabulary: Callable[[], Vocabulary], name: str
) -> None:
    protocol = resolve(DIALECTS[name], vocabulary())
    assert protocol.end_id is None
    assert protocol.end_text == DIALECTS[name].end.encode()
    assert len(protocol.open_tag) > 1
    assert not any(protocol.reopens(token) for token in protocol.open_tag)


def encode(vocab: Vocabulary, text: str) -> tuple[int, ...]:
    return tuple(vocab.encode(text, special=True))


@pytest.mark.parametrize(
    ("prompt", "open_"),
    [
        ("<｜User｜>Hi<｜Assistant｜><think>\n", True),
        ("<｜User｜>Hi<｜Assistant｜><think>", True),
        ("<｜User｜>Hi<｜Assistant｜><think>\n\n \n", True),
        ("<｜User｜>Hi<｜Assistant｜>", False),
        ("<｜User｜>What is <think>?<｜Assistant｜>", False),
        ("<｜User｜>I write <think>\n<｜Assistant｜>", False),
        ("<｜User｜>What is <think>?<｜Assistant｜><think>\n", True),
        ("<｜User｜>Hi<｜Assistant｜><think>\n\n</think>\n\n", False),
        ("<｜User｜>Hi<｜Assistant｜><think>\nOkay", False),
        ("", False),
    ],
)
@pytest.mark.parametrize(("vocabulary", "name"), [(r1, "r1"), (tiny, "tiny")])
def test_an_open_prompt_is_recognised(
    vocabulary: Callable[[], Vocabulary], name: str, prompt: str, open_: bool
) -> None:
    vocab = vocabulary()
    protocol = resolve(DIALECTS[name], vocab)
    ids = encode(vocab, prompt)
    assert protocol.ends_open(ids) is open_
    opened = protocol.opened(ids)
    assert protocol.ends_open(opened)
    assert opened == (ids if open_ else (*ids, *protocol.open_ids))


@pytest.mark.parametrize(
    ("dialect", "prompt", "unthinking"),
    [
        (TAGGED, "<user>Hi<assistant>", "<user>Hi<assistant><think>\n\n</think>\n\n"),
        (TAGGED, "<user>Hi<assistant><think>\n", "<user>Hi<assistant><think>\n\n</think>\n\n"),
        (TAGGED, "<user><think><assistant>", "<user><think><assistant><think>\n\n</think>\n\n"),
        (
            TAGGED,
            "<user><think><assistant><think>\n",
            "<user><think><assistant><think>\n\n</think>\n\n",
        ),
        (SPELLED, "<user>Hi[think]\n", "<user>Hi[think]\n\n[/think]\n\n"),
        (LABELLED, "<user>Hi\n<|im_start|>think", "<user>Hi\n<|im_start|>answer\n"),
        (LABELLED, "<user>Hi\n", "<user>Hi\n<|im_start|>answer\n"),
        (PLAIN, "<user>Hi<assistant>", "<user>Hi<assistant>"),
    ],
)
def test_not_thinking_takes_the_place_of_an_open_block(
    dialect: Dialect, prompt: str, unthinking: str
) -> None:
    protocol = resolve(dialect, BYTES)
    assert spell(BYTES, protocol.unthinking(encode(BYTES, prompt))) == unthinking
    assert not protocol.ends_open(protocol.unthinking(encode(BYTES, prompt)))


def test_a_model_that_does_not_think_keeps_its_prompt() -> None:
    protocol = resolve(PLAIN, BYTES)
    prompt = encode(BYTES, "<bos><user>Hi<think>\n")
    assert not protocol.thinks
    assert not protocol.ends_open(prompt)
    assert protocol.opened(prompt) == prompt
    assert not protocol.reopens(BYTES.encode("<think>", special=True)[0])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"close": "So."}, "its 'close' text ends the thinking 0 times, not once"),
        ({"cut": "Time is up.\n"}, "its 'cut' text ends the thinking 0 times, not once"),
        ({"cut": "</think></think>"}, "its 'cut' text ends the thinking 2 times, not once"),
        ({"open": ""}, "its 'open' text is empty"),
        ({"close": ""}, "its 'close' text is empty"),
        ({"cut": ""}, "its 'cut' text is empty"),
        ({"wait": ""}, "its 'wait' text is empty"),
        ({"nothink": ""}, "its 'nothink' text is empty"),
        ({"last_resort": ""}, "its 'last_resort' text is empty"),
        ({"last_resort_boxed": ""}, "its 'last_resort_boxed' text is empty"),
        ({"open": "\n\n"}, "its 'open' text is empty"),
        (
            {"end": "<eos>", "close": "<eos>", "cut": "<eos>"},
            "its end of thinking is also the end of a turn",
        ),
    ],
)
def test_a_dialect_that_does_not_fit_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsupportedModel) as refused:
        resolve(replace(TAGGED, **change), BYTES)
    assert refused.value.message == f"The 'tagged' way of thinking does not fit this model: {why}."
    assert "--dialect" in refused.value.hint


@pytest.mark.parametrize("field", ["last_resort", "last_resort_boxed"])
def test_a_model_that_does_not_think_needs_only_its_last_resort(field: str) -> None:
    resolve(PLAIN, BYTES)
    change: dict[str, Any] = {field: ""}
    with pytest.raises(UnsupportedModel, match=f"{field!r} text is empty"):
        resolve(replace(PLAIN, **change), BYTES)


def test_spelled_words_close_once_too() -> None:
    with pytest.raises(UnsupportedModel, match="2 times"):
        resolve(replace(SPELLED, close="[/think][/think]"), BYTES)


class Lossy(ByteVocabulary):
    """Knows no square brackets, as a vocabulary without them would read them as unknown."""

    def encode(self, text: str, special: bool) -> list[int]:
        return [63 if i in b"[]" else i for i in super().encode(text, special)]


class Lowercase(ByteVocabulary):
    """Normalises, as the tokenizers of some encoders do."""

    def encode(self, text: str, special: bool) -> list[int]:
        return super().encode(text.lower(), special)


@pytest.mark.parametrize(
    ("vocab", "dialect", "field"),
    [(Lossy(TAGS), SPELLED, "open"), (Lowercase(TAGS), PLAIN, "last_resort")],
)
def test_words_that_do_not_survive_the_tokenizer_are_refused(
    vocab: Vocabulary, dialect: Dialect, field: str
) -> None:
    with pytest.raises(UnsupportedModel, match=f"{field!r} text does not survive the tokenizer"):
        resolve(dialect, vocab)
