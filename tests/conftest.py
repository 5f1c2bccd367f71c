"""Shared fixtures and hooks: real data, a manual clock, no tracing of laws, no experiment left by a test."""

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
from crucible_nb.utils.threads import COMPILER
from tests import tiers

tiers.register()

SECOND = 1_000_000_000
NOON = pd.Timestamp("2025-01-01 12:00", tz="UTC").value


def missing(part: str) -> NoReturn:
    """Skip a test because a part is not installed; with CI set, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {part}")
    pytest.skip(f"{part} is not here", allow_module_level=True)


def need(module: str) -> ModuleType:
    """Import an optional dependency of a test; see `missing`."""
    try:
        return import_module(module)
    except ImportError:
        missing(module)


def settle(exp: Experiment) -> None:
    """Wait until no journal of an experiment is being sealed."""
    done = threading.Event()
    with exp._intake.lock:  # a pending seal has been queued by then
        writer.SEALER.submit(done.set)
    assert done.wait(120)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that try more in `make check`."""
    for item in items:
        module = getattr(item, "module", None)
        if any(getattr(module, name, None) is getattr(tiers, name) for name in ("scaled", "seeds")):
            item.add_marker("seeded")


def pytest_collection_finish() -> None:
    """Exclude all imported modules from garbage collection: they stay for the whole run."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run tests marked `untraced` without tracing, in half the time; `no_cover` of pytest-cov does nothing under xdist."""
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
    """Folder of real traces: beside the checkout, or CRUCIBLE_SHARED_DATA."""
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
    """No experiment of one test is current, default or alive in the next, and nothing is compiled meanwhile.

    numba changes the filters of warnings while it compiles, for all threads: a warning that a test expects is lost.
    """
    yield
    RUNTIME.reset()
    if any(thread.name == "crucible-compile" for thread in threading.enumerate()):
        done = threading.Event()
        COMPILER.submit(done.set)
        assert done.wait(600)
