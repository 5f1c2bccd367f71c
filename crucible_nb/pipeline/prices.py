"""Prices of tokens: a dated, replaceable table. An unknown model has no price; prices are never guessed."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.events.providers import RESELLERS, ROUTERS, is_form, provider_of
from crucible_nb.utils import checks

RATES = ("input", "output", "cache_read", "cache_write")
"""Fields of a price, in USD per million tokens."""


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of a model in USD per million tokens; NaN where the table has none.

    Attributes:
        input, output: Prices of prompt and completion tokens.
        cache_read, cache_write: Prices of tokens read from and written to a prompt cache; NaN means the input price.
        above: Prices of larger prompts: pairs (prompt tokens above which it applies, Price), ascending.

    Examples:
        >>> from crucible_nb.pipeline.prices import Price
        >>> Price(2.5, 10.0).input
        2.5
    """

    input: float
    output: float
    cache_read: float = math.nan
    cache_write: float = math.nan
    above: tuple[tuple[int, Price], ...] = ()


class _Entry:
    """One model of a price table; its match rule and prices are parsed on first use.

    Args:
        key: Key in the table; the name of the model unless `facts` has one.
        facts: Provider, match rule and prices.
        only_versions: Whether a rule on a part of a name accepts versions and host paths around it only: the rules of
            the packaged table would also match fine-tunes and other sizes of a model.
    """

    def __init__(self, key: str, facts: Mapping[str, Any], only_versions: bool = False) -> None:
        self.key, self.facts, self.only_versions = key, facts, only_versions
        self.model = str(facts.get("model", key))
        self.provider = str(facts.get("provider") or "").lower()

    @classmethod
    def checked(cls, key: str, value: Any) -> _Entry:
        """Parse everything now; ConfigError names the model and the field."""
        entry = cls(key, checks.mapping(f"price of {key!r}", value))
        _ = entry.match, entry.price
        return entry

    @functools.cached_property
    def match(self) -> Callable[[str], bool]:
        return _matcher(self.facts.get("match"), self.model, is_form if self.only_versions else _any_form)

    @functools.cached_property
    def price(self) -> Price:
        prices = self.facts.get("prices", self.facts)
        if isinstance(prices, list):  # dated prices, oldest first
            prices = checks.mapping(f"price of {self.key!r}", prices[-1] if prices else None).get("prices", {})
        return _price(self.key, prices)


