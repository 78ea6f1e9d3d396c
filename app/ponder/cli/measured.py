"""`ponder measured`: what was learned of models on this machine; forgets it on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ponder.errors import UnknownName
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.measured import Record
    from ponder.thinking.lengths import LengthModel
    from ponder.thinking.steps import StepModel

    Kept = tuple[Path, Record | None]

_HELD = (0, 2048)
"""Tokens of context that a step's time is told at."""


def _names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ponder.measured import records

    names = {record.name for _, record in records() if record is not None}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


@click.command(
    name="measured",
    help="""See what was measured of MODEL, or of all models, on this machine.

    How long they think and answer, which gives efforts their meaning; how long a step takes,
    which deadlines are reckoned with. Learned from every question that is asked.""",
)
@click.argument("model", required=False, shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.option("--reset", is_flag=True, help="Forget it: ponder measures anew.")
def app(model: str | None, as_json: bool, reset: bool) -> None:
    """See the command's help."""
    kept = _wanted(model)
    if reset:
        from ponder.measured import forget

        count = sum(forget(path) for path, _ in kept)
        models = "1 model" if count == 1 else f"{count} models"
        click.echo(f"forgotten: what was measured of {models}", err=True)
    elif as_json:
        click.echo(json.dumps({"models": [_told(path, record) for path, record in kept]}, indent=1))
    elif not kept:
        click.echo("Nothing was measured yet: ask something.", err=True)
    else:
        click.echo("\n\n".join(_shown(path, record) for path, record in kept))


def _wanted(model: str | None) -> list[Kept]:
    """The records that are meant.

    Raises:
        UnknownName: neither a model that was measured nor one that is here.
    """
    from ponder.measured import file_of, identity, records

    kept = records()
    if model is None:
        return kept
    named = [pair for pair in kept if pair[1] is not None and pair[1].name == model]
    if named:
        return named
    from ponder.catalogue import catalogue
    from ponder.library.local import find

    try:
        path = find(model, catalogue()).path
    except UnknownName as error:
        known = (*error.known, *(record.name for _, record in kept if record is not None))
        raise UnknownName("model", model, set(known)) from error
    assert path is not None
    return [pair for pair in kept if pair[0] == file_of(identity(path))]


def _told(path: Path, record: Record | None) -> dict[str, Any]:
    if record is None:
        return {"file": str(path), "readable": False}
    from ponder.thinking.effort import efforts

    return {
        "file": str(path),
        "readable": True,
        "model": record.name,
        "efforts": dict(efforts(record.thinking)),
        "thinking": _lengths(record.thinking),
        "answers": _lengths(record.answers),
        "machines": {name: _steps(steps) for name, steps in record.machines.items()},
    }


def _lengths(model: LengthModel) -> dict[str, Any]:
    """Counts, and quantiles in tokens once there are enough."""
    quantiles = {f"q{share}": model.quantile(share / 100) for share in (50, 80, 95)}
    counts = {"traces": model.traces, "ended": sum(model.ended), "enough": model.enough}
    return counts | (quantiles if model.enough else {})


def _steps(steps: StepModel) -> dict[str, float]:
    """Seconds, and how many windows they rest on."""
    a, b, c = steps.weights
    return {
        "windows": steps.seen,
        "seconds_a_step": a,
        "seconds_a_sequence": b,
        "seconds_a_thousand_tokens_of_context": c,
        "p90_over_expected": steps.margin,
        "seconds_a_prompt_token": steps.reading(1),
    }


def _shown(path: Path, record: Record | None) -> str:
    if record is None:
        return f"{safe(str(path))}\n  cannot be read; it will be measured anew"
    from ponder.thinking.effort import efforts
    from ponder.thinking.lengths import ENOUGH

    thinking, answers = record.thinking, record.answers
    ended = sum(thinking.ended)
    counted = f"{thinking.traces:,.0f} traces, {ended:,.0f} to their end"
    lines = [safe(record.name), f"  thinking  {counted}"]
    if thinking.enough:
        q50, q80, q95 = (thinking.quantile(share) for share in (0.5, 0.8, 0.95))
        lines[-1] += f": 50 % within {q50:,} tokens, 80 % within {q80:,}, 95 % within {q95:,}"
    words = (f"{n} {t:,}" for n, t in efforts(thinking).items() if t)
    fixed = "" if thinking.enough else f" (fixed, until {ENOUGH} traces came to their end)"
    lines.append(f"  efforts   {', '.join(words)}{fixed}")
    if answers.enough:
        lines.append(f"  answers   95 % within {answers.quantile(0.95):,} tokens")
    for name, steps in record.machines.items():
        lines += [f"  on {safe(name)}", f"    {_pace(steps)}"]
    return "\n".join(lines)


def _pace(steps: StepModel) -> str:
    parts = []
    if steps.known:
        alone = " to ".join(f"{steps.expected(1, held) * 1e3:,.2f}" for held in _HELD)
        parts.append(
            f"{alone} ms a token with {_HELD[0]} to {_HELD[1]:,} tokens of context, "
            f"nine of ten of the latest within {steps.margin:.2f} times that"
        )
    if steps.read_tokens:
        parts.append(f"prompts {1 / steps.reading(1):,.0f} tokens/s")
    return "; ".join(parts) or "not measured yet"
