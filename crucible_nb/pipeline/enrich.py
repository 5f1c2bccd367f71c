"""The enriching stage: total tokens, and cost where nobody gave one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.pipeline.prices import PriceTable, Rates

_TOKENS = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens")


class Enrich:
    """Fills what follows from other columns of the same event; what is not known stays missing.

    Args:
        dictionaries: Of the `model` and `provider` columns.
        table: Prices by model.

    Attributes:
        unpriced: Model (with its provider, where one was recorded) to number of events with tokens but no price.
    """

    def __init__(self, dictionaries: dict[str, Categories], table: PriceTable) -> None:
        self._models, self._providers = dictionaries["model"], dictionaries["provider"]
        self._names = Categories()
        self._rates = Rates(table, self._names.values)
        self._alone = np.zeros(0, np.int32)
        self.unpriced: Counter[str] = Counter()

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"unpriced": [[name, count] for name, count in self.unpriced.items()]}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.unpriced = Counter(dict(state["unpriced"]))

    def __call__(self, batch: Batch) -> None:
        """Add `total_tokens` and `cost_usd` to a batch."""
        cells = batch.cells
        if "prompt_tokens" in cells and "completion_tokens" in cells:
            _total(batch)
        given = cells["cost_usd"].values if "cost_usd" in cells else None
        if "model" in cells and "prompt_tokens" in cells and (given is None or np.isnan(given).any()):
            self._price(batch, given)

    def _price(self, batch: Batch, given: np.ndarray | None) -> None:
        cells = batch.cells
        codes = self._codes(cells["model"].values, cells["provider"].values if "provider" in cells else None)
        tokens = [cells[name].floats() if name in cells else None for name in _TOKENS]
        cost = self._rates.cost(codes, *tokens)
        missing = np.ones(len(batch), np.bool_) if given is None else np.isnan(given)
        unknown = np.isnan(cost)
        if unknown.any():
            known = np.logical_or.reduce([~np.isnan(part) for part in tokens[:2] if part is not None])
            self._count(codes[missing & unknown & known & (codes >= 0)])
        priced = missing & ~unknown
        if priced.any():
            cells["cost_usd"] = Column("float", cost if given is None else np.where(missing, cost, given))
            cells["_priced"] = Column("flag", priced)

    def _codes(self, models: np.ndarray, providers: np.ndarray | None) -> np.ndarray:
        """Places in the list of names to price: the model, with its provider before it where there is one."""
        if len(self._alone) <= len(self._models):
            names = [self._names.code(name) for name in self._models.values]
            self._alone = np.array([*names, -1], np.int32)
        codes: np.ndarray = self._alone[models]
        if providers is None:
            return codes
        both = np.flatnonzero((providers >= 0) & (models >= 0))
        pairs, place = np.unique(providers[both].astype(np.int64) << 32 | models[both], return_inverse=True)
        names = [
            self._names.code(f"{self._providers.values[pair >> 32]}/{self._models.values[pair & 0xFFFFFFFF]}")
            for pair in pairs.tolist()
        ]
        codes[both] = np.array(names, np.int32)[place]
        return codes

    def _count(self, codes: np.ndarray) -> None:
        """Models without a price; a model that has one only lacks tokens here and there."""
        for code, count in enumerate(np.bincount(codes).tolist()):
            if count and not self._rates.knows(code):
                self.unpriced[self._names.values[code]] += count


def _total(batch: Batch) -> None:
    """Prompt + completion where both are known and no total was given."""
    prompt, completion = batch.cells["prompt_tokens"], batch.cells["completion_tokens"]
    total, mask = prompt.values + completion.values, _either(prompt.mask, completion.mask)
    given = batch.cells.get("total_tokens")
    if given is not None:
        gone = np.zeros(len(batch), np.bool_) if given.mask is None else given.mask
        total = np.where(gone, total, given.values)
        mask = None if mask is None else mask & gone
    batch.cells["total_tokens"] = Column("integer", total, mask)


def _either(one: np.ndarray | None, two: np.ndarray | None) -> np.ndarray | None:
    if one is None or two is None:
        return two if one is None else one
    both: np.ndarray = one | two
    return both
