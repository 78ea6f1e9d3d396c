"""Files of question sets at the hub -> the Hugging Face cache, where other tools find them too.

Knows repositories of data sets and files in them. Refuses to know what is in a file. They are
small, so huggingface_hub fetches them itself; what has been fetched once is taken from the
cache, and the hub is not asked again.
"""

from __future__ import annotations

from pathlib import Path

from ponder.errors import OfflineError
from ponder.library import hfcache
from ponder.library.hub import Hub, library, offline_error
from ponder.library.watching import Tell, nothing

_HINT = "Fetch it while you are online, or name a file: ponder eval FILE.jsonl"


def fetch(
    repository: str, file: str, revision: str = "main", tell: Tell = nothing, hub: Hub | None = None
) -> Path:
    """Where a file of a data set is, fetched if it is not here.

    Args:
        repository: owner/name.
        file: its path in the repository.
        revision: branch, tag or commit.
        tell: who is told that the hub has to be waited for.
        hub: where it is; the one that is set.

    Raises:
        OfflineError: it is not here, and a switch forbids to fetch it.
        HubRefused: there is no such file, or not for us.
        HubUnreachable: no answer, or no end of it.
    """
    library()
    from huggingface_hub import try_to_load_from_cache

    cache = hfcache.cache_dir()
    here = try_to_load_from_cache(repository, file, cache, revision, repo_type="dataset")
    if isinstance(here, str):
        return Path(here)
    forbidden = offline_error()
    if forbidden is not None:
        raise OfflineError(f"{repository} is not here. {forbidden.message}", _HINT)
    return (hub or Hub(tell)).data_set_file(repository, revision, file, cache)
