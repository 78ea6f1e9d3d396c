"""Programs where there is no network, and every socket that they ask for.

A network namespace of its own, with nothing in it but a loopback that is down, so that not even
a server on this machine answers; and strace(1), which sees each system call on its way into the
kernel, by Python or by native code, in every thread and child, also those that are refused.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = "trace=network,io_uring_setup"
"""Whatever makes a socket, names an address or sends; io_uring does all of it by itself."""
_LOCAL = "AF_UNIX"
_FAMILY = re.compile(r"\b(?:socket|socketpair)\((\w+)|sa_family=(\w+)")
_CALL = re.compile(r"^\d+ +(?P<name>\w+)\(")
SWITCHES = (
    *("HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_XET"),
    *("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PONDER_OFFLINE"),
)
"""What would keep a library from trying, or point it to loopback."""


@functools.cache
def missing() -> str:
    """Why there can be no such place here; empty if there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    for tool, package in (("unshare", "util-linux"), ("strace", "strace")):
        if shutil.which(tool) is None:
            return f"needs {tool} (Debian's package {package})"
    tried = subprocess.run(
        [*_unshare(), "strace", "-f", "-o", os.devnull, "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"not permitted here: {tried.stderr.strip()}" if tried.returncode else ""


def _unshare() -> list[str]:
    # Only root may leave the network; whoever is not becomes root of nothing but this.
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--net", *own, "--"]


def inside(record: Path) -> list[str]:
    """The words before a command that let it run there and write its calls into a file."""
    return [*_unshare(), "strace", "-f", "-q", "-e", _CALLS, "-o", str(record)]


def attempts(record: Path) -> list[str]:
    """The calls that were about more than this machine's own sockets (AF_UNIX), as written.

    A process gets no socket but by asking for one: none of another family made, none sent on.
    """
    found = []
    lines = record.read_text(errors="replace").splitlines()
    assert "+++ exited with" in lines[-1], "nobody looked on to the end"
    for line in lines:
        call = _CALL.match(line)
        families = {one or other for one, other in _FAMILY.findall(line)}
        if families - {_LOCAL} or (call is not None and call["name"] == "io_uring_setup"):
            found.append(line)
    return found


@dataclass
class Place:
    """Runs programs there.

    Args:
        folder: where the records of their calls are written.
    """

    folder: Path
    records: list[Path] = field(default_factory=list)

    def prefix(self) -> list[str]:
        """`inside`, with a new record."""
        record = self.folder / f"calls{len(self.records)}"
        self.records.append(record)
        return inside(record)

    def run(
        self, command: Sequence[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; nothing is inherited that could be a socket."""
        return subprocess.run(
            [*self.prefix(), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def attempts(self) -> list[str]:
        """Those of all that ran."""
        assert self.records
        return [line for record in self.records for line in attempts(record)]
