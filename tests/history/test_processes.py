"""Several ponders at once, and ponders that are killed: real processes, one file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ponder.history.store import History
from ponder.types import Channel

PRELUDE = """
import sys
from pathlib import Path
from history.traces import THOUGHT, trace
from ponder.history.recorder import Recorder
from ponder.history.store import History
from ponder.types import Budget, Sampling, Span
path, name = Path(sys.argv[1]), sys.argv[2]
"""
WRITES = """
with History(path, timeout=60) as history:
    latest = history.latest()
    number = latest.id if latest else history.new_conversation(name, "m", "", 0)
    for at in range(25):
        turn = history.begin_turn(number, f"{name} {at}", "m", Budget(), Sampling(), at)
        for piece in "abc":
            history.append(turn, [Span(THOUGHT, piece)])
        history.finish_turn(turn, trace(Span(THOUGHT, f"{name} thought {at}")))
"""
STREAMS = """
history = History(path)
number = history.new_conversation(name, "m", "", 0)
turn = history.begin_turn(number, "q", "m", Budget(), Sampling(), 0)
for at in range(1_000_000):
    history.append(turn, [Span(THOUGHT, f"{at} ")])
    print(at, flush=True)
"""
RECORDS = """
recorder = Recorder(path, print)
number = recorder.conversation(name, "m", "", 0)
turn = recorder.begin(number, "q", "m", Budget(), Sampling(), 0)
for at in range(1_000_000):
    recorder.append(turn, [Span(THOUGHT, f"{at} ")])
    assert recorder.flush(60)
    print(at, flush=True)
"""


def child(script: str, path: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(path), name],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_four_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.db"
    children = [child(WRITES, path, f"process{n}") for n in range(4)]
    for one in children:
        one.communicate()
        assert one.returncode == 0
    with History(path) as history:
        turns = []
        for entry in history.conversations():
            own = history.turns(entry.id)
            # They met in a conversation at any time: its places have no gap and none is double.
            assert [turn.position for turn in own] == list(range(len(own)))
            turns += own
        questions = {turn.question for turn in turns}
        assert questions == {f"process{n} {at}" for n in range(4) for at in range(25)}
        assert len(turns) == 100
        assert all(turn.trace is not None for turn in turns)
        assert len(history.search("process2 thought", limit=200)) == 25


@pytest.mark.parametrize("script", [STREAMS, RECORDS], ids=["store", "recorder"])
@pytest.mark.parametrize("after", [0, 1, 30, 200])
def test_killed_in_the_middle_what_was_handed_over_is_there(
    tmp_path: Path, script: str, after: int
) -> None:
    path = tmp_path / "history.db"
    with child(script, path, "killed") as one:
        assert one.stdout is not None
        for _ in range(after):
            one.stdout.readline()
        told = one.stdout.readline()
        one.kill()
    with History(path) as history:
        latest = history.latest()
        assert latest is not None
        (turn,) = history.turns(latest.id)
        assert turn.question == "q"
        assert turn.trace is None
        assert turn.error == ""
        (span,) = turn.spans
        assert span.channel is Channel.THOUGHT
        written = [int(word) for word in span.text.split()]
        assert written == list(range(len(written)))
        assert written[-1] >= int(told) == after
        # And it can be gone on with.
        history.fail_turn(turn.id, "killed")
        assert history.turns(latest.id)[0].spans == turn.spans
