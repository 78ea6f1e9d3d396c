"""llama.cpp's own converter, run as it is, and what it wrote, read back.

It wants PyTorch and transformers: no test needs it, only who makes the golden results anew,

    PYTHONPATH=tests python -m quantize.reference PYTHON LLAMA_CPP

with the Python of an environment that has llama.cpp's requirements for converting, and its
sources (`vendor/llama.cpp` in the sdist of llama-cpp-python).

It knows pre-tokenizers by a hash of what they make of a text; a tiny vocabulary has a hash of
its own, so the one thing that is changed is that it is told the name.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gguf import GGUFReader

from quantize import checkpoints

GOLDEN = Path(__file__).parent / "converted"
"""A JSON file for each checkpoint, of what the converter made of it."""
OUTTYPES = {"BF16": "bf16", "F16": "f16"}
"""The converter's names of precisions; of what is not here, f32 is the one that loses nothing."""
_TOLD = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(1, sys.argv[1] + "/gguf-py")
from conversion.base import TextModel
pre = sys.argv[2]
if pre:
    TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
sys.argv = ["convert_hf_to_gguf.py", *sys.argv[3:]]
runpy.run_path(sys.path[0] + "/convert_hf_to_gguf.py", run_name="__main__")
"""


def convert(python: str, llama_cpp: Path, checkpoint: Path, out: Path, outtype: str) -> None:
    """Write the intermediate file that the two-step way quantizes.

    Args:
        python: of an environment with llama.cpp's requirements for converting.
        llama_cpp: the sources.
        outtype: the checkpoint's own precision: bf16, f16 or f32.
    """
    named = json.loads((checkpoint / "tokenizer_config.json").read_text())
    pre = named.get("tokenizer.ggml.pre", "")
    subprocess.run(
        [python, "-c", _TOLD, str(llama_cpp), pre, str(checkpoint), "--outtype", outtype,
         "--outfile", str(out)],
        check=True,
        capture_output=True,
    )  # fmt: skip


def told(path: Path) -> dict[str, Any]:
    """A GGUF in a form that can be compared and kept: metadata in order, tensors by hash."""
    reader = GGUFReader(path)
    return {
        "metadata": [
            [f.name, [kind.name for kind in f.types], brief(f.contents())]
            for f in reader.fields.values()
            if not f.name.startswith("GGUF.")
        ],
        "tensors": sorted(
            [t.name, t.tensor_type.name, [int(n) for n in reversed(t.shape)], digest(t.data)]
            for t in reader.tensors
        ),
    }


def brief(value: Any) -> Any:
    """The value; of long lists and texts the hash."""
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) < 200 else hashlib.sha256(text.encode()).hexdigest()


def digest(data: Any) -> str:
    """SHA-256 of an array's bytes."""
    return hashlib.sha256(data.tobytes()).hexdigest()


def main(python: str, llama_cpp: str) -> None:
    """Make the golden results anew."""
    GOLDEN.mkdir(exist_ok=True)
    with TemporaryDirectory() as place:
        for name, recipe in checkpoints.RECIPES.items():
            directory = checkpoints.write(name, Path(place) / name)
            out = Path(place) / "out.gguf"
            outtype = OUTTYPES.get(recipe.dtype, "f32")
            convert(python, Path(llama_cpp), directory, out, outtype)
            found = told(out)
            lines = [
                f'"{part}": [\n'
                + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in found[part])
                + "\n]"
                for part in ("metadata", "tensors")
            ]
            (GOLDEN / f"{name}.json").write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
