"""A column may have any name: also that of an attribute of an experiment, a frame or an argument."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.experiment.experiment import Experiment

NAMES = sorted(
    {name for name in dir(Experiment) if not name.startswith("_")}
    | {name for name in vars(cr.start("names")) if not name.startswith("_")}
    | {
        "index",
        "columns",
        "values",
        "shape",
        "size",
        "attrs",
        "frame",
        "event",
        "time",
        "metric",
        "arm",
        "group",
        "seed",
    }
)


def arms(names: list[str]) -> list[pd.DataFrame]:
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"sample_id": range(30), "score": rng.normal(gain, 1, 30), "success": rng.random(30) < 0.5})
        for gain in (0.0, 0.2)
    ]
    text = pd.Series(["x", "y"] * 15)
    return [frame.assign(**{name: text for name in names if name not in frame}) for frame in frames]


@pytest.mark.parametrize(
    "names", [["condition"], ["name"], ["frame"], NAMES], ids=["condition", "name", "frame", "all"]
)
def test_columns_of_these_names_change_nothing(names: list[str]) -> None:
    plain, named = arms([]), arms(names)
    for read in (
        lambda a, b: cr.compare(a, b, metrics=["score", "success_rate"]).to_dict(),
        lambda a, b: cr.t_test(a, b, metric="score").to_dict(),
        lambda a, _: cr.confidence_interval(a, metric="score").to_dict(),
    ):
        assert repr(read(*named)) == repr(read(*plain))
    text = cr.table(dict(zip("ab", named, strict=True)), metrics=["score", "success_rate"])
    assert repr(text) == repr(cr.table(dict(zip("ab", plain, strict=True)), metrics=["score", "success_rate"]))
    assert cr.plot.by(named[0], "score", names[-1]).data[0].x.size == 2
    assert repr(named[0].crucible.metrics().to_dict()) == repr(plain[0].crucible.metrics().to_dict())
    by = cr.compare(*named, metrics=["score"], by=names[-1])
    assert sum(comparison["score"].n[0] for comparison in by.values()) == 30
    several = cr.compare(named[0], {"a": named[1]}, metrics=["score"])
    assert several["a"]["score"].pvalue == cr.compare(*plain, metrics=["score"])["score"].pvalue


def test_no_code_reads_a_column_as_an_attribute() -> None:
    # `frame.condition` is a method or a column, depending on the data
    found = []
    for path in sorted(Path(inspect.getfile(cr)).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            of_frame = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if (
                of_frame
                and node.value.id in {"frame", "df"}
                and not node.attr.startswith("f_")
                and not hasattr(pd.DataFrame, node.attr)
            ):
                found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []
