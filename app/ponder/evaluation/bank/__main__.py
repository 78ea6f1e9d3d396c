"""Checks bank files: `python -m ponder.evaluation.bank [--show N] FILE...`.

Reads each, draws every q-line many times, prints `FILE:LINE: what is wrong`, and ends with 1 if
anything is. `--show N` prints N questions of each file with their steps and answers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ponder.evaluation import talk
from ponder.evaluation.arithmetic import Draft, evaluate, show, value_of
from ponder.evaluation.bank import lexicon, phrases
from ponder.evaluation.bank.blocks import Mistake
from ponder.evaluation.bank.checking import Checked, check
from ponder.evaluation.bank.collection import LEXICON, SUFFIX
from ponder.evaluation.dice import Dice


def main() -> int:
    """Check the files that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m ponder.evaluation.bank")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N questions")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = 0
    for file in options.files:
        if not file.is_file():
            mistakes = [Mistake(str(file), 0, "there is no such file")]
        elif file.suffix == SUFFIX:
            mistakes = _check(file, options.show, options.seed)
        else:
            mistakes = _check_words(file)
        wrong += len(mistakes)
        for mistake in mistakes:
            print(mistake)
    return 1 if wrong else 0


def _check_words(file: Path) -> list[Mistake]:
    """Check a file of words or phrases: all but banks."""
    text = file.read_text("utf-8")
    if file.name == LEXICON:
        return [Mistake(str(file), line, message) for line, message in lexicon.parse(text)[1]]
    if file.name == talk.FILE:
        return talk.parse(str(file), text)[1]
    if file.name in phrases.SLOTS:
        return phrases.parse(str(file), text)[1]
    return [Mistake(str(file), 0, "no such file belongs to the bank")]


def _check(file: Path, count: int, seed: int) -> list[Mistake]:
    """Check a bank, and print questions from it."""
    beside = file.with_name(LEXICON)
    source = beside if beside.is_file() else Path(__file__).with_name(LEXICON)
    words, wrong = lexicon.parse(source.read_text("utf-8"))
    if wrong:
        return [Mistake(str(source), line, message) for line, message in wrong]
    checked = check(str(file), file.read_text("utf-8"), words)
    _print(str(file), checked, count, seed)
    return checked.mistakes


def _print(file: str, checked: Checked, count: int, seed: int) -> None:
    told = ", ".join(f"{many} {person}" for person, many in sorted(checked.wordings.items()))
    print(f"{file}: {checked.wordings.total()} q-lines ({told}), {len(checked.mistakes)} to mend")
    count = min(count, len(checked.samples))
    for line, draft in Dice(seed).sample(checked.samples, count):
        print(f"\n{file}:{line}")
        _print_draft(draft)


def _print_draft(draft: Draft) -> None:
    print(f"  {draft.text}")
    results = evaluate(draft.steps) or ()
    for step, result in zip(draft.steps, results, strict=False):
        left, right = show(value_of(step.left, results)), show(value_of(step.right, results))
        print(f"    {step.label or '-'}: {left} {step.operator} {right} = {show(result)}")
    if draft.verdict is not None:
        amounts = (f"{name} {show(value_of(o, results))}" for name, o in draft.verdict.rivals)
        print(f"    {draft.verdict.kind}: {', '.join(amounts)}")
    print(f"  {draft.says.replace('{answer}', f'[{draft.answer}]')}   ({draft.form})")


if __name__ == "__main__":
    sys.exit(main())
