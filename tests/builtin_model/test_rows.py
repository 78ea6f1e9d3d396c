"""The built-in model's way from examples to rows: what is learned, what is cut, what is lost."""

from __future__ import annotations

import multiprocessing
import random
from itertools import islice, pairwise
from pathlib import Path

import jinja2
import numpy as np
import pytest
from builtin_model.encoding import Encoder, Marked, container, ids_of, learned_of, marked
from builtin_model.examples import TINY, Cut, Example, examples
from builtin_model.feeding import Feed, Recipe, Rows, WorkerDied
from builtin_model.packing import Packer
from builtin_model.sheet import Piece
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from builtin_model import tokenizer as vocabulary
from ponder_quantize import pretokenizers

COUNT = 400
PROMPT = TINY.begin + TINY.user.replace("{text}", "2 + 2?") + TINY.assistant + TINY.open


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return vocabulary.train(islice(examples(1, TINY), COUNT), TINY.close, 1024)


@pytest.fixture(scope="module")
def file(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("vocabulary") / "tokenizer.json"
    vocabulary.save(tokenizer, file)
    return file


def text_of(tokenizer: Tokenizer, tokens: Marked) -> str:
    return str(tokenizer.decode(ids_of(tokens).tolist(), skip_special_tokens=False))


def runs(tokenizer: Tokenizer, tokens: Marked) -> list[tuple[str, bool]]:
    """Text, cut where what is learned begins or ends."""
    learned = learned_of(tokens)
    borders = [0, *(np.flatnonzero(learned[1:] != learned[:-1]) + 1).tolist(), len(tokens)]
    return [(text_of(tokenizer, tokens[a:b]), bool(learned[a])) for a, b in pairwise(borders)]


# Text of tokens that cannot merge with their neighbours: digits stand alone.
numbers = st.integers(0, 10**6).map(str)
pieces = st.lists(st.builds(Piece, numbers, st.booleans()), min_size=1, max_size=8).map(tuple)
thoughts = st.lists(st.builds(Piece, st.text(max_size=12), st.booleans()), max_size=8).map(tuple)


@given(thoughts)
def test_all_of_an_example_is_encoded(tokenizer: Tokenizer, thought: tuple[Piece, ...]) -> None:
    (tokens,) = Encoder.of(tokenizer, TINY.close).encode([Example(PROMPT, thought, "4" + TINY.end)])
    told = "".join(piece.text for piece in thought)
    assert text_of(tokenizer, tokens) == PROMPT + told + TINY.close + "4" + TINY.end


@given(pieces)
def test_what_is_not_to_be_learned_is_not(tokenizer: Tokenizer, thought: tuple[Piece, ...]) -> None:
    (tokens,) = Encoder.of(tokenizer, TINY.close).encode([Example(PROMPT, thought, "4" + TINY.end)])
    expected: list[tuple[str, bool]] = [(PROMPT, False)]
    for piece in (*thought, Piece(TINY.close + "4" + TINY.end)):
        if expected[-1][1] == piece.learned:
            expected[-1] = (expected[-1][0] + piece.text, piece.learned)
        else:
            expected.append((piece.text, piece.learned))
    assert runs(tokenizer, tokens) == expected


@given(thoughts)
def test_a_token_with_anything_unlearned_in_it_is_not_learned(
    tokenizer: Tokenizer, thought: tuple[Piece, ...]
) -> None:
    (tokens,) = Encoder.of(tokenizer, TINY.close).encode([Example(PROMPT, thought, TINY.end)])
    bytes_learned = [piece.learned for piece in thought for _ in piece.text.encode()]
    sizes = Encoder.of(tokenizer, TINY.close)._bytes[ids_of(tokens)]
    at = -len(PROMPT.encode())
    for size, learned in zip(sizes.tolist(), learned_of(tokens).tolist(), strict=True):
        if at >= 0:
            assert learned == all(bytes_learned[at : at + size])
        at += size


@given(pieces, st.floats(0, 1), st.sampled_from(TINY.cuts))
def test_a_cut_never_falls_behind_what_is_not_learned(
    tokenizer: Tokenizer, thought: tuple[Piece, ...], at: float, cut: tuple[str, str]
) -> None:
    close = "".join(cut)
    example = Example(PROMPT, thought, "4" + TINY.end, Cut(at, close))
    (tokens,) = Encoder.of(tokenizer, TINY.close).encode([example])
    may_be_kept = ""
    for piece in thought:
        if not piece.learned:
            break
        may_be_kept += piece.text
    kept = may_be_kept[: int(at * len(may_be_kept))]
    whole = [(PROMPT, False), (kept, True), (close, False), ("4" + TINY.end, True)]
    if not kept:
        whole = [(PROMPT + close, False), whole[-1]]
    assert runs(tokenizer, tokens) == whole


@given(st.lists(st.tuples(st.integers(0, 49151), st.booleans())))
def test_ids_and_marks_come_back(pairs: list[tuple[int, bool]]) -> None:
    for vocabulary_size, width in ((4096, 2), (32768, 2), (32769, 4), (49152, 4)):
        fit = [(token, learned) for token, learned in pairs if token < vocabulary_size]
        marks = np.array([learned for _, learned in fit], np.bool_)
        tokens = marked([token for token, _ in fit], marks, container(vocabulary_size))
        assert tokens.itemsize == width
        assert ids_of(tokens).tolist() == [token for token, _ in fit]
        assert learned_of(tokens).tolist() == marks.tolist()


def test_tags_are_one_token_and_digits_stand_alone(tokenizer: Tokenizer) -> None:
    encode = tokenizer.encode
    prompt = encode(PROMPT, add_special_tokens=False).tokens
    assert prompt[:2] == [TINY.begin, "<｜User｜>"]
    assert prompt[-3:] == ["<｜Assistant｜>", "<think>", "Ċ"]
    assert encode("1234", add_special_tokens=False).tokens == list("1234")
    assert encode("1234").tokens == [TINY.begin, *"1234"]


def test_special_tokens_come_last_in_the_order_of_the_distills(tokenizer: Tokenizer) -> None:
    size = tokenizer.get_vocab_size()
    assert [tokenizer.id_to_token(token) for token in range(size - 7, size)] == [
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜begin▁of▁sentence｜>",
        "<|EOT|>",
        "<think>",
        "</think>",
    ]


def test_the_same_examples_give_the_same_vocabulary(tokenizer: Tokenizer, file: Path) -> None:
    again = vocabulary.train(islice(examples(1, TINY), COUNT), TINY.close, 1024)
    assert again.to_str() == tokenizer.to_str() == vocabulary.load(file).to_str()


def test_the_template_writes_prompts_as_the_examples_do(tokenizer: Tokenizer) -> None:
    config = vocabulary.configuration(tokenizer, 2048)
    template = jinja2.Environment().from_string(config["chat_template"])
    turns = [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "<think>\nHm.\n</think>\n\n2"},
        {"role": "user", "content": "2 + 2?"},
    ]
    prompt = template.render(messages=turns, bos_token=TINY.begin, add_generation_prompt=True)
    first = TINY.user.replace("{text}", "1 + 1?") + TINY.assistant + "\n\n2" + TINY.end
    assert prompt == TINY.begin + first + PROMPT.removeprefix(TINY.begin)
    assert pretokenizers.named(config[pretokenizers.PLACE]) == vocabulary.PRE_TOKENIZER


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 99), st.integers(0, 8))
def test_rows_hold_sequences_whole_and_lose_none(
    lengths: list[int], seed: int, reserve: int
) -> None:
    # Each sequence is one number, repeated: where it ends can be seen.
    packer = Packer(40, 0, random.Random(seed), reserve)
    packer.add(np.full(length, number + 1, np.int16) for number, length in enumerate(lengths))
    rows = packer.rows()
    assert all(len(row) == 40 for row in rows)
    counts = np.bincount(np.concatenate([*rows, np.zeros(0, np.int16)]), minlength=len(lengths) + 1)
    packed = counts[1:] > 0
    assert (counts[1:][packed] == np.array(lengths)[packed]).all()
    assert (~packed).sum() == min(reserve, len(lengths)) or (~packed).sum() < reserve
    for row in rows:
        borders = np.flatnonzero(np.diff(row[row > 0]))
        assert len(borders) + 1 == len(set(row[row > 0].tolist()))


