"""The network switched off, in child processes: no process can switch it on again."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ponder
from ponder import offline

SOURCE = str(Path(ponder.__file__).parents[1])
FENCED = sys.platform.startswith("linux") and platform.machine() in ("x86_64", "aarch64")
X86 = (0xC000003E, 41)
NATIVE = """
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
address = bytes([2, 0, 1, 187, 192, 0, 2, 1]) + bytes(8)
made = libc.socket(2, 1, 0)
print(made, ctypes.get_errno(), end=' ')
print(libc.connect(made, address, 16), ctypes.get_errno())
try:
    socket.socket()
except OSError as error:
    print(type(error).__name__)
"""
"""A connection to 192.0.2.1, port 443, by no function of Python's; and a socket by one."""


def child(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": SOURCE} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(call: str, loopback: bool = True) -> str:
    """What a call in a process that is offline dies of."""
    done = child(f"import socket\nfrom ponder import offline\noffline.engage({loopback})\n{call}")
    return done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('192.0.2.1', 443))",
        "socket.create_connection(('example.org', 443))",
        "socket.getaddrinfo('example.org', 443)",
        "socket.gethostbyname('example.org')",
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(('2001:db8::1', 443))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(('0.0.0.0', 0))",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/')",
        "import asyncio; asyncio.run(asyncio.open_connection('192.0.2.1', 443))",
    ],
)
def test_whatever_python_tries_is_refused_by_name(call: str) -> None:
    assert "OfflineError: Offline: the connection to" in refused(call)


def test_loopback_is_this_machine() -> None:
    done = child(
        "import socket, threading\n"
        "from ponder import offline\n"
        "offline.engage(loopback=True)\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname())\n"
        "peer, _ = server.accept()\n"
        "client.sendall(b'hello')\n"
        "print(peer.recv(5), offline.layers())\n"
    )
    assert done.stdout.startswith("b'hello'"), done.stderr
    assert "seccomp" not in done.stdout


@pytest.mark.skipif(not FENCED, reason="there is a fence on Linux only")
def test_native_code_and_children_stand_behind_the_fence() -> None:
    done = child(
        "import ctypes, subprocess, sys, threading\n"
        "from ponder import offline\n"
        "print(offline.engage())\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def native():\n"
        "    made = libc.socket(2, 1, 0)\n"
        "    print(made, ctypes.get_errno())\n"
        "native()\n"
        "thread = threading.Thread(target=native)\n"
        "thread.start(); thread.join()\n"
        f"code = {NATIVE!r}\n"
        "run = [sys.executable, '-c', code]\n"
        "print(subprocess.run(run, capture_output=True, text=True).stdout)\n"
    )
    layers, first, second, *rest = done.stdout.splitlines()
    assert "kernel fence (seccomp)" in layers
    assert first == second == f"-1 {errno.EACCES}"
    # No hook is in the child: the kernel alone holds it, Python and native code alike.
    assert rest[:2] == [f"-1 {errno.EACCES} -1 {errno.EBADF}", "PermissionError"]


@pytest.mark.skipif(not FENCED, reason="there is a fence on Linux only")
def test_threads_that_ran_before_stand_behind_it_too() -> None:
    done = child(
        "import ctypes, threading\n"
        "from ponder import offline\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "go = threading.Event()\n"
        "def native():\n"
        "    go.wait(20)\n"
        "    print(libc.socket(2, 1, 0))\n"
        "thread = threading.Thread(target=native)\n"
        "thread.start()\n"
        "offline.engage()\n"
        "go.set(); thread.join()\n"
    )
    assert done.stdout.strip() == "-1"


@pytest.mark.skipif(not FENCED, reason="there is a fence on Linux only")
def test_an_event_loop_and_a_chat_need_no_network() -> None:
    done = child(
        "import asyncio, socket\n"
        "from ponder import offline\n"
        "offline.engage()\n"
        "a, b = socket.socketpair()\n"
        "a.sendall(b'x')\n"
        "print(b.recv(1), asyncio.run(asyncio.sleep(0, 'ran')))\n"
    )
    assert done.stdout.strip() == "b'x' ran", done.stderr


def test_libraries_are_told() -> None:
    done = child(
        "import os\nfrom ponder import offline\noffline.engage(True)\n"
        "print(os.environ['HF_HUB_OFFLINE'], os.environ['HF_HUB_DISABLE_XET'], "
        "os.environ['PONDER_OFFLINE'])"
    )
    assert done.stdout.split() == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("value", "on"),
    [("1", True), ("yes", True), ("0", False), ("", False), ("off", False), (" False ", False)],
)
def test_the_variable(value: str, on: bool) -> None:
    assert offline.wanted({offline.VARIABLE: value}) is on
    assert not offline.wanted({})


def test_nothing_is_refused_before() -> None:
    assert offline.layers() == ()


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (("127.0.0.1", 80), True),
        (("127.8.9.1", 80), True),
        (("::1", 80, 0, 0), True),
        (("::ffff:127.0.0.1", 80), True),
        (("::ffff:192.0.2.1", 80), False),
        (("fe80::1%eth0", 80), False),
        (("localhost", 80), True),
        (("localhost.example.org", 80), False),
        (("0.0.0.0", 80), False),
        (("192.0.2.1", 80), False),
        ((b"example.org", 80), False),
        ("/run/some.socket", True),
        (b"\0abstract", True),
        (None, True),
        ((7, 0), False),
        (7, False),
    ],
)
def test_what_is_local(address: object, local: bool) -> None:
    assert offline.is_local(address) is local


def verdict(number: int, arch: int, family: int) -> int:
    """What the filter returns: a classic BPF machine, as far as the filter needs one."""
    words = {0: number, 4: arch, 16: family}
    steps = offline.program(*X86)
    loaded = at = 0
    while True:
        code, true, false, constant = steps[at]
        at += 1
        if code == 0x20:
            loaded = words[constant]
        elif code == 0x15:
            at += true if loaded == constant else false
        elif code == 0x35:
            at += true if loaded >= constant else false
        else:
            assert code == 0x06
            return constant


ALLOWED, DENIED = 0x7FFF0000, 0x00050000 | errno.EACCES


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_filter_lets_everything_pass_but_sockets(number: int, family: int) -> None:
    socket = number == X86[1] and family != 1
    closed = socket or number == 425 or number >= 0x40000000
    assert verdict(number, X86[0], family) == (DENIED if closed else ALLOWED)


@given(st.integers(0, 2**32 - 1).filter(lambda arch: arch != X86[0]))
def test_the_filter_lets_no_other_architecture_pass(arch: int) -> None:
    assert verdict(0, arch, 1) == DENIED


def test_ponder_offline_answers_and_says_so(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ponder", "--offline", "ask", "--seed", "1", "What is 12 + 30?"],
        env=os.environ | {"PYTHONPATH": SOURCE, "PONDER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "42" in done.stdout
