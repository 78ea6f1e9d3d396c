"""The metadata of the converter's GGUF: model card, architecture, vocabulary, in its order.

gguf's writer is used as what it is besides: an ordered record of keys, values and types. The
rules by which a model gets its name, its size label and its licence are gguf's too. What
these files hold is somebody else's: whatever cannot be written is refused here, by its key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGUFValueType, GGUFWriter, LlamaFileType
from gguf.gguf_writer import GGUFValue

from ponder.errors import BadCheckpoint
from ponder_quantize.architectures import Architecture
from ponder_quantize.config import read_json
from ponder_quantize.source import Entry
from ponder_quantize.vocabulary import Vocabulary
from ponder_quantize.weights import CheckpointTensor

_INTEGERS = {
    GGUFValueType.UINT8: (0, 8),
    GGUFValueType.INT8: (1, 7),
    GGUFValueType.UINT16: (0, 16),
    GGUFValueType.INT16: (1, 15),
    GGUFValueType.UINT32: (0, 32),
    GGUFValueType.INT32: (1, 31),
    GGUFValueType.UINT64: (0, 64),
    GGUFValueType.INT64: (1, 63),
}
"""Whether there are numbers below zero, and bits of those above."""
_MOST_FLOAT = 3.4028235677973366e38
"""From here on a number is no float32."""


def metadata(
    directory: Path,
    name: str,
    architecture: Architecture,
    vocabulary: Vocabulary,
    tensors: Iterable[CheckpointTensor],
    file_type: LlamaFileType,
) -> list[Entry]:
    """All keys, in the converter's order.

    Args:
        directory: with config.json and, maybe, README.md and generation_config.json.
        name: of the model where no file tells; what the directory is called on the hub.
        file_type: of the intermediate file that is never written.

    Raises:
        BadCheckpoint: a file says something that a GGUF cannot hold.
    """
    writer = GGUFWriter(None, architecture.name)
    for tensor in tensors:
        # Types and sizes do not matter: the numbers are counted for the size label.
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype("f4"), 0)
    try:
        _general(writer, directory, name)
    except BadCheckpoint:
        raise
    except Exception as error:
        # gguf believes what these files hold.
        raise BadCheckpoint(
            f"README.md, config.json or generation_config.json of {directory} is not of the "
            f"known form: {error}.",
            "A README.md is not needed: without it the model's name is the directory's.",
        ) from error
    architecture.parameters(writer, file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    space, bos = architecture.space_before(vocabulary.config), architecture.bos_before()
    if space is not None:
        writer.add_add_space_prefix(space)
    vocabulary.write(writer)
    if bos is not None:
        # The writer's own method would warn where the key is there already.
        writer.kv_data[0][gguf.Keys.Tokenizer.ADD_BOS] = GGUFValue(bos, GGUFValueType.BOOL)
    return [_entry(key, value) for key, value in writer.kv_data[0].items()]


def _general(writer: GGUFWriter, directory: Path, name: str) -> None:
    total, shared, each, experts = writer.get_total_parameter_count()
    found = gguf.Metadata.apply_metadata_heuristic(
        gguf.Metadata(),
        gguf.Metadata.load_model_card(directory),
        read_json(directory / "config.json"),
        Path(name),
        total,
    )
    _sampling(found, gguf.Metadata.load_generation_config(directory))
    if found.name is None:
        found.name = name
    if found.size_label is None and total > 0:
        found.size_label = gguf.size_label(total, shared, each, experts)
    writer.add_type(gguf.GGUFType.MODEL)
    found.set_gguf_meta_model(writer)


def _sampling(found: gguf.Metadata, config: dict[str, Any]) -> None:
    """What generation_config.json recommends."""
    for word in (
        "sequence", "top_k", "top_p", "min_p", "xtc_probability", "xtc_threshold",
        "penalty_last_n", "mirostat", "mirostat_tau", "mirostat_eta",
    ):  # fmt: skip
        setattr(found, f"sampling_{word}", config.get(word))
    found.sampling_temp = config.get("temperature")
    # The gguf package on the index knows only the first of these words.
    found.sampling_penalty_repeat = config.get("penalty_repeat", config.get("repetition_penalty"))


def _entry(key: str, value: GGUFValue) -> Entry:
    if value.type != GGUFValueType.ARRAY:
        _fits(key, value.value, value.type)
        return Entry(key, _plain(value.value), value.type)
    items = list(value.value)
    element = value.sub_type or GGUFValueType.get_type(items[0])
    for item in items:
        _fits(key, item, element)
    return Entry(key, [_plain(item) for item in items], GGUFValueType.ARRAY, element)


def _plain(value: Any) -> Any:
    """Without the enumeration that it may come from."""
    return int(value) if isinstance(value, int) and type(value) is not bool else value


def _fits(key: str, value: Any, kind: GGUFValueType) -> None:
    if kind == GGUFValueType.STRING:
        fits = isinstance(value, str) and _encodable(value)
    elif kind == GGUFValueType.BOOL:
        fits = isinstance(value, bool)
    elif kind == GGUFValueType.FLOAT32:
        fits = isinstance(value, (int, float)) and (
            abs(value) < _MOST_FLOAT or not math.isfinite(value)
        )
    else:
        signed, bits = _INTEGERS[kind]
        fits = isinstance(value, int) and -(signed << bits) <= value < 1 << bits
    if not fits:
        raise BadCheckpoint(
            f"{key} would be {str(value)[:80]!r}, which is not of type {kind.name.lower()}.",
            "config.json, generation_config.json, README.md or a tokenizer file says it so.",
        )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
