"""How good a trained model is: quick figures, before it is converted.

Knows questions with known answers and who is right. Refuses to know the network's insides and
how tokens are chosen. `ponder compare` measures what is shipped; this is for the hour before.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from builtin_model.generation import Force, Tags, Thread, generate
from builtin_model.model import LanguageModel
from ponder.equality import read_answer, same_answer
from ponder.evaluation.fresh import fresh_questions

if TYPE_CHECKING:
    from builtin_model.examples import Protocol

BUDGETS = (16, 32, 64, 128, 256)
WAITS = (1, 2, 4)
SAMPLES = 8
TEMPERATURE = 0.6
_NATURAL = Force()
_WRONG = 40
"""Wrong answers of each setting that are kept to be read."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its answer, and what was said before."""

    question: str
    answer: str | None
    """None: there is nothing to reckon, and no number should be boxed."""
    kind: str
    earlier: tuple[tuple[str, str], ...] = ()
    """Questions and answers."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one task."""

    task: Task
    thought: int
    """In tokens."""
    cut: bool
    text: str
    """Thinking, its end and the answer."""
    answer: str | None
    right: bool


@dataclass(slots=True)
class Measures:
    """Figures by setting, and wrong answers to be read."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write figures.json and wrong.jsonl."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.figures, ensure_ascii=False, indent=1) + "\n"
        (folder / "figures.json").write_text(text, encoding="utf-8")
        lines = [json.dumps(told, ensure_ascii=False) + "\n" for told in self.wrong]
        (folder / "wrong.jsonl").write_text("".join(lines), encoding="utf-8")


def fresh(seed: int, count: int) -> list[Task]:
    """Return questions that ponder writes itself."""
    return [
        Task(
            q.text,
            q.answer,
            f"{q.operations} operations",
            tuple((turn.question, turn.answer) for turn in q.earlier),
        )
        for q in fresh_questions(seed, count)
    ]


def read_tasks(file: Path) -> list[Task]:
    """Read a task a line: {"question", "answer", "kind", "earlier"?: [{"question", "answer"}]}."""
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    return [
        Task(
            one["question"],
            one["answer"] if one["answer"] is None else str(one["answer"]),
            one["kind"],
            tuple((turn["question"], turn["answer"]) for turn in one.get("earlier", ())),
        )
        for one in told
    ]


class Examiner:
    """Asks one model."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        protocol: Protocol,
        deadline: float | None = None,
        at_once: int = 4096,
    ) -> None:
        """`deadline`, a time of the monotonic clock, ends what is not over by then.

        `at_once` is how many rows are decoded together.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._protocol = protocol
        self._tags = Tags.of(protocol, tokenizer)
        self._end = str(tokenizer.id_to_token(self._tags.end))
        self._deadline = deadline
        self._at_once = at_once

    def ask(
        self, jobs: Sequence[tuple[Task, Force]], temperature: float = 0.0, seed: int = 0
    ) -> list[Said] | None:
        """Have each task answered; None if the deadline came first."""
        said: list[Said] = []
        for start in range(0, len(jobs), self._at_once):
            part = jobs[start : start + self._at_once]
            prompts = [
                self._tokenizer.encode(_prompt(self._protocol, task), add_special_tokens=False).ids
                for task, _ in part
            ]
            context = self._model.shape.context
            threads = [
                Thread(self._tags, force, context - len(prompt))
                for (_, force), prompt in zip(part, prompts, strict=True)
            ]
            generate(self._model, prompts, threads, temperature, seed + start, self._deadline)
            if not all(thread.done for thread in threads):
                return None
            said += [
                self._read(task, thread) for (task, _), thread in zip(part, threads, strict=True)
            ]
        return said

    def _read(self, task: Task, thread: Thread) -> Said:
        text = self._tokenizer.decode(thread.tokens, skip_special_tokens=False)
        text = text.removesuffix(self._protocol.end)
        told = "" if thread.thinking else text.rpartition(self._end)[2]
        answer = read_answer(told)
        if task.answer is None:
            right = not thread.thinking and "\\boxed" not in told
        else:
            right = same_answer(answer, task.answer)
        return Said(task, thread.thought, thread.cut, text, answer, right)


def _prompt(protocol: Protocol, task: Task) -> str:
    system = protocol.default_system
    told = [protocol.begin, protocol.system.replace("{text}", system) if system else ""]
    for question, answer in task.earlier:
        told.append(protocol.user.replace("{text}", question))
        told.append(protocol.assistant + answer + protocol.end + protocol.after_turn)
    told.append(protocol.user.replace("{text}", task.question))
    return "".join((*told, protocol.assistant, protocol.open))


@dataclass(frozen=True, slots=True)
class _Setting:
    name: str
    tasks: Sequence[Task]
    force: Force = _NATURAL
    temperature: float = 0.0


def measure(
    examiner: Examiner,
    tasks: Sequence[Task],
    given: Sequence[Task],
    seed: int,
    say: Callable[[str], None],
) -> Measures:
    """Measure on `tasks` under every setting, and on `given` as the model likes."""
    found = Measures()
    for group in _groups(tasks, given):
        begin = time.monotonic()
        jobs = [(task, setting.force) for setting in group for task in setting.tasks]
        said = examiner.ask(jobs, group[0].temperature, seed)
        if said is None:
            names = ", ".join(setting.name for setting in group)
            say(f"the deadline came during {names}: not measured, nor what comes after")
            break
        for setting in group:
            own, said = said[: len(setting.tasks)], said[len(setting.tasks) :]
            figures = _figures(own, setting.temperature > 0)
            found.figures[setting.name] = figures
            found.wrong += [_told(setting.name, one) for one in own if not one.right][:_WRONG]
            say(_line(setting.name, figures))
        say(f"  in {time.monotonic() - begin:.1f} s")
    return found


def _groups(tasks: Sequence[Task], given: Sequence[Task]) -> list[list[_Setting]]:
    """Return settings that are run together, those first that say most."""
    groups = [[_Setting("given", given), _Setting("natural", tasks)]]
    groups += [[_Setting(f"budget {budget}", tasks, Force(budget)) for budget in BUDGETS]]
    groups += [[_Setting(f"waits {waits}", tasks, Force(waits=waits)) for waits in WAITS]]
    again = [task for task in tasks for _ in range(SAMPLES)]
    groups += [[_Setting(f"sampled {SAMPLES}", again, temperature=TEMPERATURE)]]
    asked = [[setting for setting in group if setting.tasks] for group in groups]
    return [group for group in asked if group]


def _figures(said: Sequence[Said], sampled: bool) -> dict[str, Any]:
    """Accuracy in per cent, of all and by kind."""
    kinds: dict[str, list[bool]] = defaultdict(list)
    for one in said:
        kinds[one.task.kind].append(one.right)
    figures: dict[str, Any] = {
        "count": len(said),
        "accuracy": _percent([one.right for one in said]),
        "thought": round(sum(one.thought for one in said) / len(said), 1),
        "cut": _percent([one.cut for one in said]),
        "kinds": {kind: _percent(rights) for kind, rights in sorted(kinds.items())},
    }
    if sampled:
        groups = [said[at : at + SAMPLES] for at in range(0, len(said), SAMPLES)]
        figures["consensus"] = _percent([_agreed(group) for group in groups])
    return figures


def _agreed(group: Sequence[Said]) -> bool:
    """Tell whether the most common answer is right; of equals, the one that came first.

    No answer is one too, and never right.
    """
    votes = Counter(one.answer for one in group)
    agreed, _ = votes.most_common(1)[0]
    return next(one.right for one in group if one.answer == agreed)


def _percent(rights: Sequence[bool]) -> float:
    return round(100 * sum(rights) / len(rights), 1)


def _line(name: str, figures: dict[str, Any]) -> str:
    consensus = f"  cons@{SAMPLES} {figures['consensus']}" if "consensus" in figures else ""
    kinds = "  ".join(f"{kind} {percent}" for kind, percent in figures["kinds"].items())
    return (
        f"{name:12} {figures['accuracy']:5.1f} %{consensus} of {figures['count']}  "
        f"thought {figures['thought']}  cut {figures['cut']} %  | {kinds}"
    )


def _told(setting: str, said: Said) -> dict[str, Any]:
    return {
        "setting": setting,
        "kind": said.task.kind,
        "earlier": said.task.earlier,
        "question": said.task.question,
        "expected": said.task.answer,
        "answer": said.answer,
        "text": said.text,
    }


def ready(model: LanguageModel) -> LanguageModel:
    """Return the model as it is shipped, weights in bfloat16; on the GPU if there is one."""
    # On a processor bfloat16 is slow: the same weights, reckoned in float32.
    torch.cuda.empty_cache()
    for_gpu = torch.cuda.is_available()
    model.to(torch.bfloat16)
    model.to("cuda" if for_gpu else "cpu", torch.bfloat16 if for_gpu else torch.float32)
    return model
