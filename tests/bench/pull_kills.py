"""Kill `ponder pull` at random points, again and again: what is corrupted, what is fetched twice?

    .venv/bin/python tests/bench/pull_kills.py --runs 100

Each run has a hub and a home of its own, a file of random size and a kill at a random byte or
between two steps; then one more pull, which has to finish. Prints one line a run on stderr and a
JSON object on stdout; the exit code is 1 if anything was corrupted or did not finish.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from library.conftest import content
from library.hub_server import Hub
from library.killing import killed_at_byte, killed_at_event, start

REPOSITORY, FILE = "someone/small-GGUF", "small-Q4_K_M.gguf"
SAID = f"{REPOSITORY}:Q4_K_M"
STEPS = ("planned", "hashing", "checked")


def one(rng: random.Random, folder: Path) -> tuple[str, bool, bool, int]:
    """One kill: where, corrupted, finished, bytes fetched twice."""
    data = content(rng.randrange(100_000, 4_000_000), rng.randrange(1 << 30))
    sha256 = hashlib.sha256(data).hexdigest()
    cache = folder / "hf" / "hub"
    with Hub() as hub:
        hub.add(REPOSITORY, {FILE: data})
        os.environ |= {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "PONDER_HOME": str(folder / "ponder"),
            "HOME": str(folder / "user"),
            "HF_TOKEN_PATH": str(folder / "token"),
        }
        if rng.random() < 0.8:
            at = rng.randrange(len(data))
            partial = cache / "models--someone--small-GGUF" / "blobs" / f"{sha256}.incomplete"
            killed_at_byte(hub, SAID, partial, at)
            where = f"byte {at:,} of {len(data):,}"
        else:
            step = rng.choice(STEPS)
            killed_at_event(SAID, step)
            where = step
        # What is there under its name already has to be right.
        early = list(cache.glob(f"models--*/snapshots/*/{FILE}"))
        corrupted = any(hashlib.sha256(p.read_bytes()).hexdigest() != sha256 for p in early)
        finished = start(SAID).end() == 0
        files = list(cache.glob(f"models--*/snapshots/*/{FILE}"))
        corrupted |= finished and [p.read_bytes() for p in files] != [data]
        return where, corrupted, finished, max(0, hub.sent() - len(data))


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    corrupted = finished = 0
    twice: list[int] = []
    for run in range(1, chosen.runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            where, bad, done, again = one(rng, Path(folder))
        corrupted, finished = corrupted + bad, finished + done
        twice.append(again)
        state = "CORRUPTED" if bad else "finished" if done else "NOT FINISHED"
        told = f"{run:4} killed at {where}: {state}, {again:,} bytes twice"
        print(told, file=sys.stderr)
    facts = {
        "runs": chosen.runs,
        "seed": chosen.seed,
        "corrupted": corrupted,
        "finished": finished,
        "bytes_twice_most": max(twice, default=0),
        "bytes_twice_mean": round(sum(twice) / len(twice)) if twice else 0,
    }
    print(json.dumps(facts))
    return int(corrupted > 0 or finished < chosen.runs)


if __name__ == "__main__":
    sys.exit(main())
