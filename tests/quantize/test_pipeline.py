"""What the pipeline refuses, survives, tells, and gives back."""

from __future__ import annotations

import errno
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType

from ponder.errors import BadCheckpoint, BadImatrix, Busy, InputError, LibraryError, NoRoom
from ponder_quantize import journal, pipeline, rows
from ponder_quantize import plan as planning
from ponder_quantize.events import Event, Noted, Planned, Quantizing
from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.kernels import kernels
from ponder_quantize.pipeline import need_of, quantize
from ponder_quantize.plan import Importance, plan
from ponder_quantize.recipes import RECIPES
from ponder_quantize.source import Bytes
from quantize import importances, shapes
from quantize.made import made, quantized, weights

Type = GGMLQuantizationType
Q4 = RECIPES["Q4_K_M"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write(tmp_path_factory.mktemp("models") / "qwen.gguf", "qwen")


@pytest.fixture
def source(model: Path) -> GgufSource:
    return GgufSource(model)


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What comes out if nothing is in the way."""
    out = tmp_path_factory.mktemp("whole") / "out.gguf"
    quantized(GgufSource(model), Q4, out, identity="same")
    return out.read_bytes()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "UNIT", 8192)
    monkeypatch.setattr(rows, "SLAB", 2048)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "ponder-home")


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("name", ["ffn_up.weight", "ffn_norm.weight"])
def test_what_is_no_number_is_named(tmp_path: Path, value: float, word: str, name: str) -> None:
    data = weights()
    data[41, 7] = data[60, 3] = value
    out = tmp_path / "out.gguf"
    with pytest.raises(BadCheckpoint, match=f"{name} holds {word}, first in row 41, column 7"):
        quantized(made(**{name: data}), Q4, out, threads=1)
    assert not out.exists()
    quantized(made(**{name: data}), Q4, out, allow_nonfinite=True)
    (tensor,) = GgufSource(out).tensors
    numbers = kernels().to_float(tensor.type, tensor.parts[0].read(0, 64))
    assert np.isfinite(numbers).all() == (tensor.type == Type.Q4_K)


@pytest.mark.parametrize("recipe", ["F16", "Q8_0", "IQ4_XS"])
def test_what_is_too_large_is_named(
    tmp_path: Path, recipe: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = weights()
    data[9, 200] = 1e9
    out = tmp_path / "out.gguf"
    wanted = rf"blk\.0\.x\.weight holds 1e\+09 in row 9, column 200, .* {recipe}"
    with pytest.raises(BadCheckpoint, match=wanted):
        quantized(made(**{"blk.0.x.weight": data}), RECIPES[recipe], out)
    quantized(made(**{"blk.0.x.weight": data}), RECIPES[recipe], out, allow_nonfinite=True)
    assert out.exists()
    capfd.readouterr()  # ggml says what it found


def test_an_output_that_is_there_stays(source: GgufSource, tmp_path: Path, whole: bytes) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already"):
        quantized(source, Q4, out, identity="same")
    assert out.read_bytes() == b"mine"
    quantized(source, Q4, out, identity="same", force=True)
    assert out.read_bytes() == whole
    with pytest.raises(InputError, match="is a folder"):
        quantized(source, Q4, tmp_path, identity="same", force=True)
    with pytest.raises(InputError, match="no folder"):
        quantized(source, Q4, tmp_path / "none" / "out.gguf", identity="same")
    assert left_in(tmp_path) == ["out.gguf"]


def test_what_needs_importances_says_so(source: GgufSource, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"IQ2_XS needs an importance matrix for blk\.0") as told:
        quantized(source, RECIPES["IQ2_XS"], tmp_path / "out.gguf")
    assert "--imatrix" in told.value.hint
    partial = importances.made_up(source.tensors, "x")
    entries = {n: v for n, v in partial.entries.items() if n != "blk.1.ffn_up.weight"}
    with pytest.raises(InputError, match="this one has none for it"):
        plan(source, RECIPES["IQ2_XS"], "", Importance("x", [], 0, entries))
    planned = plan(source, Q4, "", Importance("x", [], 0, entries))
    assert "nothing for blk.1.ffn_up.weight." in " ".join(planned.notes)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"blk.0.ffn_up.weight": np.ones(255)}, "255 values for the tensor blk.0.ffn_up.weight"),
        ({"blk.0.ffn_up.weight": np.full(256, np.nan)}, "impossible values"),
        ({"blk.0.ffn_up.weight": np.full(256, -1.0)}, "impossible values"),
        ({"blk.0.ffn_up.weight": np.full(256, 1e30)}, "impossible values"),
        ({"of.another.model": np.ones(256)}, "nothing for any tensor"),
    ],
)
def test_importances_of_another_model_are_refused(
    source: GgufSource, entries: dict[str, np.ndarray], words: str
) -> None:
    given = {name: values.astype(np.float32) for name, values in entries.items()}
    with pytest.raises(BadImatrix, match=words):
        plan(source, Q4, "", Importance("x", [], 0, given))


def test_quantized_once_is_enough(source: GgufSource, tmp_path: Path) -> None:
    once = tmp_path / "once.gguf"
    quantized(source, RECIPES["Q8_0"], once)
    with pytest.raises(InputError, match="quantized already"):
        quantized(GgufSource(once), Q4, tmp_path / "twice.gguf")
    quantized(GgufSource(once), Q4, tmp_path / "twice.gguf", requantize=True)
    # What stays what it is loses nothing.
    quantized(GgufSource(once), RECIPES["Q8_0"], tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == once.read_bytes()


def test_blocks_that_are_damaged_are_not_copied(source: GgufSource, tmp_path: Path) -> None:
    once = tmp_path / "once.gguf"
    planned = quantized(source, RECIPES["Q8_0"], once)
    at = next(w.at for w in planned.tensors if w.info.name == "blk.1.ffn_up.weight")
    data = bytearray(once.read_bytes())
    data[at + 34 : at + 36] = np.float16(np.nan).tobytes()
    once.write_bytes(data)
    with pytest.raises(BadCheckpoint, match=r"blk\.1\.ffn_up\.weight holds NaN.* row 0, column 32"):
        quantized(GgufSource(once), RECIPES["Q8_0"], tmp_path / "again.gguf")


def test_two_at_once_are_told_apart(source: GgufSource, tmp_path: Path, whole: bytes) -> None:
    out, going, go_on = tmp_path / "out.gguf", threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        going.set()
        go_on.wait(60)

    first = threading.Thread(
        target=quantized, args=(source, Q4, out), kwargs={"identity": "same", "tell": slow}
    )
    first.start()
    assert going.wait(60)
    with pytest.raises(Busy, match=r"writing out\.gguf"):
        quantized(source, Q4, out, identity="same", force=True)
    go_on.set()
    first.join(60)
    assert out.read_bytes() == whole


# -- the disk -------------------------------------------------------------------------------


def test_room_is_asked_for_before_the_first_byte(
    source: GgufSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(NoRoom, match=r"takes 1\.2 MB more"):
        quantized(source, Q4, tmp_path / "out.gguf")
    assert left_in(tmp_path) == []


def test_a_disk_that_fills_up_keeps_what_is_done(
    source: GgufSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    out, real = tmp_path / "out.gguf", journal.Growing.write
    written: list[int] = []

    def full(self: journal.Growing, data: Bytes, at: int) -> None:
        if len(written) > 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(at)
        real(self, data, at)

    monkeypatch.setattr(journal.Growing, "write", full)
    with pytest.raises(NoRoom, match="is full") as told:
        quantized(source, Q4, out, identity="same")
    assert "say the same again" in told.value.hint
    assert left_in(tmp_path) == ["out.gguf.part", "out.gguf.part.journal"]
    monkeypatch.undo()
    monkeypatch.setattr(planning, "UNIT", 8192)
    planned = plan(source, Q4, "same")
    assert need_of(planned, out) < planned.layout.size
    told_events: list[Event] = []
    quantized(source, Q4, out, identity="same", tell=told_events.append)
    assert isinstance(told_events[0], Planned)
    assert told_events[0].have > 0
    assert out.read_bytes() == whole
    assert left_in(tmp_path) == ["out.gguf"]


def test_a_folder_that_cannot_be_written_is_told(
    source: GgufSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("ponder_quantize.journal.os.ftruncate", refuse)
    with pytest.raises(LibraryError, match=r"out\.gguf cannot be written: Permission denied"):
        quantized(source, Q4, tmp_path / "out.gguf")


# -- interruptions --------------------------------------------------------------------------


class Stop(Exception):
    """Somebody has had enough."""


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, BrokenPipeError])
def test_who_is_told_may_end_it_and_go_on_later(
    source: GgufSource, tmp_path: Path, whole: bytes, error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "out.gguf"
    monkeypatch.setattr(pipeline, "_OFTEN", 0.001)

    def stop(event: Event) -> None:
        if isinstance(event, Quantizing) and event.done > event.size // 3:
            raise error

    before = set(threading.enumerate())
    with pytest.raises(error):
        quantized(source, Q4, out, identity="same", tell=stop)
    assert set(threading.enumerate()) <= before
    planned = plan(source, Q4, "same")
    done = journal.done(out, planned.layout.size, len(planned.units), planned.identity)
    assert 0 < sum(done) < len(done)
    quantized(source, Q4, out, identity="same")
    assert out.read_bytes() == whole


def interrupted(source: GgufSource, out: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Quantizing) and event.done > event.size // 3:
            raise Stop

    with pytest.raises(Stop):
        quantized(source, Q4, out, identity="same", tell=stop, threads=1)


def has(source: GgufSource, out: Path, recipe: str = "Q4_K_M", identity: str = "same") -> int:
    """Units that would be gone on with."""
    planned = plan(source, RECIPES[recipe], identity)
    return sum(journal.done(out, planned.layout.size, len(planned.units), planned.identity))


def test_other_work_begins_anew(
    source: GgufSource, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_OFTEN", 0.001)
    out = tmp_path / "out.gguf"
    interrupted(source, out)
    assert has(source, out)
    assert not has(source, out, identity="another")
    assert not has(source, out, recipe="Q4_K_S")
    # A journal without its file, and a file that is not what the journal is about.
    spoiled = journal.part_of(out).read_bytes()
    journal.part_of(out).write_bytes(b"\xff" * (len(spoiled) - 1))
    assert not has(source, out)
    journal.part_of(out).unlink()
    assert not has(source, out)
    journal.part_of(out).write_bytes(b"\xff" * len(spoiled))
    quantized(source, Q4, out, identity="another")
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-3],
        lambda text: text + "3-",
        lambda text: text + "999999-1000000\n",
        lambda text: text + "-5--3\n",
        lambda text: text + "x\n",
        lambda text: text.replace("{", "[", 1),
        lambda text: "",
        lambda text: "\0" * len(text),
    ],
)
def test_a_damaged_journal_is_no_danger(
    source: GgufSource, tmp_path: Path, whole: bytes, damage: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(pipeline, "_OFTEN", 0.001)
    out = tmp_path / "out.gguf"
    interrupted(source, out)
    path = journal.journal_of(out)
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    quantized(source, Q4, out, identity="same")
    assert out.read_bytes() == whole


# -- what is told ---------------------------------------------------------------------------


def test_progress_begins_at_nothing_and_ends_at_everything(
    source: GgufSource, tmp_path: Path
) -> None:
    told: list[Event] = []
    planned = plan(source, RECIPES["Q4_K_M"], "")
    quantize(planned, tmp_path / "out.gguf", tell=told.append)
    assert told[0] == Planned(len(source.tensors), planned.source_size, planned.size, 0)
    steps = [event for event in told if isinstance(event, Quantizing)]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    last = steps[-1]
    assert (last.done, last.source_done) == (planned.size, planned.source_size)


def test_rows_that_blocks_do_not_divide_are_noted(tmp_path: Path) -> None:
    told: list[Event] = []
    source = GgufSource(shapes.write(tmp_path / "odd.gguf", "odd"))
    quantized(source, Q4, tmp_path / "out.gguf", tell=told.append)
    (note,) = [event.text for event in told if isinstance(event, Noted)]
    assert "tensors get another type than the recipe's" in note
    assert "Q5_0 for Q4_K" in note


def test_the_result_is_a_gguf_that_others_read(source: GgufSource, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    quantized(source, Q4, out)
    read = gguf.GGUFReader(out)
    assert {tensor.name for tensor in read.tensors} == {t.name for t in source.tensors}
    assert read.fields["general.file_type"].contents() == 15
    del read
