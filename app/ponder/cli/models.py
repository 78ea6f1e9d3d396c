"""`ponder models`: what is here, and what could be."""

from __future__ import annotations

import json

import click

from ponder import paths
from ponder.catalogue import catalogue
from ponder.library.local import Entry, entries


@click.command(name="models", help="List the models that are here, and those that could be.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects on stdout.")
def app(as_json: bool) -> None:
    """See the command's help."""
    found = entries(catalogue())
    if as_json:
        click.echo(json.dumps([_facts(entry) for entry in found], indent=1))
        return
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen
    from ponder.printable import safe

    console = Screen(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "where", "size", "context", "model"):
        table.add_column(heading, justify="right" if heading in ("size", "context") else "left")
    for entry in found:
        model = entry.model
        table.add_row(
            safe(entry.name),
            entry.origin if entry.path else "not here",
            _size(entry),
            f"{model.context:,}" if model else "",
            safe(model.title + (f" ({model.note})" if model.note else "")) if model else "",
            style=None if entry.path else "dim",
        )
    console.print(table)
    away = [entry for entry in found if entry.fetch]
    if away:
        click.echo("To fetch one that is not here (checksums: ponder models --json):", err=True)
        click.echo(f"  {away[0].fetch}", err=True)
    click.echo(f"Any GGUF: ponder ask --model FILE. Models folder: {paths.models_dir()}", err=True)


def _size(entry: Entry) -> str:
    if entry.path is not None and entry.path.is_file():
        size = float(entry.path.stat().st_size)
        for unit in ("B", "kB", "MB"):
            if size < 1000:
                return f"{size:.0f} {unit}"
            size /= 1000
        return f"{size:.1f} GB"
    return f"{entry.model.parameters:g}B" if entry.model else ""


def _facts(entry: Entry) -> dict[str, object]:
    model = entry.model
    facts: dict[str, object] = {
        "name": entry.name,
        "here": entry.path is not None,
        "path": str(entry.path) if entry.path else None,
        "origin": entry.origin,
    }
    if model is not None:
        facts |= {
            "title": model.title,
            "note": model.note,
            "context": model.context,
            "parameters": model.parameters,
            "licence": model.licence,
            "dialect": model.dialect,
            "repository": model.repository,
        }
        if model.gguf is not None:
            facts |= {"url": model.gguf.url, "sha256": model.gguf.sha256, "fetch": entry.fetch}
    return facts
