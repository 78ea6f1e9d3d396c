"""`ponder history` in this process: what it prints, where, and how it ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from history.traces import ANSWER, THOUGHT, trace
from ponder import paths
from ponder.cli import run
from ponder.history.store import History
from ponder.types import Author, Budget, Sampling, Span

LONG = "How many marbles does Mia have now, after all that she bought and gave away last summer?"
CHINESE = "为什么天空是蓝色的？请详细解释一下原因，谢谢你，模型，我很想知道这个问题的答案，请告诉我"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def kept() -> Path:
    """Three conversations: one finished, one unfinished, one failed."""
    with History(paths.history_file()) as history:
        for at, title in enumerate((LONG, CHINESE, "short \x1b[31m")):
            number = history.new_conversation(title, "r1-distill-qwen-7b", "", 1.7e9 + at)
            turn = history.begin_turn(
                number, f"{title}\nPlease.", "r1-7b", Budget(), Sampling(), 1.7e9 + at
            )
            spans = [Span(THOUGHT, "Let me count."), Span(THOUGHT, "Wait", Author.WAIT)]
            history.append(turn, spans)
            if at == 0:
                history.finish_turn(turn, trace())
            if at == 2:
                history.fail_turn(turn, "The engine\x07 died.")
    return paths.history_file()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal of 80 columns, with colours."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


def said(capfd: Capture, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(["history", *arguments]) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return out, err


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        ([], 0, "", "no history yet"),
        (["list"], 0, "", "no history yet"),
        (["list", "--json"], 0, "[]\n", ""),
        (["search", "x"], 0, "", "Nothing found"),
        (["search", "x", "--json"], 0, "[]\n", ""),
        (["show", "1"], 2, "", "There is no conversation 1"),
        (["show", "last"], 2, "", "no history yet"),
        (["export", "1"], 2, "", "There is no conversation 1"),
        (["export", "--all", "--format", "json"], 0, "[]\n", "no history yet"),
        (["delete", "1", "--yes"], 2, "", "There is no conversation 1"),
        (["delete", "--all", "--yes"], 0, "", "no history yet"),
    ],
)
def test_without_a_history_none_is_made(
    capfd: Capture, home: Path, arguments: list[str], code: int, out: str, err: str
) -> None:
    told = said(capfd, *arguments, code=code)
    assert told[0] == out
    assert err in told[1]
    assert not home.exists()


def test_the_list_is_whole_in_a_pipe(capfd: Capture, kept: Path) -> None:
    out, err = said(capfd)
    assert err == ""
    head, *rows = out.splitlines()
    assert head.split() == ["id", "last", "asked", "turns", "model", "title"]
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert rows[2].endswith(LONG)
    assert rows[1].endswith(CHINESE)
    assert rows[0].endswith("short ␛[31m")
    assert all("r1-distill-qwen-7b" in row for row in rows)
    assert not any(row != row.rstrip() for row in rows)
    assert out == said(capfd, "list")[0]


def test_the_list_fits_into_a_terminal(
    capfd: Capture, kept: Path, terminal: pytest.MonkeyPatch
) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    out, _ = said(capfd)
    lines = [Text.from_ansi(line).plain for line in out.splitlines()]
    assert len(lines) == 4
    assert max(map(cell_len, lines)) <= 80
    assert max(map(cell_len, lines)) >= 78
    assert lines[3].startswith(" 1  2023-11-1")
    assert lines[3].endswith("…")
    assert lines[2].endswith("…")
    assert "\x1b[31m" not in out


def test_the_list_as_json(capfd: Capture, kept: Path) -> None:
    out, _ = said(capfd, "list", "--json", "--limit", "2")
    first, second = json.loads(out)
    assert (first["id"], second["id"]) == (3, 2)
    assert second["title"] == CHINESE
    assert second["turns"] == 1


def test_a_conversation_is_shown(capfd: Capture, kept: Path) -> None:
    out, err = said(capfd, "show", "1")
    assert err == ""
    order = [
        LONG, "Please.", "thinking:", "38 and 47 is 85.", "⟦wait: Wait⟧", "answer:",
        "The answer is **85**.", "thinking 257/320 tokens", "finish: closed",
    ]  # fmt: skip
    places = [out.index(words) for words in order]
    assert places == sorted(places)
    assert "\x1b" not in out


def test_why_adds_the_decisions_and_the_account(capfd: Capture, kept: Path) -> None:
    plain, _ = said(capfd, "show", "1")
    out, _ = said(capfd, "show", "1", "--why")
    added = [line for line in out.splitlines() if line not in plain.splitlines()]
    assert added[:2] == [
        'at 40: its end was withdrawn and became "Wait"',
        "end: the model closed its thinking itself",
    ]
    assert added[2].startswith("tokens: think 257 · forced 1 · probe 0 · answer 9 · wasted 0; ")
    assert len(added) == 3


def test_on_a_terminal_thinking_is_dim_and_ponders_words_are_tinted(
    capfd: Capture, kept: Path, terminal: pytest.MonkeyPatch
) -> None:
    out, _ = said(capfd, "show", "1")
    assert "\x1b[2m38 and 47 is 85.\x1b[0m" in out
    assert "\x1b[33m⟦wait: Wait⟧\x1b[0m" in out
    assert "\nThe answer is **85**.\n" in out
    terminal.setenv("NO_COLOR", "1")
    out, _ = said(capfd, "show", "1")
    assert "⟦wait: Wait⟧" in out


def test_the_last_one_has_a_name(capfd: Capture, kept: Path) -> None:
    out, _ = said(capfd, "show", "last")
    assert "short ␛[31m" in out
    assert "failed: The engine␇ died." in out
    assert "unfinished" not in out
    assert "\x1b" not in out


def test_what_is_unfinished_is_shown_as_far_as_it_is(capfd: Capture, kept: Path) -> None:
    out, _ = said(capfd, "show", "2")
    assert "Let me count.⟦wait: Wait⟧" in out
    assert "unfinished" in out


def test_thinking_can_be_left_out(capfd: Capture, kept: Path) -> None:
    out, _ = said(capfd, "show", "1", "--no-thinking")
    assert "The answer is **85**." in out
    assert "38 and 47" not in out
    out, _ = said(capfd, "show", "1", "--no-thinking", "--json")
    assert "38 and 47" not in out
    out, _ = said(capfd, "show", "1", "--json")
    assert json.loads(out)["turns"][0]["spans"][0]["text"] == "\n38 and 47 is 85.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "7"], "Near it: 1, 2, 3."),
        (["show", "9" * 18], "Near it: 1, 2, 3."),
        (["show", "first"], "`last` is the one asked last"),
        (["show", "-1"], "-1"),
        (["show", "\x1b[31m"], "ponder history"),
        (["export"], "--all"),
        (["export", "1", "--all"], "Leave out --all"),
        (["delete", "1", "8", "--yes"], "Near it: 1, 2, 3."),
        (["delete"], "--all"),
        (["shwo", "1"], "Did you mean show?"),
        (["1"], "ponder history show ID"),
        (["search", ""], "ponder history search marbles"),
        (["search", '""'], "ponder history search marbles"),
        (["search"], "WORDS"),
        (["export", "1", "--format", "pdf"], "pdf"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_hint(
    capfd: Capture, kept: Path, arguments: list[str], told: str
) -> None:
    out, err = said(capfd, *arguments, code=2)
    assert out == ""
    assert told in err
    assert "\x1b" not in err
    with History(kept) as history:
        assert len(history.conversations()) == 3


def test_search_groups_what_it_finds(capfd: Capture, kept: Path) -> None:
    with History(kept) as history:
        turn = history.begin_turn(1, "More marbles?", "m", Budget(), Sampling(), 1.8e9)
        history.finish_turn(turn, trace(Span(ANSWER, "Yes.")))
    out, err = said(capfd, "search", "marbles")
    assert err == ""
    assert out.count(LONG) == 2  # as the title, once, and in one excerpt
    assert out.index("More marbles?") < out.rindex(LONG)
    out, _ = said(capfd, "search", "天空", "原因")
    assert out.startswith("2  " + CHINESE)


def test_what_the_shell_keeps_together_is_one_phrase(capfd: Capture, kept: Path) -> None:
    assert "38 and 47" in said(capfd, "search", "38 and 47")[0]
    assert said(capfd, "search", "47 and 38") == ("", "Nothing found.\n")
    assert "38 and 47" in said(capfd, "search", "47", "and", "38")[0]
    assert said(capfd, "search", '"47 and" 38')[1] == "Nothing found.\n"


def test_hits_are_highlighted(capfd: Capture, kept: Path, terminal: pytest.MonkeyPatch) -> None:
    out, _ = said(capfd, "search", "and 47")
    assert "38 \x1b[1;33mand 47\x1b[0m is 85." in out


def test_search_as_json(capfd: Capture, kept: Path) -> None:
    (hit,) = json.loads(said(capfd, "search", "85", "--json")[0])
    assert hit["conversation"]["id"] == 1
    assert hit["where"] == "answer"
    ((start, end),) = hit["marks"]
    assert hit["excerpt"][start:end] == "85"
    assert len(json.loads(said(capfd, "search", "Please", "--json", "--limit", "2")[0])) == 2


def test_export_to_stdout(capfd: Capture, kept: Path) -> None:
    out, err = said(capfd, "export", "1")
    assert err == ""
    assert out.startswith(f"# {LONG}\n")
    assert "<details>" in out
    assert "<details>" not in said(capfd, "export", "1", "--no-thinking")[0]
    both, _ = said(capfd, "export", "1", "last", "1")
    assert both.startswith(out)
    assert both.count("\n---\n") == 1
    facts = json.loads(said(capfd, "export", "--all", "--format", "json")[0])
    assert [one["id"] for one in facts] == [3, 2, 1]
    assert facts[2]["turns"][0]["trace"]["tokens"] == [7, 8, 9]


def test_export_to_a_file(capfd: Capture, kept: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.md"
    out, err = said(capfd, "export", "1", "--output", str(target))
    assert out == ""
    assert f"Wrote 1 conversation to {target}" in err
    written = target.read_text("utf-8")
    assert written == said(capfd, "export", "1", "-o", "-")[0]
    _, err = said(capfd, "export", "2", "--output", str(target), code=2)
    assert "--force" in err
    assert target.read_text("utf-8") == written
    said(capfd, "export", "2", "--output", str(target), "--force")
    assert target.read_text("utf-8").startswith(f"# {CHINESE}")


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Somebody at a terminal who types this."""
    stdin = io.StringIO(text)
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)


