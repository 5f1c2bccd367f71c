"""The commands, as a user types them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.__main__ import main
from crucible_nb.experiment.replay import Progress, replay, report, round_window


@pytest.fixture
def trace() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "at": rng.permutation(np.arange(900.0)),
            "seconds": rng.lognormal(0, 0.5, 900),
            "model": rng.choice(["a", "b"], 900),
            "kind": rng.choice(["call", "other"], 900),
        }
    )


def written(trace: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        trace.to_parquet(path)
    elif path.suffix == ".jsonl":
        trace.to_json(path, orient="records", lines=True, double_precision=15)
    else:
        trace.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl", "t.csv.gz"])
def test_replay_of_every_format(trace: pd.DataFrame, tmp_path: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    path, out = written(trace, tmp_path / name), tmp_path / "out.parquet"
    words = ["replay", str(path), "--where", "kind == 'call'", "--time", "at", "--unit", "s", "--origin", "2025-01-01"]
    words += ["--map", "latency_ms=seconds*1000", "double=seconds * 2", "--map", "half=seconds/2"]
    assert main([*words, "--event", "llm.call", "--by", "model", "--out", str(out)]) == 0
    said = capsys.readouterr()
    calls = trace[trace.kind == "call"].sort_values("at")
    assert f"{len(calls):,} events from 2025-01-01" in said.out
    assert f"p50 {calls.seconds.median():.4g}" in said.out
    assert re.search(r"60 windows of 15s, the first 8", said.out)
    assert "Metrics by model" in said.out
    assert said.err.splitlines()[-1].startswith(f"{len(calls):,} events, ")
    rows = cr.load(out)
    np.testing.assert_allclose(rows.latency_ms, calls.seconds * 1000, rtol=1e-12)
    np.testing.assert_allclose(rows.double, rows.half * 4, rtol=1e-12)
    assert (rows.event == "llm.call").all()
    assert rows.index[0] == pd.Timestamp("2025-01-01", tz="UTC") + pd.Timedelta(seconds=calls["at"].iloc[0])


def test_replay_from_python_equals_the_frame(trace: pd.DataFrame, tmp_path: Path) -> None:
    exp = replay(
        written(trace, tmp_path / "t.csv"),
        map={"latency_ms": "seconds*1000"},
        time="at",
        unit="s",
        origin="2025-01-01",
        max_events=100,
    )
    assert exp.status == "stopped"
    assert exp.metrics().events == 900
    assert len(exp.df) == 100
    assert exp.metrics().latency.mean == pytest.approx(trace.seconds.mean() * 1000, rel=1e-12)
    assert "evicted rows: 800" in report(exp)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["absent.csv"], "crucible_nb: cannot read 'absent.csv': no such file"),
        (
            ["t.csv", "--map", "latency_ms"],
            "crucible_nb: --map 'latency_ms': expected NEW=EXPRESSION, such as latency_ms=latency_s*1000",
        ),
        (["t.csv", "--by", "nothing"], "crucible_nb: by='nothing': no such column; available: "),
        (["t.csv", "--where", "import os"], "crucible_nb: where='import os': expected an expression of "),
        (["t.csv", "--map", "x=y*2"], "crucible_nb: map='y': no such column; available: at, seconds, model, kind"),
        (["t.csv", "--window", "soon"], "crucible_nb: window='soon': expected "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    trace: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(trace, Path("t.csv"))
    assert main(["replay", *words]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(sentence)


def test_the_agents_of_the_shared_data(shared_data: Path, capsys: pytest.CaptureFixture) -> None:
    words = [
        "replay",
        str(shared_data / "agent_llm_calls.parquet"),
        "--where",
        "release == 'v8' and event == 'llm.call'",
    ]
    words += ["--time", "t_s", "--unit", "s", "--origin", "2025-01-01", "--map", "latency_ms=latency_s*1000"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "49,334 events" in out
    found = dict(re.findall(r"(p[\d.]+) ([\d.]+)", out.split("Latency in seconds")[1]))
    assert float(found["p50"]) == pytest.approx(6.08, rel=0.003)
    assert float(found["p95"]) == pytest.approx(28.5, rel=0.003)
    assert float(found["p99"]) == pytest.approx(60.7, rel=0.003)


def test_azure_of_the_shared_data(shared_data: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["replay", str(shared_data / "azure_llm_2023_conv.csv.gz"), "--time", "TIMESTAMP"]
    assert main([*words, "--map", "prompt_tokens=ContextTokens", "completion_tokens=GeneratedTokens"]) == 0
    out = capsys.readouterr().out
    assert "19,366 events from 2023-11-16 18:15:46" in out
    assert "latency" not in out.split("windows")[0]


def test_an_empty_trace_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "t.jsonl").write_text('{"latency_ms": 1, "time": "2025-01-01"}\n')
    assert main(["replay", str(tmp_path / "t.jsonl"), "--where", "latency_ms > 5"]) == 0
    assert "0 events" in capsys.readouterr().out


def test_progress_rewrites_its_line_in_a_terminal_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for out, before in ((Terminal(), "\r"), (io.StringIO(), "")):
        progress = Progress(out, every=-1)
        progress.add(5)
        progress.close()
        lines = out.getvalue()
        assert lines.startswith((f"{before}5 events, ", "\r5 events"))
        assert lines.endswith("per second\n")


@pytest.mark.parametrize(
    ("span", "window"),
    [("0s", "1s"), ("1min", "1s"), ("90min", "5min"), ("10D", "6h"), ("9000D", "364D"), ("90000D", "364D")],
)
def test_round_window(span: str, window: str) -> None:
    assert round_window(pd.Timedelta(span)) == window


def test_postgres_prints_the_sql_of_the_tables_and_the_rights_of_each_role(capsys: pytest.CaptureFixture) -> None:
    assert main(["postgres"]) == 0
    tables = capsys.readouterr().out.rstrip()
    assert tables.startswith("do $crucible$")  # one statement: all or nothing
    assert tables.endswith("end $crucible$;")
    for name in ("experiments", "writers", "events", "version"):
        assert re.search(rf"create table (if not exists )?crucible\.{name}\b", tables), name
    assert "grant" not in tables
    assert main(["postgres", "writer_role", 'odd "name"']) == 0
    with_rights = capsys.readouterr().out
    assert with_rights.startswith(tables)
    grants = with_rights.removeprefix(tables)
    for role in ('"writer_role"', '"odd ""name"""'):
        assert f"grant select, insert, delete on crucible.events to {role};" in grants


