"""Compare afresh with llama.cpp: the same files as its converter followed by its quantizer gives.

    PYTHONPATH=tests python -m parity.parity [CHECKPOINT...] [--recipes Q4_K_M,...]

Small seeded checkpoints of every architecture and precision, and one more with 80 layers, are
converted and quantized by llama.cpp's own tools, and by one pass of ponder's, with one thread and
with two. Files have to be the same to the last byte. Where they are not, what differs is named.
Exit status: 1 if anything differs.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity.reference import Reference, reference
from ponder.errors import PonderError
from ponder_quantize.checkpoint import open_checkpoint
from ponder_quantize.pipeline import quantize
from ponder_quantize.plan import plan
from ponder_quantize.recipes import RECIPES, recipe
from quantize import checkpoints, importances
from quantize.reference import OUTTYPES, told


@dataclass(frozen=True)
class Case:
    """One checkpoint, and the recipes it is tried with."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    recipes: tuple[str, ...] = tuple(RECIPES)
    """Those that only have a few of the rules in them leave most of them out."""


LAYERED = ("Q4_K_M", "Q4_K_S", "Q3_K_M", "Q3_K_S", "Q2_K")
"""Those in which a model of 80 layers is treated in a way of its own."""
SOME = ("BF16", "F16", "Q8_0", "Q6_K", "Q4_K_M", "Q3_K_M", "Q2_K", "IQ4_XS", "IQ2_XS")
CASES = {
    "qwen2-bf16": Case("qwen2-bf16"),
    "qwen2-tied": Case("qwen2-tied"),
    "qwen2-f16": Case("qwen2-f16", recipes=SOME),
    "qwen2-f32": Case("qwen2-f32", recipes=SOME),
    "qwen2-odd": Case("qwen2-odd"),
    "qwen2-80-layers": Case("qwen2-bf16", {"num_hidden_layers": 80}, LAYERED),
    "llama-bf16": Case("llama-bf16"),
    "llama-tied": Case("llama-tied", recipes=SOME),
    "llama-80-layers": Case("llama-bf16", {"num_hidden_layers": 80}, LAYERED),
    "deepseek-fp8": Case("deepseek-fp8"),
    "deepseek-8-experts": Case("deepseek-fp8", {"n_routed_experts": 8}),
    # llama.cpp takes one without q_lora_rank for a Lite, which has 27 layers.
    "deepseek-bf16": Case("deepseek-bf16", {"num_hidden_layers": 27}, ("Q8_0", *LAYERED)),
}


@dataclass
class Tally:
    """How it went."""

    same: int = 0
    refused: int = 0
    """By both, in the same way."""
    different: list[str] = field(default_factory=list)


def differences(ours: Path, theirs: Path) -> Iterator[str]:
    """What is not the same, by the names of keys and tensors."""
    if filecmp.cmp(ours, theirs, shallow=False):
        return
    one, other = told(ours), told(theirs)
    keys = [[key for key, *_ in each["metadata"]] for each in (one, other)]
    if keys[0] != keys[1]:
        yield f"keys: {sorted(set(keys[0]) ^ set(keys[1])) or 'in another order'}"
    values = {key: rest for key, *rest in other["metadata"]}
    for key, *rest in one["metadata"]:
        if values.get(key) != rest:
            yield f"{key}: {rest} and {values.get(key)}"
    for name in one["tensors"].keys() | other["tensors"].keys():
        if one["tensors"].get(name) != other["tensors"].get(name):
            yield f"{name}: {one['tensors'].get(name)} and {other['tensors'].get(name)}"
    yield f"{ours.stat().st_size:,} and {theirs.stat().st_size:,} bytes"


def tried(case: Case, tools: Reference, place: Path, chosen: set[str] | None) -> Tally:
    """All recipes of one checkpoint, with and without an importance matrix."""
    tally = Tally()
    directory = checkpoints.write(case.name, place / "Tiny-Model", **case.changes)
    converted = place / "converted.gguf"
    precision = OUTTYPES.get(checkpoints.RECIPES[case.name].dtype, "f32")
    tools.convert(directory, precision, converted)
    importance = place / "seeded.imatrix"
    source = open_checkpoint(directory)
    given = importances.made_up(source.tensors, str(importance))
    importances.write(importance, given)
    for name in case.recipes:
        for with_matrix in (False, True):
            if chosen and name not in chosen:
                continue
            what = f"{name}{' with imatrix' if with_matrix else ''}"
            theirs, ours = place / "theirs.gguf", place / "ours.gguf"
            theirs_ok = tools.quantize(converted, name, theirs, importance if with_matrix else None)
            for threads in (1, 2):
                ours.unlink(missing_ok=True)
                try:
                    quantize(
                        plan(source, recipe(name), "", given if with_matrix else None),
                        ours,
                        threads=threads,
                    )
                except PonderError as error:
                    if theirs_ok:
                        tally.different.append(f"{what}: {error.message}")
                    else:
                        tally.refused += 1
                    continue
                if not theirs_ok:
                    tally.different.append(f"{what}: llama-quantize refuses")
                    continue
                different = list(differences(ours, theirs))
                tally.different += [f"{what}, {threads} threads: {line}" for line in different]
                tally.same += not different
            theirs.unlink(missing_ok=True)
    return tally


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="*", help=f"of {', '.join(CASES)}; all without any")
    parser.add_argument("--recipes", default="", help="with commas between them")
    asked = parser.parse_args()
    chosen = {word for word in asked.recipes.upper().split(",") if word} or None
    tools = reference()
    wrong = 0
    for name in asked.checkpoints or CASES:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="ponder-parity-") as place:
            tally = tried(CASES[name], tools, Path(place), chosen)
        seconds = time.perf_counter() - began
        print(
            f"{name:20} {tally.same:4} files the same, {tally.refused:3} refused by both, "
            f"{len(tally.different):3} differences  ({seconds:.0f} s)",
            flush=True,
        )
        for line in tally.different[:20]:
            print(f"    {line}", file=sys.stderr)
        wrong += len(tally.different)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
