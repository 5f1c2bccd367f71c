"""The cost of events in USD, from their tokens and the rates of their models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crucible_nb.pipeline.prices import RATES, Price, PriceTable

_MILLION = 1e6


class Rates:
    """The rates of a growing list of models as arrays; each model is looked up once.

    Args:
        table: Prices by model.
        models: List of models; it may only grow.

    Examples:
        >>> import numpy as np
        >>> from crucible_nb.pipeline.prices import PriceTable
        >>> table = PriceTable.from_dict({"m": {"input": 1.0, "output": 2.0}})
        >>> Rates(table, ["m", "x"]).cost(np.array([0, 1]), np.array([1e6, 1.0]), np.array([1e6, 1.0])).tolist()
        [3.0, nan]
    """

    def __init__(self, table: PriceTable, models: list[str]) -> None:
        self._table, self._models = table, models
        self._prices: list[Price | None] = []
        self._rates = np.full((len(RATES), 1), np.nan)

    def _refresh(self) -> None:
        """Update the rates by code; the last column, code -1, is for events without a model."""
        self._prices += [self._table.lookup(model) for model in self._models[len(self._prices) :]]
        self._rates = np.array([_fill_cache_rates(price) for price in (*self._prices, None)]).T

    def knows(self, code: int) -> bool:
        """Return whether the model has a price."""
        return self._prices[code] is not None

    def cost(
        self,
        codes: np.ndarray,
        prompt: np.ndarray | None,
        completion: np.ndarray | None,
        read: np.ndarray | None = None,
        write: np.ndarray | None = None,
        total: np.ndarray | None = None,
    ) -> np.ndarray:
        """Compute the cost of each event in USD.

        Cached tokens are part of the prompt (OpenAI, Google, OpenTelemetry), unless the numbers show that they are
        beside it (the usage of Anthropic and Bedrock): they are more than the prompt, or the total contains both.

        Args:
            codes: Index of the model in the list, int[n]; -1 for none.
            prompt: Number of prompt tokens, float64[n]; NaN where missing.
            completion: Number of completion tokens, float64[n].
            read, write: Number of tokens read from and written to a prompt cache, float64[n]; NaN means 0.
            total: Number of all tokens as recorded, float64[n]; NaN where missing.

        Returns:
            float64[n]; NaN where the model has no price, tokens are missing, or a number of tokens is negative. A model
            without an output price (embeddings) needs no completion tokens.
        """
        if len(self._prices) < len(self._models):
            self._refresh()
        if prompt is None:
            return np.full(len(codes), np.nan)
        prompt = _whole_prompt(prompt, completion, read, write, total)
        cost = _cost(self._rates[:, codes], prompt, completion, read, write)
        for code, price in enumerate(self._prices):
            for start, larger in () if price is None else price.above:
                at = np.flatnonzero((codes == code) & (prompt > start))
                if len(at):
                    rates = np.repeat(np.array([_fill_cache_rates(larger)]).T, len(at), axis=1)
                    tokens = (None if part is None else part[at] for part in (prompt, completion, read, write))
                    cost[at] = _cost(rates, *tokens)
        return cost


def _whole_prompt(
    prompt: np.ndarray,
    completion: np.ndarray | None,
    read: np.ndarray | None,
    write: np.ndarray | None,
    total: np.ndarray | None,
) -> np.ndarray:
    """Return the prompt tokens with the cached ones; NaN if a number of tokens is negative."""
    parts = [part for part in (prompt, completion, read, write) if part is not None]
    valid = ~np.logical_or.reduce([part < 0 for part in parts])
    cached: Any = sum(np.nan_to_num(part) for part in (read, write) if part is not None)
    beside = cached > prompt
    if total is not None and completion is not None:
        beside |= (cached > 0) & (total == prompt + completion + cached)
    whole: np.ndarray = np.where(valid, np.where(beside, prompt + cached, prompt), np.nan)
    return whole


def _fill_cache_rates(price: Price | None) -> list[float]:
    """Return the rates of a price; unknown cache rates are the input rate."""
    if price is None:
        return [math.nan] * len(RATES)
    cache_rates = (price.input if math.isnan(rate) else rate for rate in (price.cache_read, price.cache_write))
    return [price.input, price.output, *cache_rates]


def _cost(
    rates: np.ndarray, prompt: Any, completion: np.ndarray | None, read: np.ndarray | None, write: np.ndarray | None
) -> np.ndarray:
    input_rate, output_rate, read_rate, write_rate = rates
    cost = prompt * input_rate
    for tokens, rate in ((read, read_rate), (write, write_rate)):
        if tokens is not None:
            cost = cost + np.nan_to_num(tokens) * (rate - input_rate)
    tokens = np.full(len(prompt), np.nan) if completion is None else completion
    output = np.where(np.isnan(output_rate) & np.isnan(tokens), 0.0, tokens * output_rate)
    return (cost + output) / _MILLION  # type: ignore[no-any-return]
