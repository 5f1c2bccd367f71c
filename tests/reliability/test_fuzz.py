"""A little fuzzing of the loaders, and that it finds what is planted. The long run: `tests.reliability.fuzz`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.reliability.fuzz import PLANTED, TARGETS
from tests.tiers import scaled, seeds

ROOT = Path(__file__).parents[2]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("atheris") is None:
        missing("atheris")
    command = [sys.executable, "-m", "tests.reliability.fuzz", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=1000)


def found_nothing(place: Path, seconds: int, names: list[str]) -> None:
    seed = seeds(1, first=1)[0]  # the same every time but in `explore`: a slower machine sees the beginning of it
    # under instrumentation a busy machine takes 20 s for 4 MB of blank lines
    limits = ["--seconds", str(seconds), "--hang", "120"]
    done = fuzz(*limits, "--seed", str(seed), "--keep", str(place / "fuzz"), "--only", *names)
    assert done.returncode == 0, f"--seed {seed}; files in {place}\n{done.stdout}\n{done.stderr[-4000:]}"
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert {row[0].strip() for row in rows} == set(names)
    assert all(int(row[1].replace(",", "")) > 0 for row in rows), done.stdout  # each did something


@pytest.mark.check
@pytest.mark.seeded
def test_a_minute_finds_nothing(tmp_path: Path) -> None:
    found_nothing(tmp_path, scaled(60), [*TARGETS])


@pytest.mark.check
def test_what_is_planted_is_found(tmp_path: Path) -> None:
    # each ends with its first finding; a busy machine may take minutes for what a quiet one does in seconds
    names = [f"journal:{kind}" for kind in PLANTED]
    done = fuzz("--only", *names, "--seconds", "400", "--hang", "2", "--first", "--keep", str(tmp_path))
    assert done.returncode == 1, done.stderr
    for name, said in zip(names, ("ValueError at", "Timeout", "deadly signal"), strict=True):
        assert f"{name}: {said}" in done.stdout, done.stdout
        assert (tmp_path / name / "last").exists()
