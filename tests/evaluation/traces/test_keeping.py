"""A bank on disk: killed anywhere it goes on, and nothing is in it twice."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ponder
from evaluation.traces.banks import header, recordings, trace
from ponder.alone import alone
from ponder.errors import Busy, InputError
from ponder.evaluation.traces.form import Recorded, encode, read
from ponder.evaluation.traces.keeping import journal


def parts(target: Path) -> Path:
    return target.with_name(target.name + ".part")


@given(st.lists(recordings(), min_size=1, max_size=5), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_kill_leaves_is_gone_on_with(
    tmp_path: Path, found: list[Recorded], data: st.DataObject
) -> None:
    """Whatever byte the writing stopped at."""
    traces = [
        Recorded(**{name: getattr(one, name) for name in one.__struct_fields__} | {"question": at})
        for at, one in enumerate(found)
    ]
    about = header(len(traces), 1)
    lines = [encode(about), *map(encode, traces)]
    whole = b"".join(lines)
    target = tmp_path / "bank.jsonl.gz"
    target.unlink(missing_ok=True)
    parts(target).write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with journal(target, about) as growing:
        for one in traces:
            if (one.question, one.seed) not in growing.done:
                growing.add(one)
    bank = read(target)
    assert bank.header == about and bank.traces == tuple(traces)
    assert gzip.decompress(target.read_bytes()) == whole
    assert not parts(target).exists()


def test_another_bank_is_not_gone_on_with(tmp_path: Path) -> None:
    target = tmp_path / "bank.jsonl"
    with journal(target, header(2)) as growing:
        growing.add(trace(["7"]))
    assert not target.exists() and parts(target).exists()
    with pytest.raises(InputError, match="every 16") as error, journal(target, header(2, every=8)):
        pass
    assert "every 8" in error.value.hint
    with journal(target, header(2)) as growing:
        growing.add(trace(["7"], question=1))
    assert len(read(target).traces) == 2
    with pytest.raises(InputError, match="already there"), journal(target, header(2)):
        pass


def test_one_at_a_time(tmp_path: Path) -> None:
    target = tmp_path / "bank.jsonl"
    with (
        alone(target.with_name(target.name + ".lock"), "x"),
        pytest.raises(Busy),
        journal(target, header()),
    ):
        pass


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "line 1"),
        (b"{}\n", "line 1"),
        (encode(header()) + b'{"question": 1}\n', "line 2"),
        (encode(header()) + b"[" * 2000 + b"\n", "line 2"),
        (encode(header()) + encode(trace([])) + b"\xff\n", "line 3"),
    ],
)
def test_what_is_no_bank_is_named_by_its_line(tmp_path: Path, data: bytes, where: str) -> None:
    path = tmp_path / "bank.jsonl"
    path.write_bytes(data)
    with pytest.raises(InputError, match=where):
        read(path)
    packed = tmp_path / "bank.jsonl.gz"
    packed.write_bytes(b"no gzip at all")
    with pytest.raises(InputError, match="cannot be read"):
        read(packed)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_recording_that_is_killed_goes_on(tmp_path: Path, home: Path) -> None:
    """The command itself, killed in the middle: what it goes on to is what it had begun."""
    command = [
        sys.executable, "-m", "ponder", "record", "--count", "2", "--samples", "2",
        "--parallel", "1", "--threads", "1",
    ]  # fmt: skip
    source = str(Path(ponder.__file__).parents[1])
    env = os.environ | {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    subprocess.run([*command, str(whole)], env=env, check=True, capture_output=True)
    with subprocess.Popen(
        [*command, str(killed)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        while not parts(killed).exists() or parts(killed).read_bytes().count(b"\n") < 3:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    kept = parts(killed).read_bytes().splitlines(keepends=True)[1:3]
    assert not killed.exists()
    done = subprocess.run(
        [*command, str(killed)], env=env, check=True, capture_output=True, text=True
    )
    first = re.search(r"recording: (\d+) of 4", done.stderr)
    assert first is not None and int(first[1]) >= 2
    one, other = read(whole), read(killed)
    assert one.header == other.header
    places = [(trace.question, trace.seed, trace.prompt) for trace in one.traces]
    assert [(trace.question, trace.seed, trace.prompt) for trace in other.traces] == places
    # What had been kept is what it was; and until then both runs did the same.
    assert killed.read_bytes().splitlines(keepends=True)[1:3] == kept
    assert one.traces[:2] == other.traces[:2]
