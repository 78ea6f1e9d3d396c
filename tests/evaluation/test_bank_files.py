"""The files of the bank that come with ponder: each is right, and all of it is drawn."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from ponder.errors import InputError
from ponder.evaluation.bank import checking
from ponder.evaluation.bank.__main__ import main
from ponder.evaluation.bank.checking import check
from ponder.evaluation.bank.collection import SUFFIX, bank, read

FOLDER = Path(str(files("ponder.evaluation.bank")))
FILES = sorted(FOLDER.glob(f"*{SUFFIX}"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_has_nothing_to_mend(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The command draws each line more often; the suite has to be quick.
    monkeypatch.setattr(checking, "DRAWS", 12)
    monkeypatch.setattr(checking, "PATIENCE", 4)
    found = check(file.name, file.read_text("utf-8"), bank().lexicon)
    assert [str(mistake) for mistake in found.mistakes] == []
    blocks = [*bank().problems, *(block for theme in bank().themes for block in theme.blocks())]
    drawn = {line for line, _ in found.samples}
    assert drawn == {w.line for b in blocks if b.file == file.name for w in b.wordings}


def test_the_command_tells_mistakes_and_shows_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "good.bank"
    good.write_text("problem a\nlet n = 2..9\nq: {n} and one?\n: x = n + 1 | sum\na: It is {=x}.\n")
    bad = tmp_path / "bad.bank"
    bad.write_text("problem a\nlet n = 2..\nq: {n}?\n: x = n + 1 | sum\na: It is {=x}.\n")
    monkeypatch.setattr("sys.argv", ["bank", "--show", "2", str(good)])
    assert main() == 0
    out = capsys.readouterr().out
    assert "1 q-lines" in out
    assert out.count("    sum: ") == 2
    monkeypatch.setattr("sys.argv", ["bank", str(good), str(bad), str(FOLDER / "talk.txt")])
    assert main() == 1
    assert f"{bad}:2: " in capsys.readouterr().out


def test_a_bank_that_cannot_be_read_lists_its_mistakes() -> None:
    texts = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*.txt")}
    with pytest.raises(InputError) as raised:
        read({**texts, "some.bank": "problem a\nq: {"})
    assert "some.bank:2" in raised.value.hint
