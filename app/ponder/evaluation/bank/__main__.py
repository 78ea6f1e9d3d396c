"""Checks bank files: `python -m ponder.evaluation.bank [--show N] FILE...`.

Reads each, draws every q-line many times, prints `FILE:LINE: what is wrong`, and ends with 1 if
anything is. `--show N` prints N questions of each file with their steps and answers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ponder.evaluation.arithmetic import Draft, evaluate, show, value_of
from ponder.evaluation.bank import lexicon
from ponder.evaluation.bank.checking import Checked, check
from ponder.evaluation.dice import Dice

_LEXICON = "lexicon.txt"


def main() -> int:
    """Check the files that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m ponder.evaluation.bank")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N questions")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = 0
    for file in options.files:
        beside = file.with_name(_LEXICON)
        source = beside if beside.is_file() else Path(__file__).with_name(_LEXICON)
        words, mistakes = lexicon.parse(source.read_text("utf-8"))
        for line, message in mistakes:
            print(f"{source}:{line}: {message}")
        wrong += len(mistakes)
        if file.name != _LEXICON and not mistakes:
            checked = check(str(file), file.read_text("utf-8"), words)
            wrong += len(checked.mistakes)
            _print(str(file), checked, options.show, options.seed)
    return 1 if wrong else 0


def _print(file: str, checked: Checked, count: int, seed: int) -> None:
    for mistake in checked.mistakes:
        print(mistake)
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
