"""LoRA adapters (arXiv:2106.09685) as GGUF files: how they are named, and whether one fits a model.

Reads headers, never weights, and loads nothing. llama.cpp leaves out what it cannot apply, and
asserts on some of what it can: what it is shown was checked here, tensor by tensor, against the
model that it is for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ponder.errors import InputError, NotAModel, UnsupportedModel
from ponder.gguf_header import Header, Tensor, parts, read_header

_MOST = 100.0
"""Nobody means more; far above, logits are no numbers any more."""
_INTEGERS = range(24, 29)
"""GGML_TYPE_I8, _I16, _I32, _I64 and _F64 (ggml.h), which nothing is multiplied with."""
_INVOCATION = "adapter.alora.invocation_tokens"
_EMBEDDING = "token_embd.weight"
_OUTPUT = "output.weight"
_HALF = re.compile(r"^(?P<base>.+)\.lora_(?P<side>[ab])$")
_DRIVE = re.compile(r"^[A-Za-z]$")
_AGAIN = "Compare its size and sha256 with its source, and get it again."


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter that is to take part.

    Raises:
        InputError: the scale is none.
    """

    path: Path
    scale: float = 1.0
    """Its weights are multiplied by this; 0 is as if it were not there, below 0 takes away."""
    sha256: str = ""
    """What its file has to be; empty where nobody says."""

    def __post_init__(self) -> None:
        if not abs(self.scale) <= _MOST:  # NaN is no less than anything
            raise _no_scale(f"{self.scale:g}", self.path)


def parse(said: str) -> Adapter:
    r"""FILE or FILE:SCALE, as it is said on a command line and in config.toml.

    A file of exactly that name is meant before anything else; so names with colons work, and so
    does the drive in `C:\x.gguf`.

    Raises:
        InputError: there is no file in it, or what is behind its name is no scale.
    """
    if not said.strip():
        raise InputError("No adapter is named.", "Say --lora FILE, or FILE:0.5.")
    whole = _path(said)
    name, colon, word = said.rpartition(":")
    if not colon or not name or whole.is_file():
        return Adapter(whole)
    file = _path(name)
    try:
        scale = float(word)
    except ValueError:
        scale = math.nan
    if math.isnan(scale):
        drive = _DRIVE.match(name) is not None or any(mark in word for mark in "/\\")
        if drive or not (file.is_file() or name.endswith(".gguf")):
            return Adapter(whole)
        raise _no_scale(repr(word), file)
    return Adapter(file, scale)


def _path(said: str) -> Path:
    try:
        return Path(said).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        return Path(said)


def _no_scale(told: str, path: Path) -> InputError:
    return InputError(
        f"{told} is no scale for {path.name}.",
        f"Choose a number from -{_MOST:g} to {_MOST:g}: {path.name}:0.5 applies half of it.",
    )


def distinct(adapters: Iterable[Adapter]) -> tuple[Adapter, ...]:
    """The same adapters, which are all of different files.

    Raises:
        InputError: one is named twice.
    """
    seen: dict[Path, Adapter] = {}
    for adapter in adapters:
        place = adapter.path.resolve()
        if place in seen:
            both = seen[place].scale + adapter.scale
            raise InputError(
                f"The adapter {adapter.path} is named twice.",
                f"Name it once, with the scale that is meant: {adapter.path.name}:{both:g} is "
                "what both would come to.",
            )
        seen[place] = adapter
    return tuple(seen.values())


def header_of(path: Path) -> Header:
    """The header of an adapter that ponder can apply to some model.

    Raises:
        NotAModel: missing, unreadable, no GGUF, damaged, or no adapter.
        UnsupportedModel: an adapter of a kind that is not applied.
    """
    if not path.exists():
        raise NotAModel(
            f"There is no LoRA adapter {path}.",
            "Check the path: of --lora, of `lora` in config.toml, or in models.toml.",
        )
    header = read_header(path)
    facts = header.facts
    if facts.get("general.type") != "adapter":
        raise NotAModel(
            f"{path.name} is no LoRA adapter, but a {facts.get('general.type', 'model')} of its "
            f"own ({facts.get('general.architecture', '?')}).",
            f"`--model {path}` asks it. llama.cpp's convert_lora_to_gguf.py makes an adapter of "
            "what PEFT saved.",
        )
    kind = facts.get("adapter.type")
    if kind != "lora":
        raise UnsupportedModel(
            f"{path.name} is an adapter of the kind {str(kind)[:80]!r}.", "ponder applies lora."
        )
    if _INVOCATION in header.lists or _INVOCATION in facts:
        raise UnsupportedModel(
            f"{path.name} is an activated adapter (aLoRA), which begins to act in the middle of a "
            "text.",
            "ponder applies an adapter to all of a text. Train a LoRA that is none, or merge it.",
        )
    return header


