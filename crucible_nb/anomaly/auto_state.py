"""Settings of `auto` and the layout of its state: one row of numbers per group."""

from __future__ import annotations

import numpy as np

from crucible_nb.anomaly.recursions import MEMORY

SHARE = 0.02
"""Weight of the newest value in the recent level and dispersion: about the last 50 values."""
LIMIT, YOUNG = 3.4, 100.0
"""Limit of these in standard deviations; number of values at which it is twice as wide."""
MARGIN, YOUNG_MARGIN = 1.0, 300.0
"""The same for a value outside the range of all values so far."""
PREDICTOR, TREND = 0.05, 0.1
"""Weights of the newest value in the predictors: a mean, and the mean of the steps."""
FAST, SLOW = 0.15, 0.01
"""Weights of the newest value in the two means whose distance is judged: about the last 7 and the last 100 values."""
RANK = 0.05
"""Weight of the newest value in the means of ranks: about the last 20 values."""
REPEATS, REPEATS_TIMES = 20.0, 4.0
"""Limit of a run of equal values: 20 + 4 times the longest so far."""
CHANGED, RESTART = 320.0, 50.0
"""After so many values in a row with enough evidence the rate is the new normal, known from about so many values."""
RARE = 0.05
"""A rate nearer to 0 or 1 than this may get still nearer."""
NORMAL = 2.0
"""A run of so many times its limit is the new normal."""
BLOCK = 80
"""Number of values of a block: the largest value of a voice in it says how large the voice gets by itself."""
SURE, SURE_RANKS = 2.9, 2.8
"""A limit is so many standard deviations of the log of block maxima above their mean; that of ranks."""
PRIOR_SD, PRIOR_BLOCKS = 1 / 3, 6.0
"""Standard deviation of that log before any block, and how many blocks it weighs."""
YOUNG_BLOCKS = 2.0
"""Number of blocks at which the distance of a limit from the mean is twice as large."""
CLIP, BLOCK_KEEP = 2.5, 0.98
"""A block maximum counts as at most so many standard deviations from the mean; weight of the past per block."""
OFFSETS = (0.25, 0.1, 0.02, 0.02)
"""Added to each calibrated voice: of the scale floor for the first two, of a rank for the others."""
LEAST = (2.0, 1.0)
"""Smallest limits of the first two, in units of the scale floor."""
SETTLED = 50.0
"""Number of steps from which the scale of a series is known: until then it is at least 1 % of the mean size, and a
run of equal values is no anomaly."""
ODDS, EVIDENCE, OVER = 5.0, 8.0, 4.0
"""A changed rate is one with 5 times or a fifth of the odds; the log likelihood ratio at which the score is 1; by how
much it falls below its largest when the change is over."""
PAST = 64
"""Number of values of the past that ranks are computed from, thinned evenly."""
LARGEST = 1000.0
"""Largest value of one voice."""

CALIBRATED = ("error", "drift", "shift", "rank_spread")
"""Voices whose limit is what they reach in ordinary blocks."""
VOICES = ("level", "spread", "extreme", *CALIBRATED, "repeat", "rate")
"""All rules, each 1.0 at its limit."""
FACTS = (
    "mean", "sd", "level_now", "level_usual", "spread_now", "spread_usual", "highest", "lowest", "predicted", "fast",
    "slow", "rank_now", "rank_spread_now", "median", "run", "longest", "rate_usual",
)  # fmt: skip
"""Numbers that a reason mentions."""
PARTS = (*VOICES, *FACTS)

RATE_CELLS = (
    "up", "down", "up_most", "down_most", "up_one", "up_zero", "down_one", "down_zero", "rate", "ones", "rate_count",
    "lasted",
)  # fmt: skip
"""State of the rule on rates, in the order that `rates.add_value` uses."""

STATE: dict[str, float] = {
    "moves": 0.0,
    **{f"{name}_{part}": 0.0 for name in ("value", "level", "spread") for part in ("anchor", "sum", "square")},
    "weight": 0.0,
    "level": 0.0,
    "spread": 0.0,
    "highest": -np.inf,
    "lowest": np.inf,
    **dict.fromkeys(("mean", "trend", "fast", "slow", "ranks", "rank_spread", "repeats"), 0.0),
    "longest": 1.0,
    "binary": 1.0,
    **dict.fromkeys(RATE_CELLS, 0.0),
    **{f"{part}_{name}": 0.0 for part in ("largest", "log_mean", "log_square", "blocks") for name in CALIBRATED},
    **{f"limit_{name}": np.inf for name in CALIBRATED},
    "refresh": float(BLOCK),
    "stored": 0.0,
    "stride": 1.0,
    "place": 0.0,
    "ranked": 0.0,
    **{f"past_{i}": 0.0 for i in range(PAST)},
    **{f"sorted_{i}": 0.0 for i in range(PAST)},
}
"""State of a group besides `base.COMMON`, before the first value."""

MOST_STRIDE = MEMORY // PAST
"""The past is thinned until it covers the memory."""
