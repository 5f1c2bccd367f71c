"""The enriching stage: total tokens, and cost where nobody gave one."""

from __future__ import annotations

from collections import Counter

import numpy as np

from crucible_nb.cells import Batch, Cells, Dictionary
from crucible_nb.prices import PriceTable, cost_usd


class Enrich:
    """Fills what follows from other columns of the same event; what is not known stays missing.

    Args:
        models: Dictionary of the `model` column.
        table: Prices by model.

    Attributes:
        unpriced: Model to number of events with tokens but without a price.
    """

    def __init__(self, models: Dictionary, table: PriceTable) -> None:
        self._models = models
        self.table = table
        self.unpriced: Counter[str] = Counter()

    def __call__(self, batch: Batch) -> None:
        """Add `total_tokens` and `cost_usd` to a batch."""
        cells = batch.cells
        if "prompt_tokens" in cells and "completion_tokens" in cells:
            _total(batch)
        if "model" in cells and ("prompt_tokens" in cells or "completion_tokens" in cells):
            self._price(batch)

    def _price(self, batch: Batch) -> None:
        cells = batch.cells
        given = cells["cost_usd"].values if "cost_usd" in cells else None
        if given is not None and not np.isnan(given).any():
            return
        codes = cells["model"].values
        prompt, completion, read, write = (
            cells[name].floats() if name in cells else None
            for name in ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens")
        )
        cost = cost_usd(self.table, self._models.values, codes, _known(prompt, batch), _known(completion, batch), read, write)
        missing = np.isnan(given) if given is not None else np.ones(len(batch), np.bool_)
        self._count(codes, cost, missing & _any_known(prompt, completion))
        priced = missing & ~np.isnan(cost)
        if priced.any():
            cells["cost_usd"] = Cells("float", cost if given is None else np.where(missing, cost, given))
            cells["_priced"] = Cells("flag", priced)

    def _count(self, codes: np.ndarray, cost: np.ndarray, wanted: np.ndarray) -> None:
        without = codes[wanted & np.isnan(cost) & (codes >= 0)]
        for code, count in enumerate(np.bincount(without).tolist()) if len(without) else ():
            if count:
                self.unpriced[self._models.values[code]] += count


def _known(tokens: np.ndarray | None, batch: Batch) -> np.ndarray:
    return np.full(len(batch), np.nan) if tokens is None else tokens


def _any_known(*tokens: np.ndarray | None) -> np.ndarray:
    known = [~np.isnan(one) for one in tokens if one is not None]
    return np.logical_or.reduce(known)


def _total(batch: Batch) -> None:
    """prompt + completion where both are known and no total was given."""
    prompt, completion = batch.cells["prompt_tokens"], batch.cells["completion_tokens"]
    total, mask = prompt.values + completion.values, _either(prompt.mask, completion.mask)
    given = batch.cells.get("total_tokens")
    if given is not None:
        gone = np.zeros(len(batch), np.bool_) if given.mask is None else given.mask
        total = np.where(gone, total, given.values)
        mask = None if mask is None else mask & gone
    batch.cells["total_tokens"] = Cells("integer", total, mask)


def _either(one: np.ndarray | None, two: np.ndarray | None) -> np.ndarray | None:
    if one is None or two is None:
        return two if one is None else one
    return one | two
