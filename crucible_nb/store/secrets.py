"""Recognise secrets by their form or by the name of what holds them; the rules are data with their date and source."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import NamedTuple

SECRET = "[redacted]"


class Rule(NamedTuple):
    """One form of secrets.

    Attributes:
        name: Name of the form.
        hints: Texts in small letters, one of which occurs in every text with such a secret.
        pattern: The secret; if it has groups `s`, `s2` or `s3`, one of them is the secret.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _load() -> tuple[Rule, ...]:
    data = json.loads((resources.files("crucible_nb.store") / "secret_rules.json").read_text(encoding="utf-8"))
    return tuple(
        Rule(rule["id"], tuple(rule["hints"]), re.compile(rule["pattern"], re.DOTALL)) for rule in data["rules"]
    )


RULES = _load()
"""Forms of secrets, from `secret_rules.json`."""

_DOTS = 2  # in a token of three parts
_HINTS = tuple(hint for rule in RULES for hint in rule.hints if hint != ".")
_ANY_HINT = re.compile("|".join(map(re.escape, _HINTS)))
_LONG = 100  # characters from which searching for each hint is faster than one pattern
_NAMED = "named value"  # the rule for NAME=VALUE
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAMES = re.compile(
    r"(?:^|_)(?:api_?keys?|(?:access|account|private|secret|signing|encryption|shared|master|ssh|auth|storage)_?keys?"
    r"|secrets?|authorization|auth|credentials?|cookies?|dsn|jwt|bearer|sas|otp|pin|ssn|csrf|sessionid|session_cookie"
    r"|webhook(?:_url)?|database_url|connection_string|pwd|(?:(?:db|user|admin|root|smtp|pg|my|redis)_)pass|tokens?)$"
    r"|(?:password|passwd|passphrase)s?$|^pass$|^apikeys?$|pgpass$"
)
_COUNTED = re.compile(
    r"(?:^|_)(?:access|refresh|auth|api|id|session|security|bearer|secret|csrf|bot|client|user)_tokens$|^tokens$"
)
_VOCABULARY = re.compile(
    r"(?:^|_)(?:next|prev|previous|stop|eos|bos|pad|first|second|last|unk|mask|cls|sep|start|end|per|output|input|special"
    r"|image|prompt|completion|cached|reasoning|total|max|min|num|n|new|generated|target|draft|accepted)_token$"
)
_SHORT = 4  # characters that a value after NAME: has at least
_NOTHING = frozenset({"none", "null", "nil", "true", "false", "undefined", "nan", "required", "missing", "invalid"})


def is_secret_name(name: str) -> bool:
    """Return whether texts under this name are secrets.

    Examples:
        >>> [is_secret_name(name) for name in ("openaiApiKey", "AWS_SECRET_ACCESS_KEY", "x-api-key", "DB_PASS")]
        [True, True, True, True]
        >>> [is_secret_name(name) for name in ("prompt_tokens", "next_token", "author", "primary_key")]
        [False, False, False, False]
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    while len(words) > 1 and (words[-1].isdigit() or words[-1] == "hash"):
        words.pop()
    joined = "_".join(words)
    if _NAMES.search(joined) is None or _VOCABULARY.search(joined):
        return False
    return not joined.endswith("tokens") or _COUNTED.search(joined) is not None


def without_secrets(text: str) -> str:
    """Return a text with the secrets in it replaced.

    Examples:
        >>> without_secrets("export DB_PASSWORD=hunter2; epochs=3")
        'export DB_PASSWORD=[redacted]; epochs=3'
    """
    lower = text.lower()
    if text.count(".") < _DOTS and not _has_hint(lower):
        return text
    for rule in RULES:
        if any(hint in lower for hint in rule.hints):
            text = rule.pattern.sub(_named if rule.name == _NAMED else _whole, text)
    return text


def _has_hint(lower: str) -> bool:
    if len(lower) < _LONG:
        return _ANY_HINT.search(lower) is not None
    return any(hint in lower for hint in _HINTS)


def _whole(match: re.Match[str]) -> str:
    """Replace the secret in a match: one of its groups, else all of it."""
    groups = [name for name, value in match.groupdict().items() if value is not None]
    return _replaced(match, groups[0] if groups else 0)


def _replaced(match: re.Match[str], group: str | int) -> str:
    start, stop = (place - match.start() for place in match.span(group))
    return f"{match[0][:start]}{SECRET}{match[0][stop:]}"


def _named(match: re.Match[str]) -> str:
    """Replace the value in NAME=VALUE if the name tells of a secret, and the value can be one."""
    group = next(name for name in ("s", "s2", "s3") if match[name] is not None)
    value = match[group]
    bare = value.strip("*.<>").lower()
    if not is_secret_name(match["n"]) or bare in _NOTHING or not bare or value.startswith((SECRET, "$", "<", "[", "{")):
        return match[0]
    if _is_number(value) and match["n"].lower().rstrip("s").endswith("token"):
        return match[0]  # a count
    before = match[0][: match.start(group) - match.start()].rstrip()
    if group == "s3" and before.endswith(":"):  # prose, or the tag of an image
        odd = any(not char.isalpha() for char in value.rstrip(".:!?"))
        if len(value) < _SHORT or not odd or match.string[max(0, match.start() - 1)] == "/":
            return match[0]
    return _replaced(match, group)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
