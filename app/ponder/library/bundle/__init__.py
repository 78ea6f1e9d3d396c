"""Bundles: models, and what they need, in one archive that is carried through an air gap.

A bundle is an uncompressed tar file (POSIX.1-2001, pax), so that any tar can read it, and a
machine without ponder can take the wheels out of it. Its members, in this order:

    ponder-bundle.json      the manifest: sha256 and size of everything that follows
    ponder-bundle.sha256    the manifest's own, as sha256sum writes it
    ponder-bundle.sig       if it is signed: 64 bytes, Ed25519 over the manifest's bytes
    catalogue/models.toml   the catalogue that ponder shipped with where it was packed
    catalogue/user.toml     the user's own
    templates/NAME.jinja    the chat template out of a GGUF, to be read, or for --template
    wheels/*.whl            for a machine that has no ponder
    models/NAME.lock.json   the lock, in the library's form, then the model's files:
    models/NAME.gguf        unpacked by hand, `models` is a models folder

The manifest comes first, so that all that can be refused is refused before a byte is written,
and a bundle can be checked as it comes. It says all: every byte that is not content (headers,
padding, the end) follows from it and is compared, so that nothing can hide between members,
and there are no links, devices, folders or sparse files. Nothing in it is a matter of when or
by whom it was packed: the same files give the same bundle.

Volumes (NAME.001, NAME.002 ...) are that file cut in pieces; `cat` puts it together again. The
manifest knows the sha256 of the beginning of each piece, so that a foreign one is found before
anything is written.

Nothing here reaches for the network, and nothing that is read is run or unpickled.
"""

from ponder.library.bundle.events import Moved, Tell
from ponder.library.bundle.installing import Installed, install
from ponder.library.bundle.opening import Bundle, Problem, open_bundle, verify
from ponder.library.bundle.packing import Created, create
from ponder.library.bundle.planning import Installation, plan

__all__ = [
    "Bundle",
    "Created",
    "Installation",
    "Installed",
    "Moved",
    "Problem",
    "Tell",
    "create",
    "install",
    "open_bundle",
    "plan",
    "verify",
]
