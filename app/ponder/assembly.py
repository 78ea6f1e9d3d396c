"""The one place where the parts are put together; the command line and tests both call it.

Knows every room below the front ends, and does nothing but introduce them to each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ponder import __version__, hardware, lora, measured, paths
from ponder import catalogue as catalogue_module
from ponder.engines import probe
from ponder.engines.base import Engine
from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.errors import (
    InputError,
    LibraryError,
    ModelError,
    NotAModel,
    UnsupportedModel,
    WrongBytes,
)
from ponder.hardware import Gpu
from ponder.library import fit, hashes, local, packaged
from ponder.library.fit import Machine
from ponder.library.hashing import digests
from ponder.library.local import Entry
from ponder.library.telling import memory as bytes_of_memory
from ponder.measured import Memory
from ponder.provenance import Provenance
from ponder.receipt import named
from ponder.runner import Runner
from ponder.session import Session
from ponder.settings import EngineSettings, SamplingSettings, Settings
from ponder.sizing import SMALLEST_CONTEXT
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.types import AppliedAdapter, Sampling


@dataclass(frozen=True, slots=True)
class Choices:
    """What a front end was asked for, beyond the settings."""

    model: str | None = None
    system: str | None = None
    dialect: str | None = None
    """Name of a way of thinking, where the model's own is not to be used."""
    template: Path | None = None
    """A Jinja file in place of the model's chat template."""
    n_seqs: int = 1
    """Traces that are to run at once."""
    trim: bool = False
    n_seqs_option: str = "--traces"
    """What the front end calls `n_seqs`, for hints."""
    each: int = 1
    """Traces that one more of that option's number takes."""
    room: int | None = None
    """Tokens of context that each of several traces needs at most, where that is known."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A session, and what a front end tells about it."""

    session: Session
    engine: Engine
    name: str
    note: str
    """What a user must know about the model; empty for most."""
    sampling: Sampling
    """The vendor's, with the settings on top."""
    demonstrates: bool = False
    """Whether it came with ponder, to show what thinking is, and is no model to work with."""
    warning: str = ""
    """What went wrong meanwhile and costs little; empty for most."""
    advised: Sampling = field(default_factory=Sampling)
    """The vendor's alone."""
    weights: str = ""
    """Tells them apart, adapters included, as `measured.identity` does; empty: there are none."""

    @property
    def adapters(self) -> tuple[AppliedAdapter, ...]:
        """What the model goes through beside its own weights."""
        return self.session.adapters

    @property
    def about(self) -> str:
        """Its name, its adapters, and what a user must know about it."""
        name = named(self.name, self.adapters)
        return f"{name}: {self.note}" if self.note else name


def probe_verdict(fresh: bool = False) -> probe.Verdict:
    """Whether this build of llama.cpp works here, tried with the built-in model."""
    # Whatever a user's own catalogue makes of that model's name.
    ours = catalogue_module.shipped().models.values()
    tiny = next(model.builtin for model in ours if model.builtin)
    memory = paths.cache_dir() / "llama-builds.json"
    return probe.verdict(local.builtin_path(tiny), memory, fresh)


def usable_machine() -> tuple[Machine, tuple[Gpu, ...]]:
    """This machine as llama.cpp can use it, and the GPUs that it cannot use."""
    machine = fit.this_machine()
    if not machine.gpus or any("CPU" not in device for device in probe_verdict().devices):
        return machine, ()
    return replace(machine, gpus=()), machine.gpus


