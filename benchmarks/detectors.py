"""What the detectors find in real recordings, theirs and injected, beside river, scikit-learn and published ones.

`python -m benchmarks.detectors [--quick] [--write]`; --write keeps the tables in the guide. Needs the shared data (beside the checkout, or CRUCIBLE_SHARED_DATA).
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks import nab
from crucible_nb.anomaly import Detector
from crucible_nb.anomaly.registry import NAMES, detector_of
from crucible_nb.anomaly.tellings import cap_repeated_alarms

SHARED = nab.SHARED.parent
FIT, CALIBRATE = 2_000, 5_000
FIRST = FIT + CALIBRATE  # what peers learn their threshold from is clean for all
COUNT = 10  # incidents of one kind in one run
COOLDOWN = 100  # the detectors' default
GAP = 600  # rows at least between injected incidents
BUDGET = 0.0015  # incidents a row that auto promises on skewed data
Span = tuple[int, int]
Flags = Callable[[np.ndarray], np.ndarray]  # scores of which 1.0 is the threshold, or booleans


# -- material --------------------------------------------------------------------------------------------------------


@cache
def calls(shared: Path = SHARED, release: str = "v8") -> pd.DataFrame:
    """The LLM calls of a release in order of time since their session began: latency_ms, cost_usd, error, repeat.

    `error` is 1 without output, 0 with some, missing where nobody knows; `repeat` is 1 where the previous call of the
    same agent had an equally long prompt.
    """
    rows = pd.read_parquet(shared / "agent_llm_calls.parquet")
    rows = rows[(rows["release"] == release) & (rows["event"] == "llm.call")]
    before = rows.groupby(["session", "agent"], observed=True)["prompt_tokens"].shift()
    frame = pd.DataFrame(
        {
            "latency_ms": rows["latency_s"] * 1000,
            "cost_usd": cost(rows, json.loads((shared / "llm_prices.json").read_text())["models"]),
            "error": 1 - rows["success"].astype("Float64").to_numpy(np.float64, na_value=np.nan),
            "repeat": (rows["prompt_tokens"] == before).fillna(value=False).astype(float),
        }
    )
    return frame.iloc[np.argsort(rows["t_s"].to_numpy(), kind="stable")].reset_index(drop=True)


def cost(rows: pd.DataFrame, models: dict[str, Any]) -> np.ndarray:
    """USD: blocks of 64 tokens shared with the call before at the price of cache reads, the rest as input; no tiers."""
    rates = np.array([_rates(models, str(name)) for name in rows["model"].cat.categories])[rows["model"].cat.codes]
    prompt, out, shared = (
        rows[name].astype("Float64").to_numpy(np.float64, na_value=np.nan)
        for name in ("prompt_tokens", "completion_tokens", "prefix_blocks_shared")
    )
    cached = np.minimum(64 * np.nan_to_num(shared), prompt)
    return ((prompt - cached) * rates[:, 0] + cached * rates[:, 1] + out * rates[:, 2]) / 1e6


def _rates(models: dict[str, Any], model: str) -> list[float]:
    """Base prices of the longest name that the model's begins with."""
    aliases = {name.removesuffix("-0") if name.endswith("-4-0") else name: name for name in models}
    name = aliases[max((alias for alias in aliases if model.startswith(alias)), key=len)]
    prices = models[name]["prices"]
    prices = prices[0]["prices"] if isinstance(prices, list) else prices
    rates = [prices[rate] for rate in ("input_mtok", "cache_read_mtok", "output_mtok")]
    return [rate["base"] if isinstance(rate, dict) else rate for rate in rates]


# -- what was found --------------------------------------------------------------------------------------------------


