"""What an error of huggingface_hub, or of its HTTP client, means to a user, and what to do next.

Knows statuses, X-Error-Code headers (by huggingface_hub's own exceptions) and who could help;
asks nothing and waits for nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ponder.errors import (
    HubRefused,
    HubUnreachable,
    LibraryError,
    OfflineError,
    PonderError,
    WrongBytes,
)

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

_PASSING = (408, 429, 500, 502, 503, 504)
"""What a hub says when it may say something else soon."""
_TOKENS = "https://huggingface.co/settings/tokens"
_LOG_IN = f"run `hf auth login`, or set HF_TOKEN to a token of {_TOKENS}"
_GOES_ON = "The same command goes on from here."


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that can be told."""

    error: PonderError
    passing: bool = False
    """Whether it may go better the next time."""
    wait: float | None = None
    """Seconds that the hub asks to wait."""


def explained(
    error: Exception, endpoint: str, repository: str, revision: str, file: str
) -> Refusal:
    """What an error means.

    Raises:
        Exception: the error itself, if it has nothing to do with a hub.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    host = urlsplit(endpoint).netloc or endpoint
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        told = _refusal(error, endpoint, host, repository, revision, file)
        return Refusal(told, status in _PASSING, _seconds(error.response.headers))
    if isinstance(error, OfflineModeIsEnabled):
        return Refusal(OfflineError("huggingface_hub is offline.", "Unset HF_HUB_OFFLINE."))
    if isinstance(error, HFValidationError):
        return Refusal(HubRefused(f"{repository!r} is no repository.", "Say owner/name."))
    if isinstance(error, httpx2.TransportError):
        why = str(error) or type(error).__name__
        hint = f"See to the network; HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror. {_GOES_ON}"
        lasting = isinstance(error, httpx2.ProxyError | httpx2.UnsupportedProtocol)
        told = HubUnreachable(f"{host} cannot be reached: {why.rstrip('.')}.", hint)
        return Refusal(told, not lasting)
    # huggingface_hub builds records of what a hub says, and trusts that it is one.
    odd = (httpx2.HTTPError, httpx2.InvalidURL, ValueError, TypeError, KeyError, AttributeError)
    if isinstance(error, odd) or type(error).__name__ == "FileMetadataError":
        hint = (
            f"See to HF_ENDPOINT, which is {endpoint}."
            if os.environ.get("HF_ENDPOINT")
            else "Something between here and the hub answers in its place: a proxy, a login page?"
        )
        return Refusal(HubUnreachable(f"{host} does not answer like a hub: {error}.", hint))
    raise error


def _refusal(
    error: HfHubHTTPError, endpoint: str, host: str, repository: str, revision: str, file: str
) -> LibraryError:
    from huggingface_hub import get_token
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        RemoteEntryNotFoundError,
        RevisionNotFoundError,
    )

    status, page, token = error.response.status_code, f"{endpoint}/{repository}", get_token()
    if isinstance(error, GatedRepoError):
        then = "see that the account of your token has been let in" if token else _LOG_IN
        return HubRefused(
            f"{repository} is gated: its owners want their terms accepted first.",
            f"Accept them at {page}, then {then}.",
        )
    if isinstance(error, DisabledRepoError):
        return HubRefused(f"{repository} has been disabled.", f"{page} may say why.")
    if isinstance(error, RevisionNotFoundError):
        return HubRefused(
            f"{repository} has no revision {revision}.",
            f"{page}/commits/main lists what there is. If it is what a lock says: "
            "`ponder pull --update` takes the latest.",
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return HubRefused(
            f"{repository} has no file {file} at {revision[:12]}.",
            f"{page}/tree/main lists its files.",
        )
    if status == 404 or (status == 401 and not token):
        private = f" If it is private, {_LOG_IN}." if not token else ""
        return HubRefused(
            f"{host} has no repository {repository}, or does not show it to us.",
            f"Check the name at {page}.{private}",
        )
    if status in (401, 403):
        return HubRefused(
            f"{host} does not accept the token for {repository} ({status}).",
            f"See what it may do at {_TOKENS}; or {_LOG_IN}.",
        )
    if status == 416:
        return WrongBytes(
            f"{host} has fewer bytes of {file} than it said.",
            "That is the mirror's fault: try another (HF_ENDPOINT).",
        )
    if status == 429:
        return HubUnreachable(
            f"{host} asks for fewer questions (429).",
            f"Wait some minutes; who is logged in (`hf auth login`) may ask more often. {_GOES_ON}",
        )
    if status in _PASSING:
        return HubUnreachable(
            f"{host} has trouble of its own ({status}).", f"Try again later. {_GOES_ON}"
        )
    return HubRefused(f"{host} refuses {repository} ({status}).", f"See {page}.")


def _seconds(headers: httpx2.Headers) -> float | None:
    """How long the hub asks to wait, in seconds."""
    said = headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    # `"api";r=0;t=55`: draft-ietf-httpapi-ratelimit-headers-09.
    for word in headers.get("RateLimit", "").split(";"):
        key, _, value = word.strip().partition("=")
        if key == "t" and value.isdigit():
            return float(value)
    return None
