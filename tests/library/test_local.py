"""Names and paths find the right file, and a wrong name says what would have been right."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ponder import paths
from ponder.catalogue import Catalogue, shipped, source
from ponder.errors import NotAModel, UnknownName
from ponder.library.local import Entry, builtin_path, entries, entry_of, find
from ponder.lora import Adapter

SHIPPED = shipped()
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
        builtin_path("ponder-tiny-Q4_K_M.gguf"),
        "built in",
        SHIPPED.models["ponder-tiny"],
    )
    packaged = [entry for entry in listed if entry.model and entry.model.package]
    assert {(entry.name, entry.origin) for entry in packaged} == {("ponder-smol", "package")}
    others = [entry for entry in listed[1:] if entry not in packaged]
    assert all((entry.path, entry.origin) == (None, "catalogue") for entry in others)


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


def several(quants: str = "Q8_0 Q4_K_M") -> Catalogue:
    ggufs = "".join(
        f'[models.small.ggufs.{quant}]\nrepository = "a/b"\nfile = "sub/small-{quant}.gguf"\n'
        for quant in quants.split()
    )
    return Catalogue(
        '[dialects.plain]\n[models.small]\ntitle = "Small"\ndialect = "plain"\nparameters = 1\n'
        'context = 64\nlicences = ["MIT"]\nsampling = { temperature = 1, top_p = 1 }\n' + ggufs
    )


def test_of_several_quants_the_name_is_the_first_that_is_here(folder: Path) -> None:
    known = several()
    assert entry_of("small", known).path is None
    assert entry_of("small", known).fetch == "ponder pull small"
    (folder / "small-Q4_K_M.gguf").touch()
    assert find("small", known).path == folder / "small-Q4_K_M.gguf"
    (folder / "small-Q8_0.gguf").touch()
    assert find("small", known).path == folder / "small-Q8_0.gguf"
    other = find("small-Q4_K_M", known)
    assert (other.path, other.model) == (folder / "small-Q4_K_M.gguf", known.models["small"])


def test_a_file_may_have_two_names(folder: Path) -> None:
    text = source().read_text("utf-8")
    again = text[text.index("[models.r1-7b]") : text.index("[models.r1-8b]")]
    twice = Catalogue(text + again.replace("models.r1-7b", "models.mine"))
    (folder / R1_7B).touch()
    assert find("r1-7b", twice).path == find("mine", twice).path == folder / R1_7B


def test_a_model_that_is_away_is_an_entry_all_the_same() -> None:
    assert entry_of("r1-7b", SHIPPED).path is None
    with pytest.raises(UnknownName):
        entry_of("r1-7", SHIPPED)


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
    assert find("ponder-tiny", SHIPPED).path == builtin_path("ponder-tiny-Q4_K_M.gguf")


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
    command = by_name()["r1-7b"].fetch
    assert command in refused.value.hint
    assert shlex.split(command) == ["ponder", "pull", "r1-7b"]


def test_another_quant_can_be_named_whether_it_is_here_or_not(folder: Path) -> None:
    assert entry_of("r1-7b:q8_0", SHIPPED).fetch == "ponder pull r1-7b:q8_0"
    (folder / R1_7B).touch()
    assert find("r1-7b:q4_k_m", SHIPPED).path == folder / R1_7B
    with pytest.raises(NotAModel, match="r1-7b:Q8_0 is not on this machine"):
        find("r1-7b:Q8_0", SHIPPED)


def test_a_repository_that_was_not_pulled_says_how() -> None:
    with pytest.raises(NotAModel) as refused:
        find("owner/repo-GGUF:Q8_0", SHIPPED)
    assert "ponder pull owner/repo-GGUF:Q8_0" in refused.value.hint


def test_a_model_without_a_published_file_says_how_to_make_or_where_to_put_one(
    home: Path, folder: Path
) -> None:
    with pytest.raises(NotAModel) as refused:
        find("s1-32b", SHIPPED)
    assert str(folder) in refused.value.hint
    assert "ponder pull" not in refused.value.hint
    assert "ponder quantize s1-32b." in refused.value.hint
    # What it says is what works.
    assert "s1-32b.gguf" in refused.value.hint
    (folder / "s1-32b.gguf").touch()
    assert find("s1-32b", SHIPPED).path == folder / "s1-32b.gguf"


def test_one_file_has_two_names_and_one_of_them_goes_through_an_adapter(
    folder: Path, home: Path
) -> None:
    (folder / R1_7B).touch()
    shape = """
    [models.mine]
    title = "Mine"
    dialect = "r1"
    parameters = 7.62
    context = 131072
    licences = ["MIT"]
    sampling = { temperature = 0.6, top_p = 0.95 }
    adapters = [{ file = "fine.gguf", scale = 0.5 }, { file = "/else/where.gguf" }]
    [models.mine.ggufs.Q4_K_M]
    repository = "bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF"
    file = "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"
    """
    (home / "models.toml").write_text(shape)
    known = SHIPPED.with_file(home / "models.toml")
    plain, mine = find("r1-7b", known), find("mine", known)
    assert plain.path == mine.path == folder / R1_7B
    assert plain.adapters == ()
    assert mine.adapters == find("mine:Q4_K_M", known).adapters
    assert mine.adapters == (
        Adapter(home / "fine.gguf", 0.5),
        Adapter(Path("/else/where.gguf"), 1.0),
    )


def test_every_builtin_model_is_there() -> None:
    for entry in entries(SHIPPED):
        if entry.origin == "built in":
            assert entry.path is not None
            assert entry.path.stat().st_size > 1_000_000
