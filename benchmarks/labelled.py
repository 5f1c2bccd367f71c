"""What `"auto"` finds on labelled series, by kind of fault, beside river, scikit-learn and a rolling z-score.

`python -m benchmarks.labelled [--write] [--peers no]`; --write keeps the tables in the guide. Needs the shared data.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

import crucible_nb as cr
from benchmarks.detectors import gaussian, half_space
from benchmarks.labelled_series import SETS, Event, Labelled, Outcome, Summary, labelled, outcome, summary
from crucible_nb.anomaly.auto import SENSITIVITIES
from crucible_nb.anomaly.kernel import KERNEL

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "anomalies.md"
WINDOW = 100  # of the rolling z-score
Scorer = Callable[[Labelled], np.ndarray]


# -- methods ---------------------------------------------------------------------------------------------------------


def rolling_z(one: Labelled) -> np.ndarray:
    """Distance from the mean of the 100 rows before, in their standard deviations."""
    past = one.values.shift().rolling(WINDOW, min_periods=WINDOW // 2)
    smallest = 1e-9 + 1e-6 * float(np.nanmax(np.abs(one.values)))  # a constant past has no scale
    return ((one.values - past.mean()).abs() / past.std().clip(lower=smallest)).to_numpy()


def refitted_forest(one: Labelled) -> np.ndarray:
    """scikit-learn's IsolationForest, fitted to all rows before, when their number has doubled."""
    from sklearn.ensemble import IsolationForest

    values, at = one.values.to_numpy()[:, None], one.first
    score = np.full(len(values), np.nan)
    while at < len(values):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # many equal values
            model = IsolationForest(random_state=0).fit(values[:at])
            score[at : 2 * at] = -model.score_samples(values[at : 2 * at])
        at *= 2
    return score


PEERS: dict[str, Scorer] = {
    "rolling z-score, best threshold": rolling_z,
    "river GaussianScorer": lambda one: gaussian(one.values.to_numpy()),
    "river HalfSpaceTrees": lambda one: half_space(one.values.to_numpy()),
    "scikit-learn IsolationForest": refitted_forest,
}


def auto(one: Labelled, sensitivity: str = "normal") -> np.ndarray:
    return cr.anomaly.score(one.values, cooldown=0, sensitivity=sensitivity).to_numpy()


def outcomes(scores: list[np.ndarray], series: list[Labelled]) -> list[Outcome]:
    return [outcome(score, one) for score, one in zip(scores, series, strict=True)]


def at_best(scorer: Scorer, series: list[Labelled]) -> list[Outcome]:
    """With the threshold, of 30 shares of rows, that has the largest F1 on this very set."""
    scores = [scorer(one) for one in series]
    pooled = np.concatenate(scores)
    best: tuple[float, list[Outcome]] = (-1.0, [])
    for quantile in np.unique(np.nanquantile(pooled, 1 - np.geomspace(0.0001, 0.05, 30))):
        limit = np.nextafter(quantile, np.inf)  # what is above it: scores of river end at 1
        found = outcomes([score / limit for score in scores], series)
        best = max(best, (summary(found, series).f1, found), key=lambda pair: pair[0])
    return best[1]


@cache
def results(name: str, peers: bool = True) -> dict[str, list[Outcome]]:
    """The outcomes of all methods on a set."""
    series = labelled(name)
    found = {'`"auto"`': outcomes([auto(one) for one in series], series)}
    found["rolling z-score, 3 sd"] = outcomes([rolling_z(one) / 3 for one in series], series)
    return found | ({method: at_best(scorer, series) for method, scorer in PEERS.items()} if peers else {})


# -- tables ----------------------------------------------------------------------------------------------------------


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def cells(one: Summary) -> list[str]:
    return [
        f"{one.nab:.1f}", f"{one.precision:.0f} %", f"{one.recall:.0f} %", f"{one.f1:.1f}", f"{one.delay:g}", f"{one.wrong:.2f}",
        f"{one.swallowed:.1f} %", f"{100 * one.ranges.precision:.0f} %", f"{100 * one.ranges.recall:.0f} %", f"{100 * one.ranges.f1:.1f}",
    ]  # fmt: skip


def overall_table(peers: bool) -> str:
    heads = [
        "",
        "NAB",
        "precision",
        "recall",
        "F1",
        "median delay in rows",
        "false alarms in 1,000 rows",
        "events swallowed",
    ]
    heads += ["range precision", "range recall", "range F1"]
    rows = []
    for name, title in SETS.items():
        events = sum(len(one.events) for one in labelled(name))
        rows.append([f"**{title}, {events} events**", *[""] * (len(heads) - 1)])
        rows += [[method, *cells(summary(found, labelled(name)))] for method, found in results(name, peers).items()]
    return table(heads, rows)


