"""The keys of the chat and of its models: declarations that the screens, the line of keys, the
palette, the list of all keys and the user's own keys share. Knows names of actions, and none of
them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from textual.binding import Binding, BindingType

LEAVE = Binding("escape", "leave", "Cancel", id="cancel", tooltip="Leave everything as it is")
INTO_LIST = Binding(
    "down", "app.focus_next", "Into the list", id="into-list", show=False,
    tooltip="Go on to what is below",
)  # fmt: skip
DIALOGS: list[BindingType] = [LEAVE, INTO_LIST]
"""What dialogs have in common."""

CHAT: list[BindingType] = [
    Binding("escape", "stop", "Stop", id="stop", tooltip="Stop thinking or answering"),
    Binding(
        "f2,ctrl+g", "answer_now", "Answer now", id="answer-now", priority=True,
        tooltip="End the thinking; the answer follows",
    ),
    Binding(
        "f3", "extend", "More", id="extend", priority=True,
        tooltip="Grant it more thinking tokens",
    ),
    Binding(
        "f4", "wait", "Wait", id="wait", priority=True,
        tooltip='When it wants to stop thinking, it is told "Wait" instead',
    ),
    Binding(
        "f8", "hold", "Pause", id="pause", show=False, priority=True,
        tooltip="Have it stand still, or go on; a deadline goes on counting",
    ),
    Binding(
        "f9", "hint", "Hint", id="hint", show=False, priority=True,
        tooltip="Put a line of yours into the thinking, where its next sentence ends",
    ),
    Binding(
        "ctrl+t", "fold", "Fold", id="fold", priority=True,
        tooltip="Fold or unfold the last thinking",
    ),
    Binding(
        "e", "edit", "Edit", id="edit",
        tooltip="Edit a step of this thinking; the model goes on from there",
    ),
    Binding(
        "alt+r", "again", "Again", id="again", show=False, priority=True,
        tooltip="Ask the same question again with another seed; this answer is kept as a branch",
    ),
    Binding(
        "alt+q", "ask_otherwise", "Ask otherwise", id="ask-otherwise", show=False, priority=True,
        tooltip="Take a question back into the composer and ask something else in its place",
    ),
    Binding(
        "alt+right", "sibling(1)", "Next branch", id="branch-next", show=False, priority=True,
        tooltip="Show the next of the turns that were asked in one place",
    ),
    Binding(
        "alt+left", "sibling(-1)", "Previous branch", id="branch-previous", show=False,
        priority=True, tooltip="Show the one before of the turns that were asked in one place",
    ),
    Binding(
        "f10", "branches", "Branches", id="branches", show=False, priority=True,
        tooltip="Show the tree of this conversation, and go to any turn of it",
    ),
    Binding(
        "ctrl+b", "budget", "Budget", id="budget", priority=True,
        tooltip="How long it may think: tokens, an effort, or off",
    ),
    Binding(
        "ctrl+up", "effort(1)", "More effort", id="effort-up", show=False, priority=True,
        tooltip="The next higher budget with a name",
    ),
    Binding(
        "ctrl+down", "effort(-1)", "Less effort", id="effort-down", show=False, priority=True,
        tooltip="The next lower budget with a name",
    ),
    Binding(
        "alt+t", "traces", "Traces", id="traces", show=False, priority=True,
        tooltip="How many traces the next question is thought about in at once; they vote",
    ),
    Binding(
        "alt+k", "trace(1)", "Next trace", id="trace-next", priority=True,
        tooltip="Look at the next trace of the vote",
    ),
    Binding(
        "alt+j", "trace(-1)", "Previous trace", id="trace-previous", show=False, priority=True,
        tooltip="Look at the trace of the vote before this one",
    ),
    Binding(
        "alt+d", "drop", "Drop", id="drop", priority=True,
        tooltip="Drop the trace that is looked at: the others of its question go on",
    ),
    Binding(
        "ctrl+o", "model", "Model", id="model", priority=True, tooltip="Choose a model"
    ),
    Binding(
        "ctrl+r", "history", "History", id="history", priority=True,
        tooltip="Open an earlier conversation, or search all of them",
    ),
    Binding(
        "alt+e", "export", "Export", id="export", show=False, priority=True,
        tooltip="Write this conversation to a file: Markdown, JSON or a page",
    ),
    Binding(
        "ctrl+n", "new", "New", id="new", priority=True, tooltip="Begin a new conversation"
    ),
    Binding(
        "f5", "audit", "Why", id="audit", priority=True,
        tooltip="What was decided on the last thinking, on which figures; where its tokens went",
    ),
    Binding(
        "f6", "outline", "Outline", id="outline", show=False, priority=True,
        tooltip="Where the last thinking turned, and what it took for an answer; enter goes there",
    ),
    Binding(
        "ctrl+f", "search", "Search", id="search", show=False, priority=True,
        tooltip="Look for words in all thinking of this conversation",
    ),
    Binding(
        "alt+c", "copy", "Copy", id="copy", show=False, priority=True,
        tooltip="Copy the answer, its code, the thinking or a step, also over ssh",
    ),
    Binding(
        "f7", "fold_mode", "Fold all", id="fold-all", show=False, priority=True,
        tooltip="All thinking by its last lines, whole, or by its heading alone",
    ),
    Binding(
        "alt+up", "read", "Read", id="read", show=False, priority=True,
        tooltip="Into the last thinking: go through its steps, fold and copy them",
    ),
    Binding(
        "ctrl+s", "settings", "Settings", id="settings", show=False, priority=True,
        tooltip="See and change every setting",
    ),
    Binding(
        "alt+a", "attach", "Attach", id="attach", show=False, priority=True,
        tooltip="Put text files or folders before the question",
    ),
    Binding(
        "alt+v", "editor", "Editor", id="editor", show=False, priority=True,
        tooltip="Write the question in your own editor (VISUAL, EDITOR)",
    ),
    Binding(
        "alt+g", "context", "Context", id="context", show=False, priority=True,
        tooltip="What the next question would be sent with, and what would be left out",
    ),
    Binding(
        "alt+p", "presets", "Presets", id="presets", show=False, priority=True,
        tooltip="Take a model, system prompt, budget and sampler by a name, or keep them as one",
    ),
    Binding(
        "pageup", "scroll(-1)", "Scroll up", id="scroll-up", show=False, priority=True,
        tooltip="Go back by a page",
    ),
    Binding(
        "pagedown", "scroll(1)", "Scroll down", id="scroll-down", show=False, priority=True,
        tooltip="Go on by a page",
    ),
    Binding(
        "ctrl+end", "bottom", "To the end", id="bottom", show=False, priority=True,
        tooltip="Go to the end, and follow it",
    ),
    Binding(
        "alt+i", "receipt", "Receipt", id="receipt", show=False, priority=True,
        tooltip="What a turn came from, what befell it, what it would have cost elsewhere",
    ),
]  # fmt: skip

TRACE: list[BindingType] = [
    Binding(
        "enter,space", "fold_here", "Fold", id="trace-fold",
        tooltip="Fold or unfold this step, on its heading the thinking",
    ),
    Binding("up,k", "cursor(-1)", "Steps", id="trace-up", tooltip="One step up"),
    Binding("down,j", "cursor(1)", "Down", id="trace-down", show=False, tooltip="One step down"),
    Binding(
        "home", "cursor_end(False)", "First step", id="trace-first", show=False,
        tooltip="To the first step",
    ),
    Binding(
        "end", "cursor_end(True)", "Last step", id="trace-last", show=False,
        tooltip="To the last step",
    ),
    Binding(
        "z", "fold_steps", "All steps", id="trace-fold-steps",
        tooltip="Fold every step to a line, or unfold them",
    ),
    Binding(
        "o", "screen.outline", "Outline", id="trace-outline",
        tooltip="Where this thinking turned, and what it took for an answer",
    ),
    Binding(
        "slash", "screen.search", "Search", id="trace-search",
        tooltip="Look for words in all thinking of this conversation",
    ),
    Binding("n", "screen.hit(1)", "Next hit", id="trace-hit-next", tooltip="Show the next hit"),
    Binding(
        "N", "screen.hit(-1)", "Previous hit", id="trace-hit-previous", show=False,
        tooltip="Show the hit before",
    ),
    Binding("c", "copy_step", "Copy", id="trace-copy", tooltip="Copy this step"),
    Binding(
        "C", "copy_trace", "Copy all", id="trace-copy-all", show=False,
        tooltip="Copy this thinking",
    ),
    Binding("escape", "leave", "Back", id="trace-leave", tooltip="Back to the composer"),
]  # fmt: skip
"""While a trace has the focus."""

SEARCH: list[BindingType] = [
    Binding("escape", "close", "Close", id="search-close", tooltip="Look for nothing any more"),
    Binding("down", "walk(1)", "Next hit", id="search-next", tooltip="Show the next hit"),
    Binding(
        "up,shift+enter", "walk(-1)", "Previous hit", id="search-previous",
        tooltip="Show the hit before",
    ),
]  # fmt: skip
"""While words are typed that are looked for."""

MODELS: list[BindingType] = [
    Binding("escape", "leave", "Close", id="models-close", tooltip="Keep the model"),
    INTO_LIST,
    Binding("f1", "app.keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
    Binding(
        "f7", "stop", "Stop", id="models-stop", priority=True,
        tooltip="Stop fetching, making or checking; what is done is kept",
    ),
    Binding(
        "f6", "quants", "Quants", id="models-quants", priority=True,
        tooltip="Fetch it, or make it of its checkpoint: this quant or another",
    ),
    Binding(
        "f5", "check", "Check", id="models-check", priority=True,
        tooltip="Hash it again, and compare with what it has to be",
    ),
    Binding(
        "f8", "remove", "Remove", id="models-remove", priority=True,
        tooltip="Remove what ponder fetched, made or imported",
    ),
]  # fmt: skip

EARLIER: list[BindingType] = [
    Binding("escape", "leave", "Close", id="history-close", tooltip="Open nothing"),
    INTO_LIST,
    Binding("f1", "app.keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
]
"""On the screen of earlier conversations, wherever the focus is."""

HISTORY: list[BindingType] = [
    Binding(
        "space", "screen.mark", "Mark", id="history-mark",
        tooltip="Mark it, so that several can be exported, compared, pinned or deleted",
    ),
    Binding("r", "screen.rename", "Rename", id="history-rename", tooltip="Give it another title"),
    Binding(
        "p", "screen.pin", "Pin", id="history-pin",
        tooltip="Have it stand before all others, or no longer",
    ),
    Binding(
        "delete,x", "screen.delete", "Delete", id="history-delete",
        tooltip="Put it into the trash, which keeps it for 30 days",
    ),
    Binding(
        "u", "screen.undo", "Undo", id="history-undo",
        tooltip="Take out of the trash what was deleted last, or what is marked there",
    ),
    Binding(
        "d", "screen.diff", "Diff", id="history-diff",
        tooltip="Compare the thinking of the two that are marked",
    ),
    Binding("e", "screen.export", "Export", id="history-export", tooltip="Write it to a file"),
    Binding(
        "c", "screen.collect", "Collect", id="history-collect",
        tooltip="Write it to a file that a model can be fine-tuned on",
    ),
]  # fmt: skip
"""Where the list of conversations has the focus."""

DIFF: list[BindingType] = [
    Binding("escape,q", "leave", "Close", id="diff-close", tooltip="Back to the list"),
    Binding("n", "step(1)", "Next", id="diff-next", tooltip="To the next difference"),
    Binding("N", "step(-1)", "Previous", id="diff-previous", tooltip="To the one before"),
    Binding(
        "v", "turn", "View", id="diff-view", tooltip="Side by side, or one after the other"
    ),
    Binding("f1", "app.keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
]  # fmt: skip

SETTINGS: list[BindingType] = [
    Binding("escape", "leave", "Close", id="settings-close", tooltip="Back to the chat"),
    Binding("enter", "change", "Change", id="settings-change", tooltip="Change this setting"),
    INTO_LIST,
    Binding("f1", "app.keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
    Binding(
        "f8", "unset", "Default", id="settings-unset", priority=True,
        tooltip="Take it out of config.toml: its default holds again",
    ),
]  # fmt: skip

ATTACH: list[BindingType] = [
    Binding("escape", "leave", "Done", id="attach-close", tooltip="Back to the question"),
    Binding(
        "tab", "complete", "Complete", id="attach-complete", priority=True,
        tooltip="As far as all names that begin so go on alike",
    ),
    INTO_LIST,
    Binding("f1", "app.keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
    Binding(
        "f8", "remove", "Remove", id="attach-remove", priority=True,
        tooltip="Take away the one that is marked below",
    ),
    Binding(
        "f7", "clear", "Remove all", id="attach-clear", priority=True, tooltip="Take all away"
    ),
]  # fmt: skip

PRESETS: list[BindingType] = [
    Binding("escape", "leave", "Close", id="presets-close", tooltip="Take none"),
    INTO_LIST,
    Binding("f1", "app.keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
    Binding(
        "f6", "keep", "Keep", id="presets-keep", priority=True,
        tooltip="Keep what holds now under the name that is typed",
    ),
    Binding(
        "f8", "remove", "Remove", id="presets-remove", priority=True, tooltip="Remove this preset"
    ),
]  # fmt: skip

COMPOSER: list[BindingType] = [
    Binding("enter", "ask", "Ask", id="ask", tooltip="Ask the question"),
    Binding(
        "ctrl+j,shift+enter,alt+enter", "newline", "New line", id="newline", show=False,
        tooltip="Break the line",
    ),
]  # fmt: skip

QUESTION: list[BindingType] = [
    Binding(
        "enter,space", "unfold", "Files", id="unfold-files",
        tooltip="Show the files before this question, or fold them",
    ),
]  # fmt: skip

RECEIPT: list[BindingType] = [
    Binding("escape", "leave", "Close", id="receipt-close", tooltip="Back to the chat"),
    Binding("c", "copy", "Copy", id="receipt-copy", priority=True, tooltip="Copy all of it"),
]

VOTE: list[BindingType] = [
    Binding(
        "enter,space", "unfold", "Traces", id="vote-unfold",
        tooltip="Show the traces of this vote, or hide",
    ),
]  # fmt: skip

ROLL: list[BindingType] = [
    Binding(
        "down,j", "walk(1)", "Next trace", id="roll-next", tooltip="Look at the next trace"
    ),
    Binding(
        "up,k", "walk(-1)", "Previous trace", id="roll-previous", show=False,
        tooltip="Look at the trace before",
    ),
]  # fmt: skip

EDIT: list[BindingType] = [
    Binding(
        "escape", "leave", "Cancel", id="edit-cancel", priority=True, tooltip="Leave it as it was"
    ),
]  # fmt: skip

ELSEWHERE: list[BindingType] = [
    *COMPOSER, *TRACE, *SEARCH, *VOTE, *ROLL, *EDIT, *RECEIPT, *MODELS, *EARLIER, *HISTORY,
    *DIFF, *SETTINGS, *PRESETS, *ATTACH, *QUESTION, *DIALOGS,
]  # fmt: skip
"""The keys of all screens but the chat, which a user may set as well."""

TOGETHER: list[list[BindingType]] = [
    [*CHAT, *COMPOSER], TRACE, SEARCH, VOTE, ROLL, EDIT, RECEIPT, MODELS, [*EARLIER, *HISTORY],
    DIFF, SETTINGS, PRESETS, ATTACH, QUESTION, DIALOGS,
]  # fmt: skip
"""Keys that are pressed in one place, beside those of the whole app."""


class Clash(NamedTuple):
    """A key that would do two things in one place."""

    key: str
    actions: tuple[str, str]


def clash(keys: Mapping[str, str], everywhere: Iterable[BindingType]) -> Clash | None:
    """The first key that a user gave to an action while another has it in the same place.

    Args:
        keys: the user's keys by action.
        everywhere: the keys of the whole app.
    """
    always = list(everywhere)
    for place in TOGETHER:
        taken: dict[str, str] = {}
        for made in Binding.make_bindings(
            replace(one, key=keys.get(one.id, one.key))
            for one in [*always, *place]
            if isinstance(one, Binding) and one.id
        ):
            name = made.id or ""
            other = taken.setdefault(made.key, name)
            if other != name and {other, name} & set(keys):
                return Clash(made.key, (other, name))
    return None
