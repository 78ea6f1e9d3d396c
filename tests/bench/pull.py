"""What `ponder pull` costs beside `curl`, `cp` and `sha256sum` of the same bytes.

A hub on loopback in a process of its own gives one file to both. Ratios are medians over rounds
in which all sides take turns; above 1 is faster than the other side. Prints a table; asserts
nothing.

    PYTHONPATH=tests python -m bench.pull [--mib 512] [--rounds 7]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.ratios import settle, table, timed, turned
from library import hub_server

MIB = 1 << 20
REPOSITORY, FILE = "someone/large-GGUF", "large-Q4_K_M.gguf"


def serve(mib: int) -> None:
    """Be a hub with one file until stdin ends; tells where, as a line of JSON."""
    rng = random.Random(0)
    data = b"GGUF" + b"".join(rng.randbytes(MIB) for _ in range(mib))
    # Small pieces are for tests that cut in between; here the server is not to be what is slow.
    hub_server.PIECE = MIB
    with hub_server.Hub() as hub:
        hub.add(REPOSITORY, {FILE: data})
        sha256 = hashlib.sha256(data).hexdigest()
        print(json.dumps({"url": hub.url, "size": len(data), "sha256": sha256}), flush=True)
        sys.stdin.read()


def measure(mib: int, rounds: int) -> None:
    """All sides in turn, and the table."""
    hub = subprocess.Popen(
        [sys.executable, "-m", "bench.pull", "--serve", "--mib", str(mib)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert hub.stdin is not None
    assert hub.stdout is not None
    try:
        told = json.loads(hub.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            _rounds(Path(folder), told["url"], told["size"], told["sha256"], rounds)
    finally:
        hub.stdin.close()
        hub.stdout.close()
        hub.wait()


def _rounds(place: Path, url: str, size: int, sha256: str, rounds: int) -> None:
    source, copy = place / "source.gguf", place / "copy.gguf"
    # Before huggingface_hub is imported, which reads them then.
    os.environ |= {"HF_ENDPOINT": url, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(place)}
    from ponder.catalogue import catalogue
    from ponder.library.pulling import pull

    known = catalogue()
    address = f"{url}/{REPOSITORY}/resolve/main/{FILE}"

    def run(*words: str | Path) -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    def curl() -> None:
        run("curl", "--silent", "--show-error", "--fail", "--location", "-o", copy, address)
        settle(copy)

    def checked() -> None:
        curl()
        run("sha256sum", copy)

    def copied() -> None:
        run("cp", source, copy)
        settle(copy)

    def pulled() -> None:
        lock = pull(f"{REPOSITORY}:Q4_K_M", known)
        assert [part.sha256 for part in lock.parts] == [sha256]

    curl()
    copy.rename(source)
    acts: dict[str, Callable[[], None]] = {
        "pull": pulled,
        "curl, fsync, sha256sum": checked,
        "curl, fsync": curl,
        "cp, fsync": copied,
        "sha256sum": lambda: run("sha256sum", source),
    }
    times: dict[str, list[float]] = {name: [] for name in acts}
    for turn in range(-1, rounds):
        for name in turned(list(acts), turn):
            home = place / "home"
            os.environ |= {"PONDER_HOME": str(home), "HF_HUB_CACHE": str(home / "hub")}
            seconds = timed(acts[name])
            if turn >= 0:  # the first one imports, and finds out where the disk has room
                times[name].append(seconds)
            shutil.rmtree(home, ignore_errors=True)
            copy.unlink(missing_ok=True)
    print(f"{size / 1e6:,.0f} MB in one file, {rounds} rounds\n")
    print(table(times, size, list(acts)[1:]))


def main() -> None:
    """Parse, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.serve:
        serve(told.mib)
        return
    if shutil.which("curl") is None:
        sys.exit("curl is not installed.")
    measure(told.mib, told.rounds)


if __name__ == "__main__":
    main()
