"""Everything that can be set once and for all, and the file that it is set in."""

from ponder.settings.file import given, put, read, unset
from ponder.settings.schema import (
    BudgetSettings,
    Effort,
    EngineSettings,
    SamplingSettings,
    Settings,
    TuiSettings,
    allowed,
    known,
    manual,
    value,
)

__all__ = [
    "BudgetSettings",
    "Effort",
    "EngineSettings",
    "SamplingSettings",
    "Settings",
    "TuiSettings",
    "allowed",
    "given",
    "known",
    "manual",
    "put",
    "read",
    "unset",
    "value",
]
