"""`ponder preset`: a model, a system prompt, a budget and a sampler under a name."""

from __future__ import annotations

import json
from typing import Any

import click

from ponder import paths, settings
from ponder.cli.completing import presets as complete
from ponder.cli.options import drawing_options, model_options, stop_option, within_option
from ponder.errors import InputError, UnknownName
from ponder.printable import safe
from ponder.settings import presets
from ponder.thinking import effort, stopping

_KEYS = {
    "dry": ("sampling.dry_multiplier",),
    "kv_type": ("engine.kv_type_k", "engine.kv_type_v"),
    "ctx": ("engine.ctx",),
    "gpu_layers": ("engine.gpu_layers",),
    "threads": ("engine.threads",),
    "flash_attention": ("engine.flash_attention",),
    "system": ("system",),
}
"""Settings that options stand for; any other of them is one of the sampler."""


class _Group(click.Group):
    """A group that lists its commands when it is given another word."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = "A preset is shown by `ponder preset show NAME`."
            raise UnknownName("command of `ponder preset`", args[0], self.commands, hint)
        return super().resolve_command(ctx, args)


_name = click.argument("name", shell_complete=complete)


@click.group(
    name="preset",
    cls=_Group,
    invoke_without_command=True,
    help="""Keep a model, a system prompt, a budget and a sampler under a name.

    Without a command: the list. A preset is asked with `ponder ask --preset NAME`, and in the chat
    with alt+p.""",
    epilog="For example: ponder preset save careful -m r1-7b -b high --temperature 0.6",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """See the command's help."""
    if ctx.invoked_subcommand is None:
        _list(as_json=False)


@app.command(name="list", help="List the presets, and what is wrong with those that are.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects on stdout.")
def list_(as_json: bool) -> None:
    """See the command's help."""
    _list(as_json)


def _list(as_json: bool) -> None:
    good, wrong = presets.of_folder(paths.presets_dir())
    if as_json:
        told = [{"name": one.name, "values": dict(one.values)} for one in good]
        click.echo(json.dumps(told, indent=1))
    else:
        width = max((len(one.name) for one in good), default=0)
        for one in good:
            click.echo(f"{one.name:{width}}  {safe(one.summary)}")
        if not good and not wrong:
            click.echo("There are no presets yet: ponder preset save NAME", err=True)
    for error in wrong:
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(safe(f"{error.message} {error.hint}"), err=True)


@app.command(help="Print what a preset sets, as TOML.")
@_name
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def show(name: str, as_json: bool) -> None:
    """See the command's help."""
    preset = presets.find(paths.presets_dir(), name)
    if as_json:
        click.echo(json.dumps({"name": preset.name, "values": dict(preset.values)}, indent=1))
        return
    for key, value in preset.values.items():
        click.echo(safe(f"{key} = {settings.item(value).as_string()}"))


@app.command(help="Keep what is given here as a preset; what is not given is left to config.toml.")
@_name
@model_options
@within_option
@stop_option
@drawing_options
@click.option("--replace", is_flag=True, help="In place of the one that has this name.")
def save(
    name: str,
    model: str | None,
    lora: tuple[str, ...],
    budget: str | None,
    within: str | None,
    stop: str | None,
    replace: bool,
    **others: float | str | None,
) -> None:
    """See the command's help."""
    values: dict[str, Any] = {}
    if model is not None:
        values["model"] = model
    if lora:
        values["lora"] = list(lora)
    if budget is not None:
        values |= {f"budget.{name}": v for name, v in effort.parse(budget).plain.items()}
    if within is not None:
        values["budget.within"] = effort.seconds(within)
    if stop is not None:
        stopping.parse(stop)
        values["budget.stop"] = stop
    for option, given in others.items():
        if given is not None:
            keys = _KEYS.get(option, (f"sampling.{option}",))
            values |= dict.fromkeys(keys, given)
    if not values:
        raise InputError(
            "There is nothing to keep.",
            "Give some of --model, --system, --budget, --temperature and the like.",
        )
    file = presets.save(paths.presets_dir(), name, values, replace)
    click.echo(f"{name} is in {safe(str(file))}", err=True)


@app.command(help="Remove presets.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete)
def rm(names: tuple[str, ...]) -> None:
    """See the command's help."""
    for name in names:
        presets.remove(paths.presets_dir(), name)
        click.echo(f"{safe(name)} is removed.", err=True)
