"""Which compiler and which flags suit this machine: looked up, then decided.

Knows compilers, CPU features and the environment variables that steer a build. Knows nothing
of pip, wheels or folders, and installs nothing. Standard library only: it runs first of all.

What `decide` does, from the top; the first line that fits wins:

    not Linux                                     the platform's defaults
    the user names a compiler (CC, CXX, CMAKE_ARGS) that one
    clang 16 or newer, OpenMP links               the newest such clang
    clang 16 or newer, no OpenMP; CPU with AMX,
      and gcc older than 13 or none               the newest such clang
    gcc                                           gcc
    clang 16 or newer, no OpenMP                  the newest such clang
    nothing                                       nothing: the caller says what to install

and whichever line it was: gcc older than 13 on an x86-64 CPU with AMX gets `NO_AMX`. gcc 12.2
drops the stores before `_tile_loadconfig` in llama.cpp's AMX kernels (ggml-cpu/amx/mmq.cpp), so
that the first product with quantized weights dies with SIGILL.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
"""Leaves the AMX kernels out, wherever it stands beside `-march=native`."""

OLDEST_CLANG, NEWEST_CLANG = 16, 22
SOUND_GCC = 13
"""The first gcc that has not been seen to miscompile the AMX kernels."""

CLANG_PACKAGES = {
    "apt-get": "apt install clang-19 libomp-19-dev",
    "dnf": "dnf install clang libomp-devel",
    "pacman": "pacman -S clang openmp",
    "zypper": "zypper install clang libomp-devel",
}
GCC_PACKAGES = {
    "apt-get": "apt install build-essential cmake",
    "dnf": "dnf install gcc gcc-c++ make cmake",
    "pacman": "pacman -S base-devel cmake",
    "zypper": "zypper install gcc gcc-c++ make cmake",
    "apk": "apk add build-base cmake linux-headers",
}

Run = Callable[[Sequence[str]], str | None]
"""Runs a command; its standard output, or None where it failed or does not exist."""
Which = Callable[[str], str | None]
"""`shutil.which`, or a stand-in for it."""

_PAIRS = (("clang", "clang++"), ("gcc", "g++"), ("cc", "c++"))
_C_PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
_CXX_PROBE = "#include <vector>\nint main() { return (int) std::vector<int>(2).size() - 2; }\n"


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor, as the kernel names it; `-march=native` makes a wheel its prisoner."""

    model: str
    flags: frozenset[str]

    @property
    def amx(self) -> bool:
        """Whether it multiplies int8 tiles, which is when llama.cpp uses its AMX kernels."""
        return {"amx_tile", "amx_int8"} <= self.flags


@dataclass(frozen=True, slots=True)
class Machine:
    """What a wheel depends on besides the compiler."""

    system: str
    """`linux`, `darwin`, `windows`."""
    machine: str
    """`x86_64`, `arm64`, as Python names it."""
    libc: str
    cpu: Cpu


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler and the C++ compiler that belongs to it."""

    cc: str
    """As it goes into `CC`: a path, or the user's own words (`ccache gcc`)."""
    cxx: str
    kind: str
    """`clang`, `gcc` or `unknown`."""
    major: int
    banner: str
    """First line of `--version` of both."""
    real: str = ""
    """The files behind both names, links followed."""
    openmp: bool = True

    @property
    def name(self) -> str:
        """For people: `clang 19`."""
        return f"{self.kind} {self.major}" if self.major else self.cc


@dataclass(frozen=True, slots=True)
class Found:
    """The compilers there are. `clangs` are new enough and work, newest first."""

    named: Compiler | None = None
    """The one the user named."""
    clangs: tuple[Compiler, ...] = ()
    gcc: Compiler | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to build with, and why."""

    compiler: Compiler | None
    """None: nothing usable was found, or it is left to cmake."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What is set for the build, over the user's own environment."""
    reason: str = ""
    advice: tuple[str, ...] = ()
    """What would make it faster, in lines for people."""


