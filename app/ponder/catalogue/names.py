"""Names and what they stand for: ponder's own catalogue with the user's on top."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec

from ponder import paths
from ponder.catalogue.reading import Document, read
from ponder.catalogue.schema import Api, Model
from ponder.dialect import Dialect
from ponder.errors import PonderError, SettingsError, UnknownName
from ponder.types import Sampling
from ponder.vocabulary import Vocabulary

_CHECKOUT = Path(__file__).resolve().parents[3] / "models.toml"
_OURS = "It ships with ponder: undo what was changed in it, or install ponder again."
_NEEDED = "plain"
"""The dialect of what does not think: every catalogue has to have it."""
_Thing = TypeVar("_Thing", Model, Dialect, Api)


class Catalogue:
    """Everything that models.toml says.

    Args:
        text: the file's content.
        origin: its name, for errors.

    Raises:
        SettingsError: it is no TOML, or not of this form.
    """

    models: Mapping[str, Model]
    """By name."""
    dialects: Mapping[str, Dialect]
    """By name."""
    apis: Mapping[str, Api]
    """By name."""
    own: frozenset[str]
    """Names of models that the user's file tells of."""
    replaced: frozenset[str]
    """Those of them that ponder's own catalogue tells of too."""
    problem: SettingsError | None
    """Why the user's file is left out, if it is."""

    def __init__(self, text: str, origin: str = "models.toml") -> None:
        document = read(text, origin, _OURS)
        self.models, self.dialects, self.apis = {}, {}, {}
        self.own = self.replaced = frozenset()
        self.problem = None
        self._take(document)
        if _NEEDED not in self.dialects:
            raise document.wrong(["dialects"], f"{_NEEDED!r} is missing")

    def with_file(self, path: Path) -> Catalogue:
        """This catalogue with a user's file on top: what has the same name is replaced.

        A file that cannot be used is left out as a whole, and `problem` says why: what ponder
        knows by itself is not lost with it.
        """
        merged = copy(self)
        try:
            document = _document(path)
            if document is None:
                return self
            merged._take(document)
        except SettingsError as error:
            alone = copy(self)
            alone.problem = error
            return alone
        merged.own = frozenset(document.file.models)
        merged.replaced = merged.own & self.models.keys()
        return merged

    def _take(self, document: Document) -> None:
        dialects = {
            name: Dialect(name=name, **msgspec.structs.asdict(words))
            for name, words in document.file.dialects.items()
        }
        self.dialects = {**self.dialects, **dialects}
        self.models = {**self.models, **document.file.models}
        self.apis = {**self.apis, **document.file.apis}
        for name, model in document.file.models.items():
            if model.dialect not in self.dialects:
                known = ", ".join(self.dialects)
                raise document.wrong(
                    ["models", name, "dialect"],
                    f"there is no dialect {model.dialect!r}; known: {known}",
                )

    def model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            UnknownName: there is none.
        """
        return self._named("model", name, self.models)

    def dialect(self, name: str) -> Dialect:
        """The dialect of that name.

        Raises:
            UnknownName: there is none.
        """
        return self._named("dialect", name, self.dialects)

    def dialect_of(self, model: str) -> Dialect:
        """The dialect of a model by its name, or by what its file is called; R1's of others."""
        found = self.models.get(model)
        if found is None:
            recognised = self.recognise(model, model)
            found = recognised[1] if recognised is not None else None
        return self.dialect(found.dialect if found is not None else "r1")

    def api(self, name: str) -> Api:
        """The service of that name.

        Raises:
            UnknownName: there is none.
        """
        return self._named("service", name, self.apis)

    def _named(self, kind: str, name: str, known: Mapping[str, _Thing]) -> _Thing:
        try:
            return known[name]
        except KeyError:
            raise UnknownName(kind, name, known, self.trouble) from None

    @property
    def trouble(self) -> str:
        """Why a name may be missing that the user's file should have brought; or nothing."""
        return f"Left out: {self.problem.message}" if self.problem is not None else ""

    def recognise(self, file_name: str, general_name: str) -> tuple[str, Model] | None:
        """The catalogue's entry for a file, by its name or by what its metadata calls it."""
        for key, model in self.models.items():
            if any(gguf.name == file_name for gguf in model.ggufs.values()):
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
        return self.dialects[_NEEDED]


def _document(path: Path) -> Document | None:
    """A user's file; None where there is none."""
    hint = (
        f"Edit or remove {path}. Its form is that of ponder's own models.toml: "
        "`ponder models r1-7b --json` shows the fields of a model."
    )
    try:
        # Editors on Windows begin a file with a byte order mark, which TOML does not know.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text.", hint) from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.", hint) from error
    return read(text, str(path), hint)


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
def shipped() -> Catalogue:
    """The catalogue that ships with ponder, and nothing else."""
    return Catalogue(source().read_text("utf-8"))


def catalogue() -> Catalogue:
    """What has a name here: ponder's own catalogue, the user's file on top of it.

    The user's file is read each time: it may be edited while ponder runs, and without one this
    costs one look at a folder.
    """
    return shipped().with_file(paths.user_catalogue())
