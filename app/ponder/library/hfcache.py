"""Where the Hugging Face cache keeps what, which other tools share with ponder.

Knows the cache's documented layout and the variables that move it; imports nothing of
huggingface_hub, because listing models must stay cheap, and reads the variables when they are
needed, where huggingface_hub reads them when it is imported.
Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The user's own cache: HF_HUB_CACHE, or `hub` in HF_HOME, or below ~/.cache.

    ponder keeps no cache of its own: a model that another tool has fetched is not fetched
    twice, and what ponder fetches is there for the others.
    """
    told = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if told:
        return _expanded(told)
    home = os.environ.get("HF_HOME")
    if home:
        return _expanded(home) / "hub"
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(above) / "huggingface" / "hub"


def repository_dir(cache: Path, repository: str) -> Path:
    """The folder of a model's repository, owner/name."""
    return cache / f"models--{repository.replace('/', '--')}"


def snapshot(cache: Path, repository: str, commit: str, file: str) -> Path:
    """Where a file of a revision is: a link to its blob, or the file itself on Windows."""
    return repository_dir(cache, repository) / "snapshots" / commit / file


def blob(cache: Path, repository: str, etag: str) -> Path:
    """Where the content of a file is, under its sha256, or git's sha1 if it is no LFS file."""
    return repository_dir(cache, repository) / "blobs" / etag


def incomplete(cache: Path, repository: str, etag: str) -> Path:
    """Where a file is until all of it is there.

    huggingface_hub resumed from a file of this name until it gave every process its own, and
    threw that away at the end.
    """
    return repository_dir(cache, repository) / "blobs" / f"{etag}.incomplete"


def lock_file(cache: Path, repository: str, etag: str) -> Path:
    """What huggingface_hub locks while it fetches that file."""
    return cache / ".locks" / repository_dir(cache, repository).name / f"{etag}.lock"


def ref(cache: Path, repository: str, revision: str) -> Path:
    """The file that says which commit a branch or tag was at."""
    return repository_dir(cache, repository) / "refs" / revision


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111
