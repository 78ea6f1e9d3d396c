"""The only reader of models.toml: which models have a name, and how families think.

Knows the file and its schema; what is on this disk is the library's business.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from ponder.errors import PonderError, SettingsError, UnknownName
from ponder.types import Dialect, Sampling, Vocabulary

_PLAIN = Dialect("plain")
"""Where a dialect says nothing, this does."""
_CHECKOUT = Path(__file__).resolve().parents[2] / "models.toml"


class Draw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vendor's sampler settings."""

    temperature: float
    """0 takes the most likely token each time."""
    top_p: float
    """Nucleus; 1 is off."""


class Gguf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ready-made GGUF on the Hugging Face hub."""

    repository: str
    """owner/name."""
    file: str
    """Path inside the repository."""
    sha256: str
    """As published; what is not pinned is not listed."""

    @property
    def url(self) -> str:
        """Where the file can be fetched."""
        return f"https://huggingface.co/{self.repository}/resolve/main/{self.file}"


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model that has a name."""

    title: str
    """The vendor's name for it."""
    dialect: str
    """Name of its way of thinking, a key of `dialects`."""
    parameters: float
    """Billions."""
    context: int
    """Tokens it was made for."""
    licence: str
    """Of the weights."""
    sampling: Draw
    """What its vendor advises."""
    note: str = ""
    """What a user must know about it before anything else."""
    repository: str = ""
    """The vendor's checkpoint on the hub, owner/name."""
    builtin: str = ""
    """File name inside ponder itself, for models that ship with it."""
    gguf: Gguf | None = None
    """A ready-made file, where one with a published sha256 is known."""


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dialect in the file; `ponder.types.Dialect` documents the fields."""

    open: str = ""
    end: str = ""
    close: str = ""
    cut: str = ""
    answer_label: str = ""
    wait: str = _PLAIN.wait
    last_resort: str = _PLAIN.last_resort
    last_resort_boxed: str = _PLAIN.last_resort_boxed
    nothink: str = ""
    smallest: int = 1


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dialects: dict[str, _Words]
    models: dict[str, Model]


class Catalogue:
    """Everything models.toml says.

    Args:
        text: the file's content.
        origin: its name, for errors.

    Raises:
        SettingsError: it is no TOML, or not of this schema.
    """

    def __init__(self, text: str, origin: str = "models.toml") -> None:
        try:
            read = msgspec.toml.decode(text, type=_File)
        except msgspec.DecodeError as error:
            raise SettingsError(
                f"{origin} cannot be used: {error}.",
                "It ships with ponder: undo what was changed in it, or install ponder again.",
            ) from error
        self.models: dict[str, Model] = dict(read.models)
        self.dialects = {
            name: Dialect(name=name, **msgspec.structs.asdict(words))
            for name, words in read.dialects.items()
        }
        for key, model in self.models.items():
            if model.dialect not in self.dialects:
                raise SettingsError(
                    f"{origin}: model {key!r} thinks in {model.dialect!r}, which is no dialect.",
                    f"Known: {', '.join(self.dialects)}.",
                )

    def model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            UnknownName: there is none.
        """
        try:
            return self.models[name]
        except KeyError:
            raise UnknownName("model", name, self.models) from None

    def dialect(self, name: str) -> Dialect:
        """The dialect of that name.

        Raises:
            UnknownName: there is none.
        """
        try:
            return self.dialects[name]
        except KeyError:
            raise UnknownName("dialect", name, self.dialects) from None

    def recognise(self, file_name: str, general_name: str) -> tuple[str, Model] | None:
        """The catalogue's entry for a file, by its name or by what its metadata calls it."""
        for key, model in self.models.items():
            if model.gguf is not None and model.gguf.file == file_name:
                return key, model
        plain = _plain(general_name)
        for key, model in self.models.items():
            if plain and plain == _plain(model.title):
                return key, model
        return None

    def guess_dialect(self, vocab: Vocabulary, template: str) -> Dialect:
        """How a model thinks that no catalogue knows: by its template, or its own tokens.

        Think tags in the template, or as single tokens of the vocabulary, mean R1's way;
        anything else does not think.
        """
        for dialect in self.dialects.values():
            if not dialect.end.startswith("</"):
                continue
            if dialect.end in template:
                return dialect
            try:
                single = len(vocab.encode(dialect.end, special=True)) == 1
            except PonderError:
                single = False
            if single:
                return dialect
        return self.dialects["plain"]


def sampling(model: Model) -> Sampling:
    """A model's vendor settings as sampling."""
    return Sampling(temperature=model.sampling.temperature, top_p=model.sampling.top_p)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def source() -> Traversable | Path:
    """models.toml: inside the installed package, or at the top of a checkout."""
    packaged = files("ponder") / "models.toml"
    return packaged if packaged.is_file() else _CHECKOUT


@cache
def catalogue() -> Catalogue:
    """The catalogue that ships with ponder."""
    return Catalogue(source().read_text("utf-8"))
