"""Files and wishes that cannot be used end in an error that says why, and never in a signal.

llama.cpp asserts on some damage, and an assertion takes the process with it; so what is risky
is loaded in a child. One child tries many files, each in a fork of its own.
"""

from __future__ import annotations

import json
import lzma
import math
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.engines.llama.vocab import vocabulary_of
from ponder.errors import InputError, NotAModel, PonderError, UnsupportedModel
from ponder.gguf_header import read_header

LOADER = """
import json, os, signal, sys
from pathlib import Path
from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.errors import PonderError

for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            LlamaEngine(Path(name), LlamaConfig(threads=1, gpu_layers=0)).shutdown()
            said = {"error": None}
        except PonderError as e:
            said = {"error": type(e).__name__, "message": e.message, "hint": e.hint}
        except BaseException as e:
            said = {"error": repr(e), "message": "", "hint": ""}
        print(json.dumps(said), flush=True)
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if died:
        print(json.dumps({"error": f"exit {died}", "message": "", "hint": ""}), flush=True)
"""


def outcomes(*paths: Path) -> list[dict[str, str | None]]:
    """What loading each file came to, all in one child process."""
    child = subprocess.run(
        [sys.executable, "-c", LOADER, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        # An assertion would have gdb, where there is one, write between what the forks say.
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
    )
    assert child.returncode == 0, child.stderr[-2000:]
    found: list[dict[str, str | None]] = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(found) == len(paths), child.stderr[-2000:]
    return found


@pytest.fixture(scope="module")
def whole(builtin: Path) -> bytes:
    return builtin.read_bytes()


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def string(text: bytes) -> bytes:
    return u64(len(text)) + text


def key(name: str, kind: int, value: bytes) -> bytes:
    return string(name.encode()) + u32(kind) + value


def gguf(*keys: bytes, n_tensors: int = 0, n_keys: int | None = None, tail: bytes = b"") -> bytes:
    """A GGUF by hand (ggml/docs/gguf.md)."""
    count = len(keys) if n_keys is None else n_keys
    return b"GGUF" + u32(3) + u64(n_tensors) + u64(count) + b"".join(keys) + tail


ARCHITECTURE = key("general.architecture", 8, string(b"qwen2"))


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    """The first place where `old` stands, overwritten; nothing moves."""
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new, 1)


def overwritten(data: bytes, at: int, new: bytes) -> bytes:
    """With other bytes from a place on; nothing moves."""
    return data[:at] + new + data[at + len(new) :]


def behind(data: bytes, mark: bytes) -> int:
    """Where the first `mark` ends."""
    return data.index(mark) + len(mark)


def revalued(data: bytes, name: str, value: bytes) -> bytes:
    """One scalar of the metadata, overwritten."""
    return overwritten(data, behind(data, string(name.encode())) + 4, value)


TOKENS = b"tokenizer.ggml.tokens" + u32(9) + u32(8)


def twins(data: bytes) -> tuple[slice, slice]:
    """Where two tokens of one length lie, of six bytes or more."""
    at = behind(data, TOKENS) + 8
    seen: dict[int, slice] = {}
    while True:
        token = slice(at + 8, at + 8 + int.from_bytes(data[at : at + 8], "little"))
        at = token.stop
        length = at - token.start
        if length in seen:
            return seen[length], token
        if length >= 6:
            seen[length] = token


def doubled(data: bytes) -> bytes:
    """A vocabulary in which one token has the text of another."""
    one, other = twins(data)
    return overwritten(data, other.start, data[one])


def doubled_by_zeros(data: bytes) -> bytes:
    """A vocabulary in which two tokens have the same text up to a zero, and another after it."""
    for token in twins(data):
        data = overwritten(data, token.start, b"\1\1\0")
    return data


def weights_at(data: bytes, path: Path) -> int:
    """Where the header has ended, and the first tensor's bytes begin."""
    return len(data) - sum(tensor.size for tensor in read_header(path).tensors)


