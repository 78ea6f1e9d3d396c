"""A file's bytes by way of Xet, the hub's store of deduplicated chunks, where hf_xet is installed.

Knows how huggingface_hub gets its access to that store; its own download cannot go on from the
middle of a file, so here the same session streams from any byte on. Whoever uses this has to
have another way: it is native code that speaks to other servers than the hub.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ponder.library.hub import Remote

_TRUE = ("1", "ON", "YES", "TRUE")


def usable(remote: Remote) -> bool:
    """Whether a file is stored so, hf_xet is here, and nobody has switched it off."""
    off = os.environ.get("HF_HUB_DISABLE_XET", "").upper() in _TRUE
    return remote.xet is not None and not off and find_spec("hf_xet") is not None


def chunks(remote: Remote, headers: dict[str, str], start: int) -> Iterator[tuple[int, bytes]]:
    """Bytes of a file from one of them on, in order, each piece with its place.

    Raises:
        Exception: whatever native code, or huggingface_hub's own affairs, come up with.
    """
    from hf_xet import XetFileInfo

    _xet: Any = import_module("huggingface_hub.utils._xet")
    access = _xet.refresh_xet_connection_info(file_data=remote.xet, headers=headers)
    group = _xet.get_xet_session().new_download_stream_group(
        endpoint=access.endpoint,
        token=access.access_token,
        token_expiry_unix_secs=access.expiration_unix_epoch,
        token_refresh_url=remote.xet.refresh_route,
        token_refresh_headers=headers,
        custom_headers=_xet.xet_headers_without_auth(headers),
    )
    at = start
    try:
        with group:
            info = XetFileInfo(remote.xet.file_hash, remote.size)
            for chunk in group.download_stream(info, start=start or None):
                piece = bytes(chunk)
                yield at, piece
                at += len(piece)
    except KeyboardInterrupt:
        _xet.abort_xet_session()
        raise
