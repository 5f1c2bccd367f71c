"""The pictures of docs/guides/anomalies.md: `python tools/draw_anomalies.py` (needs matplotlib and the shared data)."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from crucible_nb.anomaly import Auto, anomalies, score

SHARED = Path(os.environ.get("CRUCIBLE_SHARED_DATA", "../shared/data"))
PICTURES = Path(__file__).resolve().parents[1] / "docs" / "guides" / "pictures"
INK, MARK, BAND = "#39424e", "#c2253a", "#f3c6cc"
RULES = {
    "level": "#2f6fb0",
    "spread": "#2a8f6a",
    "extreme": "#b5651d",
    "error": "#7a4fb0",
    "drift": "#b0902f",
    "shift": "#5a6470",
}
mpl.rcParams.update(
    {
        "figure.dpi": 110, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
        "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    }
)  # fmt: skip


def incident() -> None:
    """Real calls of a coding agent; two hundred of them made slower."""
    calls = pd.read_parquet(SHARED / "agent_llm_calls.parquet")
    calls = calls[(calls["release"] == "v8") & (calls["event"] == "llm.call") & calls["latency_s"].notna()]
    calls = calls.sort_values("t_s", kind="stable").iloc[2000:8000].reset_index(drop=True)
    frame = pd.DataFrame({"latency_ms": calls["latency_s"] * 1000})
    frame.loc[4200:4399, "latency_ms"] *= 3
    found = anomalies(frame, "auto", "latency_ms")
    figure, (axes, words) = plt.subplots(2, figsize=(8.6, 4.4), height_ratios=(3, 1.3), layout="constrained")
    axes.scatter(frame.index, frame["latency_ms"] / 1000, s=3, color=INK, alpha=0.35, linewidths=0)
    axes.set(yscale="log", ylabel="latency [s]", xlabel="call", ylim=(0.5, 600))
    axes.set_title("One outage, one alarm, one sentence")
    axes.axvspan(4200, 4399, ymax=0.03, color=INK, linewidth=0)
    axes.text(4300, 0.75, "slowed down threefold", ha="center", fontsize=8)
    words.axis("off")
    for number, one in enumerate(found.itertuples(), 1):
        axes.axvspan(one.first_seq, one.last_seq + 8, color=BAND, alpha=0.7, linewidth=0)
        axes.axvline(one.first_seq, color=MARK, linewidth=1)
        axes.text(one.first_seq - 20, 380, str(number), color=MARK, ha="right", weight="bold")
        words.text(
            0.0, 1 - number / (len(found) + 1), f"{number}  {one.severity}: {one.reason}", fontsize=8, color=MARK
        )
    figure.savefig(PICTURES / "incident.png")
    print(found[["first_seq", "last_seq", "count", "peak", "severity", "reason"]].to_string())


def rules() -> None:
    """Six rules of auto on one series."""
    rng = np.random.default_rng(4)
    x = rng.normal(400, 40, 4200)
    x[1500] = 900
    x[2200:2320] += 110
    x[3200:3320] = 400 + 3 * (x[3200:3320] - 400)
    detector = Auto("latency_ms").begin()
    parts = detector._piece(x, detector._initial.copy()).parts
    figure, (above, below) = plt.subplots(2, figsize=(8.6, 4.8), sharex=True, layout="constrained")
    above.plot(x, color=INK, linewidth=0.6)
    above.set(ylabel="latency [ms]", title="A spike, a shift of the level, a change of the spread")
    for name, color in RULES.items():
        below.plot(np.arange(150, len(x)), parts[name][150:], color=color, linewidth=1.1, label=name)
    below.axhline(1, color=MARK, linewidth=1, linestyle="--")
    below.text(10, 1.08, "alarm", color=MARK)
    below.axvspan(0, 150, color="#eeeeee", linewidth=0)
    below.text(75, 2.0, "warming\nup", ha="center", fontsize=8)
    below.set(ylabel="score", xlabel="event", ylim=(0, 3.2))
    below.legend(ncols=6, frameon=False, loc="upper center")
    alarms = np.flatnonzero(score(pd.DataFrame({"latency_ms": x}), "auto", "latency_ms") >= 1)
    for at in alarms:
        above.axvline(at, color=MARK, linewidth=1)
    figure.savefig(PICTURES / "rules.png")
    print("alarms", alarms.tolist())


FAULTS = (
    ("completion_tokens_opus-4-5", "cut at the limit", "tokens of an answer"),
    ("loss_llmc", "noisier", "training loss"),
    ("cost", "cache lost", "cost [USD]"),
    ("arrivals_azure", "halved", "requests in 2 s"),
)
"""Three faults that are found, and one that is missed: series, fault, name of the axis."""


def faults() -> None:
    """Faults in LLM and training traces, and what auto says of them."""
    rows = pd.read_csv(SHARED / "anomaly" / "llm" / "events.csv").set_index(["series", "fault"])
    figure, panels = plt.subplots(len(FAULTS), figsize=(8.6, 8.8), layout="constrained")
    for axes, (series, fault, unit) in zip(panels, FAULTS, strict=True):
        first, last = rows.loc[(series, fault), ["first_row", "last_row"]].astype(int)
        values = pd.read_csv(SHARED / "anomaly" / "llm" / f"{series}.csv.gz")["value"]
        found = anomalies(pd.DataFrame({unit.split(" [")[0]: values}), "auto")
        margin = 2 * (last - first) + 100
        shown = values.iloc[max(first - margin, 0) : last + margin]
        axes.plot(shown, color=INK, linewidth=0.5, marker=".", markersize=1.5)
        for one in rows.loc[series].itertuples():  # the other faults in view are pale
            if one.last_row >= shown.index[0] and one.first_row <= shown.index[-1]:
                color = "#cfe3d4" if one.first_row == first else "#eeeeee"
                axes.axvspan(one.first_row, min(one.last_row, shown.index[-1]), color=color, linewidth=0, zorder=0)
        inside = found[(found.first_seq >= first) & (found.first_seq <= last + min(max((last - first) // 2, 10), 50))]
        for start in found.first_seq[found.first_seq.isin(shown.index)]:
            axes.axvline(start, color=MARK, linewidth=1)
        said = f"found after {inside.first_seq.iloc[0] - first} rows" if len(inside) else "missed"
        axes.set_title(f"{unit.split(' [')[0]}, {fault}: {said}", loc="left", fontsize=9, weight="bold")
        axes.set_ylabel(unit)
        if len(inside):
            axes.set_xlabel("\n".join(textwrap.wrap(inside.reason.iloc[0], 130)), color=MARK, fontsize=8)
        print(series, fault, said, inside.reason.tolist())
    figure.savefig(PICTURES / "faults.png")


def labelled() -> None:
    """Labelled windows of the Numenta Anomaly Benchmark, and where auto woke up."""
    windows = json.loads((SHARED / "nab" / "windows.json").read_text())
    shown = ("machine_temperature_system_failure", "ec2_request_latency_system_failure", "Twitter_volume_GOOG")
    figure, panels = plt.subplots(len(shown), figsize=(8.6, 5.4), layout="constrained")
    for axes, name in zip(panels, shown, strict=True):
        rows = pd.read_csv(SHARED / "nab" / f"{name}.csv.gz", parse_dates=["timestamp"]).set_index("timestamp")
        spans = next(spans for key, spans in windows.items() if Path(key).stem == name)
        axes.plot(rows["value"].sort_index(), color=INK, linewidth=0.5)
        for start, end in spans:
            axes.axvspan(pd.Timestamp(start), pd.Timestamp(end), color="#cfe3d4", linewidth=0)
        alarms = score(rows["value"], "auto")
        for time in alarms.index[alarms >= 1]:
            axes.axvline(time, color=MARK, linewidth=1)
        axes.set_title(name.replace("_", " "), loc="left", fontsize=9)
    panels[0].legend(
        handles=[
            mpl.patches.Patch(color="#cfe3d4", label="labelled window"),
            mpl.lines.Line2D([], [], color=MARK, label="alarm of auto"),
        ],
        frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98),
    )  # fmt: skip
    figure.savefig(PICTURES / "labelled.png")


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    incident()
    rules()
    faults()
    labelled()
