"""The only door to the Hugging Face hub, or to a mirror that speaks its language.

Knows which questions the hub answers, when to ask once more, and what its refusals mean to a
user. Speaks through huggingface_hub: its client (proxies, certificates), its tokens, its
errors. Knows nothing of disks.

huggingface_hub reads most of its variables when it is imported; what matters here is read when
it is needed and handed over: HF_ENDPOINT, the offline switches, the cache. It is imported with
its telemetry off: it would tell the hub which tools this machine has, and fetch a list of
coding agents to look for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ponder import __version__, offline
from ponder.errors import OfflineError
from ponder.library.refusals import Refusal, explained
from ponder.library.watching import Tell, Waiting, nothing

if TYPE_CHECKING:
    import httpx2

OFFICIAL = "https://huggingface.co"
_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = ("1", "ON", "YES", "TRUE")
TRIES = 5
"""Times in a row that something is tried without getting any further."""
_LONGEST_WAIT = 60.0
"""Seconds; a hub that asks for more is told of instead of waited for."""
_PATIENCE = 30.0
"""Seconds without a byte."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub says of one file at one commit."""

    file: str
    size: int
    etag: str
    """What it calls the content: the sha256 of an LFS file, else git's sha1."""
    commit: str
    xet: Any = None
    """Where its Xet chunks are told, if it is stored so; huggingface_hub's own record."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the hub says of a repository at one commit."""

    commit: str
    files: dict[str, tuple[int, str]]
    """Size in bytes and sha256 (empty if it is no LFS file), by path."""


def offline_switch() -> str:
    """The variable that forbids to fetch anything; empty if none does."""
    if offline.wanted(os.environ):
        return offline.VARIABLE
    for name in _SWITCHES:
        if os.environ.get(name, "").upper() in _TRUE:
            return name
    return ""


def offline_error() -> OfflineError | None:
    """Why nothing can be fetched; None where no switch forbids it."""
    switch = offline_switch()
    if not switch:
        return None
    return OfflineError(
        f"{switch} is set: nothing is fetched.",
        f"Unset {switch}, or bring the file yourself: ponder import PATH.",
    )


def endpoint() -> str:
    """The hub, or the mirror that HF_ENDPOINT names."""
    return (os.environ.get("HF_ENDPOINT") or OFFICIAL).rstrip("/")


