"""Text on its way to a terminal. Model output is untrusted, and so are file names.

A control or escape sequence never reaches the terminal raw: it is shown as a picture of
itself. Line breaks and tabs pass.
"""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console

_PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
_DELETE = {0x7F: 0x2421}
_C1 = dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
# Bidirectional controls can make text read as what it is not (CVE-2021-42574).
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
_TABLE = {**_PICTURES, **_DELETE, **_C1, **_BIDI, **_SURROGATES}


class Screen(Console):
    """A rich console that leaves a closed pipe to whoever called it."""

    def on_broken_pipe(self) -> NoReturn:
        """Pass it on: rich would exit with code 1, as if something had failed."""
        raise BrokenPipeError


def safe(text: str) -> str:
    """Text that a terminal only shows, and never obeys."""
    return text.translate(_TABLE)
