"""`ponder fit`: what this machine can run, before anything is fetched or loaded."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from ponder import paths
from ponder.catalogue import catalogue
from ponder.cli.completing import known_models
from ponder.cli.options import with_options
from ponder.library import fit, telling
from ponder.library.fit import Advice, Machine
from ponder.library.local import entries, entry_of
from ponder.printable import safe
from ponder.settings import read

_GIB = 1 << 30


@click.command(
    name="fit",
    help="""See which models fit on this machine, where they go, and how fast they can be.

    Without NAME, every model in the quant its name stands for; with NAME, or a GGUF, every quant
    of it. Sizes with ~ are reckoned from the model's shape, others are read from its file.""",
    epilog="For example: ponder fit r1-14b --ctx 16384 --traces 4 --kv-type q8_0",
)
@click.argument("name", required=False, metavar="[NAME|FILE]", shell_complete=known_models)
@click.option(
    "--ctx", type=click.IntRange(min=16), help="Tokens of context; default: 32,768 at most."
)
@click.option("--traces", type=click.IntRange(min=1), default=1, help="Traces at once.")
@click.option("--kv-type", help="Type of the KV cache: f16, q8_0, q4_0 and others.")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def app(name: str | None, ctx: int | None, traces: int, kv_type: str | None, as_json: bool) -> None:
    """See the command's help."""
    from ponder.assembly import usable_machine

    settings = with_options(read(paths.config_file()), {"ctx": ctx, "kv_type": kv_type})
    wish = fit.wish_of(settings.engine, traces)
    known = catalogue()
    machine, unused = usable_machine()
    if name is None:
        found, unknown = fit.overview(entries(known), wish, machine)
    else:
        found, unknown = fit.quants(entry_of(name, known), wish, machine), []
    bandwidth = fit.bandwidth_for(found)
    if as_json:
        click.echo(json.dumps(_facts(found, machine, bandwidth), indent=1))
    else:
        _print(found, machine, bandwidth)
    for missed, error in unknown:
        click.echo(safe(f"{missed}: {error.message}"), err=True)
    for gpu in unused:
        told = f"{gpu.name} is not counted: this build of llama.cpp uses no GPU (ponder doctor)."
        click.echo(safe(told), err=True)


def _facts(found: list[Advice], machine: Machine, bandwidth: float) -> dict[str, Any]:
    models = []
    for advice in found:
        speed = advice.tokens_per_second(bandwidth)
        facts = asdict(advice) | {"total": advice.need.total}
        facts["tokens_per_second"] = round(speed[0], 2) if speed else None
        facts["tokens_per_second_full"] = round(speed[1], 2) if speed else None
        models.append(facts)
    return {
        "machine": asdict(machine),
        "bandwidth": round(bandwidth) or None,
        "models": models,
    }


def _print(found: list[Advice], machine: Machine, bandwidth: float) -> None:
    from rich import box
    from rich.table import Table

    from ponder.cli.terminal import Screen

    told = [f"{machine.free / _GIB:.1f} of {machine.total / _GIB:.1f} GiB memory free"]
    told += [f"{safe(gpu.name)}: {gpu.free / _GIB:.1f} GiB free" for gpu in machine.gpus]
    if bandwidth:
        told.append(f"memory is read at {bandwidth / 1e9:.0f} GB/s")
    click.echo("; ".join(told), err=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("name", "quant", "ctx", "model", "KV", "total", "fits", "tok/s"):
        left = heading in ("name", "quant", "fits")
        table.add_column(
            heading, justify="left" if left else "right", no_wrap=heading != "name", overflow="fold"
        )
    for advice in found:
        table.add_row(
            safe(advice.name),
            advice.quant + ("*" if advice.here else ""),
            telling.context(advice.n_ctx) + (f" x{advice.traces}" if advice.traces > 1 else ""),
            telling.about(advice) + telling.memory(advice.need.weights),
            telling.memory(advice.need.kv),
            telling.total(advice),
            telling.verdict(advice),
            telling.speed(advice, bandwidth),
            style="dim" if advice.verdict == "no" else None,
        )
    Screen(highlight=False).print(table)
    notes = []
    if any(advice.here for advice in found):
        notes.append("* is here.")
    if any(not advice.exact for advice in found):
        notes.append("~ is reckoned from the model's shape.")
    if any(advice.verdict == "partly" for advice in found):
        notes.append("GPU n/m: so many of its layers, the rest on the CPU.")
    if bandwidth:
        notes.append(
            "tok/s: the most that reading memory allows one trace, at first and with a full "
            "context; few or slow cores reach less."
        )
    click.echo(" ".join(notes), err=True)
