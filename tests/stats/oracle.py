"""Published and certified results of the shared data, each with its own tolerance."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np


def entry(shared_data: Path, name: str) -> dict[str, Any]:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    return next(one for one in entries if one["id"] == name)


def agrees(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Assert that results equal the published ones."""
    tolerances = wanted["tolerance"]
    for key, got in found.items():
        tolerance = tolerances.get(key, tolerances if {"abs", "rel"} & {*tolerances} else {})
        expected = wanted["expected"][key]
        np.testing.assert_allclose(
            got, expected, rtol=tolerance.get("rel", 0), atol=tolerance.get("abs", 0), err_msg=key
        )


def nist_groups(shared_data: Path, name: str) -> list[np.ndarray]:
    file = next(path for path in (shared_data / "nist").iterdir() if path.name.lower().startswith(name))
    with gzip.open(file, "rt") as lines:
        rows = [line.split() for line in lines.readlines()[60:] if line.strip()]
    groups, values = np.array([int(row[0]) for row in rows]), np.array([float(row[1]) for row in rows])
    return [values[groups == group] for group in np.unique(groups)]
