"""How much the scores of `"auto"` depend on its settings: all changed at random by up to 15 %, or one by one.

`python -m benchmarks.plateau [--changes 24] [--seed 20] [--one-by-one] [--write]`. A point that was chosen because it is
the best on these series loses much by small changes; a plateau does not. Runs with numpy alone: the compiled kernel
holds its settings as constants. Needs the shared data.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.labelled import table, write
from benchmarks.labelled_series import COOLDOWN, SETS, labelled, outcome, summary
from crucible_nb.anomaly import (
    Auto,
    auto,
    auto_reasons,
    auto_state,
    block_maxima,
    rates,
    recursions,
    score,
    tellings,
    voices,
)
from crucible_nb.anomaly.kernel import KERNEL

MODULES = (auto, auto_reasons, auto_state, block_maxima, rates, recursions, tellings, voices)
NAMES = (
    "SHARE", "LIMIT", "YOUNG", "MARGIN", "YOUNG_MARGIN", "PREDICTOR", "TREND", "FAST", "SLOW", "RANK", "REPEATS",
    "REPEATS_TIMES", "CHANGED", "RESTART", "RARE", "NORMAL", "BLOCK", "SURE", "SURE_RANKS", "PRIOR_SD", "PRIOR_BLOCKS",
    "YOUNG_BLOCKS", "CLIP", "BLOCK_KEEP", "OFFSETS", "LEAST", "SETTLED", "ODDS", "EVIDENCE", "OVER", "PAST", "MEMORY",
    "WORSE",
)  # fmt: skip
"""Settings in `auto_state`, `recursions` and `tellings`; the arguments of `Auto` come last."""
ARGUMENTS = {"warm_up": 150, "cooldown": COOLDOWN}
CHANGE = 0.15


def settings() -> dict[str, float]:
    """All settings, tuples number by number."""
    found = {}
    for name in NAMES:
        value = next(vars(module)[name] for module in (auto_state, recursions, tellings) if name in vars(module))
        found |= {f"{name}_{i}": each for i, each in enumerate(value)} if isinstance(value, tuple) else {name: value}
    return {**found, **ARGUMENTS}


def changed(values: Mapping[str, float], factors: Mapping[str, float]) -> dict[str, float]:
    """The settings times their factors; numbers of values stay whole, and that of the stored past even."""
    result = {name: value * factors.get(name, 1.0) for name, value in values.items()}
    result["BLOCK_KEEP"] = 1 - (1 - values["BLOCK_KEEP"]) * factors.get("BLOCK_KEEP", 1.0)  # the number of blocks
    for name in ("BLOCK", "MEMORY", *ARGUMENTS):
        result[name] = round(result[name])
    result["PAST"] = 2 * round(result["PAST"] / 2)
    return result


@contextmanager
def in_force(values: Mapping[str, float]) -> Iterator[None]:
    """Run `auto` with these settings: in all modules that import them, and in the state before the first value."""
    before, state = [(module, dict(vars(module))) for module in MODULES], dict(auto_state.STATE)
    new: dict[str, Any] = {name: values[name] for name in NAMES if name in values}
    for name in ("OFFSETS", "LEAST"):
        new[name] = tuple(value for key, value in values.items() if key.startswith(f"{name}_"))
    new |= {"MOST_STRIDE": new["MEMORY"] // new["PAST"]}
    try:
        for module in MODULES:
            for name in set(new) & set(vars(module)):
                setattr(module, name, new[name])
        rates._KEEP = 1 - 1 / new["MEMORY"]
        _resize(new["PAST"], new["BLOCK"])
        yield
    finally:
        for module, old in before:
            vars(module).update(old)
        auto_state.STATE.clear()
        auto_state.STATE.update(state)


def _resize(past: int, block: int) -> None:
    state = {key: value for key, value in auto_state.STATE.items() if not key.startswith(("past_", "sorted_"))}
    auto_state.STATE.clear()
    auto_state.STATE.update(state, refresh=float(block))
    auto_state.STATE.update({f"{name}_{i}": 0.0 for name in ("past", "sorted") for i in range(past)})


def scores(values: Mapping[str, float], sets: tuple[str, ...] = tuple(SETS)) -> list[float]:
    """NAB score and F1 of `auto` with these settings on each set."""
    KERNEL._walk, KERNEL._requested = None, True
    result = []
    with in_force(values):
        for name in sets:
            series, found = labelled(name), []
            for one in series:
                raw = score(one.values, Auto("value", warm_up=int(values["warm_up"])), cooldown=0).to_numpy()
                found.append(outcome(raw, one, int(values["cooldown"])))
            result += [summary(found, series).nab, summary(found, series).f1]
    return result


def random_factors(names: Mapping[str, float], changes: int, seed: int) -> Iterator[dict[str, float]]:
    rng = np.random.default_rng(seed)
    for _ in range(changes):
        yield {name: rng.uniform(1 - CHANGE, 1 + CHANGE) for name in names}


def plateau_table(changes: int, seed: int) -> str:
    values = settings()
    point = scores(values)
    many = np.array([scores(changed(values, factors)) for factors in random_factors(values, changes, seed)])
    heads = ["", "at the settings", "mean", "standard deviation", "smallest", "largest"]
    labels = [f"{title}: {what}" for title in SETS.values() for what in ("NAB", "F1")]
    figures = zip(point, many.mean(0), many.std(0, ddof=1), many.min(0), many.max(0), strict=True)
    rows = [[label, *(f"{value:.1f}" for value in row)] for label, row in zip(labels, figures, strict=True)]
    return f"{table(heads, rows)}\n{changes} random changes of all {len(values)} settings by up to {CHANGE:.0%}.\n".replace(
        "%", " %"
    )


def one_by_one_table() -> str:
    values = settings()
    point = np.array(scores(values))
    labels = [f"{name}: {what}" for name in SETS for what in ("NAB", "F1")]
    rows = []
    for name, value in values.items():
        for factor in (1 - CHANGE, 1 + CHANGE):
            far = np.array(scores(changed(values, {name: factor}))) - point
            rows.append([f"{name} {value:g} × {factor:g}", *(f"{each:+.1f}" for each in far)])
            print(rows[-1], flush=True)
    return table(["", *labels], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    text = one_by_one_table() if args.one_by_one else plateau_table(args.changes, args.seed)
    print(text)
    if args.write and not args.one_by_one:
        write({"plateau": text})
