"""Tab completion through the shell's own completer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter

import crucible_nb as cr
from crucible_nb.notebook.commands import COMMANDS


@pytest.fixture
def held(ip: Any) -> list[cr.Experiment]:
    one, two = cr.start("my run"), cr.start("plain", default=True)
    two.record("call", latency_ms=1.0, success=True, loss=0.5, **{"train/acc": 0.1})
    return [one, two]


def completions(ip: Any, line: str) -> list[Any]:
    with provisionalcompleter():
        return list(ip.Completer.completions(line, len(line)))


def offered(ip: Any, line: str) -> list[str]:
    return [one.text for one in completions(ip, line)]


CASES = {
    "%crucible ": list(COMMANDS),
    "%crucible st": ["start", "stop", "status"],
    "x = %crucible me": ["metrics"],
    "    %crucible me": ["metrics"],
    "%crucible fly ": None,
    "%crucible metrics --l": ["--last"],
    "%crucible metrics --last 5min --": ["--by", "--experiment", "--output", "--help"],
    "%crucible metrics --last 1": ["1min", "15min", "1h", "1D"],
    "%crucible metrics --last=1m": ["1min"],
    "%crucible metrics --by mo": ["model"],
    "%crucible metrics --by model,ev": ["event"],
    "%crucible windows 5": ["5min"],
    "%crucible windows 5min 1m": ["1min"],
    "%crucible windows 5min 1min ": ["--by", "--columns", "--experiment", "--output", "--help"],
    "%crucible status -e ": ["plain", "'my run'"],
    "%crucible status -e my": ["'my run'"],
    "%crucible status -e 'my": ["'my run'"],
    '%crucible status -e "my r': ["'my run'"],
    "%crucible compare pl": ["plain"],
    "%crucible compare 'my run' pl": ["plain"],
    "%crucible compare --sequential 'my run' pl": ["plain"],
    "%crucible dashboard --compare plain,my": ["'my run'"],
    "%crucible compare plain 'my run' --metric p95_l": ["p95_latency_ms", "p95_loss"],
    "%crucible compare plain 'my run' --metric loss,succ": ["success_rate"],
    "%crucible start new --sampling a": ["adaptive"],
    "%crucible start new --anomaly z_score,i": ["iqr", "isolation_forest"],
    "%crucible start new --dur": ["--durability"],
    "%crucible start new --durability ": ["os", "disk", "memory"],
    "%crucible attach x --mode r": ["resume", "read"],
    "%crucible attach ": ["--store", "--mode", "--output", "--help"],
    "%crucible export out --format ": ["parquet", "csv", "jsonl"],
    "%%crucible pl": ["plain"],
    "%%crucible plain --sam": ["--sample-size", "--sampling", "--sampling-config"],
}


@pytest.mark.parametrize("line", CASES)
def test_completions(line: str, ip: Any, held: Any) -> None:
    found, wanted = offered(ip, line), CASES[line]
    if wanted is None:
        assert not set(found) & {"metrics", "plain"}
    else:
        assert found == wanted


def test_the_text_that_is_replaced(ip: Any, held: Any) -> None:
    line = "%crucible metrics --by model,ev"
    found = completions(ip, line)
    assert [(line[one.start : one.end], one.text) for one in found] == [("ev", "event")]
    line = "%crucible status -e 'my r"
    found = completions(ip, line)
    assert [line[: one.start] + one.text for one in found] == ["%crucible status -e 'my run'"]


def test_variables_are_arms_and_have_columns(ip: Any, held: Any) -> None:
    ip.user_ns |= {"base": pd.DataFrame({"score": [1.0]}), "mine": held[0], "_hidden": held[0], "number": 1}
    assert offered(ip, "%crucible compare b") == ["base"]
    assert set(offered(ip, "%crucible compare ")) == {"plain", "'my run'", "base", "mine"}
    assert "score" in offered(ip, "%crucible compare base base --metric sc")


def test_columns_of_the_named_experiment(ip: Any, held: Any) -> None:
    held[0].record("call", only_here=1.0)
    assert offered(ip, "%crucible metrics -e 'my run' --by only") == ["only_here"]
    assert "only_here" not in offered(ip, "%crucible metrics --by only")
    assert offered(ip, "%crucible metrics --by train") == ["train/acc"]


def test_paths_are_left_to_ipython(ip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.parquet").touch()
    (tmp_path / "my_runs").mkdir()
    assert "results.parquet" in offered(ip, "%crucible export res")
    for line in ("%crucible start x --store my", "%crucible attach --store my", "%%crucible x --store my"):
        assert "my_runs/" in offered(ip, line)


def test_names_in_a_store(ip: Any, tmp_path: Path) -> None:
    for name in ("one", "the other", "one"):
        cr.start(name, store=tmp_path / "my runs").stop()
    assert offered(ip, f"%crucible attach --store '{tmp_path / 'my runs'}' ") == ["one", "'the other'"]
    assert offered(ip, f"%crucible attach --store='{tmp_path / 'my runs'}' the") == ["'the other'"]
    assert offered(ip, f"%crucible attach --store {tmp_path / 'nowhere'} on") == []
    assert "one" not in offered(ip, "%crucible attach on")
    ip.run_cell(f"%crucible start a --store '{tmp_path / 'my runs'}'").raise_error()
    assert offered(ip, "%crucible attach on") == ["one"]  # the store that was last given
    (tmp_path / "file").touch()
    assert offered(ip, f"%crucible attach --store {tmp_path / 'file'} on") == []
    assert offered(ip, "%crucible attach --store postgresql://nobody@127.0.0.1:1/nowhere on") == []


def test_other_lines_are_left_alone(ip: Any) -> None:
    assert "metrics" not in offered(ip, "crucible.")
    assert "print" in offered(ip, "pri")
    assert set(offered(ip, "%cruc")) == {"%crucible", "%%crucible"}


def test_names_that_need_quotes(ip: Any) -> None:
    names = ["it's", "a\nb", 'say "hi"', "<script>", ""]
    exps = [cr.start(name) for name in names if name]
    assert exps
    found = offered(ip, "%crucible status -e ")
    assert "<script>" in found
    ip.run_cell(f"%crucible status -e {next(one for one in found if 'say' in one)}").raise_error()
