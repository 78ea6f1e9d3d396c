"""From messages to prompt tokens, by the vendor's own Jinja template.

A template is a program that came with a download: it runs in Jinja's immutable sandbox. Knows
nothing of budgets; whether the prompt ends inside an open thought is the protocol's to see.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ponder.dialect import Dialect
from ponder.errors import InputError, UnsupportedModel
from ponder.types import Message
from ponder.vocabulary import Vocabulary


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: the Jinja text, as the model's file or the vendor's repository has it.
        vocab: gives the template its BOS and EOS, and the result its ids.

    Raises:
        UnsupportedModel: the source is no valid template.
    """

    def __init__(self, source: str, vocab: Vocabulary) -> None:
        # The settings of transformers' apply_chat_template, which vendors write for.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        self.source = source
        self._vocab = vocab
        try:
            self._template = environment.from_string(source)
        # A stray {% break %} is a SyntaxError of Python's, deep nesting a RecursionError.
        except (jinja2.TemplateError, SyntaxError, RecursionError) as error:
            raise UnsupportedModel(
                f"The model's chat template is no valid Jinja: {error}.",
                "Give a template of your own with --template FILE.",
            ) from error

    def text(self, messages: Sequence[Message], today: date) -> str:
        """What the template makes of a conversation, the generation prompt included.

        Raises:
            InputError: the template refuses the conversation.
        """

        def tag(token: int | None) -> str:
            return "" if token is None else self._vocab.piece(token).decode("utf-8", "replace")

        try:
            return self._template.render(
                messages=[{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                bos_token=tag(self._vocab.bos),
                eos_token=tag(self._vocab.eos),
                strftime_now=today.strftime,
                date_string=today.strftime("%d %b %Y"),
            )
        except Exception as error:  # a foreign program may fail in any way
            raise InputError(
                f"The model's chat template refuses this conversation: {error}.",
                "Some models take no system prompt; `--system ''` leaves it out.",
            ) from error

    def tokens(self, messages: Sequence[Message], today: date) -> tuple[int, ...]:
        """The same as ids, with exactly one BOS where the model wants one."""
        ids = self._vocab.encode(self.text(messages, today), special=True)
        bos = self._vocab.bos
        if bos is None:
            return tuple(ids)
        start = 0
        while start < len(ids) and ids[start] == bos:
            start += 1
        wanted = (bos,) if start or self._vocab.add_bos else ()
        return (*wanted, *ids[start:])


def without_thinking(content: str, dialect: Dialect) -> str:
    """An assistant's turn without the thinking that it may carry.

    Earlier thinking is never sent back, whatever a template would do with it; a block that
    was never closed, of a cancelled question for example, is thinking to its end.
    """
    if not dialect.end:
        return content
    opening = dialect.open.rstrip()
    at = content.rfind(dialect.end)
    # s1 opens a block with the very tag that ends one.
    if at >= 0 and not content.startswith(opening, at):
        content = content[at + len(dialect.end) :].removeprefix(dialect.answer_label)
    elif at >= 0:
        content = content[at:]
    return "" if content.lstrip().startswith(opening) else content.lstrip("\n")


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(value: Any, indent: int | None = None) -> str:
    """Plain JSON: Jinja's own filter escapes for HTML, which no model has been trained on."""
    return json.dumps(value, ensure_ascii=False, indent=indent)
