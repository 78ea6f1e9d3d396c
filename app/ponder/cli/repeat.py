"""`ponder replay TURN`: loads what the receipt names, asks again, and tells the outcome."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ponder import hardware, paths
from ponder.errors import InputError, UnknownName
from ponder.printable import safe

if TYPE_CHECKING:
    from ponder.history.records import Conversation, Turn
    from ponder.provenance import Difference, Provenance
    from ponder.repeating import Parting
    from ponder.settings import Settings
    from ponder.types import Trace


def repeat(
    number: int | None,
    model: str | None,
    lora: tuple[str, ...],
    template: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Ask a turn again and tell whether it came out the same.

    Raises:
        InputError: it cannot be asked again as it was, or it comes from something else.
    """
    from ponder.assembly import Choices, open_session
    from ponder.cli.loading import progress
    from ponder.library import hashes
    from ponder.repeating import decisive, parting, repeatable
    from ponder.repeating import repeat as ask_again
    from ponder.types import Trace

    conversation, before, turn = _turn(number)
    trace, provenance = repeatable(turn)
    then = provenance.with_hashes(hashes.known(provenance.files))
    settings = _settings(turn, then, model, lora)
    choices = Choices(
        None,
        conversation.system,
        then.dialect,
        template,
        then.engine.n_seqs,
    )
    with progress(quiet or as_json) as tell:
        opened = open_session(settings, choices, tell)
    with opened.session.runner:
        now = opened.session.provenance
        assert now is not None
        if then.weights:
            hashes.learn(now.files)
            now = now.with_hashes(hashes.known(now.files))
        found = decisive(then, now)
        again = None
        for told in ask_again(opened.session, before, turn):
            if isinstance(told, Trace):
                again = told
        assert again is not None
        parted = parting(trace, again, opened.engine.vocab)
    if as_json:
        facts = {
            "turn": turn.id,
            "identical": parted is None,
            "tokens": len(trace.tokens),
            "parting": None if parted is None else asdict(parted),
            "differences": [asdict(one) for one in found],
            "finish": again.finish.value,
        }
        click.echo(json.dumps(facts))
    else:
        _print(turn, trace, again, parted, found)
    if parted is not None:
        raise click.exceptions.Exit(1)


def _turn(number: int | None) -> tuple[Conversation, list[Turn], Turn]:
    """A turn, its conversation, and what was said before it."""
    from ponder.history.store import History

    if not paths.history_file().exists():
        raise InputError("There is no history yet.", "Ask something: ponder")
    with History(paths.history_file()) as history:
        turn = history.turn(number)
        path = history.turns(turn.conversation, turn.id)
        before = path[: [one.id for one in path].index(turn.id)]
        return history.conversation(turn.conversation), before, turn


def _settings(turn: Turn, then: Provenance, model: str | None, lora: tuple[str, ...]) -> Settings:
    """The settings, with the model and the engine as the receipt has them."""
    from ponder import catalogue
    from ponder.cli.options import with_model
    from ponder.library import local
    from ponder.settings import read

    settings = read(paths.config_file())
    if model is None:
        model = turn.model
        try:
            local.find(model, catalogue.catalogue())
        except UnknownName:
            model = then.files[0].path
    engine = then.engine
    usual = (hardware.decode_threads(), hardware.prefill_threads())
    own = msgspec.structs.replace(
        settings.engine,
        ctx=engine.n_ctx,
        threads=None if (engine.threads, engine.prompt_threads) == usual else engine.threads,
        gpu_layers=None if engine.gpu_layers < 0 else engine.gpu_layers,
        flash_attention=engine.flash_attention,
        kv_type_k=engine.kv_type_k,
        kv_type_v=engine.kv_type_v,
    )
    return with_model(msgspec.structs.replace(settings, engine=own), model, lora)


def _print(
    turn: Turn, then: Trace, now: Trace, parted: Parting | None, found: list[Difference]
) -> None:
    if parted is None:
        click.echo(f"identical: {len(then.tokens):,} tokens, finish: {then.finish.value}")
    else:
        click.echo(f"turn {turn.id} came out otherwise after {parted.at:,} tokens")
        click.echo(f"  then: {safe(json.dumps(parted.then, ensure_ascii=False))}")
        click.echo(f"  now:  {safe(json.dumps(parted.now, ensure_ascii=False))}")
        if now.finish is not then.finish:
            click.echo(f"  finish: {then.finish.value} then, {now.finish.value} now")
    for one in found:
        click.echo(safe(f"not as it was: {one.what}: {one.then} then, {one.now} now"), err=True)
    if parted is not None:
        click.echo(f"likely: {_cause(turn, found)}", err=True)


def _cause(turn: Turn, found: list[Difference]) -> str:
    if found:
        return f"another {found[0].what}: sums come in another order, and a draw turned on it"
    if turn.vote is not None:
        return "it ran in one batch with other traces, whose number orders the sums"
    if turn.trace is not None and turn.trace.usage.cached:
        return "part of its prompt was in the KV cache, in other cells than now"
    return "something that the receipt does not hold; please report it"
