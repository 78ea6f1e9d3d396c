"""What llama.cpp makes of the small models: hashes, written down for machines without it.

    PYTHONPATH=tests python -m quantize.golden LLAMA_QUANTIZE

made `golden.json` with the llama-quantize of llama.cpp as llama-cpp-python 0.3.36 brings it
(vendor/llama.cpp in its sdist). Types are what --dry-run prints; of whole files there are the
sha256 of the file and of each tensor. Commands run in a folder of their own, so that the name
of an importance matrix in the metadata is the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.recipes import RECIPES
from quantize import importances, shapes

FILE = Path(__file__).with_name("golden.json")
IMATRIX = "made-up.imatrix"
SLOW = ["IQ3_XXS", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"]
FILES = {
    "small": [name for name in RECIPES if name not in SLOW],
    "tiny": SLOW,
    "eight": ["Q4_K_M", "Q3_K_M", "Q2_K", "IQ3_M", "IQ2_XS"],
    "odd": ["Q4_K_M", "Q6_K", "IQ4_XS", "Q3_K_S", "Q8_0", "F16"],
    "deepseek": ["Q4_K_M", "Q8_0"],
}
"""Model -> recipes whose whole output is compared."""
_LINE = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- \[.*?\], type = +(\S+), size = .*?(?:\((\S+)\))?$")


def tensor_hashes(path: Path, model: str, with_imatrix: bool) -> dict[str, str]:
    """sha256 of each tensor's bytes, shortened; recipes with one type in common share them."""
    return {
        f"{key(model, tensor.name, with_imatrix)} {tensor.type.name}": hashlib.sha256(
            b"".join(part.read(0, part.rows).tobytes() for part in tensor.parts)
        ).hexdigest()[:16]
        for tensor in GgufSource(path).tensors
    }


def file_hash(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def types_hash(types: dict[str, str]) -> str:
    """sha256 of names and types, shortened."""
    return hashlib.sha256(json.dumps(types).encode()).hexdigest()[:16]


def key(model: str, recipe: str, with_imatrix: bool) -> str:
    """What a result is called."""
    return f"{model} {recipe}{' imatrix' if with_imatrix else ''}"


def main(tool: Path) -> None:
    """Ask the reference, and write down what it says."""
    golden: dict[str, dict[str, str]] = {"types": {}, "files": {}, "tensors": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in shapes.SHAPES:
            source = shapes.write(folder / f"{model}.gguf", model)
            made = importances.made_up(GgufSource(source).tensors, IMATRIX)
            importances.write(folder / IMATRIX, made)
            for recipe in RECIPES:
                for with_imatrix in (False, True):
                    _one(tool, folder, golden, model, recipe, with_imatrix)
    FILE.write_text(json.dumps(golden, indent=1) + "\n")


def _one(
    tool: Path,
    folder: Path,
    golden: dict[str, dict[str, str]],
    model: str,
    recipe: str,
    with_imatrix: bool,
) -> None:
    options = ["--imatrix", IMATRIX] if with_imatrix else []
    asked = [*options, "--dry-run", f"{model}.gguf", recipe]
    told = _run(tool, folder, asked)
    found = [match for line in told.splitlines() if (match := _LINE.search(line))]
    types = {match[1]: (match[3] or match[2]).upper() for match in found}
    called = key(model, recipe, with_imatrix)
    golden["types"][called] = types_hash(types)
    if recipe not in FILES.get(model, ()) or "will require an imatrix" in told:
        return
    _run(tool, folder, [*options, f"{model}.gguf", "out.gguf", recipe, "2"])
    out = folder / "out.gguf"
    golden["files"][called] = file_hash(out)
    golden["tensors"] |= tensor_hashes(out, model, with_imatrix)
    out.unlink()


def _run(tool: Path, folder: Path, arguments: list[str]) -> str:
    done = subprocess.run(
        [str(tool), *arguments],
        cwd=folder,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
