"""Which tokens begin, end, pad and turn, whether they are added, and the chat template.

The rules are those of llama.cpp's converter (gguf-py/gguf/vocab.py, `SpecialVocab`, of the
release that llama-cpp-python ships; the gguf package on the index is older and decides
differently where tokenizer.json and tokenizer_config.json disagree). Knows JSON and no
tokenizer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from ponder.errors import BadCheckpoint, UnsupportedModel
from ponder_quantize.config import read_json

_KINDS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NORMALIZER = "tokenizer.ggml.normalizer."


class SpecialTokens:
    """What the files of a checkpoint say of special tokens."""

    def __init__(self, directory: Path, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
        """Args:
        directory: with config.json and, maybe, files of chat templates.
        tokenizer: tokenizer.json.
        config: tokenizer_config.json.

        Raises:
            BadCheckpoint: not of the form that tokenizer files have.
            UnsupportedModel: special tokens in a way that only BERT's kin have.
        """
        self._tokenizer = tokenizer
        self._config = dict(config)
        self._kinds = list(_KINDS)
        self._added: dict[str, bool] = {}
        for kind, instead in (("bos", "cls"), ("eos", "sep")):
            if not self._token(kind) and self._token(instead):
                self._config[f"{kind}_token"] = self._config[f"{instead}_token"]
        self._read_post_processor()
        self._ids = self._find_ids(read_json(directory / "config.json"))
        self._template = _template(directory, self._config) if config else None

    def write(self, writer: GGUFWriter) -> None:
        """Record ids, flags, template and normalizer, in the converter's order."""
        for kind, token in self._ids.items():
            add = getattr(writer, f"add_{kind}_token_id", None)
            if add is not None:
                add(token)
        for kind, flag in self._added.items():
            add = getattr(writer, f"add_add_{kind}_token", None)
            if add is not None:
                add(flag)
        _write_template(writer, self._template)
        for key, flag in _normalizer(self._tokenizer.get("normalizer")).items():
            writer.add_bool(_NORMALIZER + key, flag)

    def _token(self, kind: str) -> Any:
        return self._config.get(f"{kind}_token")

    def _read_post_processor(self) -> None:
        post = self._tokenizer.get("post_processor") or {}
        for step in post.get("processors", [post]):
            kind = step.get("type")
            if kind == "ByteLevel":
                self._added.setdefault("bos", False)
                self._added.setdefault("eos", False)
            elif kind == "TemplateProcessing":
                self._read_template(step)
            elif kind == "RobertaProcessing":
                raise UnsupportedModel(
                    "The tokenizer of this checkpoint is RoBERTa's.",
                    "Its special tokens are not those of a language model that generates.",
                )

    def _read_template(self, step: dict[str, Any]) -> None:
        """The tokens around a text, and around a pair of them, by which flags are set."""
        single, pair = step.get("single") or [], step.get("pair") or []
        first = last = None
        if len(single) > 1:
            first, last = _special(single[0]), _special(single[-1])
            if first:
                self._read_first(first)
            if last:
                self._read_last(last)
        if pair:
            pair = pair[int(bool(first) and _special(pair[0]) == first) :]
        if pair and last and _special(pair[-1]) == last:
            pair = pair[:-1]
        if len(pair) > 2 and _sequence(pair[0]) == "A" and _sequence(pair[-1]) == "B":
            self._read_between(pair[1:-1], bool(last))

    def _read_first(self, first: str) -> None:
        if self._config and first not in (self._token("bos"), self._token("cls")):
            for kind in ("bos", "cls"):
                if not self._token(kind):
                    self._config[f"{kind}_token"] = first
        begins = self._token("bos") if self._config else first
        self._added["bos"] = first in (begins, self._token("cls"))

    def _read_last(self, last: str) -> None:
        if self._config and last != self._token("eos"):
            for kind in ("eot", "eom"):
                if kind not in self._kinds:
                    self._kinds.append(kind)
                    self._config[f"{kind}_token"] = self._token("eos")
                    break
            self._config["eos_token"] = last
        self._added["eos"] = True

    def _read_between(self, between: list[dict[str, Any]], closed: bool) -> None:
        ends = (self._token("sep"), self._token("eos"))
        parted = bool(_special(between[0])) and _special(between[0]) in ends and not closed
        if len(between) == 2 and _special(between[1]) and _special(between[1]) in ends:
            parted = True
        self._added["sep"] = parted
        if parted and not self._token("sep") and self._config:
            self._config["sep_token"] = self._token("eos")

    def _find_ids(self, config: dict[str, Any]) -> dict[str, int]:
        """By the texts in tokenizer_config.json; for the others by config.json."""
        by_text: dict[str, Any] = {}
        for token in self._tokenizer.get("added_tokens") or []:
            by_text.setdefault(token.get("content"), token.get("id"))
        found: dict[str, int] = {}
        for kind in self._kinds if self._config else ():
            flag = self._config.get(f"add_{kind}_token")
            if isinstance(flag, bool):
                self._added.setdefault(kind, flag)
            text = self._token(kind)
            text = text.get("content") if isinstance(text, dict) else text
            if isinstance(text, str):
                _keep(found, kind, by_text.get(text))
        for kind in self._kinds:
            token = config.get(f"{kind}_token_id")
            if token is None and isinstance(config.get("text_config"), dict):
                token = config["text_config"].get(f"{kind}_token_id")
            _keep(found, kind, token)
        return found


