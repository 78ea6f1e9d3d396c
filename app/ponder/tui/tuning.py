"""Settings while the app runs: what a change of them does at once, what waits, who chose them.

Mixed into the app. Knows which part each setting reaches; the file that keeps them is
`settings`' affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import constants, work
from textual.app import App
from textual.binding import Binding
from textual.theme import Theme

from ponder import paths
from ponder import settings as settings_file
from ponder.errors import PonderError, SettingsError, UnknownName
from ponder.settings import Settings, differing, overlaid
from ponder.thinking import effort, stopping
from ponder.thinking.effort import Wish
from ponder.tui import pump, themes
from ponder.tui.screens import bindings

if TYPE_CHECKING:
    from ponder.tui.screens.chat import ChatScreen

THIS_SESSION = "this session"
COMMAND_LINE = "command line"
WHEN: Mapping[str, str] = {
    "model": "from the next start",
    "lora": "from the next model load",
    "system": "from the next conversation",
    "engine": "from the next model load",
    "budget": "from the next question",
    "sampling": "from the next question",
    "tui.theme": "at once",
    "tui.keys": "at once",
    "tui.motion": "at once",
    "tui.extend": "at once",
    "tui.thinking": "from the next question",
    "tui.tail_lines": "from the next question",
    "tui.latex": "from the next question",
    "tui.fold_when_done": "from the next question",
}
"""When a change takes effect, by key or section; what is not named waits for the next start."""


def when(key: str) -> str:
    """When a change of a setting takes effect."""
    parts = key.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((WHEN[name] for name in names if name in WHEN), "from the next start")


class Tuning(App[int]):
    """The part of the app that is set."""

    settings: Settings
    """What holds in this session."""
    origins: dict[str, str]
    """Who chose what is neither a default nor in config.toml, by key."""
    preset: str
    """The name of the preset that was taken last; empty for none."""
    preset_values: dict[str, object]
    """What it set."""
    chat: ChatScreen
    warn: Callable[[PonderError], None]
    _kept_theme: str

    @property
    def present(self) -> Settings:
        """What holds in this session, with what was chosen by keys: the next question's budget."""
        chosen: dict[str, object] = {
            "budget.stop": self.chat.stop,
            "budget.traces": self.chat.vote.traces,
        }
        plain = self.chat.wish.plain
        if plain != {"cap": "max"} or self.settings.budget.cap is not None:
            chosen["budget.cap"] = None
            chosen |= {f"budget.{name}": value for name, value in plain.items()}
        return overlaid(self.settings, chosen)

    def origin(self, key: str, file: Settings, given: tuple[str, ...]) -> str:
        """Who chose what a setting is.

        Args:
            key: the setting.
            file: what config.toml says.
            given: the keys that it sets.
        """
        now = settings_file.value(self.present, key)
        if now == settings_file.value(file, key):
            return "config.toml" if key in given else "default"
        if now == settings_file.value(self.settings, key):
            return self.origins.get(key, THIS_SESSION)
        return THIS_SESSION

    def check(self, key: str, value: object) -> None:
        """See that a setting means something here, beyond what config.toml can tell.

        Raises:
            InputError: it does not; says what would.
        """
        if key == "tui.theme":
            themes.checked(str(value), self.available_themes)
        elif key == "budget.stop":
            stopping.parse(str(value))
        elif key == "tui.keys" and isinstance(value, dict):
            known = self._actions()
            for name in value:
                if name not in known:
                    raise UnknownName("action in [tui.keys]", name, known)

    def choices(self, key: str) -> tuple[object, ...]:
        """All that a setting may be, where that is few."""
        if key == "tui.theme":
            return tuple(sorted(self.available_themes))
        return settings_file.choices(key)

    def tune(self, settings: Settings, origins: Mapping[str, str]) -> None:
        """Let other settings hold, as far as they can at once; the model stays the one it is."""
        was = self.present
        self.settings, self.origins = settings, dict(origins)
        changed = differing(was, settings)
        if "tui.theme" in changed:
            self._set_theme(settings.tui.theme)
        if "tui.motion" in changed:
            self._set_motion()
        if "tui.keys" in changed:
            self._set_keys(settings.tui.keys)
        if "budget.cap" in changed:
            cap = settings.budget.cap
            self.chat.wish = Wish("max") if cap is None else effort.parse(str(cap))
        self.chat.stop = settings.budget.stop
        self.chat.vote = replace(self.chat.vote, traces=settings.budget.traces)
        dialogue = self.chat.dialogue
        if "system" in changed:
            dialogue.system = settings.system
        if dialogue.assembled is not None:
            from ponder.assembly import overridden

            dialogue.sampling = overridden(dialogue.assembled.advised, settings.sampling)
        self.chat.show_budget()

    # -- themes and keys --------------------------------------------------------------------

    def _begin_themes(self) -> None:
        """Those that there are, and the one that is set."""
        for theme in themes.OWN:
            self.register_theme(theme)
        own, wrong = themes.of_user(paths.themes_dir())
        for theme in own:
            self.register_theme(theme)
        for trouble in wrong:
            self.warn(trouble)
        self._set_theme(self.settings.tui.theme)
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _set_theme(self, name: str) -> None:
        try:
            wanted = themes.checked(name, self.available_themes)
        except PonderError as error:
            wanted = themes.OWN[0].name
            self.warn(error)
        self._kept_theme = wanted
        self.theme = wanted

    def _set_motion(self) -> None:
        motion = self.settings.tui.motion
        self.animation_level = constants.TEXTUAL_ANIMATIONS if motion else "none"

    def _keep_theme(self, theme: Theme) -> None:
        """A theme that was chosen is there again next time."""
        if theme.name != self._kept_theme:
            self._kept_theme = theme.name
            self.settings = overlaid(self.settings, {"tui.theme": theme.name})
            self._write_theme(theme.name)

    @work(group="settings", exclusive=True)
    async def _write_theme(self, name: str) -> None:
        try:
            await pump.aside(
                lambda: settings_file.put(paths.config_file(), "tui.theme", name), "ponder-settings"
            )
        except PonderError as error:
            self.warn(error)

    def _actions(self) -> set[str]:
        """The names of all actions that can have a key."""
        offered = [*self.BINDINGS, *bindings.CHAT, *bindings.ELSEWHERE]
        return {binding.id for binding in offered if isinstance(binding, Binding) and binding.id}

    def _set_keys(self, keys: dict[str, str]) -> None:
        """The user's keys. An action that there is not is told of, and so are two with one key in
        one place; the others are set."""
        known = self._actions()
        for wrong in sorted(set(keys) - known):
            self.warn(UnknownName("action in [tui.keys]", wrong, known))
        own = {name: key for name, key in keys.items() if name in known}
        while (clash := bindings.clash(own, self.BINDINGS)) is not None:
            self.warn(
                SettingsError(
                    f"[tui.keys]: {clash.key} would do two things: {' and '.join(clash.actions)}.",
                    "Give one of them another key; until then what you set for them is left aside.",
                )
            )
            for name in clash.actions:
                own.pop(name, None)
        self.set_keymap(own)
