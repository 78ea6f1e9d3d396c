"""`ponder replay`: every way to stop and to vote, tried on a bank of recorded traces."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ponder.cli.reading import progress
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.evaluation.traces.reporting import Report

_NAMES = 22
"""Columns of a policy's name at least: those of votes stay on one line."""


@click.command(
    name="replay",
    help="""Try every way to stop thinking, and to vote, on the traces of BANK, and tell what each
    costs and brings. No model is loaded: everything is in what `ponder record` wrote.""",
    epilog="For example: ponder replay tiny.jsonl.gz --output docs/evaluation",
)
@click.argument(
    "bank", metavar="BANK", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--live",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Add what `ponder eval` measured of the same questions: Waits, for example.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write replay.md and replay.svg there.",
)
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def app(bank: Path, live: Path | None, output: Path | None, as_json: bool, quiet: bool) -> None:
    """See the command's help."""
    from ponder.equality import Comparer
    from ponder.evaluation.traces.form import read
    from ponder.evaluation.traces.reporting import report
    from ponder.evaluation.traces.tables import markdown, svg
    from ponder.history import document

    with Comparer() as comparer, progress(quiet or as_json, "replaying") as tell:
        found = report(read(bank), comparer, live, tell)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        words = ["ponder", "replay", str(bank), *(["--live", str(live)] if live else [])]
        document.write(output / "replay.md", markdown(found, shlex.join(words), "replay.svg"))
        document.write(output / "replay.svg", svg(found))
    if as_json:
        click.echo(json.dumps(_facts(found), indent=1))
    else:
        _print(found)
    if output is not None:
        click.echo(safe(f"replay.md and replay.svg: {output}"), err=True)


def _facts(found: Report) -> dict[str, Any]:
    import msgspec

    facts = asdict(found) | {"bank": msgspec.to_builtins(found.bank.header)}
    facts["traces"] = len(found.bank.traces)
    return facts


def _print(found: Report) -> None:
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen
    from ponder.evaluation.traces.tables import COLUMNS, about, brief, sections

    screen = Screen(highlight=False)
    for heading, rows in sections(found):
        table = Table(
            title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
            padding=(0, 1, 0, 0),
        )  # fmt: skip
        for at, name in enumerate(brief(COLUMNS)):
            table.add_column(
                name,
                justify="right" if at else "left",
                overflow="fold",
                min_width=None if at else _NAMES,
            )
        for row in rows:
            table.add_row(*map(safe, brief(row)))
        screen.print(table)
    for line in about(found):
        click.echo(safe(line.replace("*", "")), err=True)
