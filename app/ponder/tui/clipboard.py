"""Copying by OSC 52: the terminal is asked to put text on its clipboard, also over ssh.

Whether it does is not told to anybody: some terminals want to be allowed to, and many take no
more than 74,994 bytes (the limit that xterm's hterm and tmux's documents name for 100,000 in
base64). Knows the app's way to write that, and what to say of it.
"""

from __future__ import annotations

from typing import Any

from textual.app import App

from ponder.printable import safe

LIMIT = 74_994
"""Bytes that a terminal can be expected to take."""


def copy(app: App[Any], text: str, what: str) -> None:
    """Copy what a screen may show of a text, and say so.

    Args:
        app: whose terminal is asked.
        text: what is copied; control characters as pictures of themselves, as they are shown.
        what: what that is, in a few words.
    """
    text = safe(text.strip("\n"))
    if not text.strip():
        app.notify("There is nothing to copy yet.", markup=False, timeout=4)
        return
    app.copy_to_clipboard(text)
    size = len(text.encode("utf-8"))
    told = f"{what}: {len(text):,} characters"
    if size > LIMIT:
        app.notify(
            f"{size:,} bytes were sent to the terminal. Many take no more than {LIMIT:,}: then the "
            "clipboard is as it was. A step may do, or an export.",
            title=safe(f"Copied {told}"),
            severity="warning",
            markup=False,
            timeout=10,
        )
    else:
        app.notify(safe(f"Copied {told}"), markup=False, timeout=3)
