"""An install that is killed, at every kind of moment, and again while it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from library.bundle import kit

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")

CHILD = """
import os, random, signal, sys
from pathlib import Path
from ponder.library import bundle
from ponder.library.bundle import opening, staging

archive, moments = Path(sys.argv[1]), int(sys.argv[2])
opening._CHUNK = 700
count = 0

def moment(*_):
    global count
    count += 1
    if count == moments:
        os.kill(os.getpid(), signal.SIGKILL)

def put(self, chunk, put=staging.Growing.put):
    # Half of a piece first: a kill may come in the middle of a write.
    half = len(chunk) // 2
    put(self, chunk[:half])
    moment()
    put(self, chunk[half:])
    moment()

staging.Growing.put = put
with bundle.open_bundle(archive) as opened:
    planned = bundle.plan(opened)
    # Whatever is asked of the system: open, rename, mkdir, remove ...
    sys.addaudithook(lambda event, _: moment() if event.startswith(("open", "os.")) else None)
    bundle.install(planned)
print(count)
"""


def run(archive: Path, far: Path, moments: int) -> int | None:
    """Install until a moment; gives how many there were, None if it was killed."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(archive), str(moments)],
        env=os.environ
        | {"PONDER_HOME": str(far), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_killed_at_any_moment_nothing_is_wrong_and_the_next_one_finishes(
    archive: Path, tmp_path: Path
) -> None:
    total = run(archive, tmp_path / "whole", 0)
    assert total is not None and total > 100
    right = kit.finals(archive, tmp_path / "whole")
    assert kit.is_complete(tmp_path / "whole", right)
    # All through it; and close together towards the end of a model, where names are given.
    for number, moments in enumerate([*range(1, total, total // 9), *range(total - 30, total, 7)]):
        far = tmp_path / f"far{number}"
        assert run(archive, far, moments) is None
        right = kit.finals(archive, far)
        assert kit.faults(far, right) == []
        kit.install(archive, far)
        assert kit.is_complete(far, right)
        with kit.at(far):
            from ponder.library import lock as locks

            # All of it is ponder's own doing, whatever was killed.
            assert all(part.fetched for lock in locks.read_all().values() for part in lock.parts)


def test_killed_again_and_again_it_gets_on(archive: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    right = kit.finals(archive, far)
    for moments in range(60, 2000, 60):
        if run(archive, far, moments) is not None:
            break
        assert kit.faults(far, right) == []
    assert kit.is_complete(far, right)
