"""The decision table of compilers.py, and what it is fed with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from compilers import (
    NO_AMX,
    Compiler,
    Cpu,
    Decision,
    Found,
    Machine,
    decide,
    find,
    inspect,
    links,
    names_compiler,
    package_manager,
    parse_cpuinfo,
    partner,
    run,
    this_machine,
)

PLAIN = Cpu("Xeon", frozenset({"avx2"}))
AMX = Cpu("Xeon", frozenset({"avx2", "amx_tile", "amx_int8", "amx_bf16"}))

CLANG = Compiler("/bin/clang-19", "/bin/clang++-19", "clang", 19, "clang 19.1.7")
CLANG_BARE = Compiler("/bin/clang-20", "/bin/clang++-20", "clang", 20, "clang 20", openmp=False)
GCC12 = Compiler("/bin/gcc", "/bin/g++", "gcc", 12, "gcc 12.2.0")
GCC13 = Compiler("/bin/gcc", "/bin/g++", "gcc", 13, "gcc 13.3.0")


def machine(cpu: Cpu, system: str = "linux", name: str = "x86_64") -> Machine:
    return Machine(system, name, "glibc 2.36", cpu)


@pytest.mark.parametrize(
    ("cpu", "found", "taken", "flags", "advised"),
    [
        (PLAIN, Found(None, (CLANG,), GCC12), CLANG, False, False),
        (AMX, Found(None, (CLANG,), GCC12), CLANG, False, False),
        (AMX, Found(None, (CLANG_BARE, CLANG), GCC12), CLANG, False, False),
        (PLAIN, Found(None, (CLANG_BARE,), GCC12), GCC12, False, False),
        (AMX, Found(None, (CLANG_BARE,), GCC13), GCC13, False, False),
        (AMX, Found(None, (CLANG_BARE,), GCC12), CLANG_BARE, False, False),
        (AMX, Found(None, (CLANG_BARE,), None), CLANG_BARE, False, False),
        (PLAIN, Found(None, (CLANG_BARE,), None), CLANG_BARE, False, False),
        (PLAIN, Found(None, (), GCC12), GCC12, False, False),
        (AMX, Found(None, (), GCC13), GCC13, False, False),
        (AMX, Found(None, (), GCC12), GCC12, True, True),
        (AMX, Found(), None, False, False),
    ],
)
def test_the_table(
    cpu: Cpu, found: Found, taken: Compiler | None, flags: bool, advised: bool
) -> None:
    decision = decide(machine(cpu), {}, found, "apt-get")
    assert decision.compiler == taken
    assert ("CFLAGS" in decision.env, "CXXFLAGS" in decision.env) == (flags, flags)
    assert bool(decision.advice) is advised
    assert decision.reason
    if taken:
        assert decision.env["CC"] == taken.cc
        assert decision.env["CXX"] == taken.cxx


def test_the_advice_is_two_lines_and_names_the_packages() -> None:
    advice = decide(machine(AMX), {}, Found(gcc=GCC12), "apt-get").advice
    assert len(advice) == 2
    assert "apt install clang-19 libomp-19-dev" in advice[1]
    assert "clang" in decide(machine(AMX), {}, Found(gcc=GCC12), "").advice[1]


def test_a_named_compiler_wins_and_is_not_renamed() -> None:
    found = Found(named=GCC13, clangs=(CLANG,))
    decision = decide(machine(AMX), {"CC": "gcc-13"}, found)
    assert decision.compiler == GCC13
    assert decision.env == {"CXX": GCC13.cxx}, "CC is the user's; its partner is filled in"
    assert decide(machine(AMX), {"CC": "gcc-13", "CXX": "g++-13"}, found).env == {}


def test_a_compiler_named_to_cmake_is_left_to_cmake() -> None:
    env = {"CMAKE_ARGS": "-DCMAKE_C_COMPILER=gcc-13 -DCMAKE_CXX_COMPILER=g++-13"}
    assert names_compiler(env)
    assert decide(machine(AMX), env, Found(named=GCC13)).env == {}
    assert not names_compiler({"CMAKE_ARGS": "-DGGML_CUDA=on"})


def test_flags_of_the_user_stand_behind_ours_and_so_win() -> None:
    env = {"CFLAGS": "-O2", "CXXFLAGS": "-O1"}
    decision = decide(machine(AMX), env, Found(gcc=GCC12))
    assert decision.env["CFLAGS"] == f"{NO_AMX} -O2"
    assert decision.env["CXXFLAGS"] == f"{NO_AMX} -O1"
    assert "CFLAGS" not in decide(machine(PLAIN), env, Found(gcc=GCC12)).env


@pytest.mark.parametrize("name", ["CFLAGS", "CXXFLAGS", "CMAKE_ARGS"])
def test_who_speaks_of_amx_is_not_overruled(name: str) -> None:
    decision = decide(machine(AMX), {name: "-DGGML_AMX_TILE=ON -mamx-tile"}, Found(gcc=GCC12))
    assert not {"CFLAGS", "CXXFLAGS"} & set(decision.env)
    assert not decision.advice


def test_a_named_old_gcc_still_loses_its_amx() -> None:
    decision = decide(machine(AMX), {"CC": "gcc", "CXX": "g++"}, Found(named=GCC12))
    assert decision.env == {"CFLAGS": NO_AMX, "CXXFLAGS": NO_AMX}


@pytest.mark.parametrize("system", ["darwin", "windows", "freebsd"])
def test_elsewhere_nothing_is_touched(system: str) -> None:
    decision = decide(machine(AMX, system), {}, Found(gcc=GCC12))
    assert (decision.env, decision.advice) == ({}, ())


def test_amx_flags_are_for_x86_only() -> None:
    assert "CFLAGS" not in decide(machine(AMX, name="aarch64"), {}, Found(gcc=GCC12)).env


@pytest.mark.parametrize(
    ("c", "cpp"),
    [
        ("clang-19", "clang++-19"),
        ("/usr/bin/clang", "/usr/bin/clang++"),
        ("gcc", "g++"),
        ("gcc-13.2", "g++-13.2"),
        ("cc", "c++"),
        ("x86_64-linux-gnu-gcc-12", "x86_64-linux-gnu-g++-12"),
        ("clang.exe", "clang++.exe"),
    ],
)
def test_partner_both_ways(c: str, cpp: str) -> None:
    assert partner(c, cxx=True) == cpp
    assert partner(cpp, cxx=False) == c


@pytest.mark.parametrize("name", ["", "icx", "ccache gcc-12 -m64", "occ2"])
def test_partner_of_the_unclear_is_nothing(name: str) -> None:
    assert partner(name, cxx=True) == ""


def test_cpuinfo_of_x86_arm_and_nothing() -> None:
    text = "processor\t: 0\nmodel name\t: Xeon @ 2.50GHz\nflags\t\t: avx2 amx_tile amx_int8\n\n"
    cpu = parse_cpuinfo(text + text.replace("Xeon", "Other"))
    assert (cpu.model, cpu.amx) == ("Xeon @ 2.50GHz", True)
    arm = parse_cpuinfo("CPU implementer\t: 0x41\nFeatures\t: fp asimd\nCPU part\t: 0xd40\n")
    assert (arm.model, arm.flags, arm.amx) == ("0x41 0xd40", frozenset({"fp", "asimd"}), False)
    assert parse_cpuinfo("") == Cpu("unknown", frozenset())
    assert not parse_cpuinfo("flags : amx_tile amx_bf16").amx


class FakePath:
    """A PATH of made-up compilers."""

    def __init__(self, clangs: dict[str, int], openmp: set[int], gcc: int | None) -> None:
        self.versions = dict(clangs)
        self.versions |= {name.replace("clang", "clang++"): n for name, n in clangs.items()}
        if gcc:
            self.versions |= {"gcc": gcc, "g++": gcc}
        self.openmp = openmp
        self.tried: list[int] = []

    def which(self, name: str) -> str | None:
        return f"/bin/{name}" if name.removeprefix("/bin/") in self.versions else None

    def run(self, command: Sequence[str]) -> str | None:
        name = command[0].removeprefix("/bin/")
        version = self.versions.get(name)
        if version is None:
            return None
        if command[1] == "--version":
            if "clang" in name:
                return f"Debian clang version {version}.1.0\nTarget: x86_64\n"
            return f"{name} (Debian {version}.2.0) {version}.2.0\nFree Software Foundation\n"
        if command[1] == "-dumpversion":
            return f"{version}\n"
        if "-fopenmp" in command:
            self.tried.append(version)
            return "" if version in self.openmp else None
        return ""


def test_find_tries_the_newest_first_and_stops_at_one_with_openmp() -> None:
    path = FakePath({"clang-17": 17, "clang-19": 19, "clang": 21}, {17, 19}, 12)
    found = find({}, "linux", path.run, path.which)
    assert [(c.major, c.openmp) for c in found.clangs] == [(21, False), (19, True)]
    assert path.tried == [21, 19]
    assert found.gcc and found.gcc.major == 12 and found.gcc.kind == "gcc"


def test_find_leaves_old_clangs_alone() -> None:
    path = FakePath({"clang": 14}, {14}, 12)
    assert find({}, "linux", path.run, path.which).clangs == ()
    assert path.tried == []


def test_find_does_not_look_further_when_told() -> None:
    path = FakePath({"clang-19": 19}, {19}, 12)
    found = find({"CC": "gcc"}, "linux", path.run, path.which)
    assert found.named and (found.named.kind, found.named.cxx) == ("gcc", "/bin/g++")
    assert found.clangs == ()
    cmake = find({"CMAKE_ARGS": "-DCMAKE_C_COMPILER:PATH=gcc"}, "linux", path.run, path.which)
    assert cmake.named and cmake.named.major == 12
    odd = find({"CXX": "icpx"}, "linux", path.run, path.which).named
    assert odd and (odd.cc, odd.cxx, odd.kind) == ("", "icpx", "unknown")


def test_find_without_anything() -> None:
    path = FakePath({}, set(), None)
    assert find({}, "linux", path.run, path.which) == Found()


def test_a_c_compiler_without_its_cxx_is_none() -> None:
    path = FakePath({}, set(), 12)
    del path.versions["g++"]
    assert inspect("gcc", "g++", path.run, path.which) is None


def test_a_compiler_of_several_words_keeps_them() -> None:
    path = FakePath({}, set(), 12)
    compiler = inspect("gcc -m64", "g++ -m64", path.run, path.which)
    assert compiler and (compiler.cc, compiler.cxx) == ("gcc -m64", "g++ -m64")


def test_package_manager() -> None:
    assert package_manager(lambda name: "/bin/dnf" if name == "dnf" else None) == "dnf"
    assert package_manager(lambda name: None) == ""


def test_this_machine_and_its_own_compiler() -> None:
    """For real: what is here is found, and links (or says that it does not)."""
    here = this_machine()
    found = find({}, here.system)
    compiler = decide(here, {}, found).compiler
    assert compiler, "a C++ compiler is part of a working checkout"
    assert compiler.banner and compiler.real
    assert links(compiler, run)[1]


def test_run_never_raises() -> None:
    assert run(["no-such-program-anywhere"]) is None
    assert run(["false"]) is None
    assert isinstance(decide(machine(PLAIN), {}, Found()), Decision)