def kind_cell(found: list[Outcome], series: list[Labelled], is_kind: Callable[[Event], bool]) -> str:
    """Found events of a kind, and their median delay."""
    pairs = [pair for o, s in zip(found, series, strict=True) for pair in zip(o.delays, s.events, strict=True)]
    delays = [delay for delay, event in pairs if is_kind(event)]
    hits = [delay for delay in delays if delay is not None]
    return f"{len(hits)} of {len(delays)}" + (f", {np.median(hits):g}" if hits else "")


def kinds_table(name: str, peers: bool, head: str) -> str:
    """By kind of fault: found events of all, median delay."""
    series, found = labelled(name), results(name, peers)
    kinds = sorted({event.kind for one in series for event in one.events})
    rows = [
        [kind, *(kind_cell(each, series, lambda event: event.kind == kind) for each in found.values())]
        for kind in kinds
    ]
    return table([head, *found], rows)


def lengths_table(name: str, peers: bool, head: str) -> str:
    """The same by the length of the event."""
    series, found, rows = labelled(name), results(name, peers), []
    for low, high in ((1, 10), (11, 50), (51, 10**9)):
        what = f"{low} to {high} rows" if high < 10**9 else f"more than {low - 1} rows"
        cells = (
            kind_cell(each, series, lambda event: low <= event.last - event.first + 1 <= high)
            for each in found.values()
        )
        rows.append([what, *cells])
    return table([head, *found], rows)


def false_table(name: str, peers: bool, head: str) -> str:
    """By what is measured: false alarms per 1,000 rows, series without any fault apart."""
    series, found = labelled(name), results(name, peers)

    def rate(each: list[Outcome], group: str, clean: bool) -> tuple[int, int]:
        pairs = [
            (o.wrong, o.rows) for o, s in zip(each, series, strict=True) if s.group == group and (not s.events) == clean
        ]
        return sum(wrong for wrong, _ in pairs), sum(rows for _, rows in pairs)

    rows = []
    for group in dict.fromkeys(one.group for one in series):
        for clean in (False, True):
            if not (count := rate(found['`"auto"`'], group, clean)[1]):
                continue
            figures = [
                f"{wrong}" if clean else f"{1000 * wrong / count:.2f}"
                for wrong, _ in (rate(each, group, clean) for each in found.values())
            ]
            rows.append(
                [group + (f", without a fault ({count:,} rows): alarms" if clean else f" ({count:,} rows)"), *figures]
            )
    return table([head, *found], rows)


def clean_alarms(sensitivity: str = "normal") -> int:
    """Alarms of `auto` on the traces without a fault."""
    return sum(outcome(auto(one, sensitivity), one).wrong for one in labelled("llm") if not one.events)


def sensitivity_table() -> str:
    rows = []
    for sensitivity in SENSITIVITIES:
        figures = []
        for name in SETS:
            found = summary(
                outcomes([auto(one, sensitivity) for one in labelled(name)], labelled(name)), labelled(name)
            )
            figures += [f"{found.nab:.1f}, {found.f1:.1f}"]
        rows.append([f'`"{sensitivity}"`', *figures, str(clean_alarms(sensitivity))])
    heads = ["", *(f"{title}: NAB, F1" for title in SETS.values()), "alarms on traces without a fault"]
    return table(heads, rows)


def main(peers: bool = True) -> dict[str, str]:
    """Run it; returns the blocks of the guide by name."""
    KERNEL.load()
    rows = {name: sum(len(one.values) for one in labelled(name)) for name in SETS}
    return {
        "labelled": f"""{overall_table(peers)}
{len(SETS)} sets, {sum(rows.values()):,} rows. Made by `python -m benchmarks.labelled --write`.
""",
        "faults": kinds_table("llm", peers, "fault: found, median delay in rows"),
        "real": kinds_table("real", peers, "what is measured: found, median delay in rows")
        + "\n"
        + lengths_table("real", peers, "length of the event"),
        "ten": kinds_table("nab", peers, "series: found, median delay in rows"),
        "false": false_table("llm", peers, "false alarms in 1,000 rows")
        + "\n"
        + false_table("real", peers, "false alarms in 1,000 rows"),
        "sensitivity": sensitivity_table(),
    }


def write(blocks: dict[str, str], page: Path = PAGE) -> None:
    """Put each block between its marks."""
    text = page.read_text(encoding="utf-8")
    for name, block in blocks.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        text = f"{text.split(begin)[0]}{begin}{block}{end}{text.split(end)[1]}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--peers", choices=("yes", "no"), default="yes")
    args = parser.parse_args()
    made = main(args.peers == "yes")
    print("\n".join(made.values()))
    if args.write:
        write(made)
