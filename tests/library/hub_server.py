"""A hub on loopback: what huggingface_hub asks for, and all the ways in which it can go wrong.

Two servers: the hub itself and the place that it redirects large files to, as the real one has.
Endpoints and headers as huggingface_hub 2.4 uses them:

* GET /api/models/OWNER/NAME/revision/REV?blobs=true
* HEAD, GET [/datasets]/OWNER/NAME/resolve/REV/FILE -> 302 to the other server, X-Repo-Commit,
  X-Linked-*
* GET /cdn/SHA256, with Range
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

PIECE = 16 * 1024
"""Bytes, written to the socket at a time."""


@dataclass
class Repository:
    """A model's repository with its history."""

    name: str
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    token: str = ""
    """Who has it may read; empty: everybody."""
    small: frozenset[str] = frozenset()
    """Files that are in git itself and not in LFS."""


@dataclass
class Asked:
    """One request, and how it was answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int = 0
    sent: int = 0
    """Bytes of the body that went into the socket."""
    start: int = 0
    """First byte of the file that was asked for."""


@dataclass
class Fault:
    """What goes wrong with requests whose path holds some words, the next few times."""

    match: str
    times: int = 1
    method: str = ""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int = -1
    """Bytes of a body after which the connection ends."""
    wrong: bool = False
    """One bit of the body is another."""
    longer: int = 0
    """Bytes that come after the end."""


class Hub:
    """A hub that does what a test says; both servers run until it is closed."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.sizes: dict[str, int] = {}
        """Sizes that are told in place of the true ones, by file; everywhere."""
        self.linked_sizes: dict[str, int] = {}
        """The same, but only when a file is asked for."""
        self.etags: dict[str, str] = {}
        """Hashes that are told when a file is asked for, by file."""
        self.ranges = True
        self.extra_headers: dict[str, dict[str, str]] = {}
        """Headers of a file's answer, by file."""
        self.pieces: Callable[[str, int], None] = lambda _path, _at: None
        """Called before each piece of a body, with the path and how much has gone."""
        self.before: Callable[[Asked], None] = lambda _asked: None
        """Called before a request is answered."""
        self.routes: dict[str, Callable[[BaseHTTPRequestHandler, Asked], None]] = {}
        """Further endpoints, by how their paths begin."""
        self.lock = threading.Lock()
        self._servers = [_serve(self), _serve(self)]

    @property
    def url(self) -> str:
        return _address(self._servers[0])

    @property
    def storage(self) -> str:
        return _address(self._servers[1])

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, name: str, files: dict[str, bytes], ref: str = "main", **what: Any) -> str:
        """Commit files to a repository; gives the commit."""
        repository = self.repositories.setdefault(name, Repository(name))
        for key, value in what.items():
            setattr(repository, key, value)
        told = json.dumps([name, len(repository.commits), sorted(files)])
        commit = hashlib.sha1(told.encode()).hexdigest()
        repository.commits[commit] = dict(files)
        repository.refs[ref] = commit
        for data in files.values():
            self.blobs[hashlib.sha256(data).hexdigest()] = data
        return commit

    def fault(self, match: str, **what: Any) -> None:
        """Let something go wrong."""
        self.faults.append(Fault(match, **what))

    def bodies(self) -> list[Asked]:
        """The requests that were answered with bytes of a large file."""
        return [asked for asked in self.asked if asked.path.startswith("/cdn/")]

    def sent(self) -> int:
        """Bytes of large files that went into sockets."""
        return sum(asked.sent for asked in self.bodies())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_words: object) -> None:
        """Say nothing: whoever is killed closes no connection."""