class Tally(NamedTuple):
    """Incidents that happened, alarms that were raised, and what they have to do with each other."""

    happened: int = 0
    raised: int = 0
    delays: tuple[int, ...] = ()
    running: int = 0
    right: int = 0  # alarms within incidents

    def __add__(self, other: tuple[Any, ...]) -> Tally:
        return Tally(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def found(self) -> int:
        return len(self.delays)

    @property
    def precision(self) -> float:
        return self.right / self.raised if self.raised else float("nan")

    @property
    def recall(self) -> float:
        return self.found / self.happened

    def cell(self) -> str:
        """Precision, recall and median delay."""
        if not self.raised:
            return "– / 0 % / –"
        delay = f"{median(self.delays):g}" if self.delays else "–"
        return f"{self.precision:.0%} / {self.recall:.0%} / {delay}".replace("%", " %")


def begins(flags: np.ndarray, cooldown: int = COOLDOWN) -> np.ndarray:
    """Rows that are told, as by `cr.anomaly.score`: an incident begins, or scores say that it is clearly worse."""
    return np.flatnonzero(cap_repeated_alarms(np.asarray(flags, float), cooldown) >= 1)


def tally(flags: np.ndarray, spans: list[Span], first: int = 0) -> Tally:
    """An incident is found when its alarm lies within it; flags of an incident that had begun before find nothing."""
    alarms = begins(flags)
    alarms = alarms[alarms >= first]
    delays, running, right = [], 0, np.zeros(len(alarms), bool)
    for start, stop in spans:
        within = (alarms >= start) & (alarms < stop)
        right |= within
        inside = alarms[within]
        delays += [int(inside[0]) - start] if len(inside) else []
        running += not len(inside) and bool((flags[start:stop] >= 1).any())
    return Tally(len(spans), len(alarms), tuple(delays), running, int(right.sum()))


def scored(values: np.ndarray | pd.DataFrame, method: str | Detector) -> np.ndarray:
    """The raw score of each row."""
    return cr.anomaly.score(values, method, cooldown=0).to_numpy()


def flagged(values: np.ndarray | pd.DataFrame, method: str | Detector) -> np.ndarray:
    """Rows with a raw score of 1.0 or more."""
    return scored(values, method) >= 1


OURS: dict[str, Flags] = {name: lambda values, name=name: scored(values, name) for name in NAMES}


# -- injected incidents ----------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A kind of incident: what happens to a column for some calls."""

    what: str
    column: str
    length: int
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]


KINDS = (
    Kind("spike", "latency_ms", 1, lambda x, rng: x * rng.uniform(10, 20)),
    Kind("level shift", "latency_ms", 300, lambda x, rng: x * 2),
    Kind("error burst", "error", 30, lambda x, rng: np.ones(len(x))),
    Kind("cost jump", "cost_usd", 200, lambda x, rng: x * 5),
)


def inject(values: np.ndarray, kind: Kind, seed: int, first: int = FIRST) -> tuple[np.ndarray, list[Span]]:
    """One incident at a random place of each of `COUNT` equal parts, at a known value, `GAP` rows from the next."""
    rng = np.random.default_rng([seed, *kind.what.encode()])
    known, changed, spans = np.flatnonzero(~np.isnan(values)), values.copy(), []
    edges = np.linspace(first, len(values), COUNT + 1).astype(int)
    for low, high in itertools.pairwise(edges):
        start = int(known[np.searchsorted(known, rng.integers(low, high - kind.length - GAP))])
        stop = start + kind.length
        changed[start:stop] = kind.change(values[start:stop], rng)
        spans.append((start, stop))
    return changed, spans


class Measured(NamedTuple):
    """What one method did on all kinds."""

    kinds: dict[str, Tally]
    quiet: dict[str, float]  # incidents in 1,000 rows with nothing injected
    ns: float


def measured(flags: Flags, frame: pd.DataFrame, seeds: int) -> Measured:
    """Run a method over the untouched columns and all injected ones."""
    spent: list[float] = []

    def timed(values: np.ndarray, spans: list[Span]) -> Tally:
        start = process_time()
        found = flags(values)
        spent.append((process_time() - start) / np.isfinite(values).sum() * 1e9)
        return tally(found, spans, FIRST)

    rows = len(frame) - FIRST
    quiet = {
        column: timed(frame[column].to_numpy(), []).raised / rows * 1000
        for column in ("latency_ms", "error", "cost_usd")
    }
    kinds = {
        kind.what: sum((timed(*inject(frame[kind.column].to_numpy(), kind, seed)) for seed in range(seeds)), Tally())
        for kind in KINDS
    }
    return Measured(kinds, quiet, median(spent))


