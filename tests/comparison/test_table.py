"""`cr.table`: estimates and differences as by hand (Miller 2024), every layout, and texts that are escaped."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr
from crucible_nb.stats.estimates.notes import Said, joined_notes

N, CLUSTERS = 240, 60


def model(gain: float, seed: int, epochs: int = 1) -> pd.DataFrame:
    rng, hard = np.random.default_rng(seed), np.random.default_rng(0)
    level = hard.normal(size=N) + np.repeat(hard.normal(size=CLUSTERS), N // CLUSTERS)
    item = np.tile(np.arange(N), epochs)
    return pd.DataFrame({
        "sample_id": item, "passage": item // (N // CLUSTERS), "subject": np.where(item % 3 == 0, "maths", "law"),
        "success": gain + level[item] + rng.normal(size=N * epochs) > 0, "latency_ms": rng.lognormal(6, 0.4, N * epochs),
        "score": gain + level[item] + rng.normal(size=N * epochs),
    })  # fmt: skip


ARMS = {"base": model(0.0, 1), "mid": model(0.3, 2), "big": model(0.8, 3)}


def test_errors_are_those_of_miller_s_formulas() -> None:
    frame = cr.table(ARMS, metrics=["score"], pairs="all", correction=None).to_frame()
    for name, arm in ARMS.items():
        own = frame[frame.arm == name]
        assert own.estimate.iloc[0] == pytest.approx(arm.score.mean(), rel=1e-12)
        assert own.standard_error.iloc[0] == pytest.approx(math.sqrt(arm.score.var() / N), rel=1e-9)  # equation 1
        for row in own[own.against.notna()].itertuples():
            other = ARMS[str(row.against)]
            difference = arm.score - other.score
            assert row.difference == pytest.approx(difference.mean(), rel=1e-9)
            assert row.difference_error == pytest.approx(difference.std() / math.sqrt(N), rel=1e-9)
            assert row.correlation == pytest.approx(np.corrcoef(arm.score, other.score)[0, 1], rel=1e-9)
            unpaired = (arm.score.var() + other.score.var()) / N
            covariance = 2 * row.correlation * arm.score.std() * other.score.std() / N  # section 4.2
            assert row.difference_error**2 == pytest.approx(unpaired - covariance, rel=1e-9)
            assert row.pvalue == pytest.approx(stats.ttest_rel(arm.score, other.score).pvalue, rel=1e-9)


def test_clustered_errors_are_miller_s_with_the_factor_of_few_clusters() -> None:
    frame = cr.table(ARMS, metrics=["success_rate"], cluster="passage").to_frame()
    few = math.sqrt(CLUSTERS / (CLUSTERS - 1))

    def clustered(x: pd.Series) -> float:
        inside = (x - x.mean()).groupby(ARMS["base"].passage).sum()  # equation 4: all products within a cluster
        return math.sqrt((inside**2).sum()) / N * few

    for row in frame.itertuples():
        success = ARMS[str(row.arm)].success.astype(float)
        assert row.standard_error == pytest.approx(clustered(success), rel=1e-9)
        if row.arm != "base":
            difference = success - ARMS["base"].success
            assert row.difference_error == pytest.approx(clustered(difference), rel=1e-9)
            assert row.raw_pvalue == pytest.approx(
                cr.compare(ARMS["base"], ARMS[str(row.arm)], metrics=["success_rate"], cluster="passage")[
                    "success_rate"
                ].pvalue, rel=1e-12,
            )  # fmt: skip


def test_repeated_items_are_clusters_and_their_means_correlate() -> None:
    arms = {"a": model(0.0, 1, epochs=3), "b": model(0.4, 2, epochs=3)}
    row = cr.table(arms, metrics=["success_rate"]).to_frame().iloc[1]
    means = [arm.groupby("sample_id").success.mean() for arm in arms.values()]
    assert row.standard_error == pytest.approx(stats.sem(means[1]), rel=1e-9)
    assert row.difference_error == pytest.approx(stats.sem(means[1] - means[0]), rel=1e-9)
    assert row.correlation == pytest.approx(np.corrcoef(*means)[0, 1], rel=1e-9)
    whole = cr.table({name: arm.rename(columns={"sample_id": "q"}) for name, arm in arms.items()}, pair_by="q")
    assert whole.to_frame().pvalue.notna().any()


def test_pvalues_are_corrected_together_and_the_table_says_so() -> None:
    table = cr.table(ARMS, metrics=["score", "success_rate"], pairs="all")
    frame = table.to_frame().dropna(subset="pvalue")
    assert frame.pvalue.tolist() == pytest.approx(cr.adjust(frame.raw_pvalue.to_numpy(), "holm").tolist(), abs=0)
    assert "p-values are corrected by Holm over 6 tests: all metrics, pairs of arms and groups; intervals are not" in (
        table.notes
    )
    assert "p (holm, 6 tests)" in repr(table)


def test_levels_of_one_frame_are_arms() -> None:
    rows = pd.concat([arm.assign(concurrency=level) for level, arm in zip((4, 1, 16), ARMS.values(), strict=True)])
    frame = cr.table(rows, by="concurrency", metrics=["p95_latency_ms", "score"]).to_frame()
    assert frame.arm.tolist() == ["1", "4", "16"] * 2
    assert frame.against.tolist()[1:3] == ["1", "1"]
    direct = cr.compare(ARMS["mid"], {"4": ARMS["base"], "16": ARMS["big"]}, metrics=["p95_latency_ms", "score"])
    found = frame.set_index(["metric", "arm"])
    for name in ("4", "16"):
        for metric in ("p95_latency_ms", "score"):
            assert found.pvalue[metric, name] == direct[name][metric].pvalue
    assert found.estimate["p95_latency_ms", "4"] == pytest.approx(np.quantile(ARMS["base"].latency_ms, 0.95), rel=1e-12)
    assert math.isnan(found.standard_error["p95_latency_ms", "4"])


def test_groups_of_arms_are_compared_in_each_group() -> None:
    table = cr.table(ARMS, by="subject", metrics=["score"])
    frame = table.to_frame().set_index(["subject", "arm"])
    direct = cr.compare(ARMS, metrics=["score"], by="subject")
    for subject in ("law", "maths"):
        for name in ("mid", "big"):
            assert frame.pvalue[subject, name] == direct[name][subject]["score"].pvalue
            assert frame.estimate[subject, name] == pytest.approx(
                ARMS[name][ARMS[name].subject == subject].score.mean(), rel=1e-12
            )
    assert any(direct["mid"].interaction["score"].method in note for note in table.notes)


def test_one_arm_has_estimates_only() -> None:
    table = cr.table(ARMS["base"], metrics=["score", "p50_latency_ms"])
    assert list(table.to_frame().estimate) == pytest.approx(
        [ARMS["base"].score.mean(), np.quantile(ARMS["base"].latency_ms, 0.5)], rel=1e-12
    )
    assert "difference" not in repr(table)
    with cr.start("reading", condition="gpt_4", unit="sample_id", cluster="passage") as exp:
        exp.extend(ARMS["base"])
    of_run = cr.table(exp, metrics=["success_rate"]).to_frame().iloc[0]
    assert of_run.arm == "gpt_4"
    expected = cr.confidence_interval(ARMS["base"], metric="success_rate", cluster="passage")
    assert of_run.standard_error == pytest.approx(expected.standard_error, rel=1e-12)


def test_single_values_and_counts_are_plain_numbers() -> None:
    times = pd.date_range("2026-01-01", periods=6, freq="s", tz="UTC")
    runs = {
        name: pd.DataFrame({"loss": [3.0, 1.0, 2.0, np.nan, 4.0 * k, np.nan], "success": [True, False, None] * 2}, index=times)
        for k, name in enumerate("ab", 1)
    }  # fmt: skip
    runs["b"] = runs["b"].iloc[::-1]  # the last one is that by time
    names = ["last_loss", "mean_loss", "max_loss", "min_loss", "first_loss", "failure_count", "event_count"]
    table = cr.table(runs, metrics=names)
    frame = table.to_frame().set_index(["metric", "arm"])
    assert [frame.estimate[name, "b"] for name in names] == [8.0, 3.5, 8.0, 1.0, 3.0, 2.0, 6.0]
    assert [frame.n[name, "a"] for name in names] == [4, 4, 4, 4, 4, 4, 6]
    plain = frame.drop("mean_loss", level="metric")
    assert plain[["standard_error", "low", "high", "difference", "pvalue"]].isna().all(axis=None)
    assert frame.pvalue["mean_loss", "b"] > 0
    assert [line.split() for line in repr(table).splitlines() if line.startswith("max_loss")] == [
        ["max_loss", "a", "4", "4"], ["max_loss", "b", "8", "4"],
    ]  # fmt: skip
    assert r"last\_loss & b & 8 &" in table.to_latex()
    groups = cr.table(runs, metrics="last_loss", by="success").to_frame()
    assert groups.estimate.tolist() == [4.0, 8.0, 3.0, 3.0]
    unknown = cr.table(runs["a"].assign(loss=np.nan), metrics="max_loss")
    assert "unknown" in repr(unknown)
    with pytest.raises(cr.SchemaError, match="metric='nope'"):
        cr.table(runs, metrics="last_nope")


def test_warnings_that_differ_only_in_numbers_are_one_line_that_names_its_rows() -> None:
    rng = np.random.default_rng(0)
    sweep = {
        f"c={c}": pd.DataFrame({"session_id": rng.integers(0, 20 + c, 300), "latency_ms": rng.lognormal(5, 1, 300),
                                "success": rng.random(300) < (1 if c == 4 else 0.9)})
        for c in (1, 2, 4, 8)
    }  # fmt: skip
    table = cr.table(sweep, metrics=["mean_latency_ms", "success_rate", "max_latency_ms"])
    few = [note for note in table.notes if "fewer than 30" in note]
    [worth] = [re.search(r"worth ([\d.]+) to ([\d.]+) of equal size", note) for note in few]
    assert len(table.notes) < 6
    single = [cr.confidence_interval(arm, metric="latency_ms").warnings for arm in sweep.values()]
    numbers = sorted(float(text.split("worth ")[1].split()[0]) for [text] in single if "worth" in text)
    assert [float(part) for part in worth.groups()] == [numbers[0], numbers[-1]]
    assert few[0].startswith("mean_latency_ms, success_rate: warning: ")
    grouped = cr.confidence_interval(
        pd.concat(sweep.values(), keys=sweep, names=["c"]).reset_index("c"), "latency_ms", by="c"
    )
    assert sum("fewer than 30" in note for note in grouped._notes()) == 1
    numbered = joined_notes([Said("4 rows", "x", "4"), Said("9 rows", "x", "9")], ["x"], [["4", "9"]])
    assert numbered == ["x, 4: 4 rows", "x, 9: 9 rows"]  # a number may be the name of an arm


def test_too_small_arms_are_said() -> None:
    table = cr.table({"a": ARMS["base"], "b": ARMS["mid"].head(1)}, metrics=["score"])
    frame = table.to_frame()
    assert math.isnan(frame.estimate[1])
    assert any("score, b: no estimate" in note for note in table.notes)
    assert "not tested" in repr(table)


def test_every_text_is_escaped() -> None:
    hostile = "<b>_50%|&\x1b[1m"
    table = cr.table({"base": ARMS["base"], hostile: ARMS["mid"]}, metrics=["success_rate"], by="subject")
    latex, page, markdown = table.to_latex(), table._repr_html_(), table.to_markdown()
    body = "\n".join(line for line in latex.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[_%#]|[<>|]", body)
    assert body.count("$") == 2 * body.count("$-$")
    assert r"\textless{}b\textgreater{}\_50\%\textbar{}\&" in latex
    assert r"success\_rate" in latex
    assert all(rule in latex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    lines = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1  # as many cells in every row
    assert "&lt;b&gt;_50%|&amp;" in page
    assert "<b>" not in page
    assert r"<b>_50%\|&" in markdown
    assert "\x1b" not in latex + page + markdown + repr(table)


def test_latex_has_what_a_paper_needs() -> None:
    latex = cr.table(ARMS, metrics=["success_rate"], cluster="passage").to_latex()
    assert "metric & arm & estimate (SE) & 95\\% interval & n & difference from base (SE)" in latex
    assert "p (holm, 2 tests) & correlation & verdict" in latex
    assert "corrected by Holm over 2 tests" in latex
    assert "clustered by passage" in latex
    several = cr.table(ARMS, metrics=["success_rate", "score"], pairs="all").to_latex().splitlines()
    assert several.count(r"\midrule") == 2  # below the header, and between the metrics
    fewer = cr.table({"big": ARMS["big"], "base": ARMS["base"]}, metrics=["score"]).to_latex()
    assert "$-$0." in fewer
    assert "p \\textless{} 0.001" in fewer


def test_wrong_arguments() -> None:
    with pytest.raises(cr.ConfigError, match="pairs='each'"):
        cr.table(ARMS, pairs="each")
    with pytest.raises(cr.StatError, match="not all arms have values"):
        cr.table({"a": ARMS["base"][["sample_id"]], "b": ARMS["mid"]})
    with pytest.raises(cr.SchemaError, match="by='no'"):
        cr.table(ARMS, by="no", metrics=["score"])
    plain = cr.table([ARMS["base"], ARMS["mid"]], metrics="score", where="subject == 'law'").to_frame()
    assert plain.arm.tolist() == ["arm 1", "arm 2"]
    assert plain.n.tolist() == [160, 160]
