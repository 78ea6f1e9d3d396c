"""What one pass from the checkpoint costs beside the second of llama.cpp's two steps alone.

A checkpoint with the shape of R1-Distill-Qwen-1.5B and random weights is converted by llama.cpp's
converter once; then `llama-quantize` of that file and `ponder quantize` of the checkpoint take
turns with the same threads. Ratios are medians over the rounds; above 1 is faster than
llama-quantize, which has no conversion to do. Both outputs have to be the same file. Then a
checkpoint in shards is quantized while it comes from a hub on loopback, and the disk is watched.
Prints a table; asserts nothing.

    PYTHONPATH=tests python -m bench.quantize [RECIPE...] [--layers 28] [--rounds 3] [--threads N]

The reference tools are built when they are not there, as for `make parity`.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.ratios import turned
from library import hub_server
from parity.reference import HOME, Reference, reference
from quantize import checkpoints

RECIPES = ("Q8_0", "Q6_K", "Q4_K_M")
SHAPE = {
    "hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12,
    "num_key_value_heads": 2, "vocab_size": 151_936,
}  # fmt: skip
MIB = 1 << 20
_OFTEN = 0.02
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Run:
    """One run of one program."""

    seconds: float
    anonymous: int
    """Bytes of memory that it had to itself, at most, as far as was seen."""
    written: int
    """Bytes that it wrote into files."""


def ran(words: list[str], folder: Path) -> Run:
    """Run a program to its end; what it wrote is on the disk by then."""
    os.sync()
    began = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    most = written = 0

    def look() -> None:
        nonlocal most, written
        status, io = Path(f"/proc/{process.pid}/status"), Path(f"/proc/{process.pid}/io")
        while process.returncode is None:
            try:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                counts = dict(line.split(":", 1) for line in io.read_text().splitlines())
            except (OSError, ValueError):
                return
            if "RssAnon" in lines:
                most = max(most, int(lines["RssAnon"].split()[0]) << 10)
            written = max(written, int(counts.get("wchar", "0")))
            time.sleep(_OFTEN)

    watcher = threading.Thread(target=look)
    watcher.start()
    said = process.stdout.read()
    code = process.wait()
    os.sync()
    seconds = time.perf_counter() - began
    watcher.join()
    if code:
        raise SystemExit(said.decode(errors="replace")[-2000:])
    return Run(seconds, most, written)


def prepared(tools: Reference, layers: int) -> tuple[Path, Path]:
    """The checkpoint, and what the converter makes of it."""
    folder = HOME / f"qwen2-1.5b-{layers}"
    checkpoint, converted = folder / "checkpoint", folder / "bf16.gguf"
    if not converted.exists():
        shutil.rmtree(folder, ignore_errors=True)
        checkpoints.write("qwen2-bf16", checkpoint, num_hidden_layers=layers, **SHAPE)
        part = folder / "part.gguf"
        tools.convert(checkpoint, "bf16", part)
        part.rename(converted)
    return checkpoint, converted


def measure(recipes: list[str], layers: int, rounds: int, threads: int) -> None:
    """All recipes, and the table."""
    tools = reference()
    checkpoint, converted = prepared(tools, layers)
    place = checkpoint.parent
    largest = SHAPE["vocab_size"] * SHAPE["hidden_size"] * 4
    print(
        f"{converted.stat().st_size / 1e9:.2f} GB of BF16, {threads} threads, {rounds} rounds; "
        f"the largest tensor has {largest / MIB:,.0f} MiB as float32"
    )
    head = ("recipe", "llama-quantize", "ponder", "speed", "memory", "theirs", "written", "same")
    print(("{:8}" + "{:>15}" * 2 + "{:>8}" + "{:>12}" * 3 + "{:>6}").format(*head))
    for recipe in recipes:
        theirs, ours = place / "theirs.gguf", place / "ours.gguf"
        sides = {
            "theirs": [
                *(str(tools.tools / "llama-quantize"), str(converted), str(theirs)),
                *(recipe, str(threads)),
            ],
            "ours": [
                *(sys.executable, "-m", "ponder", "--offline", "quantize", str(checkpoint), recipe),
                *("-o", str(ours), "--force", "--threads", str(threads), "--quiet"),
            ],
        }
        runs: dict[str, list[Run]] = {"theirs": [], "ours": []}
        for turn in range(rounds):
            for side in turned(list(sides), turn):
                (theirs if side == "theirs" else ours).unlink(missing_ok=True)
                runs[side].append(ran(sides[side], place))
        size = ours.stat().st_size
        speed = statistics.median(
            other.seconds / own.seconds
            for other, own in zip(runs["theirs"], runs["ours"], strict=True)
        )
        medians = [
            statistics.median(run.seconds for run in runs[side]) for side in ("theirs", "ours")
        ]
        memory = [max(run.anonymous for run in runs[side]) / MIB for side in ("ours", "theirs")]
        written = max(run.written for run in runs["ours"])
        same = filecmp.cmp(theirs, ours, shallow=False)
        print(
            f"{recipe:8}{medians[0]:>13.1f} s{medians[1]:>13.1f} s{speed:>8.2f}"
            f"{memory[0]:>8,.0f} MiB{memory[1]:>8,.0f} MiB{written / size:>12.3f}"
            f"{'yes' if same else 'NO':>6}",
            flush=True,
        )
        theirs.unlink()
        ours.unlink()


def fetched(shards: int) -> None:
    """How much of the disk is taken at most while a checkpoint is quantized as it comes."""
    place = HOME / "fetched"
    shutil.rmtree(place, ignore_errors=True)
    folder = checkpoints.write(
        "llama-bf16", place / "Model", shards=shards, num_hidden_layers=12, hidden_size=1024,
        intermediate_size=4096, num_attention_heads=16, num_key_value_heads=4, vocab_size=32_000,
    )  # fmt: skip
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    sizes = sorted(len(data) for name, data in files.items() if name.endswith(".safetensors"))
    small = frozenset(name for name in files if not name.endswith(".safetensors"))
    home, peak = place / "home", 0
    hub_server.PIECE = MIB
    with hub_server.Hub() as hub:
        hub.add("bench/Model", files, small=small)
        words = [sys.executable, "-m", "ponder", "quantize", "bench/Model:Q4_K_M", "--quiet"]
        env = os.environ | {"PONDER_HOME": str(home), "HF_ENDPOINT": hub.url}
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, taken(home))
            time.sleep(_OFTEN)
        if process.returncode:
            raise SystemExit("ponder quantize failed")
    size = next(home.rglob("*.gguf")).stat().st_size
    print(
        f"fetched and quantized at once: {sum(sizes) / MIB:,.0f} MiB in {shards} shards became "
        f"{size / MIB:,.0f} MiB; the disk held {peak / MIB:,.0f} MiB at most, which is the output "
        f"and {(peak - size) / sizes[-1]:.2f} shards"
    )
    shutil.rmtree(place)


def taken(folder: Path) -> int:
    """Bytes of the disk that a folder takes; holes take none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += 512 * path.stat().st_blocks
        except OSError:  # it went meanwhile
            continue
    return total


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    told = parser.parse_args()
    fetched(told.shards)
    measure(told.recipes, told.layers, told.rounds, told.threads)


if __name__ == "__main__":
    main()
