"""llama.cpp's own converter and quantizer, built from the sources that llama-cpp-python ships.

    PYTHONPATH=tests python -m parity.reference        # builds what is missing, says where it is

The converter wants PyTorch and transformers, so it gets an environment of its own. Everything
lies below `build/reference`, takes some 10 minutes and 3 GB once, and is used again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from quantize.reference import convert

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "reference"
PIN = ROOT / "packaging" / "llama-cpp-python.txt"
TOOLS = ("llama-quantize", "llama-imatrix", "llama-perplexity")
TORCH = ("torch==2.13.0", "transformers==4.57.6", "sentencepiece", "protobuf", "numpy", "pyyaml")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the tools are."""

    python: Path
    """An interpreter with what the converter needs."""
    source: Path
    """llama.cpp's own tree."""
    tools: Path
    """The folder of the compiled programs."""

    def convert(self, checkpoint: Path, precision: str, out: Path) -> None:
        """The first step: a checkpoint -> a GGUF in its own precision."""
        convert(str(self.python), self.source, checkpoint, out, precision)

    def quantize(self, source: Path, recipe: str, out: Path, imatrix: Path | None = None) -> bool:
        """The second step; false if the recipe is refused."""
        options = ["--imatrix", str(imatrix)] if imatrix is not None else []
        words = [str(self.tools / "llama-quantize"), *options, str(source), str(out), recipe]
        return subprocess.run(words, capture_output=True).returncode == 0


def run(words: list[str], **options: object) -> None:
    """Run a program; what it says is shown only if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise SystemExit(f"{' '.join(words[:2])} ended with {done.returncode}")


def _source() -> Path:
    requirement = PIN.read_text().split("\n")[-2].strip()
    version = requirement.partition("==")[2]
    tree = HOME / f"llama_cpp_python-{version}"
    if not tree.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        run([*pip, "--no-deps", "--no-binary", ":all:", "-d", str(HOME), requirement])
        with tarfile.open(next(HOME.glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(HOME, filter="data")
    return tree / "vendor" / "llama.cpp"


def _tools(source: Path) -> Path:
    build = HOME / "tools"
    if not all((build / "bin" / tool).exists() for tool in TOOLS):
        print("building llama.cpp's tools; this takes minutes, and happens once", file=sys.stderr)
        env = dict(os.environ)
        if "CC" not in env and shutil.which("clang-19"):
            env |= {"CC": "clang-19", "CXX": "clang++-19"}
        off = [f"-DLLAMA_{part}=OFF" for part in ("CURL", "OPENSSL")]
        off += [f"-DLLAMA_BUILD_{part}=OFF" for part in ("TESTS", "EXAMPLES", "SERVER")]
        run(
            [*("cmake", "-S", str(source), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release"), *off],
            env=env,
        )
        jobs = str(os.cpu_count() or 1)
        run(["cmake", "--build", str(build), "-j", jobs, "--target", *TOOLS], env=env)
    return build / "bin"


def _python() -> Path:
    venv = HOME / "venv"
    python = venv / "bin" / "python"
    done = venv / "done"
    if not done.exists():
        print("installing PyTorch for llama.cpp's converter", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", str(venv)])
        run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *TORCH])
        done.touch()
    return python


def reference() -> Reference:
    """The tools, built if they are not there.

    `PONDER_REFERENCE_PYTHON`, `PONDER_REFERENCE_SOURCE` and `PONDER_REFERENCE_TOOLS` name others.
    """
    source = Path(os.environ.get("PONDER_REFERENCE_SOURCE") or _source())
    tools = Path(os.environ.get("PONDER_REFERENCE_TOOLS") or _tools(source))
    python = Path(os.environ.get("PONDER_REFERENCE_PYTHON") or _python())
    return Reference(python, source, tools)


if __name__ == "__main__":
    print(reference())