def largest_so_far(frame: pd.DataFrame, seeds: int) -> str:
    """How many of the spikes a look at the largest value alone could find."""
    latency, larger = frame["latency_ms"].to_numpy(), 0
    for seed in range(seeds):
        values, spans = inject(latency, KINDS[0], seed)
        larger += sum(values[row] > np.nanmax(latency[:row]) for row, _ in spans)
    return f"{larger} of {seeds * COUNT}"


def injected_table(results: dict[str, Measured], *, ns: bool = False) -> str:
    heads = [kind.what for kind in KINDS]
    last = ["missed, within another incident", "raised with nothing injected: latency", "errors", "cost"]
    last += ["ns per event"] if ns else []
    lines = ["| | " + " | ".join([*heads, "total", *last]) + " |", "|---|" + "--:|" * (len(heads) + 1 + len(last))]
    for name, found in results.items():
        total = sum(found.kinds.values(), Tally())
        cells = [found.kinds[kind.what].cell() for kind in KINDS] + [total.cell()]
        cells += [str(total.running), *(f"{value:.2f}" for value in found.quiet.values())]
        cells += [f"{found.ns:,.0f}"] if ns else []
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


# -- peers -----------------------------------------------------------------------------------------------------------


def gaussian(x: np.ndarray) -> np.ndarray:
    from river.anomaly import GaussianScorer

    return _supervised(GaussianScorer(), x)


def deviation(x: np.ndarray) -> np.ndarray:
    from river.anomaly import StandardAbsoluteDeviation

    return _supervised(StandardAbsoluteDeviation(), x)


def _supervised(model: Any, x: np.ndarray) -> np.ndarray:
    scores = []
    for value in x.tolist():
        scores.append(float(model.score_one(None, value)))
        model.learn_one(None, value)
    return np.array(scores)


def half_space(x: np.ndarray) -> np.ndarray:
    from river.anomaly import HalfSpaceTrees
    from river.preprocessing import MinMaxScaler

    model, scores = MinMaxScaler() | HalfSpaceTrees(seed=0), []
    for value in x.tolist():
        scores.append(float(model.score_one({"x": value})) if scores else 0.0)
        model.learn_one({"x": value})
    return np.array(scores)


def forest(x: np.ndarray) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    return _fitted(IsolationForest(random_state=0), x)


