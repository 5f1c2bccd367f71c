"""What v0.1 wrote, sent and did: read today, and done again bit for bit. See `make`."""

from __future__ import annotations

import ast
import base64
import dataclasses
import gzip
import json
import math
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

import crucible_nb as cr
from tests.golden import pickles, states
from tests.golden.run import run

GOLDEN = Path(__file__).parent / "v0.1.0"
STORE = Path(__file__).parents[1] / "store" / "golden" / "v1"
STATES = dict(orjson.loads(line) for line in (GOLDEN / "states.json").read_text().splitlines())
PICKLES: dict[str, list[str]] = json.loads(gzip.decompress((GOLDEN / "pickles.json.gz").read_bytes()))
HANDLES = [name for name in PICKLES if name.startswith("handle")]
OTHERS = [name for name in PICKLES if name not in HANDLES]
REGISTERED_SINCE = (
    "reasoning_tokens", "ttft_ms", "streamed", "attempts", "trace_id", "span_id", "parent_id", "twin_of", "epoch_progress",
)  # fmt: skip
REDACTIONS = [name for name in OTHERS if name.startswith("Redaction")]

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")


def test_every_state_has_the_bits_of_v01() -> None:
    today = dict(orjson.loads(line) for line in states.lines())
    assert today.keys() == STATES.keys()
    other = [name for name, state in today.items() if state != STATES[name]]
    assert [name for name in other if not name.startswith("detectors: Auto")] == ["accumulators: Moments"]
    old, new = (cr.accumulators.Moments.from_dict(one["accumulators: Moments"]) for one in (STATES, today))
    assert dataclasses.asdict(old.result()) == pytest.approx(dataclasses.asdict(new.result()), rel=1e-14)


def test_a_run_has_the_lines_the_checkpoint_and_the_numbers_of_v01(tmp_path: Path) -> None:
    journal, state, metrics = json.loads(gzip.decompress((GOLDEN / "run.json.gz").read_bytes()))
    today = run(tmp_path)
    assert without_alerts(today.journal) == without_alerts(journal)
    agree(without_durations(today.metrics), without_durations(metrics))  # v0.1 rounded its sums at each block
    # the mean over the last hour of all 1,203 events; v0.1 said 236.8, without some events of panes it had dropped
    state["watching"]["alerts"][1][3:6] = [230.48536828637467, "high", "mean_latency_ms > 1 over 1h: it is 230.5"]
    watching, alerts = state.pop("watching"), today.state["watching"]["alerts"]
    alerts[:] = [cells for cells in alerts if "; worse than told at " not in cells[5]]  # v0.1 told only beginnings
    agree({name: today.state["watching"][name] for name in watching}, watching)  # the states of rules are new
    assert today.state.keys() >= state.keys()
    del state["measure"]
    # v0.1 made a column of NaN alone one of floats for ever; today its first known value says what it is
    assert state["columns"]["kinds"].pop("score") == "float"
    for name in REGISTERED_SINCE:
        del today.state["columns"]["kinds"][name]
    assert sorted(today.state["kinds"]) == sorted(state.pop("kinds"))  # their order is that of their first values today
    judging, then = today.state["judging"], state["judging"]
    assert judging["detectors"][::2] == then["detectors"][::2]  # auto has other rules today
    del state["judging"]
    assert [key for key in state if today.state[key] != state[key]] == []
    old, scores = cr.load(GOLDEN / "run.parquet"), ["anomaly", "anomaly_score", "anomaly_metric"]
    frames = (one.drop(columns=scores) for one in (today.frame, old))
    pd.testing.assert_frame_equal(*frames, check_exact=True, check_like=True)


def agree(new: Any, old: Any) -> None:
    """Compare nested mappings and lists: floats to 1e-12, all else exactly."""
    found = flat(new)
    assert found.keys() == flat(old).keys()
    for path, leaf in flat(old).items():
        assert found[path] == (pytest.approx(leaf, rel=1e-12, nan_ok=True) if isinstance(leaf, float) else leaf), path


def flat(tree: Any) -> dict[str, Any]:
    """The numbers and texts of nested mappings and lists by their path."""
    if not isinstance(tree, (dict, list)):
        return {"": tree}
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {f"{name}/{path}": leaf for name, part in pairs for path, leaf in flat(part).items()}