@pytest.mark.check
def test_the_module_runs_and_helps() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crucible_nb", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"crucible_nb {cr.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "crucible_nb"], capture_output=True, text=True, check=True)
    assert "replay" in done.stdout
    assert "demo" in done.stdout


def test_demo_measures_real_work(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--digits", "--out", str(tmp_path / "deep" / "out"), "--predictions", "200"]) == 0
    out = capsys.readouterr().out
    assert "200 of 200" in out
    right = dict(zip(("logistic", "neighbours"), re.search(r"right +([\d.]+)% +([\d.]+)%", out).groups(), strict=True))
    for arm, epochs in (("logistic", 12), ("neighbours", 1)):
        rows = cr.load(tmp_path / "deep" / "out" / f"digits_{arm}.parquet")
        counts = rows.event.value_counts()
        assert (counts["inference.predict"], counts["train.epoch"], counts["train.validation"]) == (200, epochs, epochs)
        done = rows[rows.event == "inference.predict"]
        assert (done.latency_ms > 0).all()
        assert done.sample_id.notna().all()
        assert float(right[arm]) == pytest.approx(done.success.mean() * 100, abs=0.006)
        assert rows.loc[rows.event == "train.validation", "accuracy"].iloc[-1] > 0.9
    assert "12 pauses" in out


def test_demo_names_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name, name="sklearn")

    monkeypatch.setattr("crucible_nb.utils.optional.importlib.import_module", absent)
    assert main(["demo", "--digits", "--out", str(tmp_path)]) == 2
    assert "pip install 'crucible_nb[anomaly]'" in capsys.readouterr().err


def first_line(capsys: pytest.CaptureFixture, *words: str) -> str:
    assert main(["replay", *words]) == 0
    return capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("header", "cells", "said"),
    [
        ("timestamp", "1735689600", "'timestamp' is a number, give its unit ('s', 'ms', 'us' or 'ns')"),
        ("time", "01/02/2025 00:00", "column 'time': '01/02/2025 00:00' is not a time"),
        ("when", "2025-01-01", "no column has the name of one; name it with time="),
    ],
)
def test_a_file_without_times_says_so_first(
    tmp_path: Path, capsys: pytest.CaptureFixture, header: str, cells: str, said: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header},latency_ms\n{cells},5\n{cells},7\n")
    assert first_line(capsys, str(path)) == f"t.csv: 2 events; no time column: {said}. All have the time 1970-01-01"


