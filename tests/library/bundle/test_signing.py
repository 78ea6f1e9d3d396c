"""Signatures: right, wrong, none, by somebody else; keys that are none; no library."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from library.bundle import kit
from ponder.errors import BadBundle, BadSignature, InputError, LibraryError
from ponder.library import bundle
from ponder.library.bundle import form, signing


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public one."""
    public, _ = signing.generate(tmp_path / "key")
    return tmp_path / "key", public


@pytest.fixture
def signed(near: Path, tmp_path: Path, pair: tuple[Path, Path]) -> Path:
    """A signed bundle."""
    return kit.pack(near, tmp_path / "signed.tar", key=signing.signing_key(pair[0]))


def test_a_pair_of_keys(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    private, public = pair
    if os.name != "nt":
        assert private.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" in private.read_bytes()
    assert b"PUBLIC KEY" in public.read_bytes()
    assert signing.signing_key(private).fingerprint == signing.public_key(public).fingerprint
    assert not signing.signing_key(private).exposed
    before = private.read_bytes()
    with pytest.raises(InputError, match="never written over"):
        signing.generate(private)
    private.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"key.pub is already there"):
        signing.generate(private)
    assert (tmp_path / "moved").read_bytes() == before
    with pytest.raises(InputError, match="no folder"):
        signing.generate(tmp_path / "no" / "key")


def test_signed_by_the_right_key(signed: Path, far: Path, pair: tuple[Path, Path]) -> None:
    key = signing.public_key(pair[1])
    with bundle.open_bundle(signed, key) as opened:
        assert opened.manifest.signer == key.fingerprint
        assert bundle.verify(opened) == []
    kit.install(signed, far, key)
    assert kit.is_complete(far, kit.finals(signed, far))


def test_without_a_key_its_hashes_are_trusted(signed: Path, far: Path) -> None:
    kit.install(signed, far)
    assert kit.is_complete(far, kit.finals(signed, far))


def test_signed_by_somebody_else(signed: Path, far: Path, tmp_path: Path) -> None:
    public, fingerprint = signing.generate(tmp_path / "other")
    with pytest.raises(BadSignature, match="signed by another key") as told:
        kit.install(signed, far, signing.public_key(public))
    assert fingerprint in told.value.message
    assert told.value.hint
    assert not far.exists()


def test_not_signed_at_all(archive: Path, far: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(BadSignature, match="not signed"):
        kit.install(archive, far, signing.public_key(pair[1]))
    assert not far.exists()


def test_signed_and_then_changed(
    signed: Path, far: Path, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    key = signing.public_key(pair[1])
    good = signed.read_bytes()
    bad = tmp_path / "bad.tar"
    # Another model with its right hash in the manifest, under the old signature.
    data = good.replace(kit.sha256(b"{}").encode(), kit.sha256(b"[]").encode())
    assert data != good
    raw = data[512 : data.index(b"\n}") + 3]
    old = good[512 : 512 + len(raw)]
    data = data.replace(form.checksum(old), form.checksum(raw))
    bad.write_bytes(data)
    with pytest.raises(BadSignature, match="not the one that was signed"):
        kit.install(bad, far, key)
    with tarfile.open(signed) as opened:
        at = opened.getmember("ponder-bundle.sig").offset_data
    bad.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(BadSignature):
        kit.install(bad, far, key)
    # The signature of another bundle's manifest.
    bad.write_bytes(good[:at] + kit.content(64) + good[at + 64 :])
    with pytest.raises(BadSignature):
        kit.install(bad, far, key)
    # Claims to be signed, and has no place for it.
    bad.write_bytes(good[: at - 512] + good[at + 512 :])
    with pytest.raises(BadBundle, match=r"signature .* is missing"):
        kit.install(bad, far, key)
    assert not far.exists()


def test_the_key_of_somebody_who_signed_in_anothers_name(
    near: Path, tmp_path: Path, far: Path, pair: tuple[Path, Path]
) -> None:
    """The fingerprint in a manifest is only a claim."""
    signing.generate(tmp_path / "other")
    forger = signing.signing_key(tmp_path / "other")
    key = signing.public_key(pair[1])
    forger.fingerprint = key.fingerprint
    target = kit.pack(near, tmp_path / "forged.tar", key=forger)
    with pytest.raises(BadSignature, match="is wrong"):
        kit.install(target, far, key)


@pytest.mark.parametrize("split", [None, 1 << 20])
def test_openssl_agrees(
    tmp_path: Path, pair: tuple[Path, Path], split: int | None, far: Path
) -> None:
    kit.stock(tmp_path / "large", scale=400)
    target = tmp_path / "signed.tar"
    kit.pack(tmp_path / "large", target, key=signing.signing_key(pair[0]), split=split)
    kit.install(target, far, signing.public_key(pair[1]))
    whole = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("signed.tar*")))
    (tmp_path / "whole.tar").write_bytes(whole)
    with tarfile.open(tmp_path / "whole.tar") as opened:
        for name in ("ponder-bundle.json", "ponder-bundle.sig"):
            opened.extract(name, tmp_path, filter="data")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    words = "pkeyutl -verify -pubin -inkey key.pub -rawin -in ponder-bundle.json"
    done = subprocess.run(
        ["openssl", *words.split(), "-sigfile", "ponder-bundle.sig"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "pkeyutl: Error" in done.stderr or "unknown option" in done.stderr.lower():
        pytest.skip("this openssl knows no Ed25519")
    assert done.returncode == 0, done.stderr


def test_keys_that_are_none(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private, public = pair
    other = tmp_path / "other"
    with pytest.raises(InputError, match="is a public key"):
        signing.signing_key(public)
    with pytest.raises(InputError, match="is a private key"):
        signing.public_key(private)
    for read in (signing.signing_key, signing.public_key):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "gone")
        for data in (b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nx\n"):
            other.write_bytes(data)
            with pytest.raises(InputError):
                read(other)
    curve = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other.write_bytes(curve.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    with pytest.raises(InputError, match="no Ed25519 key"):
        signing.signing_key(other)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    other.write_bytes(curve.public_key().public_bytes(pem, spki))
    with pytest.raises(InputError, match="no Ed25519 key"):
        signing.public_key(other)
    locked = serialization.BestAvailableEncryption(b"secret")
    other.write_bytes(Ed25519PrivateKey.generate().private_bytes(pem, pkcs8, locked))
    with pytest.raises(InputError, match="passphrase"):
        signing.signing_key(other)


@pytest.mark.skipif(os.name == "nt", reason="needs modes")
def test_a_private_key_that_others_can_read_is_told(pair: tuple[Path, Path]) -> None:
    pair[0].chmod(0o644)
    assert signing.signing_key(pair[0]).exposed


def test_without_the_library_it_is_told_what_to_install(
    pair: tuple[Path, Path], archive: Path, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for act in (
        lambda: signing.generate(pair[0].with_name("new")),
        lambda: signing.signing_key(pair[0]),
        lambda: signing.public_key(pair[1]),
    ):
        with pytest.raises(LibraryError, match="cryptography") as told:
            act()
        assert f"{shlex.quote(sys.executable)} -m pip install cryptography" in told.value.hint
    # Who does not sign needs none.
    kit.install(archive, far)