def decide(machine: Machine, env: Mapping[str, str], found: Found, installer: str = "") -> Decision:
    """The table at the head of this file. Pure: `env` is the user's environment.

    `installer` is the system's package manager (`apt-get`), for the advice.
    """
    if machine.system != "linux":
        return Decision(
            found.named or found.gcc, reason=f"on {machine.system} the defaults are right"
        )
    compiler, reason = _pick(machine, found)
    if compiler is None:
        return Decision(None, reason=reason)
    changes: dict[str, str] = {}
    if not _in_cmake_args(env):
        changes = {
            name: value
            for name, value in (("CC", compiler.cc), ("CXX", compiler.cxx))
            if value and not env.get(name)
        }
    own_words = " ".join(env.get(name, "") for name in ("CFLAGS", "CXXFLAGS", "CMAKE_ARGS"))
    if not _miscompiles_amx(machine, compiler) or "amx" in own_words.lower():
        return Decision(compiler, changes, reason)
    for name in ("CFLAGS", "CXXFLAGS"):
        changes[name] = f"{NO_AMX} {env.get(name, '')}".strip()
    install = CLANG_PACKAGES.get(installer, "install clang 16 or newer with OpenMP")
    advice = (
        f"{compiler.name} miscompiles llama.cpp's AMX kernels, so this build goes without them. "
        "With clang: half the build time, two to eight times the speed.",
        f"To have that: {install}, then: make engine",
    )
    return Decision(compiler, changes, f"{reason}; AMX is left out", advice)


def _pick(machine: Machine, found: Found) -> tuple[Compiler | None, str]:
    newest = found.clangs[0] if found.clangs else None
    complete = next((clang for clang in found.clangs if clang.openmp), None)
    if found.named:
        return found.named, "you named it (CC, CXX or CMAKE_ARGS)"
    if complete:
        return complete, "the newest clang that links OpenMP"
    if newest and machine.cpu.amx and (not found.gcc or _miscompiles_amx(machine, found.gcc)):
        return newest, "no OpenMP (install libomp), but right AMX kernels, which gcc < 13 has not"
    if found.gcc:
        return found.gcc, "no clang 16 or newer that links OpenMP"
    if newest:
        return newest, "the only compiler here; no OpenMP (install libomp)"
    return None, "no C and C++ compiler was found"


def _miscompiles_amx(machine: Machine, compiler: Compiler) -> bool:
    x86 = machine.machine.lower() in {"x86_64", "amd64"}
    old_gcc = compiler.kind == "gcc" and 0 < compiler.major < SOUND_GCC
    return x86 and machine.cpu.amx and old_gcc


def names_compiler(env: Mapping[str, str]) -> bool:
    """Whether the user says what to compile with."""
    return bool(env.get("CC") or env.get("CXX")) or _in_cmake_args(env)


def _in_cmake_args(env: Mapping[str, str]) -> bool:
    named = r"-D\s*CMAKE_(C_COMPILER|CXX_COMPILER|TOOLCHAIN_FILE)\b"
    return bool(re.search(named, env.get("CMAKE_ARGS", "")) or env.get("CMAKE_TOOLCHAIN_FILE"))


def partner(compiler: str, cxx: bool) -> str:
    """The C++ compiler of a C one (or, with `cxx` False, the other way); "" where unclear.

    >>> partner("/usr/bin/clang-19", cxx=True)
    '/usr/bin/clang++-19'
    """
    folder, base = os.path.split(compiler)
    for c, cpp in _PAIRS:
        mine, other = (c, cpp) if cxx else (cpp, c)
        if match := re.fullmatch(rf"((?:.*-)?){re.escape(mine)}((?:-[\d.]+)?(?:\.exe)?)", base):
            return str(Path(folder, match[1] + other + match[2]))
    return ""