class PriceTable:
    """Prices by model.

    Args:
        entries: Entries in the order in which they are tried; the first match is used.
        date: Date at which the prices were checked.
        source: Origin of the prices.

    Attributes:
        data: The plain data from which the table was built.

    Examples:
        >>> import crucible_nb as cr
        >>> table = cr.PriceTable.from_dict({"my-own": {"input": 1.0, "output": 2.0}})
        >>> table.lookup("my-own").output
        2.0
        >>> table.lookup("another") is None
        True
    """

    def __init__(self, entries: Sequence[_Entry], date: str | None = None, source: str | None = None) -> None:
        self._entries = tuple(entries)
        self.data: tuple[Mapping[str, Any], ...] = ()
        self.date, self.source = date, source
        self._cache: dict[tuple[str, str | None], Price | None] = {}

    @classmethod
    @functools.cache
    def default(cls) -> PriceTable:
        """Return the packaged table, with its date and source.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.default().lookup("gpt-4o").input
            2.5
        """
        table = json.loads((resources.files("crucible_nb.pipeline") / "prices.json").read_text(encoding="utf-8"))
        # validated by a test, not in each process
        entries = [_Entry(key, facts, only_versions=True) for key, facts in table["models"].items()]
        return cls(entries, table["date"], table["source"])._with_data(table)

    @classmethod
    def from_json(cls, path: Any) -> PriceTable:
        """Read a table from a JSON file; forms as in `from_dict`.

        Raises:
            StoreError: The file cannot be read.
            ConfigError: The file does not hold a price table.

        Examples:
            >>> import pathlib, tempfile
            >>> import crucible_nb as cr
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "prices.json"
            >>> _ = path.write_text('{"my-own": {"input": 1, "output": 2}}')
            >>> cr.PriceTable.from_json(path).lookup("my-own").input
            1.0
        """
        try:
            text = (Path(path) if isinstance(path, str) else path).read_text(encoding="utf-8")
            return cls.from_dict(json.loads(text))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise StoreError(f"cannot read {str(path)!r}: {error}") from error

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> PriceTable:
        """Build a table from plain data.

        Args:
            table: USD per million tokens by model, {"my-own": {"input": 1, "output": 2, "cache_read": 0.5}}; or
                {"models": {model: {"match": rule, "provider": text, "prices": {...}}}, "date": text, "source": text}.
                A rule is {"equals" | "starts_with" | "ends_with" | "contains" | "regex": text} or {"or": [rules]},
                {"and": [rules]}; without a rule a model matches its own name. Case is ignored.

        Raises:
            ConfigError: The data are invalid; the message names model and field.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.from_dict({"m": {"input": 1.0, "output": -2.0}})
            Traceback (most recent call last):
            ...
            crucible_nb.errors.ConfigError: price of 'm', output=-2.0: expected a number >= 0
        """
        facts = checks.mapping("table", table)
        models = checks.mapping("models", facts["models"]) if "models" in facts else facts
        entries = [_Entry.checked(key, value) for key, value in models.items()]
        date, source = (facts.get(key) if "models" in facts else None for key in ("date", "source"))
        return cls(entries, date, source)._with_data(table)

    def _with_data(self, *data: Mapping[str, Any]) -> PriceTable:
        self.data = data
        return self

    def updated(self, table: Mapping[str, Any]) -> PriceTable:
        """Return a new table in which the models of `table` come before those of this one.

        Examples:
            >>> import crucible_nb as cr
            >>> mine = cr.PriceTable.default().updated({"my-own": {"input": 1, "output": 2}})
            >>> mine.lookup("my-own").input, mine.lookup("gpt-4o").input
            (1.0, 2.5)
        """
        first = PriceTable.from_dict(table)
        merged = PriceTable((*first._entries, *self._entries), self.date, self.source)
        return merged._with_data(*first.data, *self.data)

    @classmethod
    def from_data(cls, data: Sequence[Mapping[str, Any]]) -> PriceTable:
        """Rebuild a table from its `data`: tables in the order in which they are searched.

        Examples:
            >>> import crucible_nb as cr
            >>> mine = cr.PriceTable.default().updated({"my-own": {"input": 1, "output": 2}})
            >>> cr.PriceTable.from_data(mine.data).lookup("my-own").output
            2.0
        """
        *before, last = data
        packaged = cls.default()
        table = packaged if (last,) == packaged.data else cls.from_dict(last)
        for part in reversed(before):
            table = table.updated(part)
        return table

    def lookup(self, model: str, provider: str | None = None) -> Price | None:
        """Return the price of a model, None if it is not in the table.

        Providers may have the names of LiteLLM or OpenTelemetry ("azure/gpt-4o", "vertex_ai/gemini-2.5-pro",
        "openrouter/openai/gpt-4o"). The packaged table prices models under their own names, with a version
        ("-2024-08-06", "-latest") or a host's path ("us.anthropic."), never fine-tunes or other sizes of them.

        Args:
            model: Name of the model, optionally after its provider ("openai/gpt-4o").
            provider: Provider whose prices are searched; an unknown provider has no prices.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.default().lookup("openai/gpt-4o-2024-08-06").output
            10.0
        """
        key = (model, provider)
        if key not in self._cache:
            name = model.strip().lower() if provider is None else f"{provider.strip()}/{model.strip()}".lower()
            self._cache[key] = self._search(name)
        return self._cache[key]

    def _search(self, name: str) -> Price | None:
        """Search a whole name first, then the part after the first slash with the part before as its provider."""
        price = self._first(name, None)
        prefix, slash, rest = name.partition("/")
        if price is not None or not slash:
            return price
        provider, rest = provider_of(prefix), rest.strip()
        if provider in ROUTERS:
            return self._search(rest) if "/" in rest else None
        again, _, bare = rest.partition("/")
        names = (rest, bare) if bare and provider_of(again) == provider else (rest,)
        sellers = (provider, *RESELLERS.get(provider, ()))
        found = (self._first(part, seller) for part in names for seller in sellers)
        return next((price for price in found if price is not None), None)

    def _first(self, name: str, provider: str | None) -> Price | None:
        """Return the price of the first entry of a provider (None for any) that has the name or matches it."""
        entries = [entry for entry in self._entries if provider is None or entry.provider in ("", provider)]
        exact = next((entry for entry in entries if entry.model.lower() == name), None)
        entry = exact or next((entry for entry in entries if entry.match(name)), None)
        return None if entry is None else entry.price

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per model: provider, and USD per million tokens.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.from_dict({"m": {"input": 1.0, "output": 2.0}}).to_frame().loc["m", "output"]
            np.float64(2.0)
        """
        rows = [(entry.provider, *(getattr(entry.price, rate) for rate in RATES)) for entry in self._entries]
        index = pd.Index([entry.model for entry in self._entries], name="model", dtype="str")
        return pd.DataFrame(rows, index=index, columns=["provider", *RATES])

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<PriceTable of {len(self)} models, {self.date or 'undated'}>"


def _price(model: str, prices: Any) -> Price:
    facts = checks.mapping(f"price of {model!r}", prices)
    rates = {rate: facts.get(rate, facts.get(f"{rate}_mtok")) for rate in RATES}
    tiered = [rate for rate in rates.values() if isinstance(rate, Mapping)]
    starts = sorted({tier["start"] for rate in tiered for tier in rate.get("tiers", ())})

    def price_from(start: int, above: tuple[tuple[int, Price], ...] = ()) -> Price:
        return Price(**{rate: _rate(model, rate, value, start) for rate, value in rates.items()}, above=above)

    price = price_from(0, tuple((start, price_from(start)) for start in starts))
    if math.isnan(price.input):
        raise ConfigError(f"price of {model!r}, input={rates['input']!r}: expected a number >= 0")
    return price


def _rate(model: str, rate: str, value: Any, start: int) -> float:
    """Return a rate for prompts of more than `start` tokens."""
    if isinstance(value, Mapping):
        reached = [tier["price"] for tier in value.get("tiers", ()) if 0 < tier["start"] <= start]
        value = [value.get("base"), *reached][-1]
    if value is None:
        return math.nan
    return checks.number(f"price of {model!r}, {rate}", value, ge=0, lt=math.inf)


_Form = Callable[[str, str], bool]


def _any_form(_before: str, _after: str) -> bool:
    return True


def _matcher(rule: Any, model: str, form: _Form = _any_form) -> Callable[[str], bool]:
    """Return the test of a match rule; `form` accepts what a name has before and after the text of the rule."""
    if rule is None:
        return model.lower().__eq__
    facts = checks.mapping(f"match of {model!r}", rule)
    if len(facts) != 1:
        raise checks.wrong(f"match of {model!r}", rule, "a mapping with one rule")
    kind, operand = next(iter(facts.items()))
    if kind in ("or", "and"):
        parts = [_matcher(part, model, form) for part in operand]
        combine = any if kind == "or" else all
        return lambda name: combine(part(name) for part in parts)
    text = str(operand).lower()
    if kind == "regex":
        pattern = re.compile(str(operand), re.IGNORECASE)
        return lambda name: pattern.search(name) is not None
    if text.startswith("ft:") or ".ft-" in text:  # a fine-tune's own rule: any text may follow
        form = _any_form
    rules: dict[str, Callable[[str], bool]] = {
        "equals": lambda name: name == text,
        "starts_with": lambda name: name.startswith(text) and form("", name[len(text) :]),
        "ends_with": lambda name: name.endswith(text) and form(name[: -len(text)], ""),
        "contains": lambda name: text in name and form(*name.split(text, 1)),
    }
    return rules[checks.one_of(f"match of {model!r}", kind, (*rules, "regex", "or", "and"))]