def check(adapters: Sequence[Adapter], model: Path, header: Header) -> None:
    """See that adapters fit a model.

    Args:
        adapters: which.
        model: the GGUF, or the first part of a split one.
        header: of that file.

    Raises:
        InputError: one is named twice.
        NotAModel: one is missing, damaged, or no adapter.
        UnsupportedModel: one is of another kind, or another model's.
    """
    if not adapters:
        return
    tensors = {tensor.name: tensor for tensor in header.tensors}
    for part in parts(model):
        if part != model:
            tensors |= {tensor.name: tensor for tensor in read_header(part).tensors}
    for adapter in distinct(adapters):
        own = header_of(adapter.path)
        _check_architecture(adapter.path, own, model, header)
        _check_tensors(adapter.path, own, model, tensors)


def _check_architecture(path: Path, own: Header, model: Path, header: Header) -> None:
    said, wanted = (h.facts.get("general.architecture", "?") for h in (own, header))
    if said != wanted:
        raise UnsupportedModel(
            f"{path.name} is an adapter for a {said} model, and {model.name} is a {wanted} model.",
            _base_hint(own),
        )


def _base_hint(own: Header) -> str:
    name = own.facts.get("general.base_model.0.name")
    told = f"It says that it belongs to {name}. " if name else ""
    return f"{told}Choose the model that it was trained on, whatever its quant."


def _check_tensors(path: Path, own: Header, model: Path, tensors: dict[str, Tensor]) -> None:
    halves: dict[str, dict[str, Tensor]] = {}
    for tensor in own.tensors:
        found = _HALF.match(tensor.name)
        if found is None:
            raise UnsupportedModel(
                f"{path.name} changes {tensor.name[:80]} outright, which llama.cpp leaves out.",
                "Merge the adapter into its model, and convert that.",
            )
        halves.setdefault(found["base"], {})[found["side"]] = tensor
    if not halves:
        raise NotAModel(f"{path.name} has no weights.", _AGAIN)
    for name, pair in halves.items():
        if len(pair) < 2:
            raise NotAModel(f"{path.name} has only half of what changes {name[:80]}.", _AGAIN)
        a, b = pair["a"], pair["b"]
        if a.type in _INTEGERS or b.type in _INTEGERS:
            raise NotAModel(f"{path.name} has whole numbers as weights of {name[:80]}.", _AGAIN)
        target = tensors.get(name)
        if target is None:
            raise UnsupportedModel(
                f"{path.name} changes {name[:80]}, which {model.name} has not.", _base_hint(own)
            )
        if name == _EMBEDDING and _OUTPUT not in tensors:
            # It would be taken for the output's: an assertion, which takes the process with it.
            raise UnsupportedModel(
                f"{path.name} changes the embedding, which is the output layer of {model.name} "
                "too: llama.cpp cannot apply that.",
                "Train an adapter without the embedding, or merge it into its model.",
            )
        _check_pair(path, own, model, target, a, b)


def _check_pair(path: Path, own: Header, model: Path, target: Tensor, a: Tensor, b: Tensor) -> None:
    """Shapes are ggml's, the length of a row first: A is (in, rank), B is (rank, out)."""
    if len(a.shape) < 2 or len(b.shape) < 2 or len(target.shape) < 2:
        raise NotAModel(f"{path.name} has no matrices for {target.name}.", _AGAIN)
    if target.name == _EMBEDDING:
        # Looked up, not multiplied with: A lies the other way round (build_inp_embd of llama.cpp).
        rank, found, fits = a.shape[0], (b.shape[1], a.shape[1]), a.shape[0] == b.shape[0]
    else:
        rank, found, fits = a.shape[1], (a.shape[0], b.shape[1]), a.shape[1] == b.shape[0]
    if not fits or rank < 1:
        raise NotAModel(
            f"{path.name} has a pair of matrices for {target.name} that do not go together.", _AGAIN
        )
    deep = {half.shape[2:] for half in (a, b, target)}
    if found != target.shape[:2] or len(deep) > 1:
        told, wanted = (" x ".join(map(str, shape)) for shape in (found, target.shape[:2]))
        raise UnsupportedModel(
            f"{path.name} does not fit {model.name}: it changes a {target.name} of {told}, and "
            f"that model's is {wanted}.",
            _base_hint(own),
        )
