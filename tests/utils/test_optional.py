"""Extras: `all` is every one of them, and a message names the one that installs what is missing."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import crucible_nb as cr
from crucible_nb.utils import optional

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BRINGS = {"sklearn": "scikit-learn", "opentelemetry": "opentelemetry-sdk", "distributed": "dask"}
SOURCE = "\n".join(path.read_text() for path in (ROOT / "crucible_nb").rglob("*.py"))


def test_all_is_every_extra_but_those_of_development() -> None:
    (inner,) = EXTRAS["all"]
    assert set(inner.removeprefix("crucible_nb[").rstrip("]").split(",")) == set(EXTRAS) - {"all", "test", "docs"}


def test_the_extra_that_a_message_names_brings_the_package() -> None:
    needed = re.findall(r'need\("([\w.]+)", "(\w+)"', SOURCE)
    assert {"psycopg", "fsspec.core", "sklearn.ensemble"} <= {package for package, _ in needed}
    for package, extra in needed:
        top = package.partition(".")[0]
        names = {re.split(r"[\[>=<; ]", requirement)[0] for requirement in EXTRAS[extra]}
        assert BRINGS.get(top, top) in names, (package, extra)


def test_every_extra_that_is_named_anywhere_exists() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    text = SOURCE + "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = {name for names in re.findall(r"crucible_nb\[([\w,]+)\]", text) for name in names.split(",")}
    assert {"postgres", "s3", "lab", "fast"} <= named <= set(EXTRAS)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: cr.start("x", store="postgresql://h/d"), "needs psycopg: pip install 'crucible_nb[postgres]'"),
        (lambda: cr.experiments("postgresql://h/d"), "needs psycopg: pip install 'crucible_nb[postgres]'"),
        (lambda: cr.attach("x", store="postgresql://h/d"), "needs psycopg: pip install 'crucible_nb[postgres]'"),
        (lambda: cr.unarchive("s3://bucket/x", "runs"), "needs fsspec.core: pip install 'crucible_nb[s3]'"),
        (lambda: cr.anomaly.score([1.0, 2.0] * 50, "isolation_forest"), "needs sklearn.ensemble: pip install 'crucible_nb[anomaly]'"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_its_extra(act, words: str, monkeypatch) -> None:
    real = importlib.import_module

    def absent(package: str):
        top = package.partition(".")[0]
        if top in ("psycopg", "fsspec", "sklearn"):
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)
        return real(package)

    monkeypatch.setattr(optional.importlib, "import_module", absent)
    with pytest.raises(cr.ConfigError, match=re.escape(words)):
        act()
