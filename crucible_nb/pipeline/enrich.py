"""The enrichment stage: total tokens, and cost where none was recorded."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.rates import Rates

_TOKENS = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "total_tokens")


class EnrichmentStage:
    """Computes columns from other columns of the same event; unknown values stay missing.

    Args:
        dictionaries: Categories of the columns `model` and `provider`.
        table: Prices by model.

    Attributes:
        unpriced: Number of events with tokens but no price, by model (with its provider, if one was recorded): the
            model is not in the table, or a number of tokens is negative.
    """

    def __init__(self, dictionaries: dict[str, Categories], table: PriceTable) -> None:
        self._models, self._providers = dictionaries["model"], dictionaries["provider"]
        self._names = Categories()
        self._rates = Rates(table, self._names.values)
        self._model_codes = np.zeros(0, np.int32)
        self.unpriced: Counter[str] = Counter()

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"unpriced": [[name, count] for name, count in self.unpriced.items()]}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.unpriced = Counter(dict(state["unpriced"]))

    def __call__(self, batch: Batch) -> None:
        """Add `total_tokens` and `cost_usd` to a batch."""
        cells = batch.cells
        recorded = cells["cost_usd"].values if "cost_usd" in cells else None
        if "model" in cells and "prompt_tokens" in cells and (recorded is None or np.isnan(recorded).any()):
            self._add_cost(batch, recorded)
        if "prompt_tokens" in cells and "completion_tokens" in cells:
            _add_total(batch)

    def _add_cost(self, batch: Batch, recorded: np.ndarray | None) -> None:
        """Price the events without a cost."""
        cells = batch.cells
        rows = slice(None) if recorded is None else np.flatnonzero(np.isnan(recorded))
        providers = cells["provider"].values[rows] if "provider" in cells else None
        codes = self._codes(cells["model"].values[rows], providers)
        tokens = [cells[name].floats()[rows] if name in cells else None for name in _TOKENS]
        cost = self._rates.cost(codes, *tokens)
        unknown = np.isnan(cost)
        if unknown.any():
            known = np.logical_or.reduce([~np.isnan(part) for part in tokens[:2] if part is not None])
            negative = np.logical_or.reduce([part < 0 for part in tokens[:4] if part is not None])
            owed = unknown & known & (codes >= 0)
            self._count_unpriced(codes[owed], negative[owed])
        if unknown.all():
            return
        priced = np.zeros(len(batch), np.bool_)
        priced[rows] = ~unknown
        if recorded is not None:
            recorded = recorded.copy()
            recorded[rows] = cost
        cells["cost_usd"] = Column("float", cost if recorded is None else recorded)
        cells["_priced"] = Column("flag", priced)

    def _codes(self, models: np.ndarray, providers: np.ndarray | None) -> np.ndarray:
        """Return the index of each event's name in the list of names to price: "model" or "provider/model"."""
        if len(self._model_codes) <= len(self._models):
            names = [self._names.code(name) for name in self._models.values]
            self._model_codes = np.array([*names, -1], np.int32)
        codes: np.ndarray = self._model_codes[models]
        if providers is None:
            return codes
        both = np.flatnonzero((providers >= 0) & (models >= 0))
        pairs, index = np.unique(providers[both].astype(np.int64) << 32 | models[both], return_inverse=True)
        names = [
            self._names.code(f"{self._providers.values[pair >> 32]}/{self._models.values[pair & 0xFFFFFFFF]}")
            for pair in pairs.tolist()
        ]
        codes[both] = np.array(names, np.int32)[index]
        return codes

    def _count_unpriced(self, codes: np.ndarray, negative: np.ndarray) -> None:
        """Count events that have no price; other events of priced models only lack some tokens."""
        for code in np.unique(codes).tolist():
            of_code = codes == code
            count = int((of_code & negative).sum() if self._rates.knows(code) else of_code.sum())
            if count:
                self.unpriced[self._names.values[code]] += count


def _add_total(batch: Batch) -> None:
    """Add prompt + completion tokens where both are known and no total was recorded; missing beyond int64."""
    prompt, completion = batch.cells["prompt_tokens"], batch.cells["completion_tokens"]
    total, mask = prompt.values + completion.values, _union(prompt.mask, completion.mask)
    wrapped = _wraps(prompt.values, completion.values, total)
    if wrapped is not None:
        total, mask = np.where(wrapped, 0, total), wrapped if mask is None else mask | wrapped
    recorded = batch.cells.get("total_tokens")
    if recorded is not None:
        missing = np.zeros(len(batch), np.bool_) if recorded.mask is None else recorded.mask
        total = np.where(missing, total, recorded.values)
        mask = None if mask is None else mask & missing
    batch.cells["total_tokens"] = Column("integer", total, mask)


_SAFE = 2**62


def _wraps(one: np.ndarray, two: np.ndarray, total: np.ndarray) -> np.ndarray | None:
    """Return which sums of two integers are beyond int64; None if none is."""
    if all(part.min() >= -_SAFE and part.max() < _SAFE for part in (one, two)):
        return None
    wrapped: np.ndarray = ((one ^ total) & (two ^ total)) < 0
    return wrapped if wrapped.any() else None


def _union(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    if a is None or b is None:
        return b if a is None else a
    union: np.ndarray = a | b
    return union