def ids(path: Path) -> list[int]:
    with History(path) as history:
        return [entry.id for entry in history.conversations()]


def test_delete_asks_on_a_terminal(
    capfd: Capture, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "n\n")
    out, err = said(capfd, "delete", "1", "3")
    assert "Delete 2 conversations?" in out + err
    assert LONG in err
    assert "Nothing was deleted." in err
    assert ids(kept) == [3, 2, 1]
    answers(monkeypatch, "y\n")
    assert "Deleted 2 conversations." in said(capfd, "delete", "1", "3")[1]
    assert ids(kept) == [2]


def test_delete_does_nothing_where_it_cannot_ask(
    capfd: Capture, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert "--yes" in said(capfd, "delete", "1", code=2)[1]
    assert ids(kept) == [3, 2, 1]
    assert "Deleted 1 conversation." in said(capfd, "delete", "1", "--yes")[1]
    assert ids(kept) == [3, 2]
    assert "Deleted 2 conversations." in said(capfd, "delete", "--all", "--yes")[1]
    assert ids(kept) == []
    assert "no history yet" in said(capfd)[1]


def test_a_damaged_history_is_told_and_left_alone(capfd: Capture, kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:6000])
    before = kept.read_bytes()
    for arguments in ([], ["show", "1"], ["search", "x"], ["delete", "--all", "--yes"]):
        _, err = said(capfd, *arguments, code=1)
        assert str(kept) in err
        assert "never writes over it" in err
    assert kept.read_bytes() == before


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["search"], ["export"], ["delete"]])
def test_every_command_explains_itself(capfd: Capture, command: list[str]) -> None:
    out, _ = said(capfd, *command, "--help")
    assert "Usage: ponder history" in out
    assert "conversation" in out or "WORDS" in out


