"""How one model opens, closes and extends its thinking, as token ids.

Knows a dialect (plain words, from the catalogue) and a vocabulary, and tests itself against
both when it is made: a model whose tags do not survive its own tokenizer is refused here,
not in the middle of an answer. Knows nothing of budgets: when to close is not its business.

The end of thinking is written as the model's own token wherever it has one. The text of a
tag, tokenized as plain text, is something else to the model, and it would go on thinking.
"""

from __future__ import annotations

from dataclasses import dataclass

from ponder.dialect import Dialect
from ponder.errors import InputError, UnsupportedModel
from ponder.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class ThinkProtocol:
    """A dialect in the tokens of one vocabulary."""

    dialect: Dialect
    vocab: Vocabulary
    open_ids: tuple[int, ...]
    """Opens the thinking at the end of a prompt."""
    open_tag: tuple[int, ...]
    """The same without trailing blank space: what a prompt is recognised by."""
    end_id: int | None
    """The one token that ends the thinking; None where it takes several, or none."""
    end_text: bytes
    """The end tag as bytes, for models that spell it with several tokens; else empty."""
    close_ids: tuple[int, ...]
    cut_ids: tuple[int, ...]
    wait_ids: tuple[int, ...]
    lead_ids: tuple[int, ...]
    lead_boxed_ids: tuple[int, ...]
    nothink_ids: tuple[int, ...]
    marks: frozenset[int]
    """Every single token that means more than its text: it opens, closes or ends something."""

    @property
    def thinks(self) -> bool:
        """Whether this model has a thinking block at all."""
        return bool(self.dialect.end)

    def reopens(self, token: int) -> bool:
        """Whether this token alone opens another thinking block."""
        return self.thinks and self.open_tag == (token,)

    def ends_open(self, prompt: tuple[int, ...]) -> bool:
        """Whether a prompt ends inside an open thinking block.

        Only blank space may follow the tag. Counting tags over the whole prompt would be
        fooled by a user who writes about them.
        """
        if not self.thinks:
            return False
        end = len(prompt)
        while end > 0 and not self.vocab.piece(prompt[end - 1]).strip():
            end -= 1
        return prompt[:end][-len(self.open_tag) :] == self.open_tag

    def opened(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """The prompt with its thinking block open, whoever had to open it."""
        if not self.thinks or self.ends_open(prompt):
            return prompt
        return prompt + self.open_ids

    def unthinking(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """The prompt with the family's own "don't think", in place of any open block."""
        if not self.thinks:
            return prompt
        if self.ends_open(prompt):
            tag = len(self.open_tag)
            at = max(i for i in range(len(prompt)) if prompt[i : i + tag] == self.open_tag)
            prompt = prompt[:at]
        return prompt + self.nothink_ids

    def words(self, text: str) -> tuple[int, ...]:
        """What a person puts into a thought: plain text, whatever tags it spells.

        Raises:
            InputError: it spells an end of thinking that this model would take for one.
        """
        if self.end_text and self.end_text in text.encode():
            raise InputError(
                f"The text holds {self.dialect.end}, with which this model ends its thinking.",
                "Leave it out; the answer can be asked for as soon as it thinks.",
            )
        return tuple(self.vocab.encode(text, special=False)) if text else ()

    def paragraph(self, text: str) -> tuple[int, ...]:
        """The same as a paragraph; what stands before it ends a line."""
        return self.words(f"{text.strip()}\n\n")

    def lead(self, boxed: bool) -> tuple[int, ...]:
        """What leads a model to an answer that it would not give."""
        return self.lead_boxed_ids if boxed else self.lead_ids


def resolve(dialect: Dialect, vocab: Vocabulary) -> ThinkProtocol:
    """Put a dialect into a vocabulary's tokens and test the result.

    Raises:
        UnsupportedModel: the dialect's tags do not work with this vocabulary.
    """

    def ids(text: str) -> tuple[int, ...]:
        return tuple(vocab.encode(text, special=True)) if text else ()

    end = ids(dialect.end)
    single = end[0] if len(end) == 1 else None
    tag = ids(dialect.open.rstrip())
    opening = tag[0] if len(tag) == 1 else None
    protocol = ThinkProtocol(
        dialect=dialect,
        vocab=vocab,
        open_ids=ids(dialect.open),
        open_tag=tag,
        end_id=single,
        end_text=dialect.end.encode() if dialect.end and single is None else b"",
        close_ids=ids(dialect.close),
        cut_ids=ids(dialect.cut),
        wait_ids=ids(dialect.wait),
        lead_ids=ids(dialect.last_resort),
        lead_boxed_ids=ids(dialect.last_resort_boxed),
        nothink_ids=ids(dialect.nothink),
        marks=vocab.ends | {i for i in (single, opening) if i is not None},
    )
    _self_test(protocol)
    return protocol


def _self_test(protocol: ThinkProtocol) -> None:
    """Every string must survive the tokenizer, and each closing must close exactly once."""
    dialect, vocab = protocol.dialect, protocol.vocab

    def refuse(why: str) -> None:
        raise UnsupportedModel(
            f"The {dialect.name!r} way of thinking does not fit this model: {why}.",
            "Choose another with --dialect, or plain to answer without thinking.",
        )

    for name, ids in (
        ("last_resort", protocol.lead_ids),
        ("last_resort_boxed", protocol.lead_boxed_ids),
        *(
            (
                ("open", protocol.open_ids),
                ("close", protocol.close_ids),
                ("cut", protocol.cut_ids),
                ("wait", protocol.wait_ids),
                ("nothink", protocol.nothink_ids),
            )
            if protocol.thinks
            else ()
        ),
    ):
        text: str = getattr(dialect, name)
        if not text.strip():
            refuse(f"its {name!r} text is empty")
        if b"".join(vocab.piece(i) for i in ids).strip() != text.encode().strip():
            refuse(f"its {name!r} text does not survive the tokenizer")
    if not protocol.thinks:
        return
    for name, ids in (("close", protocol.close_ids), ("cut", protocol.cut_ids)):
        if protocol.end_id is not None:
            count = ids.count(protocol.end_id)
        else:
            count = b"".join(vocab.piece(i) for i in ids).count(protocol.end_text)
        if count != 1:
            refuse(f"its {name!r} text ends the thinking {count} times, not once")
    if protocol.end_id is not None and protocol.end_id in vocab.ends:
        refuse("its end of thinking is also the end of a turn")
