"""What bundles cost beside `sha256sum` and `cp`, and what a hundred kills do to an install.

Ratios are medians over rounds in which all sides take turns; above 1 is faster than the other
side. Kills come at random times of a real process. Prints tables; asserts nothing.

    PYTHONPATH=tests python -m bench.bundle [throughput] [kills] [--mib 512] [--rounds 7]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.ratios import settle, table, timed, turned
from library.bundle import kit
from ponder.library import bundle
from ponder.library import lock as locks

MIB = 1 << 20


def stocked(home: Path, mib: int) -> None:
    """Four models, of random bytes; half of the size in one."""
    (home / "models").mkdir(parents=True)
    for number, share in enumerate((2, 4, 8, 8)):
        with (home / f"models/model{number}.gguf").open("wb") as file:
            file.write(b"GGUF")
            rng = random.Random(number)
            for _ in range(mib // share):
                file.write(rng.randbytes(MIB))
            file.flush()
            os.fsync(file.fileno())


def ponder(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A real one."""
    return subprocess.Popen(
        [sys.executable, "-m", "ponder", "--offline", "bundle", *arguments],
        env=os.environ | {"PONDER_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def copied(files: list[Path], target: Path) -> None:
    """cp, and its bytes on the disk: a bundle's are there too when it is done."""
    target.mkdir()
    subprocess.run(["cp", *files, target], check=True)
    for file in target.iterdir():
        settle(file)


def throughput(mib: int, rounds: int) -> None:
    """Create, verify and install, beside sha256sum and cp of the same files."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        near = place / "near"
        stocked(near, mib)
        files = sorted((near / "models").iterdir())
        total = sum(file.stat().st_size for file in files)
        archive = kit.pack(near, place / "first.tar")
        times: dict[str, list[float]] = {}
        for turn in range(-1, rounds):
            for name, seconds in _round(place, near, files, archive, turn):
                if turn >= 0:  # the first one finds out where the disk has room
                    times.setdefault(name, []).append(seconds)
    print(f"{total / 1e6:,.0f} MB in {len(files)} files, {rounds} rounds\n")
    print(table(times, total, ["sha256sum", "cp, fsync"]))


def _round(
    place: Path, near: Path, files: list[Path], archive: Path, turn: int
) -> Iterator[tuple[str, float]]:
    """All sides once, each round beginning with another one."""
    out, far = place / "out.tar", place / "far"

    def create() -> None:
        kit.pack(near, out)

    acts: dict[str, Callable[[], object]] = {
        "sha256sum": lambda: subprocess.run(
            ["sha256sum", *files], check=True, stdout=subprocess.DEVNULL
        ),
        "cp, fsync": lambda: copied(files, place / "copy"),
        "create": create,
        "create, locked": create,
        "verify": lambda: _verify(archive),
        "install": lambda: kit.install(archive, far),
    }
    for name in turned(list(acts), turn):
        if name == "create, locked":  # what has a lock need not be hashed beforehand
            _lock(near, files)
        yield name, timed(acts[name])
        if name == "install":
            yield "install again", timed(acts[name])
        for lock in (near / "models").glob("*.lock.json"):
            lock.unlink()
        out.unlink(missing_ok=True)
        for left in (place / "copy", far):
            shutil.rmtree(left, ignore_errors=True)


def _lock(near: Path, files: list[Path]) -> None:
    for file in files:
        stat = file.stat()
        part = locks.Part(
            file=file.name,
            size=stat.st_size,
            sha256=kit.sha256(file.read_bytes()),
            checked=stat.st_mtime_ns,
        )
        with kit.at(near):
            locks.write(locks.Lock(name=file.stem, kind="import", parts=(part,), how="copy"))


def _verify(archive: Path) -> None:
    with bundle.open_bundle(archive) as opened:
        assert bundle.verify(opened) == []


def _installed(home: Path, archive: Path) -> int:
    return ponder(home, "install", str(archive), "--yes").wait()


def kills(mib: int, count: int) -> None:
    """Kill an install at a random time, and let the next one finish."""
    rng = random.Random()
    corrupted = finished = hit = resumed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        stocked(place / "near", mib)
        kit.stock(place / "small")
        for file in (place / "small/models").iterdir():
            shutil.move(file, place / "near/models")
        archive = kit.pack(place / "near", place / "all.tar", split=16 * MIB)
        whole = statistics.median(
            timed(partial(_installed, place / f"whole{n}", archive)) for n in range(5)
        )
        number = 0
        while hit < count:
            far = place / f"far{number}"
            number += 1
            right = kit.finals(archive, far)
            child = ponder(far, "install", str(archive), "--yes")
            time.sleep(rng.uniform(0, whole))
            child.send_signal(signal.SIGKILL)
            if child.wait() != -signal.SIGKILL or not far.exists():
                # It was done already, or had not begun.
                shutil.rmtree(far, ignore_errors=True)
                continue
            hit += 1
            staged = far / "models/.installing"
            resumed += any(staged.glob("*.part"))
            before = kit.faults(far, right)
            code = _installed(far, archive)
            corrupted += bool(before or kit.faults(far, right))
            there = all(path.is_file() for path in right) and not staged.exists()
            finished += code == 0 and there
            shutil.rmtree(far)
    print(f"{hit} kills (of {number} tries) at random times of an install of {whole:.2f} s;")
    print(f"{resumed} of them left a file that was not complete, under its temporary name")
    print(f"corrupted {corrupted}, finished on retry {finished}")


def main() -> None:
    """Parse, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["throughput", "kills"])
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kills", type=int, default=100)
    told = parser.parse_args()
    if "throughput" in told.what:
        throughput(told.mib, told.rounds)
    if "kills" in told.what:
        kills(max(64, told.mib // 4), told.kills)


if __name__ == "__main__":
    main()
