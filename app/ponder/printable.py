"""Text on its way to a screen. Model output is untrusted, and so are file names.

A control or escape sequence never reaches a terminal raw: it is shown as a picture of
itself. Line breaks and tabs pass. Knows characters, and no terminal.
"""

from __future__ import annotations

_PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
_DELETE = {0x7F: 0x2421}
_C1 = dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
# Bidirectional controls can make text read as what it is not (CVE-2021-42574).
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
_TABLE = {**_PICTURES, **_DELETE, **_C1, **_BIDI, **_SURROGATES}


def safe(text: str) -> str:
    """Text that a terminal only shows, and never obeys."""
    return text.translate(_TABLE)