# -- no file to speak of -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "told", "hint"),
    [
        (lambda path: None, "There is no file", "ponder models"),
        (lambda path: path.mkdir(), "is a folder", ".gguf file inside"),
        (lambda path: path.write_bytes(b""), "not a GGUF", "converted"),
        (lambda path: path.write_text("hello\n" * 100), "not a GGUF", "converted"),
        (lambda path: path.write_bytes(b"GGML" + bytes(99)), "not a GGUF", "converted"),
        (lambda path: path.write_bytes(b"GGUF\3\0\0\0ab"), "ends inside", "again"),
        (lambda path: path.write_bytes(b"GGUF" + u32(1) + bytes(99)), "version 1", "Convert"),
        (lambda path: path.write_bytes(b"GGUF" + u32(0) + bytes(99)), "version 0", "Convert"),
        (lambda path: path.write_bytes(b"GGUF" + u32(77) + bytes(99)), "version 77", "Convert"),
        (lambda path: path.write_bytes(b"GGUF\0\0\0\3" + bytes(99)), "big-endian", "Convert"),
        (lambda path: path.symlink_to(path.parent / "gone"), "There is no file", "Check the path"),
        (lambda path: path.symlink_to(path), "cannot be read", "Check the path"),
        (lambda path: path.symlink_to("/dev/null"), "no plain file", ".gguf"),
    ],
)
def test_no_gguf_at_all(
    tmp_path: Path, make: Callable[[Path], object], told: str, hint: str
) -> None:
    path = tmp_path / "model.gguf"
    make(path)
    with pytest.raises(NotAModel, match=told) as refused:
        LlamaEngine(path)
    assert hint in refused.value.hint


def test_a_path_below_a_file_is_no_model(builtin: Path) -> None:
    with pytest.raises(NotAModel, match="cannot be read"):
        LlamaEngine(builtin / "model.gguf")


# -- damage ------------------------------------------------------------------------------------


def test_a_file_that_was_cut_short(tmp_path: Path, whole: bytes, builtin: Path) -> None:
    vocabulary, tensors = behind(whole, TOKENS), whole.index(string(b"output_norm.weight"))
    data = weights_at(whole, builtin)
    # In the fixed part, in a key, in the vocabulary, between the tensors, in their data.
    cuts = [
        10, 24, 30, vocabulary - 50, vocabulary + 10_000, tensors, (tensors + data) // 2,
        data + 5_000, len(whole) // 2, len(whole) - 1,
    ]  # fmt: skip
    paths = []
    for cut in cuts:
        paths.append(tmp_path / f"cut-{cut}.gguf")
        paths[-1].write_bytes(whole[:cut])
    for cut, found in zip(cuts, outcomes(*paths), strict=True):
        assert found["error"] == "NotAModel", (cut, found)
        assert found["message"]
        assert "again" in (found["hint"] or ""), (cut, found)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_header_cut_anywhere_is_known_as_cut(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, builtin: Path, data: st.DataObject
) -> None:
    # The padding that may follow is no part of it.
    cut = data.draw(st.integers(4, weights_at(whole, builtin) - 32))
    path = tmp_path_factory.mktemp("cut") / "cut.gguf"
    path.write_bytes(whole[:cut])
    with pytest.raises(NotAModel, match=r"ends inside|claims") as refused:
        read_header(path)
    assert "again" in refused.value.hint


HUGE = 2**62
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a huge number of keys": lambda d: d[:16] + u64(HUGE) + d[24:],
    "more keys than there are": lambda d: d[:16] + u64(60) + d[24:],
    "fewer keys than there are": lambda d: d[:16] + u64(3) + d[24:],
    "a huge number of tensors": lambda d: d[:8] + u64(HUGE) + d[16:],
    "more tensors than there are": lambda d: d[:8] + u64(150) + d[16:],
    "a number of keys below zero": lambda d: d[:16] + b"\xff" * 8 + d[24:],
    "a huge key": lambda d: d[:24] + u64(HUGE) + d[32:],
    "a key as long as the file": lambda d: d[:24] + u64(len(d)) + d[32:],
    "a key without a name": lambda d: d[:24] + u64(0) + d[32:],
    "an unknown type": lambda d: patched(
        d, string(b"general.type") + u32(8), string(b"general.type") + u32(88)
    ),
    "a huge string": lambda d: patched(
        d, string(b"qwen2"), u64(HUGE) + b"qwen2"
    ),
    "a huge array": lambda d: patched(
        d, TOKENS, TOKENS[:-4] + u32(4)
    ),
    "an array of arrays": lambda d: patched(
        d, TOKENS, TOKENS[:-4] + u32(9)
    ),
    "a token twice": doubled,
    "a token that a zero makes the same": doubled_by_zeros,
    "a tensor of many dimensions": lambda d: patched(
        d, string(b"output_norm.weight") + u32(1), string(b"output_norm.weight") + u32(2**31)
    ),
    "a tensor of another size": lambda d: overwritten(
        d, behind(d, string(b"output_norm.weight") + u32(1)), u64(2**40)
    ),
    "a tensor by another name": lambda d: patched(
        d, string(b"output_norm.weight"), string(b"output_worm.weight")
    ),
    "all zeros after the header": lambda d: d[:24] + bytes(len(d) - 24),
    "nothing but noise": lambda d: d[:8] + bytes(range(256)) * 4096,
}  # fmt: skip