def _serve(hub: Hub) -> ThreadingHTTPServer:
    class Handler(_Handler):
        owner = hub

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def _address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[Hub]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.owner
        path = unquote(urlsplit(self.path).path)
        self.asked = Asked(self.command, path, dict(self.headers.items()))
        with hub.lock:
            hub.asked.append(self.asked)
            self.fault = next(
                (
                    fault
                    for fault in hub.faults
                    if fault.match in path
                    and fault.times > 0
                    and fault.method in ("", self.command)
                ),
                None,
            )
            if self.fault is not None:
                self.fault.times -= 1
        hub.before(self.asked)
        try:
            self._route(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, path: str) -> None:
        hub, fault = self.owner, self.fault
        if fault is not None and fault.status:
            self._send(fault.status, fault.body, fault.headers)
            return
        for begin, route in hub.routes.items():
            if path.startswith(begin):
                route(self, self.asked)
                return
        words = path.strip("/").split("/")
        if words[0] == "datasets":
            # Their repositories are named as a model's would be.
            words = words[1:]
        if path.startswith("/cdn/"):
            self._file(hub.blobs[words[1]], {})
        elif words[:2] == ["api", "models"] and len(words) >= 4:
            self._info("/".join(words[2:4]), words[5] if len(words) > 5 else "main")
        elif len(words) > 4 and words[2] == "resolve":
            self._resolve("/".join(words[:2]), words[3], "/".join(words[4:]))
        else:
            self._send(404, b"", {})

    def _commit(self, name: str, revision: str) -> tuple[Repository, str] | None:
        repository = self.owner.repositories.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository is None:
            self._refuse(401 if not token else 404, "RepoNotFound")
            return None
        if repository.token and not repository.gated and token != repository.token:
            self._refuse(403 if token else 401, "")
            return None
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self._refuse(404, "RevisionNotFound")
            return None
        return repository, commit

    def _info(self, name: str, revision: str) -> None:
        found = self._commit(name, revision)
        if found is None:
            return
        repository, commit = found
        siblings = []
        for file, data in repository.commits[commit].items():
            size = self.owner.sizes.get(file, len(data))
            told: dict[str, Any] = {"rfilename": file, "size": size, "blobId": _git(data)}
            if file not in repository.small:
                sha256 = hashlib.sha256(data).hexdigest()
                told["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 135}
            siblings.append(told)
        info: dict[str, Any] = {
            "id": name,
            "modelId": name,
            "sha": commit,
            "siblings": siblings,
            "tags": [],
        }
        info |= {"private": False, "gated": "auto" if repository.gated else False, "downloads": 0}
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        hub = self.owner
        found = self._commit(name, revision)
        if found is None:
            return
        repository, commit = found
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository.gated and token != repository.token:
            self._refuse(403 if token else 401, "GatedRepo")
            return
        data = repository.commits[commit].get(file)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit, **hub.extra_headers.get(file, {})}
        if file in repository.small:
            self._file(data, headers | {"ETag": f'"{_git(data)}"'})
            return
        sha256 = hashlib.sha256(data).hexdigest()
        size = hub.linked_sizes.get(file, hub.sizes.get(file, len(data)))
        headers |= {
            "X-Linked-Etag": f'"{hub.etags.get(file, sha256)}"',
            "X-Linked-Size": str(size),
            "Location": f"{hub.storage}/cdn/{sha256}",
        }
        self._send(302, b"", headers)

    def _file(self, data: bytes, headers: dict[str, str]) -> None:
        hub, fault = self.owner, self.fault
        if fault is not None and fault.wrong:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault is not None and fault.longer:
            data += b"\0" * fault.longer
        said = self.headers.get("Range", "")
        start, end, status = 0, len(data), 200
        if said and hub.ranges:
            first, _, last = said.removeprefix("bytes=").partition("-")
            start, status = int(first), 206
            if start >= len(data):
                self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            end = min(end, int(last) + 1) if last else end
            headers = headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        self.asked.status, self.asked.start = status, start
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(end - start)}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        whole = end
        if fault is not None and fault.cut >= 0:
            end = min(end, start + fault.cut)
        for at in range(start, end, PIECE):
            hub.pieces(self.asked.path, at)
            piece = data[at : min(at + PIECE, end)]
            self.wfile.write(piece)
            self.asked.sent += len(piece)
        if end < whole:
            self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.asked.status = status
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