def test_numbers_complete_with_their_titles(kept: Path) -> None:
    import click

    from ponder.cli.shelf import complete

    context = click.Context(click.Command("show"))
    found = complete(context, click.Argument(["word"]), "")
    assert [(item.value, item.help) for item in found][2] == ("1", LONG)
    assert [item.value for item in complete(context, click.Argument(["word"]), "2")] == ["2"]
    kept.write_bytes(b"damaged")
    assert complete(context, click.Argument(["word"]), "") == []


def test_rename_pin_delete_and_restore(capfd: Capture, kept: Path) -> None:
    out, err = said(capfd, "rename", "1", "a", "new\x1b", "name", "--json")
    assert "1 is called 'a new" in err and "\x1b" not in err
    assert json.loads(out)[0]["title"] == "a new\x1b name"
    assert "Pinned 2 conversations." in said(capfd, "pin", "1", "2")[1]
    rows = said(capfd)[0].splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["2", "1", "3"]
    assert rows[1].endswith("* a new␛ name")
    assert [one["pinned"] for one in json.loads(said(capfd, "unpin", "2", "--json")[0])] == [False]
    out, err = said(capfd, "delete", "3", "1", "--yes", "--json")
    assert "this undoes it: ponder history restore 3 1" in err
    assert all(one["deleted"] for one in json.loads(out))
    assert ids(kept) == [2]
    assert "a new" in said(capfd, "search", "deleted")[0]
    assert "Restored 1 conversation." in said(capfd, "restore", "1")[1]
    assert ids(kept) == [1, 2]
    assert "Restored 1 conversation." in said(capfd, "restore", "--all")[1]
    assert "The trash is empty." in said(capfd, "restore", "--all")[1]


