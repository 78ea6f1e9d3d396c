"""What the shell may complete: names out of the catalogue and the models folder."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def models(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models that are here, then whatever file the path begins."""
    from ponder.catalogue import catalogue
    from ponder.library.local import entries

    found = [
        CompletionItem(entry.name, help=entry.model.title if entry.model else "")
        for entry in entries(catalogue())
        if entry.path is not None and entry.name.startswith(incomplete)
    ]
    return found or [CompletionItem(incomplete, type="file")]


def known_models(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of models, here or not, then whatever file the path begins."""
    from ponder.catalogue import catalogue
    from ponder.library.local import entries

    found = [
        CompletionItem(entry.name, help=entry.model.title if entry.model else "")
        for entry in entries(catalogue())
        if entry.name.startswith(incomplete)
    ]
    return found or [CompletionItem(incomplete, type="file")]


def dialects(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of ways to think."""
    from ponder.catalogue import catalogue

    return [CompletionItem(d) for d in catalogue().dialects if d.startswith(incomplete)]


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever file the path begins."""
    return [CompletionItem(incomplete, type="file")]


def presets(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of presets."""
    from ponder import paths

    found = sorted(path.stem for path in paths.presets_dir().glob("*.toml"))
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]
