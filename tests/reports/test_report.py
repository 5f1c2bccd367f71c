"""Reports: one file, no script, the numbers of the experiment, nothing hostile, nothing secret, always small."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.__main__ import main
from crucible_nb.reports import embedded
from crucible_nb.reports.steps import round_step
from tests.conftest import NOON, SECOND

SECRET = "sk-abcdefghijklmnop1234"
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Tags with their attributes, table cells and exact numbers of a report."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.facts: dict[str, str] = {}
        self._inside, self._term = "", ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag == "dt":
            self._term = ""
        if tag in ("td", "th", "dt", "dd"):
            self._inside = tag
        if tag == "data" and self._inside == "dd":
            self.facts[self._term] = dict(attrs)["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("td", "th"):
            self.cells[-1][-1] += data
        if self._inside == "dt":
            self._term += data

    def row(self, name: str) -> list[str]:
        return next(cells[1:] for cells in self.cells if cells[:1] == [name])


def calls(n: int, *, mean: float = 6.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    good = rng.random(n) < 0.9
    return pd.DataFrame(
        {
            "event": "llm.request",
            "model": rng.choice(["gpt-4o", "gpt-4o-mini"], n),
            "latency_ms": rng.lognormal(mean, 0.3, n),
            "success": good,
            "error": np.where(good, None, "RateLimitError"),
            "prompt_tokens": rng.integers(100, 500, n),
            "completion_tokens": 20,
            "score": rng.normal(0.5, 0.1, n),
        },
        index=pd.date_range("2025-01-01", periods=n, freq="100ms", tz="UTC"),
    )


def run(n: int = 1000, *, name: str = "run", mean: float = 6.0, seed: int = 0, **arguments: Any) -> cr.Experiment:
    with cr.start(name, clock="events", **arguments) as exp:
        if n:
            exp.extend(calls(n, mean=mean, seed=seed))
    return exp


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[cr.Experiment, Page]:
    exp = run(anomaly="auto", hypothesis="p95 < 2 s")
    return exp, Page(exp.report(tmp_path_factory.mktemp("report") / "run.html"))


def test_one_file_that_asks_for_nothing_and_runs_nothing(plain: Any) -> None:
    _, page = plain
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "img", "form", "base", "details"}
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert not re.search(r"https?://", page.source)
    for _, attributes in page.tags:
        assert not set(attributes) & {"src", "href", "style", "action"}
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    style = re.search("<style>(.*?)</style>", page.source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_the_numbers_are_those_of_the_experiment(plain: Any) -> None:
    exp, page = plain
    rows, metrics = exp.df, exp.metrics()
    assert float(page.facts["latency p95 (exact)"]) == np.quantile(rows.latency_ms, 0.95) == metrics.latency.p95
    assert float(page.facts["success"]) == rows.success.mean()
    assert float(page.facts["cost"]) == pytest.approx(rows.cost_usd.sum(), rel=1e-12)
    assert int(page.facts["events"]) == len(rows)

    def leaves(section: dict[str, Any], prefix: str = "") -> Any:
        for name, value in section.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{prefix}{name}.")
            elif not isinstance(value, list):
                yield f"{prefix}{name}", value

    for name, value in leaves(metrics.to_dict()):
        [text] = page.row(name)
        assert text == ("unknown" if value is None or value != value else repr(value)), name


def test_intervals_and_groups_are_those_of_the_package(plain: Any) -> None:
    exp, page = plain
    found = cr.confidence_interval(exp, metric="mean_latency_ms")
    estimate, interval, n = page.row("mean_latency_ms")
    assert (estimate, n) == (f"{found.estimate:.4g}", "1,000")
    assert interval == " to ".join(f"{limit:.4g}" for limit in found.confidence_interval)
    counts = exp.df.model.value_counts()
    assert page.row("gpt-4o")[0] == f"{counts['gpt-4o']:,}"


def test_windows_are_round_and_hold_every_event(plain: Any) -> None:
    exp, page = plain
    captions = re.findall("<caption>Windows of (.*?)</caption>", page.source)
    assert captions == ["10s"]
    counts = exp.df.resample("10s").size()
    shown = {cells[0]: cells[1] for cells in page.cells if cells and re.fullmatch(r"2025-01-01 00:.*", cells[0])}
    assert {time: f"{n:,}" for time, n in counts.items()} == {pd.Timestamp(t, tz="UTC"): n for t, n in shown.items()}


@pytest.mark.parametrize(
    ("span", "events", "step"),
    [("50s", 10**6, "1s"), ("50s", 90, "20s"), ("1h", 10**6, "1min"), ("0s", 1, "1ms"), ("365D", 10**6, "7D")],
)
def test_steps_are_round_with_thirty_events_each(span: str, events: int, step: str) -> None:
    assert round_step(pd.Timedelta(span), events) == step


def test_points_of_few_values_are_open_dots_off_the_line(tmp_path: Path) -> None:
    rows = calls(600).drop(columns=["error"]).astype({"success": "boolean"})
    rows.loc[rows.index[:-3], "success"] = pd.NA
    with cr.start("few", clock="events") as exp:
        exp.extend(rows)
    source = exp.report(tmp_path / "few.html").read_text()
    chart = re.search(r"<strong>Success rate</strong><br>(.*?)</figcaption>(.*?)</svg>", source)
    assert "n = 3, in steps of" in chart[1]
    assert "open dots: fewer than 10" in chart[1]
    assert chart[2].count('class="s s0 few"') == 1
    assert "polyline" not in chart[2]


def test_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [run(name="same", seed=3, anomaly="auto").report(tmp_path / f"{i}.html", data="parquet") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    exp = run(name="same", seed=4)
    assert exp.report(tmp_path / "a.html").read_bytes() == exp.report(tmp_path / "b.html").read_bytes()
    dated = exp.report(tmp_path / "c.html", made_at="2026-01-02 03:04:05").read_text()
    assert "Made at 2026-01-02 03:04:05 UTC." in dated


def test_hostile_texts_are_escaped_and_secrets_removed(tmp_path: Path) -> None:
    rows = calls(400).assign(model=EVIL, error=f"key {SECRET}", note=f"see {SECRET}", api_key="hunter2 hunter2")
    arguments: dict[str, Any] = {
        "hypothesis": f"{SECRET} works",
        "tags": [EVIL],
        "metadata": {"api_key": "hunter2", EVIL: SECRET},
    }
    with cr.start(f"{EVIL} {SECRET}", clock="events", condition="a", **arguments) as a:
        a.extend(rows)
    with cr.start("b", clock="events") as b:
        b.extend(rows)
    for path in (
        a.report(tmp_path / "a.html", data="parquet"),
        cr.report({f"{EVIL}{SECRET}": a, "b": b}, tmp_path / "b.html", data="csv"),
    ):
        page = Page(path)
        assert not {tag for tag, _ in page.tags} & {"script", "img"}
        assert html.escape(EVIL[:12]) in page.source
        assert SECRET not in page.source
        assert "hunter2" not in page.source
        links = [attributes for tag, attributes in page.tags if tag == "a"]
        for link in links:
            content = base64.b64decode(link["href"].partition("base64,")[2])
            assert SECRET.encode() not in content
            assert b"hunter2" not in content
            assert re.fullmatch(r"[A-Za-z0-9_.-]+", link["download"])
    kept = a.report(tmp_path / "kept.html", redact=False)
    assert SECRET in kept.read_text()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_embedded_events_are_read_back(tmp_path: Path, kind: str) -> None:
    exp = run(300, max_events=200)
    page = Page(exp.report(tmp_path / "run.html", data=kind))
    [link] = [attributes for tag, attributes in page.tags if tag == "a"]
    path = tmp_path / link["download"]
    path.write_bytes(base64.b64decode(link["href"].partition("base64,")[2]))
    assert path.name == f"run.{kind}"
    back = cr.load(path)
    assert len(back) == 200
    pd.testing.assert_series_equal(back.latency_ms, exp.df.latency_ms)
    if kind == "parquet":
        pd.testing.assert_frame_equal(back, exp.df)
    assert "100 rows left memory (max_events)" in page.source


def test_much_data_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_LARGE", 1000)
    with pytest.warns(cr.CrucibleWarning, match="data=None leaves them out") as caught:
        run(100).report(tmp_path / "run.html", data="csv")
    assert caught[0].filename == __file__


def test_a_report_stays_small_whatever_was_recorded(tmp_path: Path) -> None:
    n = 1500
    rows = calls(n)
    rows["model"] = [f"model {'x' * 300} {i % 500}" for i in range(n)]
    rows["error"] = [f"error {'y' * 2000} {i}" for i in range(n)]
    rows = rows.assign(**{f"column {'z' * 100} {i}": float(i) for i in range(20)})
    metadata = {f"key {i} {'k' * 200}": "v" * 5000 for i in range(200)}
    arms = []
    for i in range(2):
        with cr.start(
            f"{'n' * 500} {i}", clock="events", metadata=metadata, tags=["t" * 900] * 50, by=("error",)
        ) as exp:
            exp.extend(rows)
        arms.append(exp)
    assert arms[0].report(tmp_path / "one.html").stat().st_size < 100_000
    assert cr.report(arms, tmp_path / "two.html", metrics=["mean_latency_ms"]).stat().st_size < 100_000


def test_sampling_and_losses_are_told(tmp_path: Path) -> None:
    with cr.start("sampled", sampling="stratified", sampling_config={"rates": {"error": 1.0, "success": 0.1}}, seed=1,
                  clock="events") as exp:  # fmt: skip
        exp.extend(calls(2000).assign(model="my-own"))
    page = Page(exp.report(tmp_path / "run.html"))
    assert f"{len(exp.df):,} ({len(exp.df) / 2000:.4g} of all)" in page.source
    assert "Metrics count every event" in page.source
    assert "2,000 events of my-own have tokens but no price" in page.source
    assert int(page.facts["events"]) == 2000
    complete = Page(run(50).report(tmp_path / "all.html"))
    assert "every event is kept" in complete.source
    assert "Nothing was lost" in complete.source


def test_pauses_rules_and_incidents_are_told(tmp_path: Path, clock: Any) -> None:
    exp = cr.start("noisy", clock=clock, anomaly="z_score")
    exp.watch("event_count >= 100")
    for i in range(120):
        clock.tick(1)
        exp.record("call", latency_ms=5000.0 if i == 110 else 100.0 + i % 3)
    exp.pause()
    clock.tick(30)
    exp.resume()
    exp.stop()
    page = Page(exp.report(tmp_path / "run.html"))
    assert "Nothing was collected for 30.000 s (1 pauses" in page.source
    assert any("event_count &gt;= 100" in html.escape(cell) for cells in page.cells for cell in cells)
    [incident] = exp.anomalies().itertuples()
    assert page.row("1")[1:] == [incident.severity, "1", "latency_ms", incident.reason]
    assert page.row("1")[0] == f"{incident.start:%Y-%m-%d %H:%M:%S}"


def test_arms_are_compared_as_by_compare(tmp_path: Path) -> None:
    a, b = run(name="base"), run(name="new", mean=5.8, seed=1)
    metrics = ["mean_latency_ms", "success_rate"]
    found = cr.compare(a, b, metrics=metrics)
    page = Page(cr.report([a, b], tmp_path / "compare.html", metrics=metrics))
    for metric in metrics:
        verdict, difference, interval, _ = page.row(metric)
        assert verdict == found[metric].verdict
        low, high = found[metric].confidence_interval
        assert interval.endswith(f"{low:.4g} to {high:.4g}")
        assert f'<data value="{found[metric].estimate!r}">{difference}</data>' in page.source
        assert html.escape(found[metric].method) in page.source
        assert html.escape(found[metric].why) in page.source
    assert {cells[0] for cells in page.cells if cells and cells[0] in ("base", "new")} == {"base", "new"}
    same = Page(b.report(tmp_path / "same.html", compare=a))
    assert "base against new" in same.source
    with cr.start("one") as one, cr.start("two") as two:
        _ = one.record("tick"), two.record("tick")
    unlike = cr.report([one, two], tmp_path / "none.html").read_text()
    assert "The arms are not compared" in unlike


def test_a_training_is_drawn_over_its_steps(tmp_path: Path) -> None:
    with cr.start("training", clock="events") as exp:
        for step in range(300):
            exp.record("train.step", step=step, loss=1 / (1 + step), time=NOON + step * SECOND)
    source = exp.report(tmp_path / "run.html").read_text()
    assert "n = 300, mean of 5 steps" in source
    assert "Latency, ms" not in source


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_events(tmp_path: Path, n: int) -> None:
    page = Page(run(n).report(tmp_path / "few.html"))
    assert int(page.facts["events"]) == n


def test_the_id_is_told_of_runs_that_can_be_found_by_it(tmp_path: Path) -> None:
    stored, memory = run(20, store=tmp_path / "runs"), run(20)
    assert stored.id in stored.report(tmp_path / "a.html").read_text()
    assert memory.id not in memory.report(tmp_path / "b.html").read_text()
    attached = cr.attach(stored.id, store=tmp_path / "runs", mode="read")
    assert attached.report(tmp_path / "c.html").read_bytes() == (tmp_path / "a.html").read_bytes()


def test_mistakes(tmp_path: Path) -> None:
    exp = run(5)
    for call, said in {
        lambda: exp.report(tmp_path / "run.pdf"): "a name that ends in .html",
        lambda: exp.report(tmp_path / "run.html", data="zip"): "expected one of None, 'parquet', 'csv'",
        lambda: cr.report([], tmp_path / "run.html"): "an experiment, a list of experiments",
        lambda: cr.report([exp, exp.df], tmp_path / "run.html"): "an experiment, a list of experiments",
        lambda: cr.report(exp, tmp_path / "run.html", metrics=["x"]): "at least two experiments",
        lambda: exp.report(tmp_path / "run.html", compare="other"): "another experiment",
        lambda: exp.report(tmp_path / "run.html", made_at="soon"): "made_at='soon'",
    }.items():
        with pytest.raises(cr.ConfigError, match=re.escape(said)):
            call()
    with pytest.raises(cr.StoreError, match="no such folder"):
        exp.report(tmp_path / "missing" / "run.html")
    assert list(tmp_path.iterdir()) == []


def test_the_command_reads_stores_folders_and_files(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store = tmp_path / "runs"
    exp, other = run(60, name="kept", store=store), run(60, name="other", mean=5.5, store=store)
    out = str(tmp_path / "out.html")
    for places, title in {
        ("kept", "--store", str(store)): "kept",
        (exp.handle,): "kept",
        (str(exp.export(tmp_path / "run.parquet")),): "kept",
        ("kept", "other", "--store", str(store), "--metrics", "mean_latency_ms"): "kept against other",
    }.items():
        assert main(["report", *places, "--out", out]) == 0
        assert capsys.readouterr().out == f"written: {out}\n"
        page = Page(Path(out))
        assert f"<title>{title}</title>" in page.source
        if len(places) == 1:
            assert page.row("latency.mean") == [repr(exp.metrics().latency.mean)]
    assert other.status == "stopped"
    assert main(["report", str(store), "--out", out]) == 2
    assert "name one of a store" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none.parquet"), "--out", out]) == 2
    assert io.StringIO(capsys.readouterr().err).readline().startswith("crucible_nb: cannot read")


def test_figures_to_zoom_bring_one_script_and_a_policy_for_it(tmp_path: Path) -> None:
    with cr.start(f"run {SECRET}", clock="events") as exp:
        exp.extend(calls(300))
    page = Page(exp.report(tmp_path / "run.html", interactive=True))
    scripts = re.findall(r"<script(.*?)>(.*?)</script>", page.source, re.DOTALL)
    data, programs = ([text for kind, text in scripts if bool(kind) is with_kind] for with_kind in (True, False))
    assert (len(data), len(programs)) == (2, 2)
    assert all(json.loads(text)["data"] for text in data)
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    for program in programs:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; script-src ")
    assert SECRET not in page.source
    assert len([tag for tag, attributes in page.tags if attributes.get("class") == "plot"]) == 2
    with cr.start("empty") as empty:
        pass
    assert "<script" not in empty.report(tmp_path / "empty.html", interactive=True).read_text()
