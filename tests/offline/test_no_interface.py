"""Where there is no interface at all: models arrive, run and are asked, and nothing is attempted.

With `--offline` and without it. What is proven each time: none of ponder's processes, children
and threads asks the kernel for a socket of any family but AF_UNIX, and so none connects, sends a
packet or looks up a name; `--offline` has nothing to refuse, it only makes sure.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from e2e.terminal import PONDER, Terminal, environment
from library.bundle import kit
from offline import namespace
from offline.namespace import Place
from ponder.library.bundle import signing
from ponder.library.local import builtin_path

pytestmark = pytest.mark.skipif(bool(namespace.missing()), reason=namespace.missing())

TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")
CTRL_Q = "\x11"
FENCES = pytest.mark.parametrize("fence", [[], ["--offline"]], ids=["open", "offline"])
NATIVE = (
    "import ctypes, threading\n"
    "libc = ctypes.CDLL(None)\n"
    "address = bytes([2, 0, 1, 187, 192, 0, 2, 1]) + bytes(8)\n"
    "call = lambda: print(libc.connect(libc.socket(2, 1, 0), address, 16))\n"
    "thread = threading.Thread(target=call)\n"
    "thread.start(); thread.join()\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def user(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of somebody who has set none."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for switch in namespace.SWITCHES:
        monkeypatch.delenv(switch, raising=False)
    return environment(home)


def ponder(place: Place, user: dict[str, str], *words: str, code: int = 0) -> str:
    """Its stdout, or its stderr where it is to fail."""
    done = place.run([*PONDER, *words], user)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.1', 443))",
        "import socket; socket.create_connection(('127.0.0.1', 443))",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "import socket; socket.getaddrinfo('example.org', 443)",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {NATIVE!r}])",
        f"from ponder import offline; offline.engage()\n{NATIVE}",
        "import ctypes; ctypes.CDLL(None).syscall(425, 1, 0)",
    ],
    ids=["address", "loopback", "socket", "name", "native", "refused", "io_uring"],
)
def test_what_is_attempted_is_seen(place: Place, user: dict[str, str], attempt: str) -> None:
    done = place.run([sys.executable, "-c", attempt], user)
    assert place.attempts()
    # And it leads nowhere: loopback is down too.
    assert done.returncode != 0 or done.stdout.strip() in ("", "-1")


def test_local_sockets_are_none(place: Place, user: dict[str, str]) -> None:
    done = place.run([sys.executable, "-c", "import socket; socket.socketpair()"], user)
    assert done.returncode == 0, done.stderr
    assert "socketpair(AF_UNIX" in place.records[0].read_text()
    assert place.attempts() == []


@FENCES
def test_a_bundle_arrives_and_is_asked(
    place: Place, user: dict[str, str], home: Path, tmp_path: Path, fence: list[str]
) -> None:
    near, archive = tmp_path / "near", tmp_path / "all.tar"
    (near / "models").mkdir(parents=True)
    shutil.copy(TINY, near / "models/carried.gguf")
    public, _ = signing.generate(tmp_path / "key")
    kit.pack(near, archive, split=2 << 20, key=signing.signing_key(tmp_path / "key"))
    words = [str(archive), "--key", str(public)]
    ponder(place, user, *fence, "bundle", "verify", *words)
    assert ponder(place, user, *fence, "bundle", "install", *words, "--yes") == "carried\n"
    ponder(place, user, *fence, "verify")
    sampling = ["--seed", "1", "--budget", "64"]
    asked = ponder(place, user, *fence, "ask", "--model", "carried", *sampling, "What is 12 + 30?")
    assert "42" in asked
    assert place.attempts() == []


@FENCES
@pytest.mark.parametrize(
    "words",
    [
        ["ask", "--seed", "1", "--budget", "64", "What is 12 + 30?"],
        ["doctor"],
        ["fit"],
        ["models"],
    ],
    ids=lambda words: words[0],
)
def test_what_needs_no_network_asks_for_none(
    place: Place, user: dict[str, str], fence: list[str], words: list[str]
) -> None:
    assert ponder(place, user, *fence, *words)
    assert place.attempts() == []


@FENCES
def test_a_chat(place: Place, user: dict[str, str], home: Path, fence: list[str]) -> None:
    chat = Terminal(home, *fence, under=place.prefix())
    chat.until(lambda text: "ponder-tiny" in text.split("\n")[0] and "budget:" in text)
    chat.send("What is 12 + 30?\r")
    assert "42" in chat.until("closed: the model closed its thinking itself")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert place.attempts() == []
    (told,) = json.loads(ponder(place, user, *fence, "history", "list", "--json"))
    assert told["title"] == "What is 12 + 30?"


def test_a_pull_is_refused_before_it_begins(place: Place, user: dict[str, str]) -> None:
    said = ponder(place, user, "--offline", "pull", "r1-1.5b", code=1)
    assert "PONDER_OFFLINE is set: nothing is fetched." in said
    assert "ponder import PATH" in said
    said = ponder(place, user | {"PONDER_OFFLINE": "1"}, "pull", "a/b:Q4_K_M", code=1)
    assert "nothing is fetched" in said
    assert place.attempts() == []
