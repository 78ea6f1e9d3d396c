"""Attachments: what is text, what of a folder is meant, and telling files apart again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import attachments
from ponder.attachments import Attachment, decoded, gather, split, wrapped
from ponder.errors import InputError


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        ("caf\u00e9\n".encode(), "café\n"),
        (b"\xef\xbb\xbfx", "x"),
        ("x = 1\n".encode("utf-16"), "x = 1\n"),
        ("x = 1\n".encode("utf-32"), "x = 1\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"\x1b[1mbold\x1b[0m, and plain", "\x1b[1mbold\x1b[0m, and plain"),
    ],
)
def test_text_is_read(data: bytes, text: str) -> None:
    assert decoded(data) == text


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "shift_jis"])
def test_another_encoding_is_told_and_not_guessed(encoding: str) -> None:
    told = {"cp1252": "déjà Noël", "cp1251": "булок", "shift_jis": "日本語"}[encoding]
    with pytest.raises(ValueError, match="line 2 is not UTF-8; convert it first"):
        decoded(f"plain\n{told}\n".encode(encoding))


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\x00\x00",
        b"GIF89a\x01\x00\x01\x00",
        bytes(range(1, 32)) * 8,
        b"\x89PNG\r\n\x1a\n\x00\x00",
    ],
)
def test_what_is_binary_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is binary"):
        decoded(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        text = decoded(data)
    except ValueError:
        return
    assert isinstance(text, str)


def test_a_folder_is_what_people_mean_by_it(tmp_path: Path) -> None:
    top = tmp_path / "project"
    for name, data in {
        "b.txt": b"b",
        "a.py": b"a = 1\n",
        "image.png": b"\x89PNG\x00\x00",
        ".env": b"SECRET=1",
        ".git/config": b"x",
        ".gitignore": b"build/\n*.log\n!keep.log\n",
        "build/out.txt": b"x",
        "x.log": b"x",
        "keep.log": b"kept",
        "sub/.gitignore": b"b.txt\n",
        "sub/b.txt": b"x",
        "sub/c.txt": b"c",
        "sub/build/deep.txt": b"x",
    }.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (top / "loop").symlink_to(top)
    found = gather(top)
    assert [file.name for file in found.files] == [
        "project/a.py",
        "project/b.txt",
        "project/keep.log",
        "project/sub/c.txt",
    ]
    assert dict(found.left_out) == {
        ".env": "hidden",
        ".git": "hidden",
        ".gitignore": "hidden",
        "build": "ignored",
        "image.png": "it is binary",
        "loop": "a link",
        "sub/.gitignore": "hidden",
        "sub/b.txt": "ignored",
        "sub/build": "ignored",
        "x.log": "ignored",
    }


def test_what_cannot_be_attached_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="it is not there"):
        gather(tmp_path / "nowhere.txt")
    (tmp_path / "b.bin").write_bytes(b"\0\1")
    with pytest.raises(InputError, match=r"b\.bin cannot be attached: it is binary"):
        gather(tmp_path / "b.bin")
    with pytest.raises(InputError, match="no text file in"):
        gather(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # would wait for ever
    with pytest.raises(InputError, match="it is no file"):
        gather(tmp_path / "pipe")
    monkeypatch.setattr(attachments, "MOST_BYTES", 3)
    (tmp_path / "long.txt").write_text("long")
    with pytest.raises(InputError, match="4 bytes, and 3 are the most"):
        gather(tmp_path / "long.txt")
    monkeypatch.setattr(attachments, "MOST_FILES", 1)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("x")
    with pytest.raises(InputError, match="more than 1 text files"):
        gather(tmp_path)


def test_a_name_stays_on_its_line_and_commands_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[2Jb.txt"
    path.write_text("x")
    (file,) = gather(path).files
    assert file.name == "a␊␛[2Jb.txt"


def test_the_form_is_the_one_that_r1_was_given() -> None:
    asked = wrapped([Attachment("a.txt", "one\ntwo")], "Which?")
    assert asked == (
        "[file name]: a.txt\n[file content begin]\none\ntwo\n[file content end]\nWhich?"
    )


marks = "[file content end]"
names = st.text(st.characters(exclude_characters="\n"), max_size=20)
texts = st.text().filter(lambda text: marks not in text)


@given(
    st.lists(st.tuples(names, texts), max_size=4), texts.filter(lambda t: "[file name]" not in t)
)
def test_files_and_question_are_told_apart_again(
    files: list[tuple[str, str]], question: str
) -> None:
    asked = wrapped([Attachment(name, text) for name, text in files], question)
    assert split(asked) == (files, question)


@given(st.text(st.sampled_from("[file name]: content begin end\n"), max_size=200))
def test_what_looks_like_a_file_loses_nothing(asked: str) -> None:
    files, question = split(asked)
    assert wrapped([Attachment(name, text) for name, text in files], question) == asked
