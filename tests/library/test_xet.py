"""Files that the hub keeps as Xet chunks come by the real hf_xet; where that fails, by HTTP."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler
from importlib.util import find_spec
from pathlib import Path

import pytest

from library.conftest import content
from library.hub_server import Asked, Hub
from library.killing import start
from library.pulls import SHIPPED
from ponder.errors import Stopped
from ponder.library import hashing
from ponder.library.pulling import pull
from ponder.library.stopping import Stop
from ponder.library.watching import Event, Receiving

if find_spec("hf_xet") is None:
    pytest.skip("hf_xet is not installed", allow_module_level=True)

ANY, FILE = "someone/small-GGUF", "small-Q4_K_M.gguf"
SAID = f"{ANY}:Q4_K_M"
DATA = content(300_000)
CHUNK = 65_536
FAR_FUTURE = 4_000_000_000


class Store:
    """What a store of Xet chunks answers: one xorb, whose chunks are not compressed.

    Source: https://huggingface.co/docs/xet (reconstruction API, xorb format).
    """

    def __init__(self, hub: Hub, data: bytes = DATA, status: int = 200) -> None:
        self.hub, self.status, self.size = hub, status, len(data)
        self.xorb, self.offsets = b"", list[int]()
        for at in range(0, len(data), CHUNK):
            chunk = data[at : at + CHUNK]
            length = len(chunk).to_bytes(3, "little")
            self.offsets.append(len(self.xorb))
            self.xorb += b"\0" + length + b"\0" + length + chunk
        self.begun: list[int] = []
        """First bytes that were asked for."""
        refresh = f"{hub.url}/xet-token"
        hub.extra_headers[FILE] = {"X-Xet-Hash": "ab" * 32, "X-Xet-Refresh-Route": refresh}
        hub.routes |= {"/xet-token": self.token, "/cas/": self.cas, "/xorb": self.bytes}

    def token(self, handler: BaseHTTPRequestHandler, _asked: Asked) -> None:
        headers = {
            "X-Xet-Cas-Url": f"{self.hub.url}/cas",
            "X-Xet-Access-Token": "for-the-store",
            "X-Xet-Token-Expiration": str(FAR_FUTURE),
        }
        answer(handler, 200, b"{}", headers)

    def cas(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        if self.status != 200 or "/v1/reconstructions/" not in asked.path:
            answer(handler, self.status if self.status != 200 else 404)
            return
        begin = int(handler.headers.get("Range", "bytes=0-")[len("bytes=") :].partition("-")[0])
        self.begun.append(begin)
        first, end = begin // CHUNK, len(self.offsets)
        span = {"start": first, "end": end}
        length = self.size - first * CHUNK
        place = {
            "range": span,
            "url": f"{self.hub.url}/xorb",
            "url_range": {"start": self.offsets[first], "end": len(self.xorb) - 1},
        }
        told = {
            "offset_into_first_range": begin - first * CHUNK,
            "terms": [{"hash": "cd" * 32, "unpacked_length": length, "range": span}],
            "fetch_info": {"cd" * 32: [place]},
        }
        answer(handler, 200, json.dumps(told).encode())

    def bytes(self, handler: BaseHTTPRequestHandler, _asked: Asked) -> None:
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        span = f"bytes {first}-{last}/{len(self.xorb)}"
        answer(handler, 206, self.xorb[int(first) : int(last) + 1], {"Content-Range": span})


def answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in ((headers or {}) | {"Content-Length": str(len(body))}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def comes(cache: Path, **env: str) -> list[str]:
    """A pull brings the file; gives what it remarked."""
    child = start(SAID, env=env)
    told = list(child.events())
    assert child.end() == 0, child.errors
    (file,) = cache.glob(f"models--*/snapshots/*/{FILE}")
    assert file.read_bytes() == DATA
    return [event["text"] for event in told if event["event"] == "noted"]


def test_a_file_comes_as_chunks(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    store = Store(hub)
    assert comes(cache) == []
    assert store.begun == [0]
    assert hub.sent() == 0


def test_what_has_come_does_not_come_again(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    store = Store(hub)
    blobs = cache / "models--someone--small-GGUF" / "blobs"
    blobs.mkdir(parents=True)
    partial = blobs / f"{hashlib.sha256(DATA).hexdigest()}.incomplete"
    partial.write_bytes(DATA[:100_000])
    assert comes(cache) == []
    assert store.begun == [100_000]
    assert hub.sent() == 0


def test_a_store_that_refuses_is_done_without(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    Store(hub, status=404)
    (remark,) = comes(cache)
    assert "plain HTTP" in remark
    assert hub.sent() == len(DATA)


def test_chunks_that_are_wrong_are_done_without(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    Store(hub, data=DATA[:-1] + bytes([DATA[-1] ^ 1]))
    comes(cache)
    assert hub.sent() == len(DATA)


def test_it_can_be_switched_off(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    store = Store(hub)
    comes(cache, HF_HUB_DISABLE_XET="1")
    assert store.begun == []
    assert hub.sent() == len(DATA)


def test_who_stops_asks_for_no_others(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_OFTEN", 0.0)
    hub.add(ANY, {FILE: DATA})
    store = Store(hub)
    stop: Stop[Event] = Stop(
        lambda event: stop() if isinstance(event, Receiving) and event.done else None
    )
    with pytest.raises(Stopped):
        pull(SAID, SHIPPED, stop.tell, sleep=stop.sleep)
    assert store.begun == [0]
    assert hub.sent() == 0
    assert not list(cache.glob(f"models--*/snapshots/*/{FILE}"))
    assert comes(cache) == []
