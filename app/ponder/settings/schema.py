"""What can be set, and to what. The docstring under each field is its manual.

Knows the form of settings and their keys with dots (`budget.cap`); reads and writes nothing. What
a word means (a theme, an effort, the name of a key) is the business of whoever uses it.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from ponder.errors import UnknownName
from ponder.types import Budget

_Tokens = Annotated[int, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Traces = Annotated[int, msgspec.Meta(ge=1, le=128)]
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
    within: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Seconds a question has, from the asking (in `ponder run` from its start) to the end of its
    answer; as long as it takes where it is not set."""
    landing: bool = True
    """End a thought at a sentence's end shortly before its cap; false cuts at the cap alone."""
    loops: bool = True
    """End a thought that says the same again and again."""
    traces: _Traces = 1
    """Traces that a question of the chat is thought about in at once; their answers vote."""
    stop: str = "off"
    """Rule by which a thought may end early: margin, entropy, converged or confident."""

    def base(self) -> Budget:
        """These limits as a budget, the cap aside: what an effort means depends on the model."""
        return Budget(
            floor=self.floor,
            answer_reserve=self.answer_reserve,
            max_answer=self.max_answer,
            within=self.within,
            landing=self.landing,
            loops=self.loops,
            stop=self.stop,
        )


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
    plain: bool = False
    """Chat by lines of words instead of on a screen, as `ponder chat --plain` does."""
    motion: bool = True
    """Whether things move: false stops the cursor's blinking and sliding, and paints what streams
    twice a second."""
    latex: bool = True
    """Show formulas as Unicode, here and where `ponder ask` writes to a terminal; what is copied or
    exported keeps the LaTeX."""
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


@cache
def known() -> tuple[str, ...]:
    """Everything that can be set, with dots: `budget.cap`. One table of names has them below it:
    `tui.keys.quit` sets one key of `tui.keys`."""
    parts = by_section().items()
    return tuple(f"{section}.{name}".lstrip(".") for section, names in parts for name in names)


@cache
def by_section() -> dict[str, tuple[str, ...]]:
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
    for name in way(key):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name)
    return found


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
    for section, names in by_section().items():
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
    if len(way(key)) > 2:
        return "a text"  # below a table of names
    return _in_words(_kind(key))


def choices(key: str) -> tuple[object, ...]:
    """All that a setting may be, where that is few; empty where it is not.

    Raises:
        UnknownName: there is no such setting.
    """
    if len(way(key)) > 2:
        return ()
    kind = _kind(key)
    if kind is bool:
        return (True, False)
    return get_args(kind) if get_origin(kind) is Literal else ()


def _kind(key: str) -> Any:
    section, _, name = key.rpartition(".")
    owner = getattr(Settings(), section) if section else Settings
    (kind,) = (field.type for field in msgspec.structs.fields(owner) if field.name == name)
    return kind


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


def way(key: str) -> tuple[str, ...]:
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