def test_rows_are_nearly_full() -> None:
    dice = random.Random(1)
    packer = Packer(1025, 0, dice)
    lengths = [min(1025, 60 + int(dice.lognormvariate(5, 0.7))) for _ in range(4000)]
    packer.add(np.ones(length, np.int16) for length in lengths)
    rows = packer.rows()
    assert np.mean([row.mean() for row in rows]) > 0.97


def test_what_does_not_fit_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="41 tokens do not fit a row of 40"):
        Packer(40, 0, random.Random(1)).add([np.ones(41, np.int16)])


def recipe(file: Path) -> Recipe:
    rows = (Rows(1024, 2, 0.5, ahead=2), Rows(2048, 1, 0.5, ahead=2))
    return Recipe(examples, TINY, file, seed=5, rows=rows, batches=2)


def test_workers_make_batches(tokenizer: Tokenizer, file: Path, tmp_path: Path) -> None:
    with Feed(recipe(file), workers=1, parent=tmp_path) as feed:
        short, long = feed.batches(1024), feed.batches(2048)
        for _ in range(3):
            one, other = next(short), next(long)
            assert one.dtype == np.int16
            assert (one.shape, other.shape) == ((2, 1025), (1, 2049))
            for row in (*one, *other):
                text = text_of(tokenizer, row)
                assert text.startswith(TINY.begin)
                assert text.count("</think>") >= 1
        assert feed.used[1024].shards == feed.used[2048].shards == 2
    assert list(tmp_path.iterdir()) == []


def test_shards_are_used_again_but_not_for_ever(file: Path, tmp_path: Path) -> None:
    with Feed(recipe(file), workers=1, uses=3, parent=tmp_path) as feed:
        batches = feed.batches(1024)
        seen = [next(batches)]
        for worker in multiprocessing.active_children():
            worker.terminate()
            worker.join()
        with pytest.raises(WorkerDied):
            seen += iter(batches)
        use = feed.used[1024]
        # A worker leaves two shards unread at most.
        assert use.shards in (1, 2, 3)
        assert use.again == 2 * use.shards
        assert use.most == 3
        assert feed.died() == 1
    rows = {row.tobytes() for batch in seen for row in batch}
    assert len(seen) == use.shards * 3 * 2
    assert len(rows) == use.shards * 4


def test_a_worker_that_fails_is_told_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        Feed(recipe(tmp_path / "missing.json"), workers=1, parent=tmp_path) as feed,
        pytest.raises(WorkerDied),
    ):
        next(feed.batches(1024))
    assert "missing.json" in capfd.readouterr().err
