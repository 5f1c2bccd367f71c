"""What tokens cost: a table that is data, dated and replaceable. An unknown model has no price, never a guessed one."""

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

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.utils import checks

_RATES = ("input", "output", "cache_read", "cache_write")
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens; NaN where the table has none.

    Attributes:
        input, output: Tokens in and out.
        cache_read, cache_write: Tokens read from and written to a prompt cache; NaN: at the price of input.
        above: Larger prompts: pairs of (prompt tokens from which on, Price), ascending.

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


@dataclass(frozen=True, slots=True)
class _Entry:
    model: str
    provider: str
    match: Callable[[str], bool]
    price: Price


class PriceTable:
    """Prices by model.

    Args:
        entries: In the order in which they are tried; the first that matches wins.
        date: When the prices were checked.
        source: Where they come from.

    Attributes:
        data: The plain data it was made of.

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
        self._found: dict[tuple[str, str | None], Price | None] = {}

    @classmethod
    @functools.cache
    def default(cls) -> PriceTable:
        """The table that is shipped, with its date and source.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.default().lookup("gpt-4o").input
            2.5
        """
        return cls.from_json(resources.files("crucible_nb.pipeline") / "prices.json")

    @classmethod
    def from_json(cls, path: Any) -> PriceTable:
        """The table in a JSON file; forms as in `from_dict`.

        Raises:
            StoreError: The file cannot be read.
            ConfigError: It is no price table.

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
        """A table from plain data.

        Args:
            table: Model to USD per million tokens, {"my-own": {"input": 1, "output": 2, "cache_read": 0.5}}; or
                {"models": {model: {"match": rule, "provider": text, "prices": {...}}}, "date": text, "source": text}.
                A rule is {"equals" | "starts_with" | "ends_with" | "contains" | "regex": text} or {"or": [rules]},
                {"and": [rules]}; without one a model matches its own name. Case does not matter.

        Raises:
            ConfigError: Not such a table; the message names model and field.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.from_dict({"m": {"input": 1.0, "output": -2.0}})
            Traceback (most recent call last):
            ...
            crucible_nb.errors.ConfigError: price of 'm', output=-2.0: expected a number >= 0
        """
        facts = checks.mapping("table", table)
        models = checks.mapping("models", facts["models"]) if "models" in facts else facts
        entries = [_entry(name, value) for name, value in models.items()]
        date, source = (facts.get(key) if "models" in facts else None for key in ("date", "source"))
        made = cls(entries, date, source)
        made.data = (table,)
        return made

    def updated(self, table: Mapping[str, Any]) -> PriceTable:
        """This table with the models of another before its own; a new value.

        Examples:
            >>> import crucible_nb as cr
            >>> mine = cr.PriceTable.default().updated({"my-own": {"input": 1, "output": 2}})
            >>> mine.lookup("my-own").input, mine.lookup("gpt-4o").input
            (1.0, 2.5)
        """
        first = PriceTable.from_dict(table)
        made = PriceTable((*first._entries, *self._entries), self.date, self.source)
        made.data = (*first.data, *self.data)
        return made

    @classmethod
    def from_data(cls, data: Sequence[Mapping[str, Any]]) -> PriceTable:
        """The table whose `data` this is: tables in the order in which they are asked.

        Examples:
            >>> import crucible_nb as cr
            >>> mine = cr.PriceTable.default().updated({"my-own": {"input": 1, "output": 2}})
            >>> cr.PriceTable.from_data(mine.data).lookup("my-own").output
            2.0
        """
        *before, last = data
        table = cls.from_dict(last)
        for part in reversed(before):
            table = table.updated(part)
        return table

    def lookup(self, model: str, provider: str | None = None) -> Price | None:
        """The price of a model, None when the table does not know it.

        Args:
            model: Its name; a provider may stand before it ("openai/gpt-4o").
            provider: Only prices of this provider; a provider the table does not know has no prices.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.default().lookup("openai/gpt-4o-2024-08-06").output
            10.0
        """
        key = (model, provider)
        if key not in self._found:
            self._found[key] = self._search(model.strip().lower(), None if provider is None else provider.lower())
        return self._found[key]

    def _search(self, model: str, provider: str | None) -> Price | None:
        exact = next((entry for entry in self._of(provider) if entry.model.lower() == model), None)
        found = exact or next((entry for entry in self._of(provider) if entry.match(model)), None)
        if found is None and "/" in model and provider is None:
            prefix, _, rest = model.partition("/")
            return self._search(rest, prefix)
        return None if found is None else found.price

    def _of(self, provider: str | None) -> list[_Entry]:
        """Entries of a provider; one without a provider holds everywhere."""
        return [entry for entry in self._entries if provider is None or entry.provider in ("", provider)]

    def to_frame(self) -> pd.DataFrame:
        """One row a model: provider, and USD per million tokens.

        Examples:
            >>> import crucible_nb as cr
            >>> cr.PriceTable.from_dict({"m": {"input": 1.0, "output": 2.0}}).to_frame().loc["m", "output"]
            np.float64(2.0)
        """
        rows = [(one.provider, *(getattr(one.price, rate) for rate in _RATES)) for one in self._entries]
        index = pd.Index([one.model for one in self._entries], name="model", dtype="str")
        return pd.DataFrame(rows, index=index, columns=["provider", *_RATES])

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<PriceTable of {len(self)} models, {self.date or 'undated'}>"


def _entry(model: str, value: Any) -> _Entry:
    facts = checks.mapping(f"price of {model!r}", value)
    prices = facts.get("prices", facts)
    if isinstance(prices, list):  # dated prices, the oldest first
        prices = checks.mapping(f"price of {model!r}", prices[-1] if prices else None).get("prices", {})
    provider = str(facts.get("provider") or "").lower()
    name = str(facts.get("model", model))
    return _Entry(name, provider, _matcher(facts.get("match"), name), _price(model, prices))


