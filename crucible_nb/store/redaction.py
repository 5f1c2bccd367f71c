"""Secrets and prompts are taken out before anything is written. Best effort, and said so."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from typing import Any

import orjson

from crucible_nb.errors import StoreError
from crucible_nb.events.scalars import EXTRA, PLAIN, Rest
from crucible_nb.events.schema import COLUMNS
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems

Hook = Callable[[str, str], str | None]

SECRET = "[redacted]"
CONTENT = "[content not stored]"

PATTERNS = re.compile(
    r"sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and their like
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[opusr]_[A-Za-z0-9]{20,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bhf_[A-Za-z0-9]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JWT
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"  # user:password@
    r"|(?i:bearer\s+)[A-Za-z0-9._~+/-]{12,}=*",
    re.DOTALL,
)
_HINTS = re.compile(r"sk-|AKIA|ASIA|gh[opusr]_|github_pat_|hf_|xox|AIza|eyJ|-----BEGIN|@|(?i:bearer)")
_SECRET_NAMES = re.compile(
    r"(?i)(?:^|[_.\-/])(?:api_?key|secret|password|passwd|authorization|auth|credentials?|private_?key|access_?token"
    r"|refresh_?token|id_?token|token|cookie|dsn)$"
)
_CONTENT_NAMES = frozenset({
    "prompt", "prompts", "completion", "messages", "response", "system_prompt", "input_messages", "output_messages",
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.system_instructions", "input.value", "output.value", "llm.input_messages", "llm.output_messages",
})  # fmt: skip
_TAKEN = frozenset(name for name, one in COLUMNS.items() if one.kind in ("category", "string")) - {"error", "metadata"}
"""Columns whose text is taken for what it is."""
_REMEMBERED = 4096
_LONG = 4096  # texts beyond are looked at each time, not remembered

sys.modules["crucible_nb.stores"] = sys.modules["crucible_nb.stores.redact"] = sys.modules[__name__]  # pickles of v0.1


class Redaction:
    """What is taken out of events before they are written.

    It looks at `error`, at `metadata`, at text in columns that are not registered, and at what does not fit its column
    (a mapping as `model`); the text of event, model and the like is taken for what it is. What a text was turned into
    is remembered, so a text that comes again costs a look-up.

    Args:
        hook: Callable (column, text) -> text or None, after the built-in rules.
        content: Whether to keep what people and models said to each other (columns such as `prompt`, `messages`).
        keep: Columns that are never looked at.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.Redaction()("note", "my key is sk-abcdefghijklmnop1234")
        'my key is [redacted]'
        >>> cr.Redaction()("api_key", "anything"), cr.Redaction()("prompt_tokens", "12")
        ('[redacted]', '12')
        >>> cr.Redaction()("prompt", "Dear model"), cr.Redaction(content=True)("prompt", "Dear model")
        ('[content not stored]', 'Dear model')
    """

    problems: Problems | None = None  # set by the writer; absent in pickles of v0.1

    def __init__(self, hook: Hook | None = None, *, content: bool = False, keep: Collection[str] = ()) -> None:
        self.hook = checks.function("hook", hook, optional=True)
        self.content, self.keep = content, frozenset(checks.texts("keep", keep))
        self._seen: dict[tuple[str, str], str | None] = {}
        self._names: dict[str, str | None] = {}

    def __call__(self, name: str, value: Any) -> Any:
        """A value of a column as it may be written."""
        return value if name in _TAKEN and type(value) is str else self._inside(name, value)

    def _inside(self, name: str, value: Any) -> Any:
        """The same of what stands in a structure: no name is taken on trust there."""
        telling = None if value is None else self._telling(name)
        if telling is not None:
            return self._said(telling) if telling else value
        if type(value) is str:
            return self._text(name, value)
        if isinstance(value, dict):
            return {key: self._inside(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._inside(name, item) for item in value]
        if isinstance(value, orjson.Fragment):
            return orjson.Fragment(self.json(name, orjson.dumps(value).decode()))
        return value

    def _telling(self, name: str) -> str | None:
        """What stands in the place of everything in a column by its name; "" where nothing is looked at."""
        if name not in self._names:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            self._names[name] = self._by_name(name)
        return self._names[name]

    def _by_name(self, name: str) -> str | None:
        if name in self.keep:
            return ""
        if not self.content and name in _CONTENT_NAMES:
            return CONTENT
        return SECRET if _SECRET_NAMES.search(name) else None

    def _text(self, name: str, text: str) -> str | None:
        key = (name, text)
        if key in self._seen:
            return self._seen[key]
        found: str | None = text
        if _HINTS.search(text):
            found = PATTERNS.sub(SECRET, text)
        if self.hook is not None:
            found = self._hooked(name, found or "")
        if found != text:
            self._said("")
        if len(text) <= _LONG:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key] = found
        return found

    def _hooked(self, name: str, text: str) -> str | None:
        """What the user's hook makes of it; one that fails lets nothing through."""
        try:
            found = self.hook(name, text)  # type: ignore[misc]
            if found is None or isinstance(found, str):
                return found
            raise TypeError(f"it returned {type(found).__name__}")
        except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
            if self.problems is not None:
                said = f"the redaction hook failed, the text was taken out: {type(error).__name__}: {error}"
                self.problems.report("errors", said)
            return SECRET

    def json(self, name: str, text: str) -> str:
        """JSON text, redacted by the names and the texts inside.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.Redaction().json("metadata", '{"password": "x", "n": 1}')
            '{"password":"[redacted]","n":1}'
        """
        text = str(text)  # also of a subclass, which orjson would not take
        try:
            inside = orjson.loads(text)
        except ValueError:
            return self._text(name, text) or ""
        cleaned = self._inside(name, inside)
        return text if cleaned == inside else orjson.dumps(cleaned).decode()

    def fields(self, extra: dict[Any, Any]) -> dict[Any, Any]:
        """The keywords of an event that are not standard ones; the same mapping when nothing is taken out.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.Redaction().fields({"api_key": "x", "step": 1})
            {'api_key': '[redacted]', 'step': 1}
        """
        changed: dict[Any, Any] | None = None
        for name, value in extra.items():
            if name is EXTRA:
                new: Any = Rest(self.json("metadata", value), value.strangers)
            elif type(value) is str or type(value) not in PLAIN or self._telling(name):
                new = self(name, value)
            else:
                continue
            if new is not value and new != value:
                changed = dict(extra) if changed is None else changed
                changed[name] = new
        return extra if changed is None else changed

    def _said(self, text: str) -> str:
        if self.problems is not None:
            self.problems.report("redacted", "secrets or content of prompts were taken out before writing (`redact=`)")
        return text

    def to_dict(self) -> dict[str, Any]:
        """What can be written of it; a hook cannot.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.Redaction().to_dict()
            {'content': False, 'keep': [], 'hook': False}
        """
        return {"content": self.content, "keep": sorted(self.keep), "hook": self.hook is not None}

    def __getstate__(self) -> dict[str, Any]:
        """Sent to another process it remembers nothing."""
        return {**vars(self), "_seen": {}, "_names": {}, "problems": None}

    def __repr__(self) -> str:
        return f"Redaction(hook={self.hook is not None}, content={self.content})"


def again(facts: dict[str, Any] | None, redact: Any = None) -> Redaction | None:
    """What an experiment was started with, unless something else is wanted now.

    Raises:
        StoreError: It was started with a hook, which has to be given again.
    """
    if redact is not None:
        return redaction_of(redact)
    if facts is None:
        return None
    if facts.get("hook"):
        raise StoreError("it was started with a redaction hook, which no file can hold: pass redact= again")
    return Redaction(content=bool(facts.get("content")), keep=facts.get("keep", ()))


def redaction_of(redact: Any) -> Redaction | None:
    """What `cr.start(redact=...)` means: None the built-in rules, False nothing, a callable in addition to them.

    Raises:
        ConfigError: It is something else.
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