@pytest.mark.parametrize("name", ["timestamp", "created_at", "gmt_create", "ts", "started_at"])
def test_rows_without_a_time_are_kept_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{name},latency_ms\n2025-01-01T00:00:00,5\n,7\n")
    assert main(["replay", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("t.csv: 2 events from 2025-01-01 00:00:00+00:00 to 2025-01-01 00:00:00+00:00")
    assert "rows without a time, which got that of the row before: 1" in out


def test_replay_takes_what_an_experiment_takes(
    trace: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, page = written(trace.sort_values("at"), tmp_path / "t.csv"), tmp_path / "page.html"
    words = [
        "--time",
        "at",
        "--unit",
        "s",
        "--origin",
        "2025-01-01",
        "--map",
        "latency_ms=seconds*1000",
        "--name",
        "run",
    ]
    words += ["--store", str(tmp_path / "runs"), "--anomaly", "z_score,iqr", "--sampling", "uniform:rate=0.5"]
    assert main(["replay", str(path), *words, "--by", "model", "--dashboard", str(page)]) == 0
    assert f"written: {page}" in capsys.readouterr().out
    assert "crucible-static" in page.read_text()
    exp = cr.attach("run", store=tmp_path / "runs", mode="read")
    assert exp.metrics().events == 900
    assert 0 < len(exp.df) < 900
    assert exp.anomaly_metrics()["total_anomalies"] > 0
    assert main(["replay", str(path), "--sampling", "uniform:rate"]) == 2
    assert "expected NAME:KEY=NUMBER" in capsys.readouterr().err


def test_groups_of_any_column_count_every_event(trace: pd.DataFrame, tmp_path: Path) -> None:
    path = written(trace, tmp_path / "t.csv")
    exp = replay(path, time="at", unit="s", by="kind", max_events=10)
    counts = {kind: exp.metrics(by="kind")[kind].events for kind in ("call", "other")}
    assert counts == trace.kind.value_counts().to_dict()


RAW = {
    "semicolons.csv": ("ts;latency_ms\n2025-01-01;1,5\n2025-01-02;2\n", ["--decimal", ","]),
    "tabs.tsv": ("ts\tlatency_ms\n2025-01-01\t1.5\n2025-01-02\t2\n", []),
    "headless.csv": ("2025-01-01,1.5\n2025-01-02,2\n", ["--names", "ts", "latency_ms"]),
    "numbered.csv": ("2025-01-01,1.5\n2025-01-02,2\n", ["--header", "none", "--time", "0", "--map", "latency_ms=`1`"]),
    "comments.txt": ("# tool\nts|latency_ms\n2025-01-01|1.5\n2025-01-02|2\n", ["--comment", "#", "--format", "csv"]),
    "words.csv": ("ts,latency_ms\n2025-01-01,1.5\n2025-01-02,2\n2025-01-02,gone\n", ["--na-values", "gone"]),
    "array.json": ('[{"ts": "2025-01-01", "latency_ms": 1.5},\n {"ts": "2025-01-02", "latency_ms": 2}]', []),
    "lines.log": ('{"ts": "2025-01-01", "latency_ms": 1.5}\n{"ts": "2025-01-02", "latency_ms": 2}\n', []),
    "eval.json": ('{"run": 1,\n "results": [{"at": "2025-01-01", "s": 0.0015}, {"at": "2025-01-02", "s": 0.002}]}',
                  ["--time", "at", "--map", "latency_ms=s*1000"]),
    "nested.jsonl": ('{"m": {"at": "2025-01-01", "ms": 1.5}}\n{"m": {"at": "2025-01-02", "ms": 2}}\n',
                     ["--time", "m.at", "--map", "latency_ms=m.ms"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_raw_files_of_ten_kinds_in_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    text, words = RAW[name]
    (tmp_path / name).write_text(text)
    rows = text.count("2025-01")
    said = first_line(capsys, str(tmp_path / name), *words, "--out", str(tmp_path / "out.parquet"))
    assert said == f"{name}: {rows} events from 2025-01-01 00:00:00+00:00 to 2025-01-02 00:00:00+00:00"
    assert cr.load(tmp_path / "out.parquet").latency_ms.dropna().tolist() == [1.5, 2.0]


@pytest.mark.check
def test_a_reader_that_leaves_is_no_error(trace: pd.DataFrame, tmp_path: Path) -> None:
    path = written(trace, tmp_path / "t.csv")
    command = f"{sys.executable} -m crucible_nb replay {path} --by kind | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.stdout.strip() == "0"
