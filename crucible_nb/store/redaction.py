"""Redaction: remove secrets and prompts before anything is written, as far as they are recognised."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

import orjson

from crucible_nb.errors import StoreError
from crucible_nb.events.json_text import json_of, parse_json
from crucible_nb.events.scalars import EXTRA, PLAIN, Rest
from crucible_nb.events.schema import COLUMNS
from crucible_nb.store.secrets import SECRET, is_secret_name, without_secrets
from crucible_nb.utils import checks
from crucible_nb.utils.interrupts import let_pass
from crucible_nb.utils.problems import Problems

Hook = Callable[[str, str], str | None]

CONTENT = "[content not stored]"

_CONTENT_NAMES = frozenset({
    "prompt", "prompts", "completion", "messages", "response", "system_prompt", "input_messages", "output_messages",
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.system_instructions", "input.value", "output.value", "llm.input_messages", "llm.output_messages",
})  # fmt: skip
_TRUSTED = frozenset(name for name, spec in COLUMNS.items() if spec.kind in ("category", "string"))
_TRUSTED -= {"error", "metadata"}
"""Columns whose text is written without a check."""
_CACHE_SIZE = 4096
_MAX_CACHED = 4096  # characters; longer texts are checked each time

sys.modules["crucible_nb.stores"] = sys.modules["crucible_nb.stores.redact"] = sys.modules[__name__]  # pickles of v0.1


class Redaction:
    """Remove secrets and prompts from events before they are written.

    Checked are `error`, `metadata`, text in columns that are not registered, and values that do not fit their column
    (a mapping as `model`); text in columns such as `event` and `model` is not. Numbers and booleans are never secrets.
    Results are cached, so a repeated text costs one look-up. Recognised are the forms in `secret_rules.json`, and texts
    under names such as `api_key` or `DB_PASSWORD`; what is encoded (base64, percent signs) is out of reach.

    Args:
        hook: Callable (column, text) -> text or None, applied after the built-in rules.
        content: Whether to write prompts and responses (columns such as `prompt`, `messages`).
        keep: Columns that are never checked.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.Redaction()("note", "my key is sk-abcdefghijklmnop1234")
        'my key is [redacted]'
        >>> cr.Redaction()("api_key", "anything"), cr.Redaction()("prompt_tokens", "12")
        ('[redacted]', '12')
        >>> cr.Redaction()("prompt", "Dear model"), cr.Redaction(content=True)("prompt", "Dear model")
        ('[content not stored]', 'Dear model')
    """

    problems: Problems | None = None  # set by the writer; not in pickles of v0.1

    def __init__(self, hook: Hook | None = None, *, content: bool = False, keep: Collection[str] = ()) -> None:
        self.hook = checks.function("hook", hook, optional=True)
        self.content, self.keep = content, frozenset(checks.texts("keep", keep))
        self._texts: dict[tuple[str, str], str | None] = {}
        self._names: dict[str, str | None] = {}

    def __call__(self, name: str, value: Any) -> Any:
        """Return the value of a column with secrets removed."""
        return value if name in _TRUSTED and type(value) is str else self._inside(name, value)

    def _inside(self, name: str, value: Any, replacement: str | None = None) -> Any:
        """Redact a value without trusting the name of its column or key.

        Numbers and booleans are never secrets: `token=17` or `time_to_first_token=0.3` are measurements.

        Args:
            name: Name of the column or key.
            value: Text, number, mapping, list or JSON fragment.
            replacement: Text that replaces all texts in the value, because of the name of what contains it.
        """
        if value is None or isinstance(value, (bool, int, float)):
            return value
        replacement = replacement or self._replacement(name)
        if replacement == "":
            return value
        if isinstance(value, str):
            return self._text(name, value) if replacement is None else self._report(replacement)
        if isinstance(value, orjson.Fragment):
            return orjson.Fragment(self.json(name, orjson.dumps(value).decode()))
        return self._items(name, value, replacement)

    def _items(self, name: str, value: Any, replacement: str | None) -> Any:
        """Redact the items of a mapping or list."""
        if isinstance(value, dict):
            return {key: self._inside(str(key), item, replacement) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._inside(name, item, replacement) for item in value]
        return value

    def _replacement(self, name: str) -> str | None:
        """Return the text that replaces all values of a column because of its name; "" if none is ever checked."""
        if name not in self._names:
            if len(self._names) >= _CACHE_SIZE:
                self._names.clear()
            self._names[name] = self._by_name(name)
        return self._names[name]

    def _by_name(self, name: str) -> str | None:
        if name in self.keep:
            return ""
        if not self.content and name in _CONTENT_NAMES:
            return CONTENT
        return SECRET if is_secret_name(name) else None

    def _text(self, name: str, text: str) -> str | None:
        key = (name, text)
        if key in self._texts:
            return self._texts[key]
        cleaned: str | None = without_secrets(text)
        if self.hook is not None:
            cleaned = self._apply_hook(name, cleaned or "")
        if cleaned != text:
            self._report("")
        if len(text) <= _MAX_CACHED:
            if len(self._texts) >= _CACHE_SIZE:
                self._texts.clear()
            self._texts[key] = cleaned
        return cleaned

    def _apply_hook(self, name: str, text: str) -> str | None:
        """Apply the user's hook; if it fails, the whole text is redacted."""
        try:
            cleaned = self.hook(name, text)  # type: ignore[misc]
            if cleaned is None or isinstance(cleaned, str):
                return cleaned
            raise TypeError(f"it returned {type(cleaned).__name__}")
        except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
            let_pass(error)
            if self.problems is not None:
                message = f"the redaction hook failed, the text was removed: {type(error).__name__}: {error}"
                self.problems.report("errors", message)
            return SECRET

    def json(self, name: str, text: str) -> str:
        """Return JSON text with secrets removed, by the keys and texts in it.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.Redaction().json("metadata", '{"password": "x", "n": 1}')
            '{"password":"[redacted]","n":1}'
        """
        text = str(text)  # a subclass of str is not accepted by orjson
        try:
            inside = parse_json(text)
        except ValueError:
            return str(self._inside(name, text) or "")
        cleaned = self._inside(name, inside)
        return text if cleaned == inside else json_of(cleaned)

    def fields(self, extra: dict[Any, Any]) -> dict[Any, Any]:
        """Redact the non-standard keywords of an event; if nothing changes, the mapping itself is returned.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.Redaction().fields({"api_key": "x", "step": 1})
            {'api_key': '[redacted]', 'step': 1}
        """
        changed: dict[Any, Any] | None = None
        for name, value in extra.items():
            if name is EXTRA:
                new: Any = Rest(self.json("metadata", value), value.unsupported)
            elif type(value) is str or type(value) not in PLAIN:
                new = self(name, value)
            else:
                continue
            if new is not value and new != value:
                changed = dict(extra) if changed is None else changed
                changed[name] = new
        return extra if changed is None else changed

    def _report(self, text: str) -> str:
        if self.problems is not None:
            self.problems.report("redacted", "secrets or content of prompts were removed before writing (`redact=`)")
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data; of a hook only whether there is one.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.Redaction().to_dict()
            {'content': False, 'keep': [], 'hook': False}
        """
        return {"content": self.content, "keep": sorted(self.keep), "hook": self.hook is not None}

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings without caches and problems."""
        return {name: value for name, value in vars(self).items() if name not in ("_texts", "_names", "problems")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the settings, also from pickles of v0.1."""
        vars(self).update({name: value for name, value in state.items() if name not in ("_seen", "_names", "notes")})
        self._texts, self._names = {}, {}

    def __repr__(self) -> str:
        return f"Redaction(hook={self.hook is not None}, content={self.content})"


def redact_value(redaction: Redaction | None, name: str, value: Any) -> Any:
    """Return a value without secrets; texts of columns such as `event` and `model` are checked as well.

    Args:
        redaction: Removes secrets; None keeps the value.
        name: Name under which the value is shown.
        value: Text, number, mapping or list.

    Examples:
        >>> import crucible_nb as cr
        >>> redact_value(cr.Redaction(), "model", "sk-abcdefghijklmnop1234")
        '[redacted]'
    """
    return value if redaction is None else redaction._inside(name, value)


def rebuild_redaction(facts: dict[str, Any] | None, redact: Any = None) -> Redaction | None:
    """Return the redaction of a stored experiment, or the one requested now.

    Raises:
        StoreError: The experiment was started with a hook, which has to be passed again.
    """
    if redact is not None:
        return redaction_of(redact)
    if facts is None:
        return None
    if facts.get("hook"):
        raise StoreError("it was started with a redaction hook, which is not saved in the store: pass redact= again")
    return Redaction(content=bool(facts.get("content")), keep=facts.get("keep", ()))


def redaction_of(redact: Any) -> Redaction | None:
    """Return the redaction for `cr.start(redact=...)`.

    Args:
        redact: None or True for the built-in rules, False for none, a callable that is applied after them, or a
            `Redaction`.

    Raises:
        ConfigError: `redact` is none of these.
    """
    if redact is None or redact is True:
        return Redaction()
    if redact is False:
        return None
    if isinstance(redact, Redaction):
        return redact
    if callable(redact):
        return Redaction(redact)
    raise checks.wrong("redact", redact, "None, False, a callable (column, text) -> text, or a cr.Redaction")