def parse_cpuinfo(text: str) -> Cpu:
    """The first processor of `/proc/cpuinfo`; x86 says `flags`, ARM says `Features`."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    arm = " ".join(facts.get(name, "") for name in ("CPU implementer", "CPU part", "CPU variant"))
    flags = facts.get("flags") or facts.get("Features") or ""
    return Cpu(facts.get("model name") or arm.strip() or "unknown", frozenset(flags.split()))


def run(command: Sequence[str]) -> str | None:
    """What a command prints, in English; None where it fails, hangs or does not exist."""
    english = os.environ | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            env=english,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def this_machine(run: Run = run) -> Machine:
    """The machine this runs on."""
    system = platform.system().lower()
    if system == "linux":
        try:
            cpu = parse_cpuinfo(Path("/proc/cpuinfo").read_text(errors="replace"))
        except OSError:
            cpu = Cpu("unknown", frozenset())
    elif system == "darwin":
        brand = run(["sysctl", "-n", "machdep.cpu.brand_string"])
        cpu = Cpu((brand or platform.processor()).strip(), frozenset())
    else:
        cpu = Cpu(platform.processor(), frozenset())
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (AttributeError, OSError, ValueError):  # Windows; musl
        libc = platform.mac_ver()[0] or "unknown"
    return Machine(system, platform.machine(), libc, cpu)


def find(env: Mapping[str, str], system: str, run: Run = run, which: Which = shutil.which) -> Found:
    """Look for compilers on PATH and try them. Stops at the first clang that will be taken."""
    if names_compiler(env):
        return Found(named=_named(env, run, which))
    there: list[Compiler] = []
    if system == "linux":
        names = [f"clang-{major}" for major in range(NEWEST_CLANG, OLDEST_CLANG - 1, -1)]
        for name in (*names, "clang"):
            clang = inspect(name, partner(name, cxx=True), run, which)
            if clang and clang.kind == "clang" and clang.major >= OLDEST_CLANG:
                there.append(clang)
    working: list[Compiler] = []
    for clang in sorted(there, key=lambda clang: clang.major, reverse=True):
        openmp, works = links(clang, run)
        if works:
            working.append(replace(clang, openmp=openmp))
        if openmp:
            break
    gcc = inspect("gcc", "g++", run, which) or inspect("cc", "c++", run, which)
    return Found(clangs=tuple(working), gcc=gcc)


def _named(env: Mapping[str, str], run: Run, which: Which) -> Compiler:
    """The user's compiler as far as it can be known; an unknown one is the user's business."""
    asked = {"C": env.get("CC", ""), "CXX": env.get("CXX", "")}
    try:
        words = shlex.split(env.get("CMAKE_ARGS", ""))
    except ValueError:
        words = []
    for word in words:
        if match := re.match(r"-DCMAKE_(C|CXX)_COMPILER(?::\w+)?=(.+)", word):
            asked[match[1]] = match[2]
    cc = asked["C"] or _existing(partner(asked["CXX"], cxx=False), which)
    cxx = asked["CXX"] or _existing(partner(asked["C"], cxx=True), which)
    return inspect(cc, cxx, run, which) or Compiler(cc, cxx, "unknown", 0, "")


def _existing(name: str, which: Which) -> str:
    return name if name and which(name) else ""


def inspect(cc: str, cxx: str, run: Run, which: Which) -> Compiler | None:
    """What these two are; None where one of them is named but not there.

    Either may be "" and is then left to cmake. One may be several words: `ccache gcc`.
    """
    texts, files, majors = [], [], []
    for name in filter(None, (cc, cxx)):
        words = shlex.split(name)
        path = which(words[0])
        text = run([*words, "--version"]) if path else None
        if path is None or text is None:
            return None
        texts.append(text)
        files.append(os.path.realpath(path))
        majors.append((run([*words, "-dumpversion"]) or "").strip())
    if not texts:
        return None
    lead = texts[0].lower()
    kind = "clang" if "clang" in lead else "gcc" if "free software foundation" in lead else ""
    major = re.match(r"\d+", majors[0])
    return Compiler(
        cc=cc if " " in cc else (which(cc) or "") if cc else "",
        cxx=cxx if " " in cxx else (which(cxx) or "") if cxx else "",
        kind=kind or "unknown",
        major=int(major[0]) if major else 0,
        banner=" | ".join(text.partition("\n")[0].strip() for text in texts),
        real=os.pathsep.join(files),
    )


def links(compiler: Compiler, run: Run) -> tuple[bool, bool]:
    """Whether small programs compile and link: (C with OpenMP and C++, C++ at all)."""
    with tempfile.TemporaryDirectory(prefix="ponder-probe-") as folder:
        c, cpp = Path(folder, "probe.c"), Path(folder, "probe.cpp")
        c.write_text(_C_PROBE)
        cpp.write_text(_CXX_PROBE)
        out = str(Path(folder, "probe"))
        works = run([compiler.cxx, str(cpp), "-o", out]) is not None
        openmp = works and run([compiler.cc, "-fopenmp", str(c), "-o", out]) is not None
    return openmp, works


def package_manager(which: Which = shutil.which) -> str:
    """The system's package manager, as far as `GCC_PACKAGES` knows it, or ""."""
    return next((name for name in GCC_PACKAGES if which(name)), "")
