"""Signatures of bundles: Ed25519 (RFC 8032) over the manifest, by the `cryptography` library.

Keys are PEM files as OpenSSL writes them, so that a signature can be checked without ponder:

    openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in ponder-bundle.json \\
        -sigfile ponder-bundle.sig

Knows keys and bytes; who is to be trusted, the user says. `cryptography` is the extra `sign`:
hashes need no library, and who never signs needs none.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.errors import BadSignature, InputError, LibraryError
from ponder.library.bundle.volumes import sync_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_LARGEST_KEY = 1 << 16
_MAKE = "`ponder bundle keygen FILE` makes a pair."


class PublicKey:
    """A key that signatures are checked with."""

    def __init__(self, path: Path, key: Ed25519PublicKey) -> None:
        self.path = path
        self.fingerprint = _fingerprint(key)
        self._key = key

    def check(self, signature: bytes, data: bytes, signer: str, archive: str) -> None:
        """See that a signature is of this key.

        Args:
            signature: 64 bytes.
            data: what was signed.
            signer: fingerprint of the key that it claims to be of.
            archive: its name, for errors.

        Raises:
            BadSignature: it is not.
        """
        from cryptography.exceptions import InvalidSignature

        if signer != self.fingerprint:
            raise BadSignature(
                f"{archive} is signed by another key: {signer}; {self.path} is {self.fingerprint}.",
                "Do not use it, unless you get that key from somebody you trust.",
            )
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            raise BadSignature(
                f"The signature of {archive} is wrong: its manifest is not the one that was "
                f"signed with {self.path}.",
                "Do not use it. Copy it again; if that does not help, somebody has changed it.",
            ) from None


class SigningKey:
    """A key that bundles are signed with."""

    def __init__(self, key: Ed25519PrivateKey, exposed: bool) -> None:
        self.fingerprint = _fingerprint(key.public_key())
        self.exposed = exposed
        """Whether other users of this machine can read it."""
        self._key = key

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(data)


def generate(path: Path) -> tuple[Path, str]:
    """Make a pair of keys: the private one at a path, the public one beside it, `.pub`.

    Returns:
        where the public one is, and its fingerprint.

    Raises:
        InputError: one of the files is there.
        LibraryError: they cannot be written.
    """
    _library()
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = path.with_name(f"{path.name}.pub")
    for one in (path, public):
        if os.path.lexists(one):
            raise InputError(
                f"{one} is already there, and keys are never written over.", "Name another file."
            )
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}.", "Make it first.")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    told = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    made: list[Path] = []
    try:
        for place, data, mode in ((path, private, 0o600), (public, told, 0o644)):
            # Never for a moment readable by others.
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(place)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as error:
        for place in made:
            with suppress(OSError):
                place.unlink()
        raise LibraryError(
            f"{error.filename or path} cannot be written: {error.strerror}.", "Name another place."
        ) from error
    return public, _fingerprint(key.public_key())


def signing_key(path: Path) -> SigningKey:
    """The private key in a file.

    Raises:
        InputError: there is none in it.
        LibraryError: `cryptography` is not installed.
    """
    _library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    data = _read(path)
    try:
        key = form.load_pem_private_key(data, password=None)
    except TypeError:
        raise InputError(
            f"{path} is protected by a passphrase, which ponder does not ask for.",
            f"Take it off with openssl, or {_MAKE}",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        if b"PUBLIC KEY" in data:
            raise InputError(
                f"{path} is a public key: nobody can sign with it.",
                "Name the private one of the pair.",
            ) from None
        raise InputError(f"{path} is no private key in PEM.", _MAKE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} is no Ed25519 key.", _MAKE)
    exposed = os.name != "nt" and bool(path.stat().st_mode & 0o077)
    return SigningKey(key, exposed)


def public_key(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        InputError: there is none in it.
        LibraryError: `cryptography` is not installed.
    """
    _library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    data = _read(path)
    try:
        key = form.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        if b"PRIVATE KEY" in data:
            raise InputError(
                f"{path} is a private key: it stays with whoever signs.",
                f"Name the public one of the pair, {path}.pub as a rule.",
            ) from None
        raise InputError(
            f"{path} is no public key in PEM.", f"Ask whoever signs for theirs. {_MAKE}"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path} is no Ed25519 key.", "Ask whoever signs for theirs.")
    return PublicKey(path, key)


def _fingerprint(key: Ed25519PublicKey) -> str:
    return f"SHA256:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def _library() -> None:
    """See that `cryptography` is there.

    Raises:
        LibraryError: it is not.
    """
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError as error:
        raise LibraryError(
            "Signatures need the package `cryptography`, which is not installed.",
            f"{shlex.quote(sys.executable)} -m pip install cryptography; without a network, a "
            "bundle's wheels may have it.",
        ) from error
