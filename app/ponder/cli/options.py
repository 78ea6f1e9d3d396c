"""Options that more than one command has: which model, how it runs, how it draws tokens.

Knows option names and which setting each stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ponder.cli.completing import dialects, files, models, presets
from ponder.errors import InputError
from ponder.settings import EngineSettings, SamplingSettings, Settings
from ponder.thinking import effort
from ponder.thinking.effort import EFFORTS, seconds
from ponder.thinking.stopping import OFF, RULES, parse

if TYPE_CHECKING:
    from ponder.settings.presets import Preset

Command = TypeVar("Command", bound=Callable[..., Any])
Given = dict[str, float | str | None]
"""Engine and sampling options by name, None where they were not given."""


def _efforts(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(effort) for effort in EFFORTS if effort.startswith(incomplete)]


def _rules(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(rule) for rule in (OFF, *RULES) if rule.startswith(incomplete)]


_MODEL = (
    click.option(
        "--model", "-m", shell_complete=models, help="A name of `ponder models`, or a GGUF."
    ),
    click.option(
        "--lora",
        multiple=True,
        metavar="FILE[:SCALE]",
        shell_complete=files,
        help="A LoRA adapter of the model, as GGUF; may be given again.",
    ),
    click.option(
        "--budget",
        "-b",
        metavar="TOKENS|TIME|EFFORT",
        shell_complete=_efforts,
        help="Most thinking tokens: 512, 2k; a time, 30s; or off, low, medium, high, max.",
    ),
)
_WITHIN = click.option(
    "--within",
    "-w",
    metavar="TIME",
    help="Answer within that time of asking: 30s, 1.5s, 2m. Binds beside a budget.",
)
_STOP = click.option(
    "--stop",
    metavar="RULE[:VALUES]",
    shell_complete=_rules,
    help="End the thinking early by a rule: margin, entropy, converged, confident; or off.",
)
_POOL = (
    click.option(
        "--pool",
        metavar="TOKENS",
        help="Most thinking tokens of all traces together: 4000, 8k. --budget is each one's own.",
    ),
    click.option(
        "--weigh/--no-weigh",
        default=None,
        help="Weigh each trace's vote by how sure the model was of its words; the default.",
    ),
)
_PRESET = click.option(
    "--preset",
    metavar="NAME",
    shell_complete=presets,
    help="One of `ponder preset`: model, system prompt, budget, sampler. Options beside it win.",
)
_DRAWING = (
    click.option("--temperature", type=click.FloatRange(min=0), help="0 is greedy."),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus."),
    click.option("--top-k", type=click.IntRange(min=0), help="The k most likely tokens only."),
    click.option("--min-p", type=click.FloatRange(0, 1), help="Relative to the likeliest token."),
    click.option("--repeat-penalty", type=click.FloatRange(min=0, min_open=True), help="1 is off."),
    click.option("--dry", type=click.FloatRange(min=0), help="DRY multiplier; 0 is off."),
    click.option("--system", help="System prompt; R1 works best without one."),
    click.option("--ctx", type=click.IntRange(min=16), help="Tokens of context."),
    click.option("--gpu-layers", type=click.IntRange(min=0), help="Layers on GPUs; default: all."),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads."),
    click.option("--flash-attention", type=click.Choice(["auto", "on", "off"])),
    click.option("--kv-type", help="Type of the KV cache: f16, q8_0, q4_0 and others."),
)
_FILE = (
    click.option(
        "--dialect", shell_complete=dialects, help="How the model opens and ends thinking."
    ),
    click.option("--template", type=click.Path(path_type=Path), help="A chat template in Jinja."),
)


def model_options(command: Command) -> Command:
    """`--model`, `--lora` and `--budget`."""
    return _decorated(command, _MODEL)


def chosen_model(command: Command) -> Command:
    """`--model` and `--lora`, for what sets budgets of its own."""
    return _decorated(command, _MODEL[:2])


def early_options(command: Command) -> Command:
    """`--within` and `--stop`: what may end the thinking before its budget is spent."""
    return _decorated(command, (_WITHIN, _STOP))


def stop_option(command: Command) -> Command:
    """`--stop`, where `--within` means something else."""
    return _decorated(command, (_STOP,))


def within_option(command: Command) -> Command:
    """`--within` alone."""
    return _decorated(command, (_WITHIN,))


def preset_option(command: Command) -> Command:
    """`--preset`."""
    return _decorated(command, (_PRESET,))


def drawing_options(command: Command) -> Command:
    """How tokens are drawn, and how llama.cpp runs."""
    return _decorated(command, _DRAWING)


def pool_options(command: Command) -> Command:
    """`--pool` and `--weigh`: what several traces share, and how they vote."""
    return _decorated(command, _POOL)


def running_options(command: Command) -> Command:
    """How tokens are drawn, how llama.cpp runs, and what a model's own file may have wrong."""
    return _decorated(command, (*_DRAWING, *_FILE))


