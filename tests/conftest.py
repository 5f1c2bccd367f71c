"""Shared fixtures: real data where it is, and a clock that tests hold in their hands."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import numpy as np
import pandas as pd
import pytest

from crucible_nb import Experiment
from crucible_nb.store import writer
from crucible_nb.testing import ManualClock
from crucible_nb.utils.runtime import RUNTIME
from tests import tiers

tiers.register()

SECOND = 1_000_000_000
NOON = pd.Timestamp("2025-01-01 12:00", tz="UTC").value


def missing(part: str) -> NoReturn:
    """Skip for a part that is not here; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {part}")
    pytest.skip(f"{part} is not here", allow_module_level=True)


def need(module: str) -> ModuleType:
    """Import what a test needs beside the package's own dependencies."""
    try:
        return import_module(module)
    except ImportError:
        missing(module)


def settle(exp: Experiment) -> None:
    """No journal of it is being sealed any more."""
    done = threading.Event()
    with exp._intake.lock:  # whoever is about to seal has asked for it by then
        writer.SEALER.submit(done.set)
    assert done.wait(120)


def pytest_collection_finish() -> None:
    """What is imported by then stays, and need not be looked through for garbage at every test."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """What is `untraced` takes half as long; pytest-cov's own `no_cover` does nothing in a worker of xdist."""
    if item.get_closest_marker("untraced") is None:
        return (yield)
    traces = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        return (yield)
    finally:
        sys.settrace(traces[0])
        threading.settrace(traces[1])  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real traces beside the checkout, or where CRUCIBLE_SHARED_DATA points."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CRUCIBLE_SHARED_DATA", beside))
    if not (folder / "README.md").is_file():
        missing("the shared data (set CRUCIBLE_SHARED_DATA)")
    return folder


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20250101)


@pytest.fixture(autouse=True)
def quiet_kernel() -> Iterator[None]:
    """No experiment of one test is current, default or alive in the next."""
    yield
    RUNTIME.reset()
