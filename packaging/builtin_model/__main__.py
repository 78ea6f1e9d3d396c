"""Make ponder's built-in model: its vocabulary, its weights, the first figures about it.

    python packaging/builtin_model tokenizer OUT/tokenizer.json
    python packaging/builtin_model train OUT/hf --tokenizer OUT/tokenizer.json --seconds 400
    python packaging/builtin_model measure OUT/hf --questions questions.jsonl
    python packaging/builtin_model evaluate ponder-tiny --json figures.json

`evaluate` asks what is shipped, through ponder's own engine and scheduler; it needs no torch.
`ponder quantize OUT/hf Q5_K_M` makes of it what is shipped. Knows options; the work is done in
the modules beside this.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

STARTED = time.monotonic()

# The folder is run by its path and is no part of the wheel. Its parent is where it is found; left
# on the path itself, its modules would stand in the way of others called `model` or `checkpoint`.
sys.path[0] = str(Path(__file__).parents[1])

from builtin_model import tokenizer as vocabulary  # noqa: E402
from builtin_model.examples import TINY, examples  # noqa: E402
from builtin_model.feeding import Feed, Recipe, Rows  # noqa: E402
from builtin_model.options import add_measuring, add_run, training_seconds  # noqa: E402
from builtin_model.smol import command as smol  # noqa: E402


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    options = _parser().parse_args(words)
    options.run(options)


def say(text: str) -> None:
    """Narrate, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f}] {text}", flush=True)


def make_tokenizer(options: argparse.Namespace) -> None:
    """Train a vocabulary on examples and write it."""
    drawn = islice(examples(options.seed, TINY), options.count)
    made = vocabulary.train(drawn, TINY.close, options.size)
    vocabulary.save(made, options.file)
    say(f"{made.get_vocab_size()} tokens in {options.file}")


def train(options: argparse.Namespace) -> None:
    """Train, write the checkpoint, then measure."""
    # Torch takes seconds to load and is not there everywhere.
    from builtin_model import checkpoint
    from builtin_model.model import HEAD, Shape
    from builtin_model.training import Plan, Trainer

    if options.smoke:
        options.hidden, options.layers, options.kv_heads, options.ffn = 2 * HEAD, 2, 1, 256
        options.batch, options.steps, options.workers = 2, 20, 1
        options.compile, options.log_every, options.fresh = False, 5, min(options.fresh, 4)
    tokenizer = vocabulary.load(options.tokenizer)
    shape = Shape(
        vocabulary=tokenizer.get_vocab_size(),
        hidden=options.hidden,
        layers=options.layers,
        heads=options.hidden // HEAD,
        kv_heads=options.kv_heads,
        ffn=options.ffn,
    )
    plan = Plan(
        batch=options.batch,
        long_share=options.long_share,
        muon_rate=options.muon_rate,
        adam_rate=options.adam_rate,
        steps=options.steps,
        seed=options.seed,
        compile=options.compile,
        log_every=options.log_every,
    )
    recipe = Recipe(
        source=examples,
        protocol=TINY,
        tokenizer=options.tokenizer.resolve(),
        seed=plan.seed,
        rows=(
            Rows(plan.short, plan.batch_of(plan.short), 1 - plan.long_share, ahead=64),
            # Made from the beginning, wanted at the end.
            Rows(plan.long, plan.batch_of(plan.long), plan.long_share, ahead=512),
        ),
    )
    with Feed(recipe, options.workers, options.uses, parent=options.shards) as feed:
        trainer = Trainer(shape, plan, say)
        say(f"{trainer.parameters():,} parameters on {trainer.device}, {options.workers} workers")
        trainer.warm_up()
        say("warm")
        told = trainer.train(feed, training_seconds(options, STARTED))
    told["data"] = {
        "examples": examples.__module__,
        "protocol": TINY.name,
        "tokenizer": hashlib.sha256(options.tokenizer.read_bytes()).hexdigest(),
    }
    checkpoint.write(options.folder, trainer.model, tokenizer, told)
    say(f"{told['steps']} steps, {told['tokens'] / 1e6:.1f} M tokens in {told['seconds']} s")
    say(f"rows used: {told['rows']}")
    say(f"checkpoint in {options.folder}")
    # What training took on the GPU makes room for measuring.
    del trainer
    if options.fresh or options.questions:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Ask a checkpoint questions; print how many it answers, and write what it says wrongly."""
    from builtin_model import checkpoint
    from builtin_model.measuring import Examiner, fresh, read_tasks, ready
    from builtin_model.measuring import measure as measured

    model, tokenizer = checkpoint.read(options.folder)
    deadline = STARTED + options.deadline if options.deadline else None
    examiner = Examiner(ready(model), tokenizer, TINY, deadline)
    given = read_tasks(options.questions) if options.questions else []
    tasks = fresh(options.question_seed, options.fresh)
    found = measured(examiner, tasks, given, options.question_seed, say)
    folder = options.report or options.folder
    found.save(folder)
    say(f"figures.json and wrong.jsonl in {folder}")


def evaluate(options: argparse.Namespace) -> None:
    """Ask a model, as ponder runs it, under every condition; print tables."""
    # The engine is not there where models are trained.
    from builtin_model import evaluating

    evaluating.evaluate(options.model, options.fresh, options.threads, options.json, say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python packaging/builtin_model", description="Make ponder's built-in model."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _tokenizer_options(commands.add_parser("tokenizer", help="train the vocabulary"))
    _train_options(commands.add_parser("train", help="train a model, then measure it"))
    _measure_options(commands.add_parser("measure", help="measure a checkpoint"))
    _evaluate_options(commands.add_parser("evaluate", help="evaluate what is shipped"))
    smol.add(commands, STARTED, say)
    return parser


def _tokenizer_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=make_tokenizer)
    parser.add_argument("file", type=Path, help="tokenizer.json, to be written")
    parser.add_argument("--size", type=int, default=4096, help="tokens (%(default)s)")
    parser.add_argument("--count", type=int, default=25000, help="examples (%(default)s)")
    parser.add_argument("--seed", type=int, default=4242)


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=train)
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    add_run(parser, seconds=400, log_every=100, uses=4)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--ffn", type=int, default=1280)
    parser.add_argument("--batch", type=int, default=128, help="rows of 1,024 tokens (%(default)s)")
    parser.add_argument("--long-share", type=float, default=0.12, help="time on rows of 2,048")
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--adam-rate", type=float, default=3e-3)
    _measure_options(parser)
    parser.set_defaults(run=train)


def _measure_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=measure)
    parser.add_argument("folder", type=Path, help="the checkpoint's")
    add_measuring(parser, fresh=1000)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=evaluate)
    parser.add_argument("model", help="a name of `ponder models`, or a GGUF")
    parser.add_argument("--fresh", type=int, default=700, help="questions made up (%(default)s)")
    parser.add_argument("--threads", type=int, help="for decoding")
    parser.add_argument("--json", type=Path, help="where figures and wrong answers go")


if __name__ == "__main__":
    main()
