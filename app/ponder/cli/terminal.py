"""A rich console for commands: a closed pipe stays the caller's affair."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console

FORCED = "yellow"
"""The style of words that the model did not say."""


class Screen(Console):
    """A rich console that leaves a closed pipe to whoever called it."""

    def on_broken_pipe(self) -> NoReturn:
        """Pass it on: rich would exit with code 1, as if something had failed."""
        raise BrokenPipeError
