"""What fits where: the arithmetic, its invariants, and what is said when it cannot be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.catalogue import Catalogue, Model, shipped
from ponder.errors import InputError, NotAModel, UnknownName, UnsupportedModel
from ponder.hardware import Gpu
from ponder.library import fit
from ponder.library.fit import Advice, Machine, Wish, advise, needed, overview, placed, quants
from ponder.library.local import Entry, builtin_path, entries, entry_of
from ponder.library.weights import QUANTS, Weights, of_file, of_shape
from ponder.sizing import KV_BITS, Outline, Room, compute_bytes, kv_bytes, slots

GIB = 1 << 30
SHIPPED = shipped()
SHAPED = [name for name, model in SHIPPED.models.items() if model.shape is not None]
LAPTOP = Machine(free=12 * GIB, total=16 * GIB, threads=4)
HUGE = Machine(free=4096 * GIB, total=4096 * GIB, threads=64)


def gpu(gib: float, unified: bool = False) -> Gpu:
    size = int(gib * GIB)
    return Gpu("a GPU", size, size, unified)


def parts(name: str, quant: str = "Q4_K_M") -> tuple[Outline, Weights]:
    model = SHIPPED.models[name]
    assert model.shape is not None
    return of_shape(model.shape, model.context, quant)


def entry(name: str) -> Entry:
    return Entry(name, None, "catalogue", SHIPPED.models[name])


# -- weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPED)
def test_a_shape_has_the_parameters_that_are_published(name: str) -> None:
    model = SHIPPED.models[name]
    reckoned = parts(name)[1].parameters / 1e9
    # Three digits are published, two of the smallest.
    assert reckoned == pytest.approx(model.parameters, rel=0.005)
    if model.active_parameters is not None:
        weights = parts(name, "F16")[1]
        active = (sum(weights.active) + weights.head + weights.embedding) / 2e9
        assert active == pytest.approx(model.active_parameters, rel=0.02)


@pytest.mark.parametrize(
    ("name", "gigabytes"), [("r1-7b", 4.7), ("r1-671b", 406.4), ("r1-70b", 42.5)]
)
def test_a_quant_has_about_the_size_of_its_files(name: str, gigabytes: float) -> None:
    assert parts(name)[1].total / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_the_quants_are_listed_from_large_to_small() -> None:
    sizes = [parts("r1-14b", quant)[1].total for quant in QUANTS]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_a_file_is_weighed_as_its_shape_is() -> None:
    path = builtin_path("ponder-tiny-Q4_K_M.gguf")
    outline, weights = of_file(path)
    about, reckoned = parts("ponder-tiny", weights.quant)
    assert replace(outline, context=0) == replace(about, context=0)
    # Which layers have the larger half of a mixed quant is the file's to tell; their sum is not.
    assert sum(weights.layers) == sum(reckoned.layers)
    assert max(weights.layers) > reckoned.layers[0] > min(weights.layers)
    # No experts: a token goes through all of every layer.
    assert weights.active == weights.layers
    assert weights == replace(reckoned, layers=weights.layers, active=weights.active, exact=True)
    assert weights.tied
    assert 0 < path.stat().st_size - weights.total < 200_000  # the header


def test_the_parts_of_a_split_file_are_weighed_together(tmp_path: Path) -> None:
    whole = builtin_path("ponder-tiny-Q4_K_M.gguf")
    first, second = (tmp_path / f"t-0000{n}-of-00002.gguf" for n in (1, 2))
    first.write_bytes(whole.read_bytes())
    second.write_bytes(whole.read_bytes())
    assert of_file(first)[1].total == 2 * of_file(whole)[1].total


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAModel):
        of_file(tmp_path / "gone.gguf")
    empty = tmp_path / "empty.gguf"
    empty.write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    with pytest.raises(UnsupportedModel, match="does not say how it is built") as refused:
        of_file(empty)
    assert "first part" in refused.value.hint


# -- memory ----------------------------------------------------------------------------------


def test_the_cache_is_as_large_as_is_known() -> None:
    for name, kib in (("r1-1.5b", 28), ("r1-7b", 56), ("r1-8b", 128), ("r1-70b", 320)):
        outline, _ = parts(name)
        assert sum(kv_bytes(outline, 1, "f16", "f16")) == kib << 10
        assert sum(kv_bytes(outline, 1, "q8_0", "q8_0")) == (kib << 10) * 8.5 / 16
    assert sum(kv_bytes(parts("r1-671b")[0], 1, "f16", "f16")) == (512 + 64) * 61 * 2


def test_all_traces_share_one_cache() -> None:
    assert Room(1000, 1, 512).cells == 1024
    assert Room(1000, 4, 512).cells == 4096
    assert [slots(n) for n in (1, 4, 127, 128)] == [4, 10, 256, 256]


ROOMS = st.builds(
    Room,
    st.integers(16, 200_000),
    st.integers(1, 64),
    st.sampled_from([32, 64, 512]),
    st.sampled_from(sorted(KV_BITS)),
    st.sampled_from(sorted(KV_BITS)),
    st.booleans(),
)
NAMES = st.sampled_from(SHAPED)


@given(NAMES, ROOMS, st.integers(1, 50_000), st.integers(1, 8))
def test_more_context_or_more_traces_never_take_less(
    name: str, room: Room, tokens: int, traces: int
) -> None:
    outline, weights = parts(name)
    less = needed(outline, weights, room, 0)
    for more in (
        replace(room, n_ctx=room.n_ctx + tokens),
        replace(room, n_seqs=room.n_seqs + traces),
    ):
        need = needed(outline, weights, more, 0)
        assert need.kv >= less.kv
        assert need.total >= less.total
        assert need.ram >= less.ram
        assert need.weights == less.weights


@given(NAMES, ROOMS)
def test_every_byte_is_somewhere(name: str, room: Room) -> None:
    outline, weights = parts(name)
    for layers in range(outline.layers + 2):
        need = needed(outline, weights, room, layers)
        assert need.gpu + need.ram == need.total
    assert needed(outline, weights, room, 0).gpu == 0
    assert needed(outline, weights, room, 999) == needed(outline, weights, room, outline.layers + 1)


@given(NAMES, ROOMS)
def test_each_layer_on_the_gpu_is_one_less_in_memory(name: str, room: Room) -> None:
    outline, weights = parts(name)
    needs = [needed(outline, weights, room, n) for n in range(outline.layers + 2)]
    assert all(more.ram <= fewer.ram for fewer, more in pairwise(needs))
    # With all of it there, nothing has to be brought there for long prompts any more.
    assert all(more.gpu > fewer.gpu for fewer, more in pairwise(needs[:-1]))
    # One layer more than that is the output; the embedding stays.
    assert needs[-1].ram >= weights.embedding
    assert needs[-1].gpu >= weights.total - weights.embedding


@given(NAMES, ROOMS)
def test_flash_attention_never_takes_more(name: str, room: Room) -> None:
    outline, _ = parts(name)
    flash = compute_bytes(outline, replace(room, flash=True))
    assert flash <= compute_bytes(outline, replace(room, flash=False))


# -- where it goes ---------------------------------------------------------------------------

RANK = {"no": 0, "cpu": 1, "partly": 2, "gpu": 3}
MACHINES = st.builds(
    Machine,
    st.integers(0, 1024).map(lambda gib: gib * GIB),
    st.just(1024 * GIB),
    st.lists(st.floats(0, 200).map(gpu), max_size=3).map(tuple),
    st.integers(1, 64),
)
WISHES = st.builds(
    Wish, st.none(), st.integers(1, 8), st.sampled_from(["f16", "q8_0"]), flash=st.booleans()
)


@settings(deadline=None)
@given(NAMES, WISHES, MACHINES, st.integers(256, 131_072), st.data())
def test_more_machine_is_never_worse_and_more_context_never_better(
    name: str, wish: Wish, machine: Machine, n_ctx: int, data: st.DataObject
) -> None:
    outline, weights = parts(name)
    verdict, need = placed(outline, weights, wish, n_ctx, machine)
    expected = {
        "gpu": need.gpu_layers == outline.layers + 1,
        "partly": 1 < need.gpu_layers <= outline.layers,
        "cpu": need.gpu_layers == 0,
        "no": need.gpu_layers == 0,
    }
    assert expected[verdict]
    if verdict != "no":
        assert need.ram <= machine.free
    more = data.draw(st.integers(0, 64)) * GIB
    larger = [replace(machine, free=machine.free + more)]
    if machine.gpus:
        first, *rest = machine.gpus
        grown = Gpu(first.name, first.free + more, first.total + more)
        larger.append(replace(machine, gpus=(grown, *rest)))
        assert placed(outline, weights, wish, n_ctx, larger[1])[1].gpu_layers >= need.gpu_layers
    for machine_ in larger:
        assert RANK[placed(outline, weights, wish, n_ctx, machine_)[0]] >= RANK[verdict]
    longer = n_ctx + data.draw(st.integers(0, 100_000))
    assert RANK[placed(outline, weights, wish, longer, machine)[0]] <= RANK[verdict]


@pytest.mark.parametrize(
    ("name", "machine", "verdict"),
    [
        ("r1-1.5b", LAPTOP, "cpu"),
        ("r1-7b", LAPTOP, "cpu"),
        ("r1-32b", LAPTOP, "no"),
        ("r1-7b", replace(LAPTOP, gpus=(gpu(24),)), "gpu"),
        ("r1-32b", replace(LAPTOP, gpus=(gpu(20),)), "partly"),
        ("r1-32b", replace(LAPTOP, gpus=(gpu(24), gpu(24))), "gpu"),
        ("r1-70b", replace(LAPTOP, gpus=(gpu(24),)), "no"),
        ("r1-671b", replace(HUGE, gpus=(gpu(24),)), "partly"),
        ("r1-671b", HUGE, "cpu"),
        # A GPU with less than its margin is as good as none.
        ("r1-1.5b", replace(LAPTOP, gpus=(gpu(1),)), "cpu"),
        # Apple's: a share of the memory, not more memory.
        ("r1-7b", Machine(12 * GIB, 16 * GIB, (gpu(10.6, unified=True),), 8), "gpu"),
        ("r1-32b", Machine(20 * GIB, 24 * GIB, (gpu(64, unified=True),), 8), "no"),
    ],
)
def test_where_models_go(name: str, machine: Machine, verdict: str) -> None:
    assert advise(entry(name), Wish(n_ctx=16_384), machine).verdict == verdict


def test_advice_tells_how_it_would_run() -> None:
    found = advise(entry("r1-32b"), Wish(8192), replace(LAPTOP, gpus=(gpu(16),)))
    assert found.verdict == "partly"
    assert (found.quant, found.exact, found.here) == ("Q4_K_M", False, False)
    assert (found.n_ctx, found.trained, found.layers) == (8192, 131_072, 65)
    speed = found.tokens_per_second(50e9)
    assert speed is not None
    assert 50e9 / found.need.weights < speed[1] < speed[0] < 100
    assert (
        advise(entry("r1-7b"), Wish(8192), replace(LAPTOP, gpus=(gpu(24),))).tokens_per_second(50e9)
        is None
    )


def test_experts_are_read_as_far_as_a_token_goes_through_them() -> None:
    found = advise(entry("r1-671b"), Wish(4096), HUGE)
    assert found.cpu_bytes < found.need.weights / 15


@settings(max_examples=30, deadline=None)
@given(NAMES, WISHES, MACHINES, st.integers(16, 2048))
def test_the_largest_context_is_the_largest(
    name: str, wish: Wish, machine: Machine, n_ctx: int
) -> None:
    found = advise(entry(name), replace(wish, n_ctx=n_ctx), machine)
    outline, weights = parts(name)

    def verdict(tokens: int) -> str:
        return placed(outline, weights, wish, tokens, machine)[0]

    if not found.largest_ctx:
        assert verdict(16) == "no"
    else:
        assert found.largest_ctx >= n_ctx or found.verdict == "no"
        best = verdict(found.largest_ctx)
        assert best == found.verdict or found.verdict == "no" != best
        if found.largest_ctx < found.trained:
            assert RANK[verdict(found.largest_ctx + 1)] < RANK[best] or best == "no"


# -- whose advice ----------------------------------------------------------------------------


def test_a_name_has_advice_on_every_quant() -> None:
    assert [advice.quant for advice in quants(entry("r1-7b"), Wish(), LAPTOP)] == list(QUANTS)


def test_what_is_here_comes_first_and_exactly(tmp_path: Path) -> None:
    tiny = entry_of("ponder-tiny", SHIPPED)
    first, *others = quants(tiny, Wish(), LAPTOP)
    quant = of_file(builtin_path("ponder-tiny-Q4_K_M.gguf"))[1].quant
    assert quant in QUANTS
    assert (first.quant, first.exact, first.here) == (quant, True, True)
    assert [advice.quant for advice in others] == [q for q in QUANTS if q != quant]
    assert not any(advice.exact or advice.here for advice in others)
    (tmp_path / "own.gguf").write_bytes(builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes())
    (only,) = quants(entry_of(str(tmp_path / "own.gguf"), SHIPPED), Wish(), LAPTOP)
    assert (only.name, only.need) == ("own", first.need)


def test_the_overview_has_every_model_and_survives_a_damaged_one(home: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "broken.gguf").write_bytes(b"GGUF")
    found, unknown = overview(entries(SHIPPED), Wish(n_ctx=65_536), LAPTOP)
    assert {advice.name for advice in found} == set(SHIPPED.models)
    assert [name for name, _ in unknown] == ["broken"]
    assert {type(error) for _, error in unknown} == {NotAModel}
    by_name: dict[str, Advice] = {advice.name: advice for advice in found}
    # No model is asked for more than it was made for.
    assert by_name["s1-32b"].n_ctx == 32_768
    assert by_name["r1-7b"].n_ctx == 65_536
    assert by_name["ponder-tiny"].n_ctx == 2048


def shapeless() -> Entry:
    model = msgspec.structs.replace(SHIPPED.models["r1-7b"], shape=None)
    return Entry("r1-7b", None, "catalogue", model)


@pytest.mark.parametrize(
    ("ask", "told", "hint"),
    [
        (lambda: advise(entry("s1-32b"), Wish(40_000), LAPTOP), "beyond", "at most 32,768"),
        (lambda: advise(shapeless(), Wish(), LAPTOP), "not known", "GGUF"),
        (lambda: quants(shapeless(), Wish(), LAPTOP), "not known", "GGUF"),
        (lambda: advise(entry("r1-7b"), Wish(), LAPTOP, "Q4"), "no quant", "Q4_K_M"),
        (lambda: Wish(type_k="f17"), "'f17'", "f16"),
        (lambda: Wish(traces=0), "0 traces", "1 to 128"),
        (lambda: Wish(traces=129), "129 traces", "1 to 128"),
        (lambda: Wish(n_ctx=15), "too small", "at least 16"),
    ],
)
def test_what_cannot_be_told_is_an_error(ask: Callable[[], object], told: str, hint: str) -> None:
    with pytest.raises((InputError, UnknownName), match=told) as refused:
        ask()
    assert hint in refused.value.hint


def test_a_users_own_quant_is_not_guessed_at() -> None:
    text = Path(str(Path(__file__).parents[2] / "models.toml")).read_text("utf-8")
    known = Catalogue(text.replace("r1-7b.ggufs.Q4_K_M", "r1-7b.ggufs.MINE"))
    model: Model = known.models["r1-7b"]
    assert list(model.ggufs) == ["MINE"]
    assert advise(Entry("r1-7b", None, "catalogue", model), Wish(), LAPTOP).quant == "Q4_K_M"


def test_this_machine_is_one() -> None:
    machine = fit.this_machine()
    assert 0 < machine.free <= machine.total
    assert machine.threads >= 1


def test_a_model_that_goes_gives_back_what_it_took() -> None:
    card = Gpu("card", free=10 << 30, total=12 << 30)
    before = Machine(free=20 << 30, total=32 << 30, gpus=(card,), threads=4)
    after = Machine(12 << 30, 32 << 30, (replace(card, free=3 << 30),), 4)
    now = Machine(11 << 30, 32 << 30, (replace(card, free=2 << 30),), 4)
    free = fit.given_back(now, before, after)
    assert free.free == 19 << 30
    assert [gpu.free for gpu in free.gpus] == [9 << 30]
    # What was taken by others, or set free by them, is nobody's model.
    assert fit.given_back(before, after, before) == before
    full = fit.given_back(before, replace(before, free=32 << 30), replace(after, free=0))
    assert full.free == before.total


@pytest.mark.parametrize("free", [4, 5, 6, 8, 12])
def test_the_most_traces_are_those_that_one_more_would_not_fit(free: int) -> None:
    small = replace(LAPTOP, free=free * GIB)
    most = fit.most_traces(entry("r1-7b"), Wish(4096, 64), small)
    assert most < 64
    for traces, fits in ((most, True), (most + 1, False)):
        if traces:
            advice = advise(entry("r1-7b"), Wish(4096, traces), small)
            assert (advice.verdict != "no") is fits
