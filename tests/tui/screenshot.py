"""`make screenshot`: the picture of the chat in README, painted by the real app.

The engine recites (tests/tui/stage.py), so that the picture is the same everywhere; a test
keeps it true.

    python tests/tui/screenshot.py docs/chat.svg
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ponder.settings import TuiSettings
from tui.stage import QUESTION, SECOND, Clock, Opener, staged, typed, until

SIZE = (100, 32)


async def painted() -> str:
    """The chat after a question, one press of Wait and one of Fold, as SVG."""
    opener = Opener(second=SECOND, hold_at=60)
    # Where nothing moves no cursor blinks, which the picture of a slow machine would miss.
    app = staged(opener, clock=Clock(), tui=TuiSettings(motion=False))
    try:
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: opener.engine is not None and not app.loading_model)
            await typed(pilot, QUESTION)
            await pilot.press("enter")
            await until(pilot, lambda: opener.engine is not None and opener.engine.held)
            await pilot.press("f4", "ctrl+t")
            assert opener.engine is not None
            opener.engine.go_on.set()
            await until(pilot, lambda: app.dialogue.running is None)
            await pilot.pause()
            return app.export_screenshot(title="ponder")
    finally:
        app.close()


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        os.environ["PONDER_HOME"] = home
        target.write_text(asyncio.run(painted()), "utf-8")


if __name__ == "__main__":
    main()
