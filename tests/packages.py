"""A Python package with a model in it, and a user's catalogue that makes a model of the two."""

from __future__ import annotations

import hashlib
from pathlib import Path

import lora_files as files
from ponder import paths
from ponder.library.local import builtin_path

NAME = "packed"
"""What the model is called."""
_CATALOGUE = """
[models.packed]
title = "Packed"
dialect = "tiny"
parameters = 0.0084
context = 2048
licences = ["MIT"]
sampling = {{ temperature = 0.6, top_p = 0.95 }}
adapters = [{{ file = "{adapter}", scale = 0.5, sha256 = "{adapter_hash}" }}]

[models.packed.package]
name = "weights-of-a-test"
module = "weights_of_a_test"
file = "data/base.gguf"
sha256 = "{base_hash}"
"""


def install(site: Path) -> Path:
    """Put the package into a folder of Python's path; gives its model.

    Its code is not to be run: whoever imports it ends.
    """
    folder = site / "weights_of_a_test"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    base = folder / "data" / "base.gguf"
    base.write_bytes(builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes())
    return base


def describe(base_hash: str = "", adapter_hash: str = "") -> Path:
    """Write the catalogue, and the adapter beside it; gives the adapter.

    Args:
        base_hash: in place of what is right.
        adapter_hash: in place of what is right.
    """
    own = paths.user_catalogue()
    own.parent.mkdir(parents=True, exist_ok=True)
    tiny = builtin_path("ponder-tiny-Q4_K_M.gguf")
    adapter = files.adapter_of(own.parent / "taught.gguf", tiny, 1)
    own.write_text(
        _CATALOGUE.format(
            adapter=adapter.name,
            base_hash=base_hash or _sha256(tiny),
            adapter_hash=adapter_hash or _sha256(adapter),
        )
    )
    return adapter


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