def _price(model: str, prices: Any) -> Price:
    given = checks.mapping(f"price of {model!r}", prices)
    rates = {rate: given.get(rate, given.get(f"{rate}_mtok")) for rate in _RATES}
    tiered = [rate for rate in rates.values() if isinstance(rate, Mapping)]
    starts = sorted({tier["start"] for rate in tiered for tier in rate.get("tiers", ())})

    def at(start: int, above: tuple[tuple[int, Price], ...] = ()) -> Price:
        found = {rate: _rate(model, rate, value, start) for rate, value in rates.items()}
        return Price(found["input"], found["output"], found["cache_read"], found["cache_write"], above)

    price = at(0, tuple((start, at(start)) for start in starts))
    if math.isnan(price.input):
        raise ConfigError(f"price of {model!r}, input={rates['input']!r}: expected a number >= 0")
    return price


def _rate(model: str, rate: str, value: Any, start: int) -> float:
    """A rate for prompts of more than `start` tokens."""
    if isinstance(value, Mapping):
        reached = [tier["price"] for tier in value.get("tiers", ()) if 0 < tier["start"] <= start]
        value = [value.get("base"), *reached][-1]
    if value is None:
        return math.nan
    return checks.number(f"price of {model!r}, {rate}", value, ge=0, lt=math.inf)


def _matcher(rule: Any, model: str) -> Callable[[str], bool]:
    if rule is None:
        return model.lower().__eq__
    facts = checks.mapping(f"match of {model!r}", rule)
    if len(facts) != 1:
        raise checks.wrong(f"match of {model!r}", rule, "a mapping with one rule")
    kind, operand = next(iter(facts.items()))
    if kind in ("or", "and"):
        parts = [_matcher(part, model) for part in operand]
        some = any if kind == "or" else all
        return lambda name: some(part(name) for part in parts)
    text = str(operand).lower()
    if kind == "regex":
        pattern = re.compile(str(operand), re.IGNORECASE)
        return lambda name: pattern.search(name) is not None
    rules: dict[str, Callable[[str], bool]] = {
        "equals": lambda name: name == text,
        "starts_with": lambda name: name.startswith(text),
        "ends_with": lambda name: name.endswith(text),
        "contains": lambda name: text in name,
    }
    return rules[checks.one_of(f"match of {model!r}", kind, (*rules, "regex", "or", "and"))]


class Rates:
    """The rates of a growing list of models as arrays, looked up once a model.

    Args:
        table: Prices.
        models: The list; it may only grow.

    Examples:
        >>> import numpy as np
        >>> table = PriceTable.from_dict({"m": {"input": 1.0, "output": 2.0}})
        >>> Rates(table, ["m", "x"]).cost(np.array([0, 1]), np.array([1e6, 1.0]), np.array([1e6, 1.0])).tolist()
        [3.0, nan]
    """

    def __init__(self, table: PriceTable, models: list[str]) -> None:
        self._table, self._models = table, models
        self._prices: list[Price | None] = []
        self._rates = np.full((len(_RATES), 1), np.nan)

    def _refresh(self) -> None:
        """Rates by code; the last column, code -1, is for events without a model."""
        self._prices += [self._table.lookup(model) for model in self._models[len(self._prices) :]]
        self._rates = np.array([_filled(price) for price in (*self._prices, None)]).T

    def knows(self, code: int) -> bool:
        """Whether the model has a price."""
        return self._prices[code] is not None

    def cost(
        self,
        codes: np.ndarray,
        prompt: np.ndarray | None,
        completion: np.ndarray | None,
        read: np.ndarray | None = None,
        write: np.ndarray | None = None,
    ) -> np.ndarray:
        """USD an event.

        Args:
            codes: int[n], place of the model in the list, -1 for none.
            prompt: float64[n], all tokens in, those read from or written to a cache included; NaN where missing.
            completion: float64[n], tokens out.
            read, write: float64[n], tokens of the prompt that a cache gave or took; missing is 0.

        Returns:
            float64[n]; NaN where the model has no price or tokens are missing. A model without a price for tokens
            out (embeddings) needs none of them.
        """
        if len(self._prices) < len(self._models):
            self._refresh()
        if prompt is None:
            return np.full(len(codes), np.nan)
        cost = _cost(self._rates[:, codes], prompt, completion, read, write)
        for code, price in enumerate(self._prices):
            for start, larger in () if price is None else price.above:
                at = np.flatnonzero((codes == code) & (prompt > start))
                if len(at):
                    rates = np.repeat(np.array([_filled(larger)]).T, len(at), axis=1)
                    tokens = (None if part is None else part[at] for part in (prompt, completion, read, write))
                    cost[at] = _cost(rates, *tokens)
        return cost


def _filled(price: Price | None) -> list[float]:
    """Rates with those of the cache at the price of input where they are not known."""
    if price is None:
        return [math.nan] * len(_RATES)
    cached = (price.input if math.isnan(rate) else rate for rate in (price.cache_read, price.cache_write))
    return [price.input, price.output, *cached]


def _cost(
    rates: np.ndarray, prompt: Any, completion: np.ndarray | None, read: np.ndarray | None, write: np.ndarray | None
) -> np.ndarray:
    into, out, from_cache, to_cache = rates
    cost = prompt * into
    for tokens, rate in ((read, from_cache), (write, to_cache)):
        if tokens is not None:
            cost = cost + np.nan_to_num(tokens) * (rate - into)
    known = np.full(len(prompt), np.nan) if completion is None else completion
    return (cost + np.where(np.isnan(out) & np.isnan(known), 0.0, known * out)) / _MILLION  # type: ignore[no-any-return]
