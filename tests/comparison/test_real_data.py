"""Published results, reproduced from real data by `cr.compare`."""

from __future__ import annotations

import pandas as pd
import pytest

import crucible_nb as cr


def judged(shared_data, model: str) -> pd.DataFrame:
    table = pd.read_parquet(shared_data / "alpaca_eval2_judgements.parquet")
    one = table[table.model == model]
    return pd.DataFrame({"sample_id": one.prompt_id.to_numpy(), "win": 100 * (one.preference.to_numpy() - 1)})


def test_vicuna_13b_against_7b_is_settled_by_pairs(shared_data) -> None:
    small, large = judged(shared_data, "vicuna-7b-v1.5"), judged(shared_data, "vicuna-13b-v1.5")
    found = cr.compare(small, large, metrics=["win"], direction={"win": "up"})["win"]
    assert found.pvalue == pytest.approx(0.004, abs=0.0005)
    assert found.verdict == "better"
    assert found.n == (805, 805)
    assert cr.t_test(small, large, metric="win").pvalue == pytest.approx(0.058, abs=0.0005)


def test_gpt4_against_mixtral_by_item(shared_data) -> None:
    table = pd.read_csv(shared_data / "routellm_gpt4_vs_mixtral.csv.gz")
    columns = [column for column in table.columns if table[column].dtype == bool]
    gpt4, mixtral = sorted(columns, key=lambda name: "mixtral" in name)
    key = table.benchmark + table.subject.fillna("") + table["item"].astype(str)
    arms = [pd.DataFrame({"sample_id": key, "success": table[column]}) for column in (mixtral, gpt4)]
    found = cr.compare(*arms)["success_rate"]
    assert found.n == (15361, 15361)
    assert found.verdict == "better"
    assert "McNemar" in found.test
    assert found.treatment == pytest.approx(table[gpt4].mean())


def test_nanogpt_same_loss_faster(shared_data) -> None:
    finals = pd.read_csv(shared_data / "nanogpt_run_finals.csv")
    slow = finals[finals.record.str.startswith("2024-12-08")]
    fast = finals[finals.record.str.startswith("2024-12-10")]
    assert (len(slow), len(fast)) == (75, 40)
    loss = next(column for column in finals.columns if "val_loss" in column)
    time = next(column for column in finals.columns if "train_time" in column)
    found = cr.compare(slow, fast, metrics=[time, loss], direction={time: "down", loss: "down"}, margin={loss: 0.002})
    assert found[time].verdict == "better"
    assert found[loss].raw_pvalue == pytest.approx(0.93, abs=0.005)
    assert found[loss].verdict == "equivalent"