def library() -> None:
    """See to it that huggingface_hub, when it is imported, keeps to itself."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


class Retries:
    """Patience with a hub: how often, and how long in between.

    Args:
        tell: who is told that somebody waits.
        sleep: what waits.
    """

    def __init__(self, tell: Tell = nothing, sleep: Callable[[float], None] = time.sleep) -> None:
        self._tell = tell
        self._sleep = sleep
        self._failures = 0

    def progress(self) -> None:
        """Something came: what failed before does not count any more."""
        self._failures = 0

    def pause(self, refusal: Refusal) -> None:
        """Wait before the next try.

        Raises:
            LibraryError: the refusal's; it was tried often enough.
        """
        self._failures += 1
        backoff = min(2.0 ** (self._failures - 1), 16.0)
        seconds = backoff if refusal.wait is None else refusal.wait
        if self._failures >= TRIES or seconds > _LONGEST_WAIT:
            raise refusal.error
        self._tell(Waiting(refusal.error.message, seconds))
        self._sleep(seconds)


class Hub:
    """One hub and the patience with it.

    Args:
        tell: who is told that it has to be waited for.
        sleep: what waits.

    Raises:
        OfflineError: a switch forbids it.
    """

    def __init__(self, tell: Tell = nothing, sleep: Callable[[float], None] = time.sleep) -> None:
        forbidden = offline_error()
        if forbidden is not None:
            raise forbidden
        library()
        self.endpoint = endpoint()
        self.sleep = sleep
        self._tell = tell

    @property
    def host(self) -> str:
        """What it is called, for people."""
        return urlsplit(self.endpoint).netloc or self.endpoint

    def retries(self) -> Retries:
        """A fresh patience."""
        return Retries(self._tell, self.sleep)

    def headers(self) -> dict[str, str]:
        """Who asks, with the user's token if there is one."""
        from huggingface_hub.utils import build_hf_headers

        return build_hf_headers(library_name="ponder", library_version=__version__)

    def listing(self, repository: str, revision: str) -> Listing:
        """All files of a repository at a branch, tag or commit.

        Raises:
            HubRefused: there is no such repository or revision, or not for us.
            HubUnreachable: no answer, or none that a hub would give.
        """
        from huggingface_hub import HfApi

        api = HfApi(self.endpoint, library_name="ponder", library_version=__version__)

        def ask() -> Listing:
            info = api.model_info(
                repository, revision=revision, files_metadata=True, timeout=_PATIENCE
            )
            files = {
                sibling.rfilename: (
                    int(sibling.lfs.size if sibling.lfs else sibling.size or 0),
                    str(sibling.lfs.sha256) if sibling.lfs else "",
                )
                for sibling in info.siblings or ()
            }
            if not info.sha:
                raise ValueError("it names no commit")
            return Listing(info.sha, files)

        return self._asked(ask, repository, revision)

    def remote(self, repository: str, commit: str, file: str) -> Remote:
        """One file at one commit.

        Raises:
            HubRefused: it is not there, or not for us: here a gated repository says no.
            HubUnreachable: no answer, or none that a hub would give.
        """
        from huggingface_hub import get_hf_file_metadata

        def ask() -> Remote:
            said = get_hf_file_metadata(
                self.url(repository, commit, file),
                timeout=_PATIENCE,
                headers=self.headers(),
                endpoint=self.endpoint,
            )
            if not said.etag or not said.commit_hash or said.size is None:
                raise ValueError("it names no size, hash or commit")
            return Remote(file, said.size, said.etag, said.commit_hash, said.xet_file_data)

        return self._asked(ask, repository, commit, file)

    def url(self, repository: str, commit: str, file: str) -> str:
        """Where a file is fetched; it leads on to where it is stored."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(repository, file, revision=commit, endpoint=self.endpoint)

    def data_set_file(self, repository: str, revision: str, file: str, cache: Path) -> Path:
        """A file of a data set, in a cache; whole, and by huggingface_hub's own download.

        Raises:
            HubRefused: it is not there, or not for us.
            HubUnreachable: no answer, or none that a hub would give.
        """
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
        from huggingface_hub.errors import LocalEntryNotFoundError
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        url = hf_hub_url(
            repository, file, repo_type="dataset", revision=revision, endpoint=self.endpoint
        )

        def ask() -> Path:
            # A hub that is not there is told of at once: the download tries on for half a minute.
            get_hf_file_metadata(
                url, timeout=_PATIENCE, headers=self.headers(), endpoint=self.endpoint
            )
            try:
                found = hf_hub_download(
                    repository,
                    file,
                    repo_type="dataset",
                    revision=revision,
                    cache_dir=cache,
                    headers=self.headers(),
                    endpoint=self.endpoint,
                    etag_timeout=_PATIENCE,
                )
            except LocalEntryNotFoundError as error:
                # It says what the cache lacks; its cause says what happened at the hub.
                raise error.__cause__ or error from None
            return Path(found)

        return self._asked(ask, f"datasets/{repository}", revision, file)

    @contextmanager
    def stream(self, url: str, start: int, stop: int | None = None) -> Iterator[httpx2.Response]:
        """The bytes of a file from one of them on, as they come; errors are raised as they are.

        Args:
            url: of the file.
            start: the first byte that is wanted.
            stop: the first that is not; a hub may send it all the same.
        """
        from huggingface_hub import get_session, hf_raise_for_status

        headers = self.headers() | {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        with get_session().stream("GET", url, headers=headers, timeout=_PATIENCE) as response:
            hf_raise_for_status(response)
            yield response

    def explained(self, error: Exception, repository: str, revision: str, file: str) -> Refusal:
        """What an error means here; raises it if it has nothing to do with a hub."""
        return explained(error, self.endpoint, repository, revision, file)

    def _asked(
        self, ask: Callable[[], _Answer], repository: str, revision: str, file: str = ""
    ) -> _Answer:
        retries = self.retries()
        while True:
            try:
                return ask()
            except Exception as error:
                told = self.explained(error, repository, revision, file)
                if not told.passing:
                    raise told.error from error
                retries.pause(told)
