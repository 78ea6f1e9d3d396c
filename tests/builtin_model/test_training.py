"""The built-in model's training, small: what it writes is what transformers' kin understand.

Needs torch, which ponder does without: `make test-training` brings it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from builtin_model.examples import TINY, examples  # noqa: E402
from builtin_model.generation import Force, Tags, Thread, generate  # noqa: E402
from builtin_model.measuring import Examiner, Task, measure, read_tasks  # noqa: E402
from builtin_model.model import LanguageModel, Shape, loss  # noqa: E402
from builtin_model.optimizer import orthogonal  # noqa: E402
from llama_cpp import Llama  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from builtin_model import checkpoint  # noqa: E402
from builtin_model import tokenizer as vocabulary  # noqa: E402

ROOT = Path(__file__).parents[2]
SMALL = Shape(vocabulary=512, hidden=256, layers=2, heads=4, kv_heads=2, ffn=256, context=256)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return vocabulary.train(islice(examples(1, TINY), 200), TINY.close, SMALL.vocabulary)


@pytest.fixture
def model() -> LanguageModel:
    """Random weights, those of residual branches too: untrained ones say nothing."""
    torch.manual_seed(1)
    made = LanguageModel(SMALL)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.normal_(std=0.1)
            elif name.endswith("bias"):
                weight.normal_(std=0.5)
    return made


def run(*words: str, cwd: Path) -> str:
    """Run the command as its user does."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_ends_with_a_checkpoint_and_figures(tmp_path: Path) -> None:
    command = str(ROOT / "packaging" / "builtin_model")
    run(command, "tokenizer", "tokenizer.json", "--count", "300", "--size", "700", cwd=tmp_path)
    asked = {"question": "What is 2 + 2?", "answer": 4, "kind": "small"}
    (tmp_path / "asked.jsonl").write_text(json.dumps(asked))
    told = run(
        *(command, "train", "made", "--tokenizer", "tokenizer.json", "--smoke"),
        *("--fresh", "1", "--questions", "asked.jsonl", "--shards", str(tmp_path)),
        cwd=tmp_path,
    )
    training = json.loads((tmp_path / "made" / "training.json").read_text())
    assert training["steps"] == 20
    assert training["tokens"] == 20 * 2048
    assert training["losses"][-1]["loss"] < training["losses"][0]["loss"] - 0.5
    assert training["rows"]["2048"]["shards"] >= 1
    assert "given " in told and "natural " in told and "cons@8" in told
    figures = json.loads((tmp_path / "made" / "figures.json").read_text())
    assert figures["given"]["kinds"].keys() == {"small"}
    assert figures["sampled 8"]["count"] == 8
    # Nothing is left of the workers.
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"tokenizer.json", "asked.jsonl", "made"}
    again = run(command, "measure", "made", "--fresh", "1", "--deadline", "0.01", cwd=tmp_path)
    assert "the deadline came" in again


def test_llama_cpp_reckons_what_was_trained(
    model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    checkpoint.write(tmp_path / "hf", model, tokenizer, {})
    words = ("quantize", str(tmp_path / "hf"), "BF16", "-q", "-o", str(tmp_path / "made.gguf"))
    run("-m", "ponder", *words, cwd=tmp_path)
    written, _ = checkpoint.read(tmp_path / "hf")
    prompt = TINY.begin + TINY.user.replace("{text}", "2 + 2?") + TINY.assistant + TINY.open
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    with torch.inference_mode():
        expected = written.logits(written.hidden(torch.tensor([ids]), torch.float32))[0].numpy()
    llama = Llama(
        str(tmp_path / "made.gguf"), n_ctx=256, n_threads=1, logits_all=True, verbose=False
    )
    assert llama.tokenize(prompt.encode(), add_bos=False, special=True) == ids
    llama.eval(ids)
    found = np.array(llama.scores[: len(ids)])
    llama.close()
    assert np.linalg.norm(found - expected) < 5e-3 * np.linalg.norm(expected)


def test_reading_on_from_the_cache_changes_nothing(model: LanguageModel) -> None:
    ids = torch.randint(0, SMALL.vocabulary, (3, 40))
    with torch.inference_mode():
        expected = model.hidden(ids, torch.float32)
        hidden, cache = model.prefill(ids[:, :20], 64)
        found = [hidden]
        for at in range(20, 40):
            found.append(model.step(ids[:, at], torch.full((3,), at), cache, 64)[:, None])
    torch.testing.assert_close(torch.cat(found, 1), expected, rtol=1e-4, atol=1e-4)


def test_what_is_not_learned_has_no_loss(model: LanguageModel) -> None:
    hidden = model.hidden(torch.randint(0, SMALL.vocabulary, (1, 4)), torch.float32)
    head = model.model.embed_tokens.weight
    one = loss(hidden, head, torch.tensor([[-100, 7, -100, -100]]))
    assert one.item() == pytest.approx(-model.logits(hidden)[0, 1].log_softmax(-1)[7].item(), 1e-5)


def test_steps_are_orthogonal() -> None:
    torch.manual_seed(1)
    for size in ((64, 64), (128, 64), (64, 128)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(2, *size)).float())
        assert values.min() > 0.3 and values.max() < 1.3