def _keep(found: dict[str, int], kind: str, token: Any) -> None:
    # A list of ids, as Llama 3 has them for the end, is not for this key.
    if isinstance(token, int):
        if not 0 <= token < 1 << 31:
            raise BadCheckpoint(f"{kind}_token_id of this checkpoint is {token}.")
        found.setdefault(kind, int(token))


def _special(piece: dict[str, Any]) -> str | None:
    found = (piece.get("SpecialToken") or {}).get("id")
    return found if isinstance(found, str) else None


def _sequence(piece: dict[str, Any]) -> str | None:
    found = (piece.get("Sequence") or {}).get("id")
    return found if isinstance(found, str) else None


def _template(directory: Path, config: dict[str, Any]) -> Any:
    """The chat template: of tokenizer_config.json, or else of a file of its own."""
    found = config.get("chat_template")
    jinja, more = directory / "chat_template.jinja", directory / "additional_chat_templates"
    if "chat_template" not in config:
        if jinja.is_file():
            found = _read_text(jinja)
            if others := sorted(more.glob("*.jinja")):
                found = [{"name": "default", "template": found}]
                found += [{"name": path.stem, "template": _read_text(path)} for path in others]
        elif (directory / "chat_template.json").is_file():
            found = read_json(directory / "chat_template.json").get("chat_template")
    if isinstance(found, list) and not all(isinstance(choice, dict) for choice in found):
        raise BadCheckpoint("chat_template of this checkpoint is a list of something else.")
    return found if isinstance(found, (str, list)) else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{path} cannot be read: {error}.") from error


def _write_template(writer: GGUFWriter, template: Any) -> None:
    """Record the template; where there are several, each under its name.

    The converter lists the names in the order of a set, which is another in every run: here
    they are sorted.
    """
    if isinstance(template, list):
        default, names = None, set()
        for choice in template:
            name = "".join(c if c in _LETTERS else "_" for c in str(choice.get("name") or ""))
            text = choice.get("template")
            if name == "default":
                default = text
            elif name and text is not None:
                names.add(name)
                writer.add_string(f"tokenizer.chat_template.{name}", text)
        if names:
            writer.add_array("tokenizer.chat_templates", sorted(names))
        template = default
    if template is not None:
        writer.add_chat_template(template)


def _normalizer(step: Any) -> dict[str, bool]:
    found: dict[str, bool] = {}
    if not isinstance(step, dict):
        return found
    if step.get("type") == "Lowercase":
        found["lowercase"] = True
    elif step.get("type") == "StripAccents":
        found["strip_accents"] = True
    elif step.get("type") == "Sequence":
        for each in step.get("normalizers") or []:
            found |= _normalizer(each)
    return dict(sorted(found.items()))
