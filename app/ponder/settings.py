"""config.toml -> Settings, and single settings back into the file. The docstring under each
field is its manual.

Knows the file and its schema. A command line overrides what is set here; what is set
nowhere is left to the model's vendor and to this machine. What a word means (a theme, an
effort, the name of a key) is the business of whoever uses it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from ponder.errors import SettingsError, UnknownName

_Tokens = Annotated[int, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
Effort = Literal["off", "low", "medium", "high", "max"]
"""Thinking budgets with a name."""


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long models may think."""

    cap: _Tokens | Effort | None = None
    """Most thinking tokens a question, or an effort; where it is not set, all the context holds."""
    floor: _Tokens = 0
    """Fewest thinking tokens a question."""
    answer_reserve: _Tokens = 512
    """Context kept free for the answer, whatever the thinking does."""
    max_answer: _Count | None = None
    """Most answer tokens a question."""


class SamplingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How tokens are drawn; what is not set is the vendor's advice for the model."""

    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """0 takes the most likely token each time."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Nucleus; 1 is off."""
    top_k: _Tokens | None = None
    """Only the k most likely tokens; 0 is off."""
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Only tokens at least this fraction as likely as the best one."""
    repeat_penalty: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Divides the logits of recent tokens; 1 is off."""
    dry_multiplier: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Strength of DRY against repeated sequences; 0 is off."""


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How llama.cpp runs; what is not set is chosen for this machine."""

    ctx: _Count | None = None
    """Tokens of context."""
    gpu_layers: _Tokens | None = None
    """Layers on GPUs; all that fit where it is not set."""
    threads: _Count | None = None
    """CPU threads for decoding."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    """Flash attention."""
    kv_type_k: str = "f16"
    """Type of the keys in the KV cache."""
    kv_type_v: str = "f16"
    """Type of the values in the KV cache."""


class TuiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the chat screen looks, and which keys it obeys."""

    theme: str = "ponder-dark"
    """A built-in theme, or the name of a file in the themes folder."""
    thinking: Literal["tail", "open", "closed"] = "tail"
    """How a trace shows while it streams: its last lines, all of it, or its heading alone."""
    tail_lines: _Count = 8
    """Lines that a tail shows."""
    fold_when_done: bool = True
    """Fold a trace when its thinking is over, unless it was unfolded by hand."""
    extend: _Count = 512
    """Thinking tokens that one press grants."""
    mouse: bool = True
    """Whether the mouse is listened to; false leaves selecting text to the terminal."""
    keys: dict[str, str] = {}
    """Keys by action, several with commas between them."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set once and for all."""

    model: str = "ponder-tiny"
    """Model that is asked where none is named: a name of `ponder models`, or a path."""
    lora: tuple[str, ...] = ()
    """LoRA adapters of `model`, each FILE or FILE:SCALE; another model goes without them."""
    system: str = ""
    """System prompt; R1 works best without one."""
    budget: BudgetSettings = BudgetSettings()
    """How long models may think."""
    sampling: SamplingSettings = SamplingSettings()
    """How tokens are drawn."""
    engine: EngineSettings = EngineSettings()
    """How llama.cpp runs."""
    tui: TuiSettings = TuiSettings()
    """How the chat screen looks, and which keys it obeys."""


def read(path: Path) -> Settings:
    """The settings in a file; the defaults where there is none.

    Raises:
        SettingsError: it cannot be read, is no TOML, or says something impossible.
    """
    text = _text(path)
    try:
        return msgspec.toml.decode(text, type=Settings)
    except msgspec.DecodeError as error:
        raise _unusable(path, error) from error


def _text(path: Path) -> str:
    """What is in the file; nothing where there is none."""
    try:
        # Editors on Windows begin a file with a byte order mark, which TOML does not know.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        told = f"The settings in {path} are not UTF-8 text."
        raise SettingsError(told, f"Edit or remove {path}.") from error
    except OSError as error:
        raise SettingsError(
            f"The settings in {path} cannot be read: {error.strerror}.",
            f"See that {path} is a file that you may read, or remove it.",
        ) from error


def _unusable(path: Path, error: Exception) -> SettingsError:
    at = str(error).rpartition(" - at `$.")[2].rstrip("`")
    right = f"Right for {at}: {allowed(at)}. " if at in known() else ""
    return SettingsError(
        f"The settings in {path} cannot be used: {error}.", f"{right}Edit or remove {path}."
    )


# -- keys ---------------------------------------------------------------------------------------


@cache
def known() -> tuple[str, ...]:
    """Everything that can be set, with dots: `budget.cap`. One table of names has them below it:
    `tui.keys.quit` sets one key of `tui.keys`."""
    parts = _sections().items()
    return tuple(f"{section}.{name}".lstrip(".") for section, names in parts for name in names)


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    """The names in each section, those of none first."""
    parts = {
        name: part.__struct_fields__
        for name in Settings.__struct_fields__
        if isinstance(part := getattr(Settings(), name), msgspec.Struct)
    }
    plain = tuple(name for name in Settings.__struct_fields__ if name not in parts)
    return {"": plain, **parts}


def value(settings: Settings, key: str) -> Any:
    """What is set, or the default; None where nothing is.

    Raises:
        UnknownName: there is no such setting.
    """
    found: Any = settings
    for name in _names(key):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name)
    return found


def given(path: Path) -> tuple[str, ...]:
    """The keys that a file sets; those below `tui.keys` one by one. Raises as `read` does."""
    read(path)
    own = tomllib.loads(_text(path))
    found = []
    for key in known():
        inner: Any = own
        for name in _names(key):
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            found += [f"{key}.{name}" for name in inner]
        elif inner is not None:
            found.append(key)
    return tuple(found)