def threads(tags: Tags, forces: list[Force], prompts: list[list[int]]) -> list[Thread]:
    return [
        Thread(tags, force, SMALL.context - len(prompt))
        for force, prompt in zip(forces, prompts, strict=True)
    ]


def test_rows_together_say_what_each_says_alone(model: LanguageModel, tokenizer: Tokenizer) -> None:
    tags = Tags.of(TINY, tokenizer)
    forces = [Force(budget) for budget in (3, 20, 60, 5, 40, None)]
    prompts = [list(range(40, 40 + length)) for length in (9, 30, 4, 17, 50, 12)]
    together = threads(tags, forces, prompts)
    generate(model, prompts, together)
    alone = threads(tags, forces, prompts)
    for prompt, thread in zip(prompts, alone, strict=True):
        generate(model, [prompt], [thread])
    assert [thread.tokens for thread in together] == [thread.tokens for thread in alone]
    assert all(thread.done for thread in together)
    assert all(len(p) + len(t.tokens) <= 256 for p, t in zip(prompts, together, strict=True))


def test_a_budget_ends_thinking_and_a_wait_puts_it_off() -> None:
    tags = Tags(end=1, stop=2, close=(9, 1, 9), wait=(7, 8))

    def told(force: Force, chosen: list[int]) -> Thread:
        thread = Thread(tags, force, 500)
        for token in chosen:
            thread.take(token)
        return thread

    cut = told(Force(budget=2), [5, 5, 5, 5, 5, 6, 2])
    assert (cut.tokens, cut.thought, cut.cut, cut.done) == ([5, 5, 9, 1, 9, 6, 2], 2, True, True)
    natural = told(Force(budget=9), [5, 1, 6, 2])
    assert (natural.tokens, natural.thought, natural.cut) == ([5, 1, 6, 2], 1, False)
    longer = told(Force(waits=1), [5, 1, 5, 5, 1, 6, 2])
    assert (longer.tokens, longer.thought) == ([5, 7, 8, 5, 1, 6, 2], 4)
    lost = told(Force(), [5, 2, 5, 5, 6, 2])
    assert (lost.tokens, lost.cut, lost.done) == ([5, 9, 1, 9, 6, 2], True, True)


def test_figures_count_what_is_right(
    model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    file = tmp_path / "asked.jsonl"
    earlier = {"question": "1 + 1?", "answer": "2"}
    told = [
        {"question": "2 + 2?", "answer": "4", "kind": "sum", "earlier": [earlier]},
        {"question": "Who are you?", "answer": None, "kind": "talk"},
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in told))
    tasks = read_tasks(file)
    assert tasks[0] == Task("2 + 2?", "4", "sum", (("1 + 1?", "2"),))
    said: list[str] = []
    found = measure(Examiner(model, tokenizer, TINY), [], tasks, 1, said.append)
    # Weights by chance box nothing: the sum is wrong, and talk without a number is right.
    assert found.figures["given"]["kinds"] == {"sum": 0.0, "talk": 100.0}
    assert found.figures["given"]["accuracy"] == 50.0
    assert [one["expected"] for one in found.wrong] == ["4"]
    found.save(tmp_path / "report")
    assert json.loads((tmp_path / "report" / "wrong.jsonl").read_text())["kind"] == "sum"