def test_damage_is_named_and_kills_nobody(tmp_path: Path, whole: bytes) -> None:
    paths: list[Path] = []
    for at, damage in enumerate(DAMAGE.values()):
        paths.append(tmp_path / f"{at}.gguf")
        paths[-1].write_bytes(damage(whole))
    for name, found in zip(DAMAGE, outcomes(*paths), strict=True):
        assert found["error"] == "NotAModel", (name, found)
        assert "damaged or incomplete" in (found["message"] or ""), (name, found)
        assert "sha256" in (found["hint"] or ""), (name, found)


def test_shapes_that_llama_cpp_dies_of_are_refused(tmp_path: Path, whole: bytes) -> None:
    files = {
        "qwen2.block_count": [u32(0), u32(513), u32(2**32 - 1)],
        "qwen2.context_length": [u32(0), u32(3)],
        # Of heads whose length is given, so many that they are not as wide as the embedding.
        "qwen2.attention.head_count": [u32(0), u32(4), u32(7), u32(2**32 - 1)],
        "qwen2.attention.layer_norm_rms_epsilon": [
            struct.pack("<f", -1.0), struct.pack("<f", float("nan")),
        ],
    }  # fmt: skip
    paths: list[Path] = []
    names: list[str] = []
    for name, values in files.items():
        for value in values:
            names.append(name)
            paths.append(tmp_path / f"{len(paths)}.gguf")
            paths[-1].write_bytes(revalued(whole, name, value))
    for name, found in zip(names, outcomes(*paths), strict=True):
        assert found["error"] == "UnsupportedModel", (name, found)
        assert name in (found["message"] or "")
        assert found["hint"]


def test_other_strange_values_are_errors_or_nothing(tmp_path: Path, whole: bytes) -> None:
    names = (
        "qwen2.embedding_length", "qwen2.feed_forward_length", "qwen2.attention.head_count",
        "qwen2.attention.head_count_kv", "qwen2.attention.key_length",
        "qwen2.attention.value_length", "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id",
    )  # fmt: skip
    paths: list[Path] = []
    for name in names:
        for value in (0, 7, 2**31, 2**32 - 1):
            paths.append(tmp_path / f"{len(paths)}.gguf")
            paths[-1].write_bytes(revalued(whole, name, u32(value)))
    known = {None, "NotAModel", "UnsupportedModel", "EngineError"}
    found = outcomes(*paths)
    assert {outcome["error"] for outcome in found} <= known
    assert all(outcome["message"] for outcome in found if outcome["error"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_bytes_gone_wrong_kill_nobody(
    tmp_path_factory: pytest.TempPathFactory,
    whole: bytes,
    builtin: Path,
    data: st.DataObject,
) -> None:
    # In the header, and a little further.
    place = st.integers(0, weights_at(whole, builtin) + 5_000)
    damage = st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6)
    folder, paths = tmp_path_factory.mktemp("noise"), []
    for at, wrong in enumerate(data.draw(st.lists(damage, min_size=8, max_size=8))):
        damaged = bytearray(whole)
        for where, byte in wrong:
            damaged[where] = byte
        paths.append(folder / f"{at}.gguf")
        paths[-1].write_bytes(damaged)
    known = {None, "NotAModel", "UnsupportedModel", "EngineError"}
    for found in outcomes(*paths):
        assert found["error"] in known, found
        assert found["error"] is None or found["message"]
    for path in paths:
        path.unlink()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 9), st.integers(0, 9))
def test_any_bytes_are_a_header_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, n_keys: int, n_tensors: int
) -> None:
    path = tmp_path_factory.mktemp("noise") / "noise.gguf"
    path.write_bytes(gguf(n_keys=n_keys, n_tensors=n_tensors, tail=noise))
    try:
        header = read_header(path)
    except PonderError as error:
        assert error.message
        assert error.hint
    else:
        assert header.n_tensors == n_tensors


# -- whole files that are no model of ours -----------------------------------------------------


