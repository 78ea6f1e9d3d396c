"""The tokens of one model, text to ids and ids to bytes: what every engine can tell of them."""

from __future__ import annotations

from typing import Protocol


class Vocabulary(Protocol):
    """Whoever can tell one from the other."""

    @property
    def size(self) -> int:
        """How many token ids there are."""

    @property
    def fingerprint(self) -> str:
        """Changes with any token: tells two vocabularies apart."""

    @property
    def bos(self) -> int | None:
        """The token that begins every sequence, if there is one."""

    @property
    def eos(self) -> int | None:
        """The token that ends a sequence, if there is one."""

    @property
    def add_bos(self) -> bool:
        """Whether the model expects `bos` in front of its prompts."""

    @property
    def chat_template(self) -> str | None:
        """The vendor's Jinja template, if the file has one."""

    def encode(self, text: str, special: bool) -> list[int]:
        """Text to ids, nothing added; `special` reads tags as the tokens they name."""

    def piece(self, token: int) -> bytes:
        """The bytes of one token; a special token gives its tag."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens a model ends its turn with (EOS, EOT and their like)."""