def chosen_preset(name: str | None) -> Preset | None:
    """The preset of that name, if one was named.

    Raises:
        InputError: there is none of that name, or it cannot be used.
    """
    if name is None:
        return None
    from ponder import paths
    from ponder.settings import presets as kept

    return kept.find(paths.presets_dir(), name)


def with_preset(settings: Settings, preset: Preset | None) -> Settings:
    """The settings with a preset on top."""
    return settings if preset is None else preset.over(settings)


def pool_of(pool: str | None, weigh: bool | None, traces: int) -> int | None:
    """Thinking tokens that all traces share.

    Raises:
        InputError: it is no number of tokens, or there is only one trace.
    """
    for name, given in (("--pool", pool is not None), ("--weigh", weigh is True)):
        if given and traces == 1:
            raise InputError(
                f"{name} is for several traces, and there is one.", "Add --traces 8, for example."
            )
    if pool is None:
        return None
    wish = effort.parse(pool)
    if wish.tokens is None:
        raise InputError(
            f"{pool!r} is no number of tokens.", "Give --pool tokens, such as 4000 or 8k."
        )
    return wish.tokens


def with_limits(
    settings: Settings, within: str | None, stop: str | None, **limits: float | None
) -> Settings:
    """The settings with the command line's limits on thinking and answer on top.

    Raises:
        BudgetError: the time is none, or the rule for ending early.
    """
    import msgspec

    if stop is not None:
        parse(stop)
    limits["within"] = None if within is None else seconds(within)
    asked = {"stop": stop, **limits}
    given = {name: value for name, value in asked.items() if value is not None}
    budget = msgspec.structs.replace(settings.budget, **given)
    return msgspec.structs.replace(settings, budget=budget)


def _decorated(command: Command, options: tuple[Callable[[Any], Any], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def with_model(settings: Settings, model: str | None, adapters: tuple[str, ...]) -> Settings:
    """The settings with the command line's model, and its adapters.

    Adapters fit one model: those of the settings belong to the model that the settings name.
    """
    import msgspec

    named = settings.model if model is None else model
    own = settings.lora if named == settings.model else ()
    return msgspec.structs.replace(settings, model=named, lora=adapters or own)


def with_options(settings: Settings, options: Given) -> Settings:
    """The settings with the command line's engine and sampling options on top."""
    import msgspec

    given = {name: value for name, value in options.items() if value is not None}
    kv_type = given.pop("kv_type", None)
    if kv_type is not None:
        given |= {"kv_type_k": kv_type, "kv_type_v": kv_type}
    if "dry" in given:
        given["dry_multiplier"] = given.pop("dry")
    engine = {n: v for n, v in given.items() if n in EngineSettings.__struct_fields__}
    sampling = {n: v for n, v in given.items() if n in SamplingSettings.__struct_fields__}
    return msgspec.structs.replace(
        settings,
        engine=msgspec.structs.replace(settings.engine, **engine),
        sampling=msgspec.structs.replace(settings.sampling, **sampling),
    )
