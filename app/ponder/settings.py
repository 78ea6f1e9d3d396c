"""config.toml -> Settings. The docstring under each field is its manual.

Knows the file and its schema. A command line overrides what is set here; what is set
nowhere is left to the model's vendor and to this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ponder.errors import SettingsError

_Tokens = Annotated[int, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long models may think."""

    cap: _Tokens | None = None
    """Most thinking tokens a question; as many as the context holds where it is not set."""
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


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set once and for all."""

    model: str = "ponder-tiny"
    """Model that is asked where none is named: a name of `ponder models`, or a path."""
    system: str = ""
    """System prompt; R1 works best without one."""
    budget: BudgetSettings = BudgetSettings()
    """How long models may think."""
    sampling: SamplingSettings = SamplingSettings()
    """How tokens are drawn."""
    engine: EngineSettings = EngineSettings()
    """How llama.cpp runs."""


def read(path: Path) -> Settings:
    """The settings in a file; the defaults where there is none.

    Raises:
        SettingsError: it cannot be read, is no TOML, or says something impossible.
    """
    hint = f"Edit or remove {path}."
    try:
        # Editors on Windows begin a file with a byte order mark, which TOML does not know.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return Settings()
    except UnicodeDecodeError as error:
        raise SettingsError(f"The settings in {path} are not UTF-8 text.", hint) from error
    except OSError as error:
        raise SettingsError(
            f"The settings in {path} cannot be read: {error.strerror}.",
            f"See that {path} is a file that you may read, or remove it.",
        ) from error
    try:
        return msgspec.toml.decode(text, type=Settings)
    except msgspec.DecodeError as error:
        raise SettingsError(f"The settings in {path} cannot be used: {error}.", hint) from error
