"""Names and paths find the right file, and a wrong name says what would have been right."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ponder import paths
from ponder.catalogue import catalogue
from ponder.errors import NotAModel, UnknownName
from ponder.library.local import Entry, builtin_path, entries, find

SHIPPED = catalogue()
R1_7B = "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"


@pytest.fixture
def folder(home: Path) -> Path:
    """The models folder, there and empty."""
    folder = home / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def by_name() -> dict[str, Entry]:
    listed = entries(SHIPPED)
    named = {entry.name: entry for entry in listed}
    assert len(named) == len(listed)  # a name stands for one file
    return named


def test_the_folder_is_where_ponder_home_says(home: Path) -> None:
    assert paths.models_dir() == home / "models"


def test_a_fresh_machine_has_the_builtin_model_and_names_for_the_rest() -> None:
    listed = entries(SHIPPED)
    assert {entry.name for entry in listed} == set(SHIPPED.models)
    assert listed[0] == Entry(
        "ponder-tiny",
        builtin_path("ponder-tiny-Q8_0.gguf"),
        "built in",
        SHIPPED.models["ponder-tiny"],
    )
    assert all((entry.path, entry.origin) == (None, "catalogue") for entry in listed[1:])


def test_a_fetched_file_of_the_catalogue_is_here_under_its_name(folder: Path) -> None:
    (folder / R1_7B).touch()
    entry = by_name()["r1-7b"]
    assert entry == Entry("r1-7b", folder / R1_7B, "models folder", SHIPPED.models["r1-7b"])
    assert entry.fetch == ""
    assert find("r1-7b", SHIPPED) == entry


def test_any_other_file_goes_by_its_stem(folder: Path) -> None:
    (folder / "b-model.gguf").touch()
    (folder / "a.model.gguf").touch()
    (folder / "notes.txt").touch()
    (folder / "folder.gguf").mkdir()
    here = [entry for entry in entries(SHIPPED) if entry.origin == "models folder"]
    assert here == [
        Entry("a.model", folder / "a.model.gguf", "models folder", None),
        Entry("b-model", folder / "b-model.gguf", "models folder", None),
    ]
    assert find("b-model", SHIPPED) == here[1]


def test_what_is_here_comes_first(folder: Path) -> None:
    (folder / R1_7B).touch()
    (folder / "own.gguf").touch()
    away = [entry.path is None for entry in entries(SHIPPED)]
    assert away == sorted(away)


def test_a_file_named_like_a_model_of_the_catalogue_is_that_model(folder: Path) -> None:
    (folder / "s1-32b.gguf").touch()
    entry = by_name()["s1-32b"]
    assert entry == Entry(
        "s1-32b", folder / "s1-32b.gguf", "models folder", SHIPPED.models["s1-32b"]
    )
    assert find("s1-32b", SHIPPED) == entry


def test_no_file_takes_the_place_of_the_builtin_model(folder: Path) -> None:
    (folder / "ponder-tiny.gguf").touch()
    assert by_name()["ponder-tiny"].origin == "built in"
    assert find("ponder-tiny", SHIPPED).path == builtin_path("ponder-tiny-Q8_0.gguf")


@pytest.mark.parametrize("file", [R1_7B, "own.gguf"])
def test_a_file_of_the_folder_can_be_named_as_it_is(folder: Path, here: Path, file: str) -> None:
    (folder / file).touch()
    assert find(file, SHIPPED).path == folder / file
    assert find(file.removesuffix(".gguf"), SHIPPED).path == folder / file


@pytest.mark.parametrize(
    "name", ["own.gguf", "./own.gguf", "./own", "sub/own.gguf", "../here/own.gguf", "own"]
)
def test_a_path_is_taken_as_it_is(here: Path, name: str) -> None:
    target = here / name
    target.parent.mkdir(exist_ok=True)
    target.touch()
    entry = find(name, SHIPPED)
    assert entry == Entry(Path(name).stem, Path(name), "models folder", None)


def test_a_file_here_counts_more_than_one_of_the_folder(folder: Path, here: Path) -> None:
    (folder / "own.gguf").touch()
    (here / "own.gguf").touch()
    assert find("own.gguf", SHIPPED).path == Path("own.gguf")
    assert find("own", SHIPPED).path == folder / "own.gguf"


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("~/own.gguf", SHIPPED).path == tmp_path / "own.gguf"


def test_a_path_keeps_what_only_looks_like_a_home(here: Path) -> None:
    assert find("~nobody-of-that-name/own.gguf", SHIPPED).path == Path(
        "~nobody-of-that-name/own.gguf"
    )


@pytest.mark.parametrize("name", ["own.gguf", "./own", "sub/own", "sub\\own", "/none/own.gguf"])
def test_what_must_be_a_path_need_not_be_there(here: Path, name: str) -> None:
    # To open it says what is wrong with it; here it is only found.
    assert find(name, SHIPPED).path == Path(name)


@pytest.mark.parametrize("name", ["r1-7", "folder", "", "x" * 5000, "a\0b"])
def test_an_unknown_name_lists_the_right_ones(folder: Path, here: Path, name: str) -> None:
    (folder / "own.gguf").touch()
    (here / "folder").mkdir()
    with pytest.raises(UnknownName) as refused:
        find(name, SHIPPED)
    assert refused.value.known == tuple(sorted([*SHIPPED.models, "own"]))
    assert "own" in refused.value.hint
    assert "path to a GGUF" in refused.value.hint


def test_the_nearest_name_is_told_first() -> None:
    with pytest.raises(UnknownName) as refused:
        find("r1-7", SHIPPED)
    assert refused.value.hint.startswith("Did you mean r1-7b?")


def test_a_model_that_is_not_here_says_how_to_fetch_it(home: Path) -> None:
    with pytest.raises(NotAModel, match="r1-7b is not on this machine") as refused:
        find("r1-7b", SHIPPED)
    gguf = SHIPPED.models["r1-7b"].gguf
    assert gguf is not None
    command = by_name()["r1-7b"].fetch
    assert command in refused.value.hint
    program, *words = shlex.split(command)
    assert program == "curl"
    assert words[-1] == gguf.url
    assert words[words.index("-o") + 1] == str(home / "models" / R1_7B)
    # A page that says "not found" must not become a model.
    assert "--fail" in words


def test_the_command_survives_a_home_with_quotes_and_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "it's $HOME; here"
    monkeypatch.setenv("PONDER_HOME", str(odd))
    words = shlex.split(by_name()["r1-7b"].fetch)
    assert str(odd / "models" / R1_7B) in words


def test_a_model_without_a_published_file_says_where_to_put_one(home: Path, folder: Path) -> None:
    with pytest.raises(NotAModel) as refused:
        find("s1-32b", SHIPPED)
    assert str(folder) in refused.value.hint
    assert "curl" not in refused.value.hint
    # What it says is what works.
    assert "s1-32b.gguf" in refused.value.hint
    (folder / "s1-32b.gguf").touch()
    assert find("s1-32b", SHIPPED).path == folder / "s1-32b.gguf"


def test_every_builtin_model_is_there() -> None:
    for entry in entries(SHIPPED):
        if entry.origin == "built in":
            assert entry.path is not None
            assert entry.path.stat().st_size > 1_000_000
