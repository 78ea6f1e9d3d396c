"""`ponder config`: where things are kept, what is set, and setting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem

from ponder import paths, settings
from ponder.errors import UnknownName
from ponder.printable import safe


class _Group(click.Group):
    """A group that lists its commands when it is given another word."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UnknownName("command of `ponder config`", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _keys(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(key) for key in settings.known() if key.startswith(incomplete)]


@click.group(
    name="config",
    cls=_Group,
    invoke_without_command=True,
    help="""Show where things are kept and what is set; set it.

    Without a command it prints what could be pasted into config.toml; what is not set there is
    marked as a default.""",
    epilog="For example: ponder config set budget.cap medium",
)
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
@click.pass_context
def app(ctx: click.Context, as_json: bool) -> None:
    """See the command's help."""
    if ctx.invoked_subcommand is not None:
        return
    file = paths.config_file()
    own, given = settings.read(file), settings.given(file)
    if as_json:
        places = {name: str(place) for name, place in _places().items()}
        told = {"paths": places, "settings": msgspec.to_builtins(own), "set": given}
        click.echo(json.dumps(told, indent=1))
        return
    for name, place in _places().items():
        note = "" if name != "config" or file.exists() else "  (not there: these are the defaults)"
        click.echo(f"# {name:8}{_line(str(place))}{note}")
    click.echo()
    click.echo(_toml(own, given), nl=False)


@app.command("get", help="Print what KEY is set to, or its default.")
@click.argument("key", shell_complete=_keys)
def get(key: str) -> None:
    """See the command's help."""
    value = settings.value(settings.read(paths.config_file()), key)
    if value is None:
        click.echo(f"{safe(key)} is not set.", err=True)
    else:
        click.echo(safe(value) if isinstance(value, str) else settings.item(value).as_string())


@app.command(
    "set",
    help="Set KEY in config.toml to VALUE: a word, or any TOML.",
    # A negative number is a value, if a wrong one.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("key", shell_complete=_keys)
@click.argument("value")
def set_(key: str, value: str) -> None:
    """See the command's help."""
    file = paths.config_file()
    settings.put(file, key, settings.typed(key, value))
    now = settings.value(settings.read(file), key)
    click.echo(f"{safe(key)} = {settings.item(now).as_string()} in {_line(str(file))}", err=True)


@app.command("unset", help="Take KEY out of config.toml: its default holds again.")
@click.argument("key", shell_complete=_keys)
def unset(key: str) -> None:
    """See the command's help."""
    file = paths.config_file()
    was = settings.unset(file, key)
    told = "is unset" if was else "was not set"
    click.echo(f"{safe(key)} {told} in {_line(str(file))}", err=True)


@app.command("explain", help="Print what KEY means and may be; without one, all of them.")
@click.argument("key", required=False, shell_complete=_keys)
def explain(key: str | None) -> None:
    """See the command's help."""
    manual = settings.manual()
    wanted = [k for k in manual if key in (None, k) or k.startswith(f"{key}.")]
    if not wanted:
        raise UnknownName("setting", key or "", manual)
    defaults = settings.Settings()
    blocks = []
    for one in wanted:
        lines = [f"[{one}]" if one not in settings.known() else one, f"    {manual[one]}"]
        if one in settings.known():
            default = settings.value(defaults, one)
            shown = "not set" if default is None else settings.item(default).as_string()
            lines.append(f"    Default: {shown}. May be: {settings.allowed(one)}.")
        blocks.append("\n".join(_wrapped(line) for line in lines))
    click.echo("\n\n".join(blocks))


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return click.wrap_text(line.strip(), 100, indent, indent)


def _places() -> dict[str, Path]:
    return {
        "config": paths.config_file(),
        "models": paths.models_dir(),
        "history": paths.history_file(),
        "themes": paths.themes_dir(),
        "presets": paths.presets_dir(),
        "measured": paths.measured_dir(),
        "evaluations": paths.evaluations_dir(),
        "cache": paths.cache_dir(),
    }


def _line(text: str) -> str:
    """Text that stays on its line, whatever is in it."""
    return safe(text.replace("\n", "␊"))


def _toml(own: settings.Settings, given: tuple[str, ...]) -> str:
    """All settings, those that are not in the file marked."""
    import tomlkit

    document = tomlkit.document()
    table: Any = document
    shown: dict[str, Any] = {}
    for key in settings.known():
        *sections, name = key.split(".")
        for section in sections:
            if section not in shown:
                document.add(tomlkit.nl())
                shown[section] = tomlkit.table()
                document.add(section, shown[section])
            table = shown[section]
        value = settings.value(own, key)
        if isinstance(value, dict):
            inner = tomlkit.table()
            inner.update(value)
            table.add(tomlkit.nl())
            table.add(name, inner)
        elif value is None:
            table.add(tomlkit.comment(f"{name} is not set"))
        else:
            item = settings.item(value)
            if key not in given:
                item.comment("default")
            table.add(name, item)
    return tomlkit.dumps(document)
