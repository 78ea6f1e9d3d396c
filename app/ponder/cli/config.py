"""`ponder config`: where things are kept, and what is set."""

from __future__ import annotations

import json

import click
import msgspec

from ponder import paths
from ponder.settings import read


@click.command(name="config", help="Show where things are kept and what is set.")
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def app(as_json: bool) -> None:
    """See the command's help."""
    file = paths.config_file()
    settings = msgspec.to_builtins(read(file))
    if as_json:
        places = {
            "config": str(file),
            "models": str(paths.models_dir()),
            "cache": str(paths.cache_dir()),
        }
        click.echo(json.dumps({"paths": places, "settings": settings}, indent=1))
        return
    click.echo(f"# {file}" + ("" if file.exists() else " (not there: these are the defaults)"))
    click.echo(f"# models in {paths.models_dir()}, caches in {paths.cache_dir()}")
    _print(settings)


def _print(values: dict[str, object]) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            click.echo(f"\n[{name}]")
            _print(value)
        elif value is None:
            click.echo(f"# {name} is not set")
        else:
            click.echo(f"{name} = {json.dumps(value)}")
