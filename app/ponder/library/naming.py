"""What names of GGUF files say: which quant, which part of how many, which are no models.

Knows the habits of those who publish GGUFs; opens no file. A model's files are told by their
paths inside a repository or a folder, parts in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})$")
"""llama_split_path (llama.cpp): `%s-%05d-of-%05d.gguf`."""
_QUANT = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d+(?:_\w+)?|TQ\d_\d|MXFP4(?:_\w+)?|NVFP4|BF16|F16|F32))$",
    re.IGNORECASE,
)
_OTHER = re.compile(r"(^|[-._])(mmproj|imatrix)([-._]|$)", re.IGNORECASE)
"""GGUFs that are no language models: eyes of one, and what a quant was measured with."""


@dataclass(frozen=True, slots=True)
class Group:
    """One model's file, or its parts."""

    stem: str
    """What the file is called, without `.gguf` and without its number."""
    files: tuple[str, ...]
    """Paths, the first part first."""
    missing: int = 0
    """How many parts are not there."""

    @property
    def quant(self) -> str:
        """Q4_K_M and the like, in capitals; empty if the name does not say."""
        return quant_of(self.stem)

    def answers_to(self, word: str) -> bool:
        """Whether somebody who says this word means this file."""
        told = word.lower()
        names = {self.stem, f"{self.stem}.gguf", self.quant}
        names |= {form for file in self.files for form in (file, PurePosixPath(file).name)}
        return bool(told) and told in {name.lower() for name in names}


def quant_of(stem: str) -> str:
    """The quant that a file's name ends in, in capitals; empty if it does not."""
    found = _QUANT.search(stem)
    return found[1].upper() if found else ""


def split_of(file: str) -> tuple[str, int, int]:
    """A file's path without its ending and number, which part it is, and of how many."""
    bare = file[: -len(".gguf")] if file.lower().endswith(".gguf") else file
    found = _SPLIT.search(bare)
    if found is None:
        return bare, 1, 1
    return bare[: found.start()], int(found[1]), int(found[2])


def is_model(file: str) -> bool:
    """Whether a path looks like a language model in a GGUF."""
    name = PurePosixPath(file).name
    return name.lower().endswith(".gguf") and not _OTHER.search(name[: -len(".gguf")])


def groups(files: Iterable[str]) -> list[Group]:
    """The models among some paths, in the order of their names; parts of one belong together."""
    found: dict[tuple[str, int], dict[int, str]] = {}
    for file in files:
        if is_model(file):
            bare, number, count = split_of(file)
            found.setdefault((bare, count), {})[number] = file
    return [
        Group(
            PurePosixPath(bare).name,
            tuple(parts[number] for number in sorted(parts)),
            sum(number not in parts for number in range(1, count + 1)) if count < 100_000 else 1,
        )
        for (bare, count), parts in sorted(found.items())
    ]