def neighbours(x: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import LocalOutlierFactor

    return _fitted(LocalOutlierFactor(novelty=True), x)


def _fitted(model: Any, x: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # many equal values
        model.fit(x[:FIT, None])
        return -np.asarray(model.score_samples(x[:, None]))


def chance(x: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).random(len(x))


PEERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "river GaussianScorer": gaussian,
    "river StandardAbsoluteDeviation": deviation,
    "river HalfSpaceTrees": half_space,
    "scikit-learn IsolationForest": forest,
    "scikit-learn LocalOutlierFactor": neighbours,
    "chance": chance,
}


def budgeted(scorer: Callable[[np.ndarray], np.ndarray]) -> Flags:
    """Flags above the score that the asked share of the clean rows `FIT` to `FIRST` exceeds."""

    def flags(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        score = np.full(len(values), np.nan)
        score[known] = scorer(values[known])
        clean = np.sort(score[FIT:FIRST][known[FIT:FIRST]])[::-1]
        return np.asarray(score > clean[int(BUDGET * len(clean))])

    return flags


# -- what really happened --------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A recording, what is wrong with it and where."""

    what: str
    values: pd.DataFrame
    spans: list[Span]
    options: dict[str, Any] = {}  # noqa: RUF012  read only

    def detector(self, method: str) -> Detector:
        metrics = tuple(name for name in self.values.columns if name != "run")
        return detector_of("method", method, metrics=metrics, **self.options)


def timeout(shared: Path = SHARED) -> Case:
    """The call that took 300.03 s."""
    latency = calls(shared)[["latency_ms"]]
    row = int(latency["latency_ms"].idxmax())
    return Case("a call of 300.03 s among 49,334 (latency_ms)", latency, [(row, row + 1)])


def double_sends(shared: Path = SHARED, block: int = 1) -> Case:
    """Release v6, which logged almost every turn twice, then v8, which did not any more."""
    before, after = (calls(shared, release)["repeat"] for release in ("v6", "v8"))
    values = pd.concat([before, after], ignore_index=True)
    values = values.groupby(values.index // block).mean().to_frame("repeat")
    seam = len(before) // block
    unit = "call by call" if block == 1 else f"shares of {block} calls"
    return Case(f"double sends end after {len(before):,} calls, {unit}", values, [(seam, seam + 2_000 // block)])


def failing(shared: Path, run: str) -> Case:
    """All requests of the runs without an error, then a run that has some, in order of request."""
    rows = pd.read_parquet(shared / "llmperf_requests.parquet")
    rows["error"] = rows["error_code"].notna().astype(float)
    errors = rows.groupby("run", observed=True)["error"].transform("sum")
    values = pd.concat([rows.loc[errors == 0, ["error"]], rows.loc[rows["run"] == run, ["error"]]], ignore_index=True)
    bad = rows.loc[rows["run"] == run, "error_code"].dropna()
    what = (
        f"{run}: {len(bad)} errors {int(bad.iloc[0])} in {int((rows['run'] == run).sum())} requests, after clean runs"
    )
    return Case(what, values, [(int(np.flatnonzero(values["error"])[0]), len(values))])


def restarts(shared: Path = SHARED) -> Case:
    """Step times of 157 training runs: the clock restarts at step 11, so that step seems to take -24 s or less."""
    rows = pd.read_parquet(shared / "nanogpt_training_steps.parquet")
    run = rows["record"].astype(str) + " " + rows["run"].astype(str)
    values = pd.DataFrame({"latency_ms": rows["train_time_ms"].groupby(run, sort=False).diff(), "run": run})
    at = np.flatnonzero((rows["step"] == 11) & (values["latency_ms"] < 0))
    spans = [(int(row), int(row) + 1) for row in at]
    return Case("step 11 of 157 training runs, by run, warm_up=8", values, spans, {"by": ("run",), "warm_up": 8})


def real_cases(shared: Path = SHARED) -> list[Case]:
    runs = ("lepton_70b", "lepton_7b", "perplexity_70b", "bedrock_70b")
    return [
        timeout(shared), double_sends(shared), double_sends(shared, 20), double_sends(shared, 50),
        *(failing(shared, run) for run in runs), restarts(shared),
    ]  # fmt: skip


def real_cell(case: Case, method: str) -> str:
    if method == "isolation_forest" and "by" in case.options:
        return "takes no groups"
    found = tally(scored(case.values, case.detector(method)), case.spans)
    more = found.raised - found.right
    others = f"{more} other" + "s" * (more != 1)
    if not found.found:
        return ("in a running incident" if found.running else "**not found**") + f"; {others}"
    share = f"{found.found} of {found.happened}, " if found.happened > 1 else ""
    return f"{share}delay {median(found.delays):g}; {others}"


def said(case: Case) -> str:
    """What auto says of the incidents it raises within the spans."""
    rows = case.detector("auto")
    found = cr.anomaly.anomalies(case.values, rows)
    inside = [one for one in found.itertuples() if any(a <= one.first_seq < b for a, b in case.spans)]
    return "".join(f"\n- {case.what}: *{one.reason}* (peak {one.peak:.3g}, {one.count} rows)" for one in inside[:1])


def real_table(shared: Path = SHARED) -> str:
    cases = real_cases(shared)
    lines = ["| | " + " | ".join(NAMES) + " |", "|---|" + "---|" * len(NAMES)]
    lines += [f"| {case.what} | " + " | ".join(real_cell(case, name) for name in NAMES) + " |" for case in cases]
    raw = cr.anomaly.score(cases[0].values, cooldown=0)
    place = int((raw > raw[cases[0].spans[0][0]]).sum())
    rank = "the largest" if not place else f"number {place + 1} of all"
    words = "".join(said(case) for case in cases)
    return "\n".join(lines) + f"\n\nBy `auto` the score of the 300.03 s call is {rank}. What `auto` says:\n{words}\n"


# -- published detectors ---------------------------------------------------------------------------------------------


def nab_table(folder: Path = nab.SHARED) -> str:
    files = list(nab.corpus(folder))
    windows = sum(len(one.windows) for one in files)
    rows = [(f"**{name}**", nab.evaluate(files, name)) for name in NAMES]
    published = pd.read_csv(folder / "published_scores.csv", keep_default_na=False)
    for name, scores in published.groupby("Detector"):
        by_profile = {profile: part["Score"].tolist() for profile, part in scores.groupby("Profile")}
        if all(len(part) == len(files) for part in by_profile.values()):
            rows.append((name, {p: nab.normalised(by_profile[p], windows, nab.PROFILES[p]) for p in nab.PROFILES}))
    rows.sort(key=lambda row: -row[1]["standard"])
    lines = ["| | " + " | ".join(nab.PROFILES) + " |", "|---|" + "--:|" * len(nab.PROFILES)]
    lines += [f"| {name} | " + " | ".join(f"{score:.1f}" for score in found.values()) + " |" for name, found in rows]
    return "\n".join(lines) + "\n"


def main(quick: bool = False) -> str:
    """Run it; returns the tables as Markdown."""
    frame, seeds = calls(), 1 if quick else 5
    ours = {f"`{name}`": measured(flags, frame, seeds) for name, flags in OURS.items()}
    peers = {name: measured(budgeted(scorer), frame, seeds) for name, scorer in PEERS.items()}
    n = len(frame)
    return f"""### Detectors

**Injected incidents.** {n:,} real LLM calls (agent_llm_calls v8) in order of time since their session began; missing
latencies and outcomes stay missing. {COUNT} incidents of one kind at a time from row {FIRST:,} on, {seeds} seeded runs: a spike is
one call of 10 to 20 times its latency, a level shift 300 calls of twice, an error burst 30 failed calls in the 0/1 column
`error`, a cost jump 200 calls of five times. Cost is tokens times list price without tiers, blocks shared with the call
before at the price of cache reads. Default settings and cool-down, one for all. Cells are precision of alarms / recall of incidents /
median delay in calls: one is found when an alarm falls within it. An incident is told again, by one more alarm, when it is clearly
worse. Precision counts as false what is odd but was not injected: the recording has long calls, 27 failed calls and dear
ones of its own; how many alarms in 1,000 rows a method raises with nothing injected stands at the end. Most spikes are hidden in what these calls do by themselves: {largest_so_far(frame, seeds)} exceed
every real call before them.

{injected_table(ours)}
**Peers** on the same data: river scores before it learns; scikit-learn is fitted on the first {FIT:,} known values. Their threshold
is the score that {BUDGET:.2%} of the clean rows {FIT:,} to {FIRST:,} exceed, the rate of false alarms that `auto` promises on skewed data;
alarms merge in the same way. `auto` has its one setting. "Chance" is a random score.
Time is of whole columns at once, scikit-learn's fit included, river value by value.

{injected_table({"`auto`": ours["`auto`"], **peers}, ns=True)}
**What really happened.** Cells say how many rows after its beginning the incident was raised, and how many others the
method raised elsewhere in the same recording. An alarm must fall within it; for the end of the double sends, within 2,000 calls. "In a
running incident": rows were flagged, but the alarm had been raised before, for something else.

{real_table()}
**Numenta Anomaly Benchmark**, ten of its series, 21 windows; 0 is doing nothing, 100 perfect. Ours (bold) are causal with one setting and
the threshold 1.0; the published ones have thresholds that NAB tuned for each profile on the whole corpus. These ten were
used for choosing `auto`, which flatters it here. `random` is left out: it is published for six of the ten.

{nab_table()}"""


PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "anomalies.md"
BEGIN, END = "<!-- found: begin -->\n", "<!-- found: end -->\n"

if __name__ == "__main__":
    text = main(quick="--quick" in sys.argv[1:])
    print(text)
    if "--write" in sys.argv[1:]:
        page = PAGE.read_text(encoding="utf-8")
        tables = text.partition("\n\n")[2]
        PAGE.write_text(f"{page.split(BEGIN)[0]}{BEGIN}{tables}\n{END}{page.split(END)[1]}", encoding="utf-8")