def test_an_architecture_that_llama_cpp_does_not_know(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "new.gguf"
    path.write_bytes(whole.replace(b"qwen2", b"qwen9"))
    with pytest.raises(UnsupportedModel, match="qwen9") as refused:
        LlamaEngine(path)
    assert "architecture" in refused.value.message
    assert "llama-cpp-python" in refused.value.hint


def test_no_metadata_at_all(tmp_path: Path) -> None:
    empty, named = tmp_path / "empty.gguf", tmp_path / "named.gguf"
    empty.write_bytes(gguf())
    named.write_bytes(gguf(ARCHITECTURE, tail=bytes(64)))
    for found in outcomes(empty, named):
        assert found["error"] in ("NotAModel", "UnsupportedModel"), found
        assert found["message"]
        assert found["hint"]


@pytest.mark.parametrize("name", ["model", "tokens"])
def test_no_tokenizer(tmp_path: Path, whole: bytes, name: str) -> None:
    path = tmp_path / "mute.gguf"
    old = f"tokenizer.ggml.{name}".encode()
    path.write_bytes(patched(whole, old, b"x" + old[1:]))
    (found,) = outcomes(path)
    assert found["error"] == "UnsupportedModel", found
    assert "tokenizer" in (found["message"] or "")
    assert "Convert" in (found["hint"] or "")


def test_a_tokenizer_that_says_it_is_none(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "mute.gguf"
    path.write_bytes(
        patched(whole, b"tokenizer.ggml.model" + u32(8) + string(b"gpt2"),
                b"tokenizer.ggml.model" + u32(8) + string(b"none"))
    )  # fmt: skip
    (found,) = outcomes(path)
    assert found["error"] == "UnsupportedModel", found
    assert "tokenizer" in (found["message"] or "")


def test_a_missing_chat_template_is_no_error_here(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "untaught.gguf"
    path.write_bytes(patched(whole, b"tokenizer.chat_template", b"tokenizer.chap_template"))
    engine = LlamaEngine(path, LlamaConfig(n_ctx=256, threads=1))
    try:
        assert engine.vocab.chat_template is None
    finally:
        engine.shutdown()


def test_a_vocabulary_alone_is_no_model(tmp_path: Path) -> None:
    packed = Path(__file__).parents[1] / "data" / "r1-distill-qwen-7b.vocab.gguf.xz"
    path = tmp_path / "vocabulary.gguf"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    assert read_header(path).n_tensors == 0
    (found,) = outcomes(path)
    assert found["error"] == "NotAModel", found
    with vocabulary_of(path) as vocab:
        assert vocab.encode("</think>", special=True) == [vocab.encode("x</think>", True)[-1]]


# -- the header --------------------------------------------------------------------------------


def test_a_header_tells_its_facts(builtin: Path, tmp_path: Path) -> None:
    header = read_header(builtin)
    assert (header.version, header.n_tensors) == (3, 98)
    assert header.facts["general.architecture"] == "qwen2"
    assert header.facts["qwen2.context_length"] == 2048
    assert header.facts["tokenizer.ggml.add_bos_token"] is True
    values: dict[int, tuple[bytes, object]] = {
        0: (b"\xff", 255), 1: (b"\xff", -1), 2: (b"\1\1", 257), 3: (b"\xff\xff", -1),
        4: (u32(5), 5), 5: (u32(2**32 - 5), -5), 6: (struct.pack("<f", 0.5), 0.5), 7: (b"\1", True),
        8: (string("é".encode()), "é"), 10: (u64(2**40), 2**40), 11: (u64(2**64 - 3), -3),
        12: (struct.pack("<d", 0.1), 0.1),
    }  # fmt: skip
    keys = [key(f"k{kind}", kind, value) for kind, (value, _) in values.items()]
    arrays = [
        key("numbers", 9, u32(4) + u64(3) + bytes(12)),
        key("words", 9, u32(8) + u64(2) + string(b"a") + string(b"")),
        key("none", 9, u32(8) + u64(0)),
        key("tokenizer.ggml.tokens", 9, u32(8) + u64(2) + string(b"") + string(b"")),
    ]
    path = tmp_path / "all.gguf"
    path.write_bytes(gguf(*arrays, *keys))
    assert read_header(path).facts == {f"k{kind}": fact for kind, (_, fact) in values.items()}
    # An array of numbers, one for each layer, may be a fact too.
    assert read_header(path).lists == {"numbers": (0, 0, 0)}


def test_a_header_tells_the_size_of_each_tensor(whole: bytes, builtin: Path) -> None:
    header = read_header(builtin)
    by_name = {tensor.name: tensor for tensor in header.tensors}
    assert len(by_name) == int.from_bytes(whole[8:16], "little")
    hidden, layers = header.facts["qwen2.embedding_length"], header.facts["qwen2.block_count"]
    rows = int.from_bytes(whole[behind(whole, TOKENS) :][:8], "little")
    assert by_name["token_embd.weight"].shape == (hidden, rows)
    assert by_name["output_norm.weight"].shape == (hidden,)
    assert f"blk.{int(layers) - 1}.attn_q.weight" in by_name
    assert len({tensor.type for tensor in header.tensors}) > 1
    for tensor in header.tensors:
        # Blocks of so many weights, each of so many bytes; then up to a multiple of the alignment.
        block, width = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type)]
        assert tensor.size == -(-math.prod(tensor.shape) // block * width // 32) * 32, tensor
    # The weights begin where the last tensor has been announced.
    announced = behind(whole, string(header.tensors[-1].name.encode())) + 4 + 2 * 8 + 4 + 8
    assert 0 <= weights_at(whole, builtin) - announced < 32


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_file_cut_short_announces_what_it_should_have_had(
    tmp_path: Path, whole: bytes, builtin: Path, share: float
) -> None:
    path = tmp_path / "cut.gguf"
    start = weights_at(whole, builtin)
    path.write_bytes(whole[: start + int(share * (len(whole) - start))])
    told, real = read_header(path).tensors, read_header(builtin).tensors
    assert all(tensor.size >= 0 for tensor in told)
    # Only what comes last has no next one to be measured by.
    assert sum(one != other for one, other in zip(told, real, strict=True)) == 1


# -- wishes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "told", "hint"),
    [
        (LlamaConfig(n_ctx=2049), "2,049", "at most 2,048"),
        (LlamaConfig(n_ctx=1_000_000), "trained", "at most 2,048"),
        (LlamaConfig(n_ctx=15), "too small", "at least 16"),
        (LlamaConfig(n_ctx=0), "too small", "at least 16"),
        (LlamaConfig(n_ctx=-5), "too small", "at least 16"),
        (LlamaConfig(slice_size=1), "too small", "at least 16"),
        (LlamaConfig(kv_type_k="q9_9"), "'q9_9'", "q8_0"),
        (LlamaConfig(kv_type_v="f61"), "'f61'", "f16"),
        (LlamaConfig(flash_attention="maybe"), "'maybe'", "auto"),  # type: ignore[arg-type]
        (LlamaConfig(kv_type_v="q8_0", flash_attention="off"), "flash", "auto"),
        (LlamaConfig(n_seqs=0), "0 sequences", "1 to 128"),
        (LlamaConfig(n_seqs=129), "129 sequences", "1 to 128"),
        (LlamaConfig(threads=0), "thread", ""),
    ],
)
def test_a_wish_that_cannot_be_granted(
    builtin: Path, config: LlamaConfig, told: str, hint: str
) -> None:
    with pytest.raises(InputError, match=told) as refused:
        LlamaEngine(builtin, config)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(n_ctx=16, n_seqs=1),
        LlamaConfig(n_ctx=16, n_seqs=128),
        LlamaConfig(n_ctx=64, n_seqs=60, slice_size=32),  # more slots than tokens in a batch
        LlamaConfig(n_ctx=2048, slice_size=16),
        LlamaConfig(n_ctx=16, slice_size=4096),
    ],
    ids=repr,
)
def test_the_edges_of_what_can_be_wished_for(builtin: Path, config: LlamaConfig) -> None:
    # In a child: an assertion would be the end of this one.
    script = (
        "from pathlib import Path\n"
        "from ponder.engines.llama import LlamaConfig, LlamaEngine\n"
        "from ponder.types import Sampling\n"
        f"engine = LlamaEngine(Path({str(builtin)!r}), {config!r})\n"
        "seqs = [engine.open((5, 6, 7), Sampling()) for _ in range(engine.n_seqs)]\n"
        "said = dict.fromkeys(seqs, 0)\n"
        "while min(said.values()) < 3:\n"
        "    for chunk in engine.step({s: 1 for s in seqs if said[s] < 3}):\n"
        "        said[chunk.seq] += len(chunk.tokens)\n"
        "engine.shutdown()\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    died = signal.Signals(-child.returncode).name if child.returncode < 0 else child.returncode
    assert died == 0, child.stderr[-2000:]


def test_loading_stops_where_its_listener_says_so(builtin: Path) -> None:
    def interrupt(_fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LlamaEngine(builtin, on_progress=interrupt)
    told: list[float] = []
    LlamaEngine(builtin, on_progress=told.append).shutdown()
    assert told[-1] == 1.0