def without_durations(metrics: Any) -> Any:
    """Metrics without rates and what they are divided by: in v0.1 time began with the first completion."""
    if isinstance(metrics, list):
        return [without_durations(one) for one in metrics]
    if not isinstance(metrics, dict):
        return metrics
    gone = (
        "seconds",
        "active_seconds",
        "tokens_per_second",
        "output_tokens_per_second",
        "events_per_second",
        "cost_per_hour",
        "span",
    )
    return {name: without_durations(part) for name, part in metrics.items() if name not in gone}


def without_alerts(lines: list[str]) -> list[str]:
    """Alerts are written by a thread: at any place behind their cause. Their state is in the checkpoint."""
    return [line for line in lines if '["alert",' not in line]


def common(new: Any, old: Any) -> Any:
    """The part of nested mappings that an older release had as well."""
    return {name: common(new[name], part) for name, part in old.items()} if isinstance(old, dict) else new


def unpickle(name: str) -> Any:
    return pickle.loads(base64.b64decode(PICKLES[name][0]))


@pytest.mark.parametrize("name", OTHERS)
def test_a_pickle_of_v01_is_the_same_thing(name: str) -> None:
    thing = unpickle(name)
    if name == "Moments":  # whose state is exact today
        assert thing == cr.accumulators.Moments.from_dict(ast.literal_eval(PICKLES[name][1]))
        assert pickle.loads(pickle.dumps(thing)) == thing
    elif PICKLES[name][1] and hasattr(thing, "to_dict"):  # results have more fields today
        then = eval(PICKLES[name][1], {"nan": math.nan, "inf": math.inf, "Timestamp": pd.Timestamp})
        assert repr(common(thing.to_dict(), then)) == repr(then)
    else:
        assert pickles.meaning(thing) == PICKLES[name][1]
    assert name.split(",", maxsplit=1)[0] == type(thing).__name__
    assert type(thing).__module__.startswith("crucible_nb")


@pytest.mark.parametrize("name", pickles.policies())
def test_a_policy_of_v01_does_the_same(name: str) -> None:
    old, new, events = unpickle(name), pickles.policies()[name], cr.sampling.Events.of_frame(states.events())
    if isinstance(new, cr.sampling.Sampler):
        chosen = [(*(running := sampler.begin(1)).choose(events)[:2], running.to_dict()) for sampler in (old, new)]
    else:
        chosen = [((running := detector.begin()).judge(events).score, running.to_dict()) for detector in (old, new)]
    assert states.plain(chosen[0]) == states.plain(chosen[1])


@pytest.mark.parametrize("name", REDACTIONS)
def test_a_redaction_of_v01_redacts(name: str) -> None:
    redaction = unpickle(name)
    assert redaction("api_key", "x") == "[redacted]"
    assert redaction("note", "it is sk-abcdefghijklmnop1234") == (
        "IT IS [REDACTED]" if "hook" in name else "it is [redacted]"
    )
    assert pickle.loads(pickle.dumps(redaction)).to_dict() == redaction.to_dict()


def test_a_redaction_is_the_first_thing_that_a_process_loads() -> None:
    code = f"import base64, pickle; print(pickle.loads(base64.b64decode({PICKLES['Redaction'][0]!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Redaction(hook=False, content=True)"


@pytest.mark.parametrize("name", HANDLES)
def test_a_handle_of_v01_joins_its_experiment(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(next(STORE.glob("*/*.jsonl")).parent, tmp_path / "store" / name)  # the one that died
    monkeypatch.chdir(tmp_path)
    exp = unpickle(name)
    assert isinstance(exp, cr.Experiment)
    assert unpickle(name) is exp
    before = exp.metrics().events
    assert exp.record("call", latency_ms=1.0, note="sk-abcdefghijklmnop1234")
    assert exp.metrics().events == before + 1
    note = exp.frame()["note"].dropna().iloc[-1]
    assert (
        note
        == {"handle": "sk-abcdefghijklmnop1234", "handle, redaction": "[redacted]", "handle, hook": "[REDACTED]"}[name]
    )
