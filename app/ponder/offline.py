"""The network switched off: every socket but loopback refused, whatever a library tries.

Three layers, each of which holds where the one before does not reach:

* the libraries' own switches, in environment variables, so that they do not even try;
* an audit hook, which sees every socket that Python opens and refuses by address;
* on Linux a seccomp filter, which native code cannot get around: no socket but local ones
  (AF_UNIX) can be made by this process and its children. It cannot tell loopback from the
  world, so it is left out where loopback is needed.

A process cannot take any of them back. Knows addresses and system calls, and no library.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import platform
import struct
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from ponder.errors import OfflineError

VARIABLE = "PONDER_OFFLINE"
"""Set to anything but 0, false, no, off or nothing: the network is refused."""

SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    # Its native code opens sockets that no Python hook sees.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""What libraries are told."""

_LOCAL_NAMES = ("localhost", "")
_ADDRESSED = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
_RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")

_layers: list[str] = []


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for it."""
    return environ.get(VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")


def layers() -> tuple[str, ...]:
    """The layers that are active in this process; empty: the network is open."""
    return tuple(_layers)


def engage(
    loopback: bool = False, environ: MutableMapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Refuse the network from now on, in this process and its children.

    Args:
        loopback: whether servers on this machine are to be reached; leaves the kernel's fence
            out, which cannot tell them from others.
        environ: where the libraries' switches are set.

    Returns:
        the layers that are active.
    """
    environ[VARIABLE] = "1"
    environ.update(SWITCHES)
    if not _layers:
        _layers.append("libraries' switches")
        sys.addaudithook(_refuse)
        _layers.append("audit hook")
    if not loopback and "kernel fence (seccomp)" not in _layers and _fence():
        _layers.append("kernel fence (seccomp)")
    return layers()


def is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine: a path, or a loopback address."""
    if isinstance(address, str | bytes):
        return True  # a path or an abstract name: AF_UNIX
    if not isinstance(address, tuple) or not address:
        return address is None
    return is_local_host(address[0])


def is_local_host(host: Any) -> bool:
    """Whether a name or an address is this machine's own, without asking anybody."""
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "replace")
    if host is None:
        return True
    if not isinstance(host, str):
        return False
    if host in _LOCAL_NAMES:
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook; a refusal is no OSError, so that no library tries once more."""
    if event in _ADDRESSED:
        address = arguments[1] if len(arguments) > 1 else None
        # An unconnected datagram socket sends to no address; a connected one was looked at.
        if not is_local(address):
            raise _refusal(address[0] if isinstance(address, tuple) else address)
    elif event in _RESOLVING and not is_local_host(arguments[0]):
        raise _refusal(arguments[0])


def _refusal(host: Any) -> OfflineError:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return OfflineError(
        f"Offline: the connection to {name} was refused.",
        f"Leave out --offline, or unset {VARIABLE}, to use the network.",
    )


# -- the kernel's fence -----------------------------------------------------------------------

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000
_AF_UNIX = 1
_IO_URING_SETUP = 425
"""Its rings make sockets without the system call; one number on all architectures."""
_X32 = 0x40000000
"""Bit of the x32 numbers, which would get around the others (seccomp(2), Caveats)."""
_MACHINES = {
    # machine: (AUDIT_ARCH of linux/audit.h, socket, seccomp)
    "x86_64": (0xC000003E, 41, 317),
    "aarch64": (0xC00000B7, 198, 277),
}

# Classic BPF (linux/bpf_common.h): load a word of seccomp_data, jump if equal or at least, return.
_LD, _JEQ, _JGE, _RET = 0x20, 0x15, 0x35, 0x06
_NR, _ARCH, _ARG0 = 0, 4, 16


def program(arch: int, socket: int) -> list[tuple[int, int, int, int]]:
    """The filter: (code, jump if true, jump if false, constant) a step.

    Refuses, with EACCES, sockets of every family but AF_UNIX, io_uring, the x32 numbers, and
    calls of another architecture than this one.
    """
    return [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 0, 7, arch),
        (_LD, 0, 0, _NR),
        (_JGE, 5, 0, _X32),
        (_JEQ, 4, 0, _IO_URING_SETUP),
        (_JEQ, 0, 2, socket),
        (_LD, 0, 0, _ARG0),
        (_JEQ, 0, 1, _AF_UNIX),
        (_RET, 0, 0, _RET_ALLOW),
        (_RET, 0, 0, _RET_ERRNO | errno.EACCES),
    ]


def _fence() -> bool:
    """Raise the kernel's fence around all threads; false where there is none to raise."""
    facts = _MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or facts is None:
        return False
    arch, socket, seccomp = facts
    steps = program(arch, socket)
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of steps, padding, their address.
    told = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(kept)))
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        done: int = libc.syscall(
            ctypes.c_long(seccomp),
            ctypes.c_ulong(_SECCOMP_SET_MODE_FILTER),
            ctypes.c_ulong(_SECCOMP_FILTER_FLAG_TSYNC),
            ctypes.byref(told),
        )
    except (OSError, AttributeError):
        return False
    return done == 0
