"""One training run: a budget of seconds, spent on rows that workers make meanwhile.

Knows the schedule, the clock and the device. Refuses to know what examples say and how good the
result is. The rate rises over the first steps, stays, and falls to nothing over the second half
of the time; the last part of it is spent on longer rows. Steps are what fits into the seconds,
so two runs with one seed begin alike and differ by what the machine gave them.
"""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from builtin_model.encoding import Marked
from builtin_model.feeding import Feed, WorkerDied
from builtin_model.model import LanguageModel, Shape, loss
from builtin_model.optimizer import Optimizer

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how fast and in what pieces."""

    short: int = 1024
    long: int = 2048
    """Tokens of a row, at first and in the last part."""
    long_share: float = 0.12
    """Of the seconds, how many are spent on long rows."""
    batch: int = 128
    """Short rows in a batch; of long ones, as many as make the same number of tokens."""
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    warmup: int = 100
    """Steps until the rate is reached."""
    steps: int | None = None
    """An end before the seconds are over."""
    seed: int = 1
    compile: bool = True
    log_every: int = 100

    def batch_of(self, length: int) -> int:
        """Return how many rows of `length` a batch has."""
        return max(1, self.batch * self.short // length)

    def rate(self, step: int, spent: float) -> float:
        """Return the share of the rates at `step`, 0 first, when `spent` of the time is over."""
        return min(1.0, (step + 1) / self.warmup, max(0.01, 2 * (1 - spent)))

    def momentum(self, step: int) -> float:
        """Return Muon's momentum: it rises over the first 300 steps."""
        return min(0.95, 0.85 + 0.1 * step / 300)


class Mover(Protocol):
    """What moves weights along their gradients."""

    def step(self, scale: float, momentum: float) -> None:
        """Move all of them at `scale` of their rates, and forget the gradients."""


class Network(Protocol):
    """A network that learns; only what a run has to know of it."""

    @property
    def shape(self) -> Any:
        """Its sizes, a dataclass with `vocabulary`."""

    def parameters(self) -> Iterable[Tensor]:
        """Yield the weights that are learned."""


class Run:
    """The course of a training run, whatever it is that learns.

    Whoever derives from it says how gradients come about, in `_gradients`.
    """

    model: Network

    def __init__(self, plan: Plan, say: Say) -> None:
        torch.manual_seed(plan.seed)
        torch.set_float32_matmul_precision("high")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.log: list[dict[str, Any]] = []
        self._plan = plan
        self._say = say
        self._dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self._optimizer: Mover

    def parameters(self) -> int:
        """Count the weights."""
        return sum(weight.numel() for weight in self.model.parameters())

    def warm_up(self) -> None:
        """Compile for both lengths: what takes a minute must not count as training."""
        for length in {self._plan.short: None, self._plan.long: None}:
            size = (self._plan.batch_of(length), length + 1)
            ids = torch.randint(0, self.model.shape.vocabulary, size, dtype=torch.int32)
            marked = ids | torch.iinfo(ids.dtype).min
            for _ in range(2):
                self._gradients(marked.to(self.device))
            self._synchronize()
        for weight in self.model.parameters():
            weight.grad = None

    def train(self, feed: Feed, budget: float) -> dict[str, Any]:
        """Train for `budget` seconds, or until somebody ends it; return what there is to tell.

        Whatever ends it, what was learned until then stays.
        """
        plan = self._plan
        streams = {length: feed.batches(length) for length in (plan.short, plan.long)}
        # Workers need some seconds to begin; they are not taken from the training.
        ahead: Marked | None = next(streams[plan.short])
        started_up = feed.used[plan.short].waited
        self._say(f"first rows after a wait of {started_up:.1f} s")
        total, since, step, tokens = torch.zeros((), device=self.device), 0, 0, 0
        begin = time.perf_counter()
        with _ending() as ended:
            while not ended():
                spent = (time.perf_counter() - begin) / budget
                if plan.steps is not None:
                    spent = max(spent, step / plan.steps)
                if spent >= 1:
                    break
                length = plan.long if spent > 1 - plan.long_share else plan.short
                if ahead is None:
                    try:
                        ahead = next(streams[length])
                    except WorkerDied as error:
                        self._say(f"ended: {error}")
                        break
                rows, ahead = ahead, None
                total += self._gradients(self._moved(rows))
                self._optimizer.step(plan.rate(step, spent), plan.momentum(step))
                step, since, tokens = step + 1, since + 1, tokens + len(rows) * length
                if step % plan.log_every == 0:
                    seconds = time.perf_counter() - begin
                    waited = sum(use.waited for use in feed.used.values()) - started_up
                    mean = total.item() / since
                    self.log.append({"step": step, "seconds": round(seconds, 1), "loss": mean})
                    self._say(
                        f"step {step}  {spent:.0%}  rows of {length}  loss {mean:.4f}  "
                        f"{tokens / seconds / 1e6:.3f} M tokens/s  waited {waited:.1f} s"
                    )
                    total, since = torch.zeros((), device=self.device), 0
            stopped = ended()
        self._synchronize()
        seconds = time.perf_counter() - begin
        if since:
            mean = total.item() / since
            self.log.append({"step": step, "seconds": round(seconds, 1), "loss": mean})
        return {
            "steps": step,
            "tokens": tokens,
            "seconds": round(seconds, 1),
            "tokens_per_second": round(tokens / seconds),
            "budget": budget,
            "stopped": stopped,
            "workers_died": feed.died(),
            "parameters": self.parameters(),
            "rows": {str(length): asdict(use) for length, use in feed.used.items()},
            "loss": self.log[-1]["loss"] if self.log else None,
            "losses": self.log,
            "plan": asdict(plan),
            "shape": asdict(self.model.shape),
            "hardware": hardware(),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "numpy", "tokenizers", "safetensors")},
            },
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _gradients(self, tokens: Tensor) -> Tensor:
        """Add the gradients of one batch of marked tokens; return its loss."""
        raise NotImplementedError

    def _moved(self, rows: Marked) -> Tensor:
        tokens = torch.from_numpy(rows)
        if self.device.type == "cuda":
            tokens = tokens.pin_memory()
        return tokens.to(self.device, non_blocking=True)

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


class Trainer(Run):
    """A network from nothing, its optimizer and the compiled parts."""

    model: LanguageModel

    def __init__(self, shape: Shape, plan: Plan, say: Say) -> None:
        super().__init__(plan, say)
        self.model = LanguageModel(shape).to(self.device)
        self._loss = loss
        if plan.compile:
            for block in self.model.model.layers:
                block.compile(dynamic=False)
            self.model.model.norm.compile(dynamic=False)
            self._loss = torch.compile(loss, dynamic=False)
        self._optimizer = Optimizer(self.model, plan.muon_rate, plan.adam_rate)

    def _gradients(self, tokens: Tensor) -> Tensor:
        """Add the gradients of one batch of marked tokens; return its loss."""
        ids = tokens & torch.iinfo(tokens.dtype).max
        targets = torch.where(tokens < 0, ids, -100)[:, 1:].long()
        mixed = self._dtype != torch.float32
        with torch.autocast(self.device.type, self._dtype) if mixed else nullcontext():
            hidden = self.model.hidden(ids[:, :-1].int(), self._dtype)
            found = self._loss(hidden, self.model.model.embed_tokens.weight, targets)
        found.backward()
        return found.detach()


def hardware() -> str:
    """Name what the run was made on."""
    if not torch.cuda.is_available():
        return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    name: str = torch.cuda.get_device_name()
    return name


@contextmanager
def _ending() -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C and SIGTERM for the wish to end: what was learned is kept."""
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
