"""Conversations are written as the models' own templates and ponder's own budgets write them."""

from __future__ import annotations

from itertools import islice

import pytest
from builtin_model.examples import PROTOCOLS, SMOL, TINY, Mixture, Protocol, examples

from ponder import catalogue

BOTH = pytest.mark.parametrize("protocol", [TINY, SMOL], ids=lambda protocol: protocol.name)


@BOTH
def test_the_words_of_a_protocol_are_those_of_the_catalogue(protocol: Protocol) -> None:
    dialect = catalogue.shipped().dialect(protocol.name)
    assert protocol.open == dialect.open
    assert protocol.close == dialect.close
    assert protocol.nothink == dialect.nothink
    assert dialect.cut in {close + lead for close, lead in protocol.cuts}


@BOTH
def test_an_example_holds_one_question_and_one_answer(protocol: Protocol) -> None:
    for example in islice(examples(3, protocol), 400):
        assert example.prompt.startswith(protocol.begin)
        assert example.prompt.endswith((protocol.open, protocol.nothink))
        assert example.answer.endswith(protocol.end)
        thought = "".join(piece.text for piece in example.thought)
        assert dialect_tags(protocol).isdisjoint(thought.split())
        assert thought == thought.strip()


@BOTH
def test_a_cut_closes_with_the_end_of_thinking(protocol: Protocol) -> None:
    end = catalogue.shipped().dialect(protocol.name).end
    for example in islice(examples(4, protocol, mixture=Mixture(cut=1.0, nothink=0.0)), 200):
        assert example.cut is not None
        assert 0 <= example.cut.at <= 1
        assert end in example.cut.close
        if example.cut.close.endswith("\\boxed{"):
            assert example.answer == example.answer.partition("}")[0] + "}" + protocol.end


def test_no_thinking_leaves_no_thought() -> None:
    for example in islice(examples(5, SMOL, mixture=Mixture(nothink=1.0)), 50):
        assert example.thought == ()
        assert example.prompt.endswith(SMOL.nothink)


def test_most_answers_hold_one_box_and_small_talk_none() -> None:
    chatty = Mixture(talk=1.0, cut=0.0, nothink=0.0)
    for example in islice(examples(6, TINY, mixture=chatty), 200):
        assert "\\boxed" not in example.answer
    busy = Mixture(talk=0.0, cut=0.0, nothink=0.0)
    for example in islice(examples(6, TINY, mixture=busy), 200):
        assert example.answer.count("\\boxed{") == 1


def test_the_same_seed_gives_the_same_examples() -> None:
    for protocol in PROTOCOLS.values():
        one, other, third = (list(islice(examples(s, protocol), 60)) for s in (8, 8, 9))
        assert one == other
        assert one != third


def dialect_tags(protocol: Protocol) -> set[str]:
    """Words that no thought may hold: they would end it."""
    return {protocol.end, protocol.close.strip(), protocol.open.strip()}
