"""The command lines of `ponder-smol`: teach an adapter, measure one.

    python packaging/builtin_model smol-train OUT --base SmolLM2-135M-Instruct.Q4_1.gguf
    python packaging/builtin_model smol-measure OUT --base ... --questions questions.jsonl

OUT receives ponder-smol.lora.gguf and training.json, figures.json and wrong.jsonl. Knows options;
the work is done in the modules beside this, which need gguf and torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from builtin_model import tokenizer as vocabulary
from builtin_model.examples import SMOL, examples
from builtin_model.feeding import Feed, Recipe, Rows
from builtin_model.options import add_measuring, add_run, training_seconds
from builtin_model.traces import Temper

ADAPTER = "ponder-smol.lora.gguf"
_LIMIT = 12_000_000
"""Bytes that an adapter may have: it is part of the wheel."""


def add(commands: Any, started: float, say: Callable[[str], None]) -> None:
    """Add both commands; deadlines count from `started`, by the monotonic clock."""
    train_parser = commands.add_parser("smol-train", help="teach ponder-smol, then measure it")
    _train_options(train_parser)
    train_parser.set_defaults(run=lambda options: train(options, started, say))
    measure_parser = commands.add_parser("smol-measure", help="measure an adapter")
    _measure_options(measure_parser)
    measure_parser.set_defaults(run=lambda options: measure(options, started, say))


def train(options: argparse.Namespace, started: float, say: Callable[[str], None]) -> None:
    """Teach, write the adapter, then measure it."""
    # Where ponder-tiny is trained there is no gguf, and where tests run no torch.
    from builtin_model.smol import adapter as adapters
    from builtin_model.smol.base import Base
    from builtin_model.smol.tuning import Tuner, Tuning
    from builtin_model.training import Plan

    if options.smoke:
        options.length, options.batch, options.steps, options.workers = 384, 1, 8, 1
        options.compile, options.attention, options.log_every = False, "dense", 2
        options.fresh = 0
    base = Base(options.base)
    plan = Plan(
        short=options.length,
        long=options.length,
        long_share=0.0,
        batch=options.batch,
        muon_rate=0.0,
        adam_rate=options.rate,
        warmup=options.warmup,
        steps=options.steps,
        seed=options.seed,
        compile=options.compile,
        log_every=options.log_every,
    )
    tuning = Tuning(options.rank, options.alpha, options.attention)
    options.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / "tokenizer.json"
        vocabulary.save(base.tokenizer, file)
        recipe = Recipe(
            # It errs often enough without being taught to.
            source=partial(examples, temper=Temper(carry=(0, 0, 0))),
            protocol=SMOL,
            tokenizer=file,
            seed=plan.seed,
            rows=(Rows(plan.short, plan.batch, 1.0, ahead=64),),
        )
        with Feed(recipe, options.workers, options.uses, parent=options.shards) as feed:
            begin, _, _ = (SMOL.begin + SMOL.system).partition("{text}")
            first = base.tokenizer.encode(begin, add_special_tokens=False).ids
            tuner = Tuner(base, tuning, first, plan, say)
            say(f"{tuner.parameters():,} weights on {tuner.device}, {options.workers} workers")
            tuner.warm_up()
            say("warm")
            told = tuner.train(feed, training_seconds(options, started))
    file = options.folder / ADAPTER
    size = adapters.write(tuner.model.adapter(), file, {"general.name": SMOL.model})
    say(f"{told['steps']} steps, {told['tokens'] / 1e6:.1f} M tokens in {told['seconds']} s")
    say(f"rows used: {told['rows']}")
    say(f"adapter of {size:,} bytes in {file}")
    told["tuning"] = asdict(tuning)
    told["data"] = {"examples": examples.__module__, "protocol": SMOL.name}
    told["base"] = {"file": options.base.name, "sha256": _digest(options.base)}
    told["adapter"] = {"bytes": size, "sha256": _digest(file)}
    told["versions"]["gguf"] = version("gguf")
    text = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
    (options.folder / "training.json").write_text(text, encoding="utf-8")
    if size > _LIMIT:
        say(f"that is more than the {_LIMIT:,} bytes that a wheel may carry")
    # What training took on the GPU makes room for measuring.
    del tuner
    if options.fresh or options.questions:
        measure(options, started, say)


def measure(options: argparse.Namespace, started: float, say: Callable[[str], None]) -> None:
    """Ask the base with its adapter, as both are shipped; print and write what came of it."""
    import torch

    from builtin_model.measuring import Examiner, fresh, read_tasks
    from builtin_model.measuring import measure as measured
    from builtin_model.smol import adapter as adapters
    from builtin_model.smol.base import Base
    from builtin_model.smol.llama import Llama

    base = Base(options.base)
    learned = adapters.read(options.folder / ADAPTER)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Llama(base, learned.rank, learned.alpha, options.context).to(device)
    model.settle(learned, torch.bfloat16 if device == "cuda" else torch.float32)
    deadline = started + options.deadline if options.deadline else None
    examiner = Examiner(model, base.tokenizer, SMOL, deadline, options.at_once)
    given = read_tasks(options.questions) if options.questions else []
    tasks = fresh(options.question_seed, options.fresh)
    found = measured(examiner, tasks, given, options.question_seed, say)
    folder = options.report or options.folder
    found.save(folder)
    say(f"figures.json and wrong.jsonl in {folder}")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _train_options(parser: argparse.ArgumentParser) -> None:
    add_run(parser, seconds=450, log_every=50, uses=2)
    parser.add_argument("--rank", type=int, default=32, help="of the adapter (%(default)s)")
    parser.add_argument("--alpha", type=float, default=64, help="over rank: its scale")
    parser.add_argument("--rate", type=float, default=1e-3, help="of learning (%(default)s)")
    parser.add_argument("--warmup", type=int, default=50, help="steps up to it (%(default)s)")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a row (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step (%(default)s)")
    parser.add_argument(
        "--attention",
        choices=("sparse", "dense"),
        default="sparse",
        help="blocks by flex_attention, or a mask, where that does not compile (%(default)s)",
    )
    _measure_options(parser)


def _measure_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help=f"the adapter's: {ADAPTER} in it")
    parser.add_argument("--base", type=Path, required=True, help="the GGUF that is taught")
    parser.add_argument("--context", type=int, default=2048, help="positions (%(default)s)")
    parser.add_argument("--at-once", type=int, default=1024, help="rows decoded together")
    add_measuring(parser, fresh=500)
