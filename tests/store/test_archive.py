"""Object storage: the memory and local file systems of fsspec, and the S3 test server of moto."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.store import archive, writer
from tests.conftest import missing, need, settle


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of the S3 server on loopback."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import s3fs  # noqa: F401
            from moto.server import ThreadedMotoServer
    except ImportError:
        missing("moto[server] and s3fs")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=[pytest.param("s3", marks=pytest.mark.check), "memory", "file"])
def place(request, tmp_path: Path, monkeypatch) -> Iterator[str]:
    """URL of each file system; credentials and address of S3 come from the environment."""
    fsspec = need("fsspec") if request.param != "s3" else None
    if request.param == "memory":
        yield f"memory://runs-{uuid.uuid4().hex}"
    elif request.param == "file":
        yield f"file://{tmp_path}/archive"
    else:
        endpoint = request.getfixturevalue("s3")
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        import fsspec

        bucket = f"b{uuid.uuid4().hex}"
        system = fsspec.filesystem("s3")
        system.mkdir(bucket)
        yield f"s3://{bucket}/team/runs"
        fsspec.filesystem("s3").clear_instance_cache()


def sealed(exp: cr.Experiment, n: int = 3, monkeypatch=None) -> None:
    for start in range(0, n * 1000, 1000):
        exp.extend(pd.DataFrame({"latency_ms": [float(i) for i in range(start, start + 1000)]}), event="e")
        settle(exp)


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_there_and_back(place, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SEAL_EVENTS", 1000)
    exp = cr.start("far", store=tmp_path / "runs")
    sealed(exp)
    url = exp.archive(place)
    facts = exp.summary()["store"]["archived"][place]
    assert url == f"{place}/{exp.id}"
    assert (facts["events"], facts["failure"], exp.status) == (3000, None, "running")
    sealed(exp)
    assert exp.summary()["store"]["archived"][place]["events"] == 6000  # by itself, as segments are sealed
    exp.record("last", latency_ms=1.0)
    half = cr.unarchive(url, tmp_path / "half")
    assert half.metrics().events == 6000
    exp.stop()
    assert exp.archive(place) == url
    assert exp.status == "archived"
    again = cr.unarchive(url, tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(again.frame(), exp.frame())
    assert (again.status, again.metrics().events) == ("archived", 6001)
    assert exp.archive(place) == url
    with pytest.raises(cr.StoreError, match="already"):
        cr.unarchive(url, tmp_path / "elsewhere")


def test_names_are_keys(tmp_path, monkeypatch):
    """Complete objects are not copied again; a truncated object is."""
    need("fsspec")
    monkeypatch.setattr(writer, "SEAL_EVENTS", 1000)
    exp = cr.start("keys", store=tmp_path / "runs")
    sealed(exp, 2)
    place = tmp_path / "archive"
    exp.archive(f"file://{place}")
    folder = place / exp.id
    first = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(first) == sorted(
        ["experiment.json", "prices.json.gz", "w0000-000001.parquet", "w0000-000002.parquet", "w0000-000002.state"]
    )
    segment = folder / "w0000-000001.parquet"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:100])
    other = archive.Remote(f"file://{place}", exp.id)
    done = other.push(exp._log.attachment.folder, whole=False)
    assert (done.copied, segment.read_bytes()) == (1, whole)
    assert other.push(exp._log.attachment.folder, whole=False).copied == 0
    exp.stop()


def test_what_is_wrong_is_said(tmp_path, monkeypatch):
    fsspec = need("fsspec")
    memory = cr.start("memory")
    with pytest.raises(
        cr.StoreError,
        match=r"cannot archive 'memory' to 's3://b/p': it has no folder; start it with cr.start\(store=...\)",
    ):
        memory.archive("s3://b/p")
    memory.stop()
    exp = cr.start("x", store=tmp_path / "runs")
    with pytest.raises(cr.StoreError, match="cannot archive to or from 'nonsense://b/"):
        exp.archive("nonsense://me:secret@b")
    with pytest.raises(cr.StoreError, match="there is no experiment in it"):
        fsspec.filesystem("memory").makedirs("/nothing", exist_ok=True)
        cr.unarchive("memory://nothing", tmp_path / "other")
    system = fsspec.filesystem("memory")
    exp.archive("memory://strange")
    system.pipe_file(f"/strange/{exp.id}/evil.sh", b"#!")
    with pytest.raises(cr.StoreError, match="unexpected or too large files"):
        cr.unarchive(f"memory://strange/{exp.id}", tmp_path / "other")
    assert not list(tmp_path.glob("other/*"))
    exp.stop()


def test_without_fsspec_the_extra_is_named(tmp_path, monkeypatch):
    from crucible_nb.utils import optional

    exp = cr.start("x", store=tmp_path / "runs")

    def absent(package: str):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package.partition(".")[0])

    monkeypatch.setattr(optional.importlib, "import_module", absent)
    with pytest.raises(cr.ConfigError, match=r"'s3://b/p' needs fsspec.core: pip install 'crucible_nb\[s3\]'"):
        exp.archive("s3://b/p")
    monkeypatch.undo()
    exp.stop()