def test_delete_for_good(capfd: Capture, kept: Path) -> None:
    out, err = said(capfd, "delete", "1", "--for-good", "--yes", "--json")
    assert "Deleted 1 conversation for good." in err
    assert json.loads(out)[0]["title"] == LONG
    assert "There is no conversation 1." in said(capfd, "restore", "1", code=2)[1]
    said(capfd, "delete", "2", "--yes")
    assert "Deleted 1 conversation for good." in said(capfd, "delete", "--trash", "--yes")[1]
    assert "There is no conversation 2." in said(capfd, "show", "2", code=2)[1]
    assert "--trash leaves nothing" in said(capfd, "delete", "3", "--trash", code=2)[1]


def test_search_takes_filters(capfd: Capture, kept: Path) -> None:
    assert "thinking:" in said(capfd, "search", "let me count", "--in", "thinking")[0]
    assert said(capfd, "search", "let me count", "--in", "answer")[1] == "Nothing found.\n"
    out, _ = said(capfd, "search", "model:qwen", "in:thinking", "--json")
    assert json.loads(out) == []
    out, _ = said(capfd, "search", "model:7b", "--in", "thinking")
    assert [row.split()[0] for row in out.splitlines()[1:]] == ["3", "1"]
    assert "answer, question, thinking" in said(capfd, "search", "x", "in:title", code=2)[1]


def test_collect_writes_lines_and_says_what_it_left_out(
    capfd: Capture, kept: Path, tmp_path: Path
) -> None:
    with History(kept) as history:
        turn = history.begin_turn(2, "And?", "s1-32b", Budget(), Sampling(), 1.7e9)
        history.finish_turn(turn, trace(Span(THOUGHT, "Hm."), Span(ANSWER, "85.")))
    target = tmp_path / "out.jsonl"
    out, err = said(capfd, "collect", "--all", "-o", str(target), "--format", "messages")
    assert out == ""
    assert err.startswith(f"Wrote 1 line to {target}. Left out: 2 unfinished, 1 with words of")
    (line,) = target.read_text("utf-8").splitlines()
    assert json.loads(line)["messages"][-1]["content"].startswith("<|im_start|>think\nHm.\n<|im_")
    assert "--force" in said(capfd, "collect", "--all", "-o", str(target), code=2)[1]
    out, err = said(capfd, "collect", "--search", "38 model:7b", "--with-forced")
    assert json.loads(out)["attempt"] == "The answer is **85**."
    assert err == "Wrote 1 line.\n"
    assert said(capfd, "collect", "--search", "pinned") == ("", "Wrote 0 lines.\n")
    assert "--search leaves nothing" in said(capfd, "collect", "1", "--search", "x", code=2)[1]


def test_export_as_a_page(capfd: Capture, kept: Path) -> None:
    out, _ = said(capfd, "export", "1", "3", "--format", "html")
    assert out.startswith("<!DOCTYPE html>")
    assert out.count("<section") == 2
    assert "38 and 47" in out
    assert "38 and 47" not in said(capfd, "export", "1", "--format", "html", "--no-thinking")[0]


def test_diff_compares_two_turns(capfd: Capture, kept: Path, terminal: pytest.MonkeyPatch) -> None:
    with History(kept) as history:
        turn = history.begin_turn(1, "Again?", "r1-7b", Budget(), Sampling(), 1.7e9)
        history.finish_turn(turn, trace(Span(THOUGHT, "38 and 48 is 86.\n\nWait")))
    from rich.text import Text

    def told(*words: str) -> str:
        return Text.from_ansi(said(capfd, "diff", *words)[0]).plain

    out = told("1.1", "1")
    assert "< 38 and 47 is 85.\n> 38 and 48 is 86.\n" in out
    assert "1 changed" in out
    terminal.setenv("COLUMNS", "120")
    assert "~ 38 and 47 is 85." in told("1.1", "1.2")
    rows = json.loads(said(capfd, "diff", "1.1", "last", "--json")[0])
    assert next(row["kind"] for row in rows) == "only left"
    for word, refused in {
        "1.9": "1.1 is the first one",
        "1.x": "is no turn",
        "9": "no conversation 9",
        "1.1.2": "no trace 2",
    }.items():
        assert refused in said(capfd, "diff", "1", word, code=2)[1]
