"""Settings and presets from the chat. Knows the screens that ask, and what a preset changes."""

from __future__ import annotations

import msgspec
from textual import work

from ponder import paths
from ponder import settings as settings_file
from ponder.errors import PonderError
from ponder.settings import Settings, differing, overlaid, presets
from ponder.settings.presets import Preset
from ponder.tui import pump
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.tuning import COMMAND_LINE


class TuningKeys(ChatBase):
    """Keys that set."""

    @property
    def preset_name(self) -> str:
        """The preset that was taken, and whether it still holds."""
        name, kept = self.ponder.preset, self.ponder.preset_values
        if not name:
            return ""
        now = self.ponder.present
        if self.ponder.model:
            now = overlaid(now, {"model": self.ponder.model})
        wanted = overlaid(now, kept)
        return f"{name}, changed" if differing(now, wanted) else name

    @work(group="dialog", exclusive=True)
    async def action_settings(self) -> None:
        """Show and change every setting."""
        from ponder.tui.screens.settings import SettingsScreen

        self.app.clear_notifications()
        await self.app.push_screen_wait(SettingsScreen())

    @work(group="dialog", exclusive=True)
    async def action_presets(self) -> None:
        """Take a preset, or keep what holds now as one."""
        from ponder.tui.screens.presets import PresetScreen

        self.app.clear_notifications()
        present = self.ponder.present
        if self.ponder.model:
            present = overlaid(present, {"model": self.ponder.model})
        try:
            file = await pump.aside(
                lambda: settings_file.read(paths.config_file()), "ponder-settings"
            )
        except PonderError as error:
            self.ponder.warn(error)
            file = Settings()
        state = presets.state(present, file)
        preset = await self.app.push_screen_wait(PresetScreen(state, self.ponder.preset))
        if preset is not None:
            await self._take(preset, file)

    async def _take(self, preset: Preset, file: Settings) -> None:
        """Let a preset hold: over config.toml and what the command line said beside it."""
        app = self.ponder
        said = {key: who for key, who in app.origins.items() if who == COMMAND_LINE}
        base = overlaid(file, {key: settings_file.value(app.settings, key) for key in said})
        base = msgspec.structs.replace(base, tui=app.settings.tui)
        if app.model:
            # Whoever says nothing of the model leaves the one that there is.
            lora = app.settings.lora if app.model == app.settings.model else ()
            base = msgspec.structs.replace(base, model=app.model, lora=lora)
        wanted = preset.over(base)
        reload = wanted.model != app.model or any(
            getattr(wanted, part) != getattr(app.settings, part) for part in ("lora", "engine")
        )
        if reload and not self.idle("take a preset that changes the model"):
            return

        def find() -> None:
            # Imported late: it brings the library, which the first paint does not need.
            from ponder.catalogue import catalogue
            from ponder.library import local

            local.find(wanted.model, catalogue())

        try:
            if reload:
                await pump.aside(find, "ponder-models")
        except PonderError as error:
            # With the model that there is, it would not be this preset.
            app.warn(error)
            return
        app.preset, app.preset_values = preset.name, dict(preset.values)
        origins = dict.fromkeys(preset.values, f"preset {preset.name}")
        app.tune(wanted, said | origins)
        if reload:
            app.load_model(wanted.model)
