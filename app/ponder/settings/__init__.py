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
    by_section,
    choices,
    known,
    manual,
    value,
)
from ponder.settings.values import differing, item, overlaid, shown, typable, typed

__all__ = [
    "BudgetSettings",
    "Effort",
    "EngineSettings",
    "SamplingSettings",
    "Settings",
    "TuiSettings",
    "allowed",
    "by_section",
    "choices",
    "differing",
    "given",
    "item",
    "known",
    "manual",
    "overlaid",
    "put",
    "read",
    "shown",
    "typable",
    "typed",
    "unset",
    "value",
]
