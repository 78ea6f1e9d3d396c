"""`ponder bundle`: pack models for a machine without a network, check them, install them there."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ponder.cli.completing import models as complete_models
from ponder.errors import InputError, UnknownName
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.library.bundle import Bundle, Installation, Moved, Tell
    from ponder.library.bundle.form import Manifest
    from ponder.library.bundle.signing import PublicKey
    from ponder.library.watching import Noted

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class _Group(click.Group):
    """A group that knows what its commands are called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UnknownName("command of `ponder bundle`", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _bytes(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """A number of bytes: 4g, 700m."""
    if value is None:
        return None
    told = re.fullmatch(r"(\d{1,15})\s*([kmgt]?)(i?b)?", value.strip().lower())
    if told is None:
        raise click.BadParameter(f"{value!r} is no size: say 4g or 700m.")
    return int(told[1]) * _UNITS[told[2]]


_archive = click.argument("archive", type=click.Path(path_type=Path))
_key = click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="PUBKEY",
    help="Take it only if it is signed with the key of this public key.",
)


@click.group(
    name="bundle",
    cls=_Group,
    help="""Carry models through an air gap: one archive, or volumes of one.

    A bundle is a plain tar file with a manifest of all hashes in front. Of one that is in
    volumes (NAME.001, NAME.002 ...), name any, or NAME.""",
)
def app() -> None:
    """See the command's help."""


@app.command(
    help="""Pack models into a bundle at TARGET; without MODEL, all that ponder keeps.

    With them go the catalogue, yours too, the locks and the chat templates. On the far side:
    ponder bundle install."""
)
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("models", metavar="[MODEL]...", nargs=-1, shell_complete=complete_models)
@click.option(
    "--with-wheels",
    "wheels",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Pack the wheels in this folder too, so that ponder can be installed there.",
)
@click.option("--platform", default="", help="What the wheels are for; else as their names say.")
@click.option(
    "--split",
    callback=_bytes,
    metavar="SIZE",
    help="Cut it in volumes below SIZE each; FAT32 needs 4g.",
)
@click.option(
    "--sign", type=click.Path(path_type=Path), metavar="KEYFILE", help="Sign it with this key."
)
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def create(
    target: Path,
    models: tuple[str, ...],
    wheels: Path | None,
    platform: str,
    split: int | None,
    sign: Path | None,
    as_json: bool,
) -> None:
    """See the command's help."""
    from ponder.catalogue import catalogue
    from ponder.cli.progress import errors_as_json
    from ponder.library import bundle
    from ponder.library.bundle import signing
    from ponder.library.telling import size

    with errors_as_json(as_json):
        if platform and wheels is None:
            raise InputError("--platform says what wheels are for.", "Add --with-wheels DIR.")
        key = signing.signing_key(sign) if sign is not None else None
        if key is not None and key.exposed:
            _say(f"Others can read {sign}: chmod 600 {shlex.quote(str(sign))}")
        with _watching(quiet=as_json) as tell:
            made = bundle.create(
                target,
                models,
                catalogue(),
                tell,
                wheels=wheels,
                platform=platform,
                split=split,
                key=key,
            )
    if as_json:
        told = {
            "volumes": [str(path.absolute()) for path in made.paths],
            "size": made.size,
            **_facts(made.manifest, made.id),
        }
        click.echo(json.dumps(told, indent=1))
        return
    for path in made.paths:
        click.echo(str(path))
    names = ", ".join(model.name for model in made.manifest.models) or "no model"
    _say(f"Packed {names}: {size(made.size)}, bundle {made.id[:12]}.")


@app.command(
    help="""Hash everything in a bundle, and name what is wrong.

    The exit code is 1 if something is."""
)
@_archive
@_key
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def verify(archive: Path, key: Path | None, as_json: bool) -> None:
    """See the command's help."""
    from ponder.cli.progress import errors_as_json
    from ponder.library import bundle
    from ponder.library.telling import size

    with errors_as_json(as_json):
        public = _public(key)
        with bundle.open_bundle(archive, public) as opened:
            manifest = opened.manifest
            with _watching(quiet=as_json) as tell:
                problems = bundle.verify(opened, tell)
            signature = _signature(opened, public)
            told = {
                "right": not problems,
                "problems": [
                    {"path": p.path, "expected": p.expected, "sha256": p.found} for p in problems
                ],
                "volumes": [str(path.absolute()) for path in opened.volumes.paths],
                "size": opened.volumes.total,
                "signature": signature,
                **_facts(manifest, opened.id),
            }
    if as_json:
        click.echo(json.dumps(told, indent=1))
    else:
        for problem in problems:
            click.echo(safe(f"BAD  {problem.error.message}"))
        if not problems:
            count = len(manifest.files)
            click.echo(f"ok   {count} files, {size(manifest.size)}, bundle {opened.id[:12]}")
            click.echo(safe(f"     signature: {signature}"))
    if problems:
        _say("Copy it again from its source, or have it packed again.")
        click.get_current_context().exit(1)


@app.command(
    help="""Install a bundle: models into the models folder, wheels into one of their own.

    Every file is hashed while it is written, and gets its name when it was right. Whatever
    interrupts it, the same command goes on from there."""
)
@_archive
@_key
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def install(archive: Path, key: Path | None, yes: bool) -> None:
    """See the command's help."""
    from ponder.library import bundle

    public = _public(key)
    with bundle.open_bundle(archive, public) as opened:
        with _watching() as tell:
            planned = bundle.plan(opened, tell)
        _describe(planned, _signature(opened, public))
        if not yes and planned.size:
            if not sys.stdin.isatty():
                raise InputError(
                    "Nothing was installed: stdin is no terminal to ask on.",
                    "Say --yes if you mean it.",
                )
            if not click.confirm("Install it?", err=True):
                _say("Nothing was installed.")
                return
        try:
            with _watching() as tell:
                done = bundle.install(planned, tell)
        except (KeyboardInterrupt, SystemExit):
            _say("\nInterrupted. What has come is kept: say the same again.")
            raise
        platform = opened.manifest.platform
    for name in done.models:
        click.echo(name)
    if done.models:
        _say(f"`ponder ask --model {shlex.quote(done.models[0])} ...` asks it.")
    if done.catalogue is not None:
        _say(f"The catalogue of whoever packed it is yours now: {done.catalogue}")
    if done.wheels is not None:
        _say(f"Wheels for {platform} are in {done.wheels}; to install ponder from them:")
        folder = shlex.quote(str(done.wheels))
        _say(f"  python -m pip install --no-index --find-links {folder} ponder")


@app.command(
    help="""Make a pair of keys: FILE signs and stays with you, FILE.pub checks and goes around.

    Take FILE.pub to the far side by another way than the bundles."""
)
@click.argument("file", type=click.Path(path_type=Path))
def keygen(file: Path) -> None:
    """See the command's help."""
    from ponder.library.bundle.signing import generate

    public, fingerprint = generate(file)
    click.echo(str(public))
    _say(f"{fingerprint}\n{file} is the private key: whoever has it can sign as you.")


# -- what is told -------------------------------------------------------------------------


def _public(path: Path | None) -> PublicKey | None:
    from ponder.library.bundle.signing import public_key

    return public_key(path) if path is not None else None


def _signature(opened: Bundle, key: PublicKey | None) -> str:
    signer = opened.manifest.signer
    if not signer:
        return "none"
    return f"right, by {signer}" if key is not None else f"not checked (--key), by {signer}"


def _facts(manifest: Manifest, id_: str) -> dict[str, object]:
    return {
        "id": id_,
        "version": manifest.version,
        "made_by": manifest.made_by,
        "models": [model.name for model in manifest.models],
        "platform": manifest.platform or None,
        "signer": manifest.signer or None,
        "files": [{"path": e.path, "size": e.size, "sha256": e.sha256} for e in manifest.files],
    }


def _describe(planned: Installation, signature: str) -> None:
    from ponder import paths
    from ponder.library.telling import size

    names = [model.name for model in planned.bundle.manifest.models]
    wheels = planned.bundle.manifest.platform
    what = ", ".join(names) or "no model"
    _say(f"{planned.bundle.name}: {what}" + (f", wheels for {wheels}" if wheels else ""))
    _say(f"signature: {signature}")
    if not planned.size:
        _say("All of it is here already.")
        return
    have = f", {size(planned.have)} of them are here" if planned.have else ""
    _say(f"{size(planned.size)} go to {paths.models_dir()}{have}.")


def _say(text: str) -> None:
    click.echo(safe(text), err=True)


@contextmanager
def _watching(quiet: bool = False) -> Iterator[Tell]:
    """Gives the function to tell progress to: a bar on a terminal, lines elsewhere."""
    from rich.console import Console

    from ponder.library.watching import Noted

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _Lines(quiet)
        return
    from ponder.cli.progress import bytes_bar

    bar = bytes_bar(console)
    tasks = {}

    def tell(event: Moved | Noted) -> None:
        if isinstance(event, Noted):
            bar.console.print(safe(event.text), markup=False, highlight=False)
            return
        key = (event.doing, event.total)
        if key not in tasks:
            tasks[key] = bar.add_task(event.doing, total=event.total)
        short = event.file.rpartition("/")[2]
        short = short if len(short) < 30 else f"{short[:28]}…"
        bar.update(tasks[key], completed=event.done, description=f"{event.doing} {safe(short)}")

    with bar:
        yield tell


class _Lines:
    """A line for each tenth, and one for whatever else happens."""

    def __init__(self, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        from ponder.cli.progress import Tenths

        self._quiet = quiet
        self._tenths = Tenths(clock)

    def __call__(self, event: Moved | Noted) -> None:
        from ponder.library.watching import Noted

        if isinstance(event, Noted):
            _say(event.text)
        elif not self._quiet and event.total:
            self._tenths(event.doing, event.done, event.total)