def open_session(
    settings: Settings,
    choices: Choices,
    on_progress: Callable[[float], None] | None = None,
) -> Assembled:
    """Find a model, load it, learn how it thinks, and begin a conversation.

    Raises:
        PonderError: any of that failed; nothing is left open.
    """
    catalogue = catalogue_module.catalogue()
    asked = choices.model or settings.model
    entry = local.find(asked, catalogue)
    if entry.path is None:
        raise entry.missing()
    # Adapters fit one model: those of the settings belong to the one that the settings name.
    chosen = settings.lora if asked == settings.model else ()
    adapters = lora.distinct((*entry.adapters, *map(lora.parse, chosen)))
    if entry.origin == "package" and entry.model is not None and entry.model.package is not None:
        packaged.see_that_it_is_right(entry.model.package, entry.path)
    if choices.dialect is not None:
        catalogue.dialect(choices.dialect)
    template_text = _read_template(choices.template)
    verdict = probe_verdict().require()
    own = settings.engine
    config = LlamaConfig(
        n_ctx=own.ctx if choices.n_seqs == 1 else _shared_context(entry, own, choices),
        n_seqs=choices.n_seqs,
        gpu_layers=own.gpu_layers,
        threads=own.threads,
        flash_attention=own.flash_attention,
        kv_type_k=own.kv_type_k,
        kv_type_v=own.kv_type_v,
        extra_buffers=verdict.extra_buffers,
        adapters=adapters,
    )
    engine = LlamaEngine(entry.path, config, on_progress)
    own_model = None if entry.name in catalogue.own else entry.model
    demonstrates = own_model is not None and bool(own_model.builtin or own_model.package)
    try:
        template = template_text or engine.vocab.chat_template
        if template is None:
            raise UnsupportedModel(
                f"{entry.path.name} has no chat template, so ponder cannot know how to ask it.",
                "Give one with --template FILE, a Jinja template as on the model's page.",
            )
        known = entry.model
        name = entry.name
        if known is None:
            found = catalogue.recognise(entry.path.name, engine.metadata.get("general.name", ""))
            known = found[1] if found else None
        if choices.dialect is not None:
            dialect = catalogue.dialect(choices.dialect)
        elif known is not None:
            dialect = catalogue.dialect(known.dialect)
        else:
            dialect = catalogue.guess_dialect(engine.vocab, template)
        protocol = resolve(dialect, engine.vocab)
        advised = catalogue_module.sampling(known) if known else Sampling()
        chat = ChatTemplate(template, engine.vocab)
        told = tuple(map(_applied, adapters))
        weights = measured.identity(engine.path, told)
        memory = _memory(engine, name, settings, weights)
        provenance = Provenance(
            ponder=__version__,
            files=hashes.files_of(engine.path),
            sample=weights,
            template=_hash(template),
            dialect=dialect.name,
            words=_hash(repr(dialect)),
            engine=engine.setting,
            hardware=f"{hardware.machine_key()}, {hardware.cores()} cores",
        )
        session = Session(
            # Last of all, because it starts a thread.
            Runner(engine, protocol, learned=memory.learned, keep=memory.keep),
            chat,
            settings.system if choices.system is None else choices.system,
            choices.trim,
            adapters=told,
            provenance=provenance,
        )
    except BaseException:
        engine.shutdown()
        raise
    return Assembled(
        session,
        engine,
        name,
        known.note if known else "",
        overridden(advised, settings.sampling),
        demonstrates,
        memory.warning,
        advised,
        weights,
    )


def _shared_context(entry: Entry, own: EngineSettings, choices: Choices) -> int | None:
    """Tokens of context for each of several traces; None where the engine is to choose.

    Raises:
        InputError: so many do not fit into this machine's memory.
    """
    wish = fit.wish_of(own, choices.n_seqs)
    wish = replace(wish, n_ctx=wish.n_ctx or choices.room or SMALLEST_CONTEXT)
    machine, _ = usable_machine()
    try:
        advice = fit.advise(entry, wish, machine, strict=own.ctx is not None)
    except ModelError:
        return own.ctx  # the engine says better what is wrong with the file
    if advice.verdict != "no":
        return own.ctx or (advice.n_ctx if choices.room else None)
    most = fit.most_traces(entry, wish, machine) // choices.each
    raise InputError(
        f"{choices.n_seqs} traces of {advice.n_ctx:,} tokens of context take "
        f"{bytes_of_memory(advice.need.total)}, and {bytes_of_memory(machine.free)} are free.",
        f"At most {most} fit: {choices.n_seqs_option} {most}. "
        "A smaller --budget or --ctx makes room for more."
        if most
        else "Choose a smaller --budget, --ctx or --kv-type, or a smaller quant.",
    )


def _memory(engine: LlamaEngine, name: str, settings: Settings, weights: str) -> Memory:
    """What was measured of a model on this machine."""
    own = settings.engine
    threads = own.threads or hardware.decode_threads()
    place = measured.machine(threads, engine.gpu_layers, (own.kv_type_k, own.kv_type_v))
    return Memory(measured.file_of(weights), name, place)


def _applied(adapter: lora.Adapter) -> AppliedAdapter:
    """What is told of an adapter.

    Raises:
        WrongBytes: its file is not what it has to be.
        LibraryError: its file cannot be read.
    """
    try:
        found, _ = digests(adapter.path, adapter.path.name)
    except OSError as error:
        raise LibraryError(f"{adapter.path} cannot be read: {error.strerror}.") from error
    if adapter.sha256 not in ("", found):
        raise WrongBytes(
            f"{adapter.path} is not the adapter that is meant: its sha256 is {found[:12]}… and has "
            f"to be {adapter.sha256[:12]}….",
            "Get it again, or change its sha256 in the catalogue.",
        )
    return AppliedAdapter(adapter.path.name, found, adapter.scale)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def smallest_real_model() -> str:
    """The command that fetches the smallest real model, or runs it if it is here."""
    entries = [e for e in local.entries(catalogue_module.catalogue()) if e.model and e.model.gguf]
    smallest = min(entries, key=lambda e: e.model.parameters if e.model else 0.0)
    if smallest.path is not None:
        return f"ponder ask --model {smallest.name}"
    return smallest.fetch


def overridden(sampling: Sampling, settings: SamplingSettings) -> Sampling:
    """Sampling with what is set in the settings on top."""
    chosen = {
        name: getattr(settings, name)
        for name in settings.__struct_fields__
        if getattr(settings, name) is not None
    }
    return replace(sampling, **chosen)


def _read_template(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotAModel(f"The template {path} cannot be read: {error}.") from error
