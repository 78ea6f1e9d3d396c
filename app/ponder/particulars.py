"""The receipt of a turn: all that it came from, took, and would have cost elsewhere.

As pairs of a name and what is said, for people, and as plain values, for programs. What is not
known is said to be unknown. Knows turns and prices; reads and shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ponder.catalogue import Api
from ponder.explaining import account, trail
from ponder.history.records import Turn
from ponder.printable import safe
from ponder.provenance import Provenance
from ponder.receipt import applied, remarks, used, why
from ponder.types import Budget, Sampling, Usage

UNKNOWN = "unknown: this turn is older than receipts"
_UNREAD = "not read yet"


def cost(usage: Usage, api: Api) -> float:
    """What the same tokens would cost there; all that is written counts, thoughts included.

    The prompt counts as new: what is cached here was never sent there.
    """
    written = usage.think + usage.forced + usage.answer
    return (usage.prompt * api.input + written * api.output) / 1e6


def lines(
    turn: Turn, provenance: Provenance | None, apis: Mapping[str, Api]
) -> list[tuple[str, str]]:
    """The receipt, as names and what is said of them.

    Args:
        turn: which.
        provenance: what it came from, with the hashes that are known by now.
        apis: services to compare with.
    """
    trace = turn.trace
    told = [("turn", f"{turn.id}, of conversation {turn.conversation}"), ("model", turn.model)]
    told += _origin(provenance)
    if trace is not None and trace.adapters:
        told.append(("adapters", applied(trace.adapters)))
        told += [(f"  {one.file}", f"sha256 {one.sha256}") for one in trace.adapters]
    told.append(("sampling", _sampling(turn.sampling if trace is None else trace.sampling)))
    told.append(("budget asked", _budget(turn.budget)))
    if trace is None:
        return [*told, ("finish", turn.error or "unfinished")]
    told.append(("thinking", f"{used(trace.usage.think, trace.budget)} tokens"))
    told += [(place, what) for place, what in trail(trace.budget_events, trace.finish)]
    told.append(("finish", f"{trace.finish.value} ({why(trace)})"))
    told.append(("answer", " · ".join([trace.answer_end.value, *remarks(trace)])))
    told.append(("spent", account(trace.usage)))
    told += [
        (f"would cost at {api.title}", f"{_money(cost(trace.usage, api), api)}{_listed(api)}")
        for api in apis.values()
    ]
    return [(safe(name), safe(what)) for name, what in told]


def facts(turn: Turn, provenance: Provenance | None, apis: Mapping[str, Api]) -> dict[str, Any]:
    """The receipt as what `json.dumps` takes; null where something is not known."""
    trace = turn.trace
    return {
        "turn": turn.id,
        "conversation": turn.conversation,
        "asked": turn.asked,
        "model": turn.model,
        "provenance": None if provenance is None else asdict(provenance),
        "budget": asdict(turn.budget),
        "sampling": asdict(turn.sampling if trace is None else trace.sampling),
        "adapters": [] if trace is None else [asdict(one) for one in trace.adapters],
        "effective_budget": None if trace is None else trace.budget,
        "budget_events": [] if trace is None else [asdict(one) for one in trace.budget_events],
        "finish": None if trace is None else trace.finish.value,
        "answer_end": None if trace is None else trace.answer_end.value,
        "usage": None if trace is None else asdict(trace.usage),
        "error": turn.error,
        "would_cost": []
        if trace is None
        else [
            {
                "api": name,
                "title": api.title,
                "amount": cost(trace.usage, api),
                "currency": api.currency,
                "date": api.date,
                "source": api.source,
            }
            for name, api in apis.items()
        ],
    }


def _origin(provenance: Provenance | None) -> list[tuple[str, str]]:
    if provenance is None:
        names = ("weights", "template", "way of thinking", "engine", "machine", "ponder")
        return [(name, UNKNOWN) for name in names]
    engine = provenance.engine
    weights = [
        ("weights", f"{file.name} · {file.size:,} bytes · sha256 {file.sha256 or _UNREAD}")
        for file in provenance.files
    ]
    return [
        *weights,
        ("template", f"sha256 {provenance.template}"),
        ("way of thinking", f"{provenance.dialect} · sha256 {provenance.words}"),
        ("prompt", f"sha256 {provenance.prompt}"),
        *([("left out", f"{provenance.left_out} earlier messages")] if provenance.left_out else []),
        ("engine", f"{engine.version} · llama.cpp {engine.build}"),
        (
            "set to",
            f"context {engine.n_ctx:,} x {engine.n_seqs} · batch {engine.batch} · prompt slice "
            f"{engine.slice} · threads {engine.threads}/{engine.prompt_threads} · GPU layers "
            f"{engine.gpu_layers} · KV {engine.kv_type_k}/{engine.kv_type_v} · flash attention "
            f"{engine.flash_attention}" + ("" if engine.repacked else " · weights not repacked"),
        ),
        ("machine", provenance.hardware),
        ("ponder", provenance.ponder),
    ]


def _sampling(sampling: Sampling) -> str:
    default = Sampling()
    shown = ("temperature", "top_p", "top_k", "seed")
    return " · ".join(
        f"{field.name} {getattr(sampling, field.name):g}"
        if field.name != "seed"
        else f"seed {sampling.seed}"
        for field in fields(sampling)
        if field.name in shown or getattr(sampling, field.name) != getattr(default, field.name)
    )


def _budget(budget: Budget) -> str:
    if not budget.thinking:
        return "no thinking"
    parts = ["as much as fits" if budget.cap is None else f"cap {budget.cap:,}"]
    if budget.floor:
        parts.append(f"floor {budget.floor:,}")
    if budget.within is not None:
        parts.append(f"within {budget.within:g} s")
    if budget.max_answer is not None:
        parts.append(f"answer {budget.max_answer:,} at most")
    parts += [name for name in ("landing", "loops") if getattr(budget, name)]
    return " · ".join([*parts, *([f"stop {budget.stop}"] if budget.stop != "off" else [])])


def _money(amount: float, api: Api) -> str:
    return f"{amount:.2g} {api.currency}" if amount < 0.01 else f"{amount:,.2f} {api.currency}"


def _listed(api: Api) -> str:
    return f", by its prices of {api.date}" + (f" ({api.source})" if api.source else "")
