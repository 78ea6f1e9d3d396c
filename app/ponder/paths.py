"""Where things live on this machine. Knows directories, reads and writes nothing.

`PONDER_HOME`, when set, holds everything in one folder; otherwise platformdirs decides.
Functions, not constants, so that the variable is read when it is needed.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "PONDER_HOME"
"""The one override: a folder that then holds settings, models and caches together."""


def _home() -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).expanduser() if home else None


def config_file() -> Path:
    """The settings file, `config.toml`."""
    return (_home() or platformdirs.user_config_path("ponder", appauthor=False)) / "config.toml"


def user_catalogue() -> Path:
    """The user's own models and dialects, `models.toml` beside the settings."""
    return config_file().parent / "models.toml"


def models_dir() -> Path:
    """Where weights are kept."""
    return (_home() or platformdirs.user_data_path("ponder", appauthor=False)) / "models"


def themes_dir() -> Path:
    """Where the user's own themes are, one TOML file each."""
    return config_file().parent / "themes"


def presets_dir() -> Path:
    """Where presets are, one TOML file each."""
    return config_file().parent / "presets"


def history_file() -> Path:
    """The conversations and their traces, an SQLite database."""
    return (_home() or platformdirs.user_data_path("ponder", appauthor=False)) / "history.db"


def measured_dir() -> Path:
    """What was measured of models on this machine, one JSON file each."""
    return (_home() or platformdirs.user_data_path("ponder", appauthor=False)) / "measured"


def evaluations_dir() -> Path:
    """Results of evaluations, a folder each."""
    return (_home() or platformdirs.user_data_path("ponder", appauthor=False)) / "evaluations"


def cache_dir() -> Path:
    """What can be thrown away and made again."""
    home = _home()
    return home / "cache" if home else platformdirs.user_cache_path("ponder", appauthor=False)