def manual() -> dict[str, str]:
    """The docstring under each field, by key; sections have theirs too."""
    import ast
    import inspect
    import sys

    docs: dict[tuple[str, str], str] = {}
    tree = ast.parse(inspect.getsource(sys.modules[__name__]))
    for node in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        for field, under in pairwise(node.body):
            match field, under:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                    docs[node.name, name] = " ".join(text.split())
    told = {}
    for section, names in _sections().items():
        owner = type(getattr(Settings(), section)) if section else Settings
        if section:
            told[section] = docs[Settings.__name__, section]
        told |= {f"{section}.{name}".lstrip("."): docs[owner.__name__, name] for name in names}
    return told


def allowed(key: str) -> str:
    """What a setting may be, in words.

    Raises:
        UnknownName: there is no such setting.
    """
    if len(_names(key)) > 2:
        return "a text"  # below a table of names
    section, _, name = key.rpartition(".")
    owner = getattr(Settings(), section) if section else Settings
    (kind,) = (field.type for field in msgspec.structs.fields(owner) if field.name == name)
    return _in_words(kind)


def _in_words(kind: Any) -> str:
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return ", ".join(parts)
    if get_origin(kind) is Annotated:
        bounds = {"from": parts[1].ge, "above": parts[1].gt, "up to": parts[1].le}
        limits = [f"{word} {limit}" for word, limit in bounds.items() if limit is not None]
        return " ".join([_in_words(parts[0]), *limits])
    if get_origin(kind) is tuple:
        return f"a list, each {_in_words(parts[0])}"
    if get_origin(kind) is dict:
        return "a table of names and texts"
    if parts:
        return ", or ".join(_in_words(part) for part in parts if part is not NoneType)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words[kind]


def _names(key: str) -> tuple[str, ...]:
    """The way to a setting.

    Raises:
        UnknownName: there is no such setting.
    """
    if key in known():
        return tuple(key.split("."))
    for table in known():
        below = key.removeprefix(f"{table}.")
        if below not in ("", key) and isinstance(value(Settings(), table), dict):
            return (*table.split("."), below)
    raise UnknownName("setting", key, known())


# -- writing ------------------------------------------------------------------------------------


def put(path: Path, key: str, new: object) -> None:
    """Set one key in a file, which is made where there is none; None unsets it.

    Comments and order are kept. The file is replaced as a whole, or not changed at all.

    Raises:
        UnknownName: there is no such setting.
        SettingsError: it cannot be set to that, or the file cannot be read or written.
    """
    if new is None:
        unset(path, key)
    else:
        _change(path, key, _names(key), new)


def unset(path: Path, key: str) -> bool:
    """Take one key out of a file; false where it was not set.

    A key that is no setting can be taken out where the file has it, such as a misspelled one.

    Raises:
        UnknownName: there is no such setting, nor is it in the file.
        SettingsError: the file cannot be read or written, or something else in it is wrong.
    """
    try:
        return _change(path, key, _names(key), None)
    except UnknownName:
        if key not in _sections() and _change(path, key, tuple(key.split(".")), None):
            return True
        raise


def _change(path: Path, key: str, names: tuple[str, ...], new: object) -> bool:
    """Set a key, or take it out for None, and write the file; false if nothing was there."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = _text(path)
    try:
        wanted, document = tomllib.loads(text), tomlkit.parse(text)
    except (tomllib.TOMLDecodeError, TOMLKitError) as error:
        raise _unusable(path, error) from error
    if not _apply(wanted, names, new, dict):
        return False
    try:
        msgspec.convert(wanted, Settings)
    except msgspec.ValidationError as error:
        if new is None or f"`$.{'.'.join(names[:2])}" not in str(error):
            raise _unusable(path, error) from error
        raise SettingsError(
            f"{key} cannot be {new!r}.", f"Right for {key}: {allowed(key)}."
        ) from error
    _apply(document, names, new, tomlkit.table)
    try:
        written = document.as_string()
        data = written.encode()
        same = _filled(tomllib.loads(written)) == _filled(wanted)
    except (ValueError, TOMLKitError):
        same = False
    if not same:
        raise SettingsError(
            f"{key} cannot be written into {path} as it is.", f"Edit {path} by hand."
        )
    _replace(path, data)
    return True


def _filled(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the empty ones in it: among dotted keys these cannot be written."""
    parts = {name: _filled(v) if isinstance(v, dict) else v for name, v in table.items()}
    return {name: part for name, part in parts.items() if part != {}}


def _apply(table: Any, names: tuple[str, ...], new: object, fresh: Any) -> bool:
    """Set or take out a key in nested tables; false if there was nothing to take out."""
    *sections, name = names
    for section in sections:
        if section not in table:
            if new is None:
                return False
            table[section] = fresh()
        table = table[section]
        if not isinstance(table, Mapping):
            return new is not None  # what stands in its place is refused with the whole
    if isinstance(new, dict) and isinstance(table.get(name, {}), Mapping):
        # One by one, so that those that stay keep their comments.
        for old in set(table.get(name, ())) - set(new):
            del table[name][old]
        for one, inner in new.items():
            _apply(table, (name, one), inner, fresh)
    elif new is not None:
        table[name] = new
    elif name in table:
        del table[name]
    else:
        return False
    return True


def _replace(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there: no reader ever sees half of it."""
    import tempfile

    target = path.resolve()  # where a link points, so that the link stays
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            if target.exists():
                beside.chmod(target.stat().st_mode & 0o7777)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingsError(
            f"The settings in {path} cannot be written: {error.strerror}.",
            f"See that {target.parent} is a folder that you may write to, on a disk with room.",
        ) from error
