"""`%crucible` in a real shell: each command, its error messages, and unloading."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.experiment.context import CURRENT
from crucible_nb.notebook.commands import COMMANDS
from crucible_nb.notebook.parser import full_help
from tests.laws.test_resume import die


@pytest.fixture
def run(ip: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a cell and returns its result; errors are raised."""

    def cell(source: str) -> Any:
        done = ip.run_cell(source)
        done.raise_error()
        return done.result

    return cell


@pytest.fixture
def mistake(ip: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a cell that ends in a usage error; gives its one line."""

    def cell(source: str) -> str:
        capsys.readouterr()
        done = ip.run_cell(source)
        assert type(done.error_in_exec).__name__ == "UsageError"
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said.strip()

    return cell


def test_start_becomes_the_default_and_binds_exp(run: Any, ip: Any, capsys: Any) -> None:
    assert run("%crucible start 'my run' --condition treatment --tags ab,pilot --sample-size 8") is None
    assert capsys.readouterr().out == "'my run', running, 0 of 8 events\n"
    exp = ip.user_ns["exp"]
    assert (exp.name, exp.condition, exp.tags, exp.sample_size) == ("my run", "treatment", ("ab", "pilot"), 8)
    assert cr.current() is exp
    run("%crucible start other -o mine --sampling uniform --sampling-config rate=0.5 --seed 3 --windows 1min --by a,b")
    assert ip.user_ns["mine"].name == "other"
    assert ip.user_ns["exp"] is exp
    assert ip.user_ns["mine"].summary()["sampling"] == "Uniform(rate=0.5)"


def test_options_reach_the_detectors(run: Any, ip: Any) -> None:
    run("%crucible start watched --anomaly z_score,iqr --anomaly-config threshold=4,action=alert --max-events 9")
    assert [type(one).__name__ for one in ip.user_ns["exp"]._stream.pipeline.detect.detectors] == ["ZScore", "IQR"]


def test_the_lifecycle(run: Any, ip: Any, capsys: Any) -> None:
    run("%crucible start a")
    for verb, status in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        capsys.readouterr()
        assert run(f"%crucible {verb} -o held") is None
        assert ip.user_ns["held"].status == status
        assert capsys.readouterr().out == f"'a', {status}, 0 events\n"
    assert run("%crucible status") is ip.user_ns["exp"]


def test_looking(run: Any, ip: Any) -> None:
    run("%crucible start a")
    run("for ms in (1.0, 2.0, 3.0): exp.record('call', latency_ms=ms, model='m', loss=ms)")
    exp = ip.user_ns["exp"]
    assert run("%crucible metrics --last 5min").latency.max == 3.0
    assert run("%crucible metrics --by model")["m"].events == 3
    assert run("%crucible metrics --by model,event").keys() == [("m", "call")]
    assert run("%crucible windows 5min").event_count.sum() == 3
    windows = run("%crucible windows 5min 1min --columns loss --by model -o found")
    assert "mean_loss" in windows
    assert "model" in windows.index.names
    assert ip.user_ns["found"] is windows
    assert run("%crucible anomalies").equals(exp.anomalies())
    assert run("%crucible list").loc[exp.id, "name"] == "a"
    assert run("x = %crucible metrics") is None
    assert ip.user_ns["x"].events == 3
    assert run("%crucible metrics;") is None
    assert repr(run("%crucible dashboard")) == "'a', running, 3 events, p95 2.9 ms"
    run("%crucible start b --sample-size 1")
    run("%crucible start 'c d'")
    shown = run("%crucible dashboard -e a --compare b,'c d' --by model --refresh 1")
    assert repr(shown).count(";") == 2


def test_groups_count_every_event_of_a_sampled_run(run: Any, ip: Any) -> None:
    run("%crucible start a --sampling uniform --sampling-config rate=0.5 --seed 1")
    run("for i in range(100): exp.record('call', model='m')")
    assert len(ip.user_ns["exp"].df) < 100
    assert run("%crucible metrics --by model")["m"].events == 100
    assert ip.user_ns["exp"].metrics(by=["model"])["m"].events == 100


def test_another_experiment_can_be_named(run: Any, ip: Any, mistake: Any) -> None:
    run("%crucible start one\n%crucible start 'the other'")
    assert run("%crucible status -e one").name == "one"
    assert run(f"%crucible status --experiment {run('%crucible status -e one').id}").name == "one"
    assert run("%crucible status").name == "the other"
    assert mistake("%crucible status -e three") == (
        "UsageError: no experiment 'three' in this kernel; available: 'one', 'the other'"
    )


def test_compare_takes_experiments_and_variables(run: Any, ip: Any) -> None:
    for name, slower in (("a", 0.0), ("b", 50.0)):
        run(f"%crucible start {name}\nfor i in range(40): exp.record('call', latency_ms=100.0 + i % 7 + {slower})")
        run("%crucible stop\ndel exp")
    gc.collect()  # nobody holds them but the magic
    found = run("%crucible compare a b --metrics latency_ms")
    assert list(found) == ["latency_ms"]
    assert found["latency_ms"].verdict == "worse"
    ip.user_ns["base"] = pd.DataFrame({"score": [0.1, 0.2, 0.3, 0.2]})
    ip.user_ns["more"] = pd.DataFrame({"score": [0.8, 0.9, 0.7, 0.8]})
    found = run("%crucible compare base more --metric score --direction score=up --margin 0.01")
    assert found["score"].verdict == "better"
    assert found["score"].margin == 0.01
    assert run('%crucible compare a b --metric latency_ms --margin "5%"')["latency_ms"].margin > 5
    assert run("%crucible compare a b --metric p50_latency_ms --sequential --pair-by sample_id")


def test_export(run: Any, tmp_path: Path) -> None:
    run("%crucible start a\nexp.record('tick')")
    assert run(f"%crucible export {tmp_path / 'run.jsonl'}") == tmp_path / "run.jsonl"
    assert len(cr.load(tmp_path / "run.jsonl")) == 1
    assert run(f"%crucible export '{tmp_path / 'other'}' --format csv") == tmp_path / "other"


def test_report(run: Any, tmp_path: Path) -> None:
    run("%crucible start a\nexp.record('tick', latency_ms=1.0)\n%crucible start b\nexp.record('tick', latency_ms=2.0)")
    path = run(f"%crucible report {tmp_path / 'b.html'} --data csv")
    assert "<title>b</title>" in path.read_text()
    assert 'download="b.csv"' in path.read_text()
    path = run(f"%crucible report {tmp_path / 'both.html'} -e a --compare b")
    assert "<title>a against b</title>" in path.read_text()


@pytest.fixture
def runs(run: Any, ip: Any, tmp_path: Path) -> Path:
    """A store with an experiment whose process is gone."""
    run(f"%crucible start nightly --store '{tmp_path / 'my runs'}' --durability disk --seed 1\nexp.record('tick', n=0)")
    die(ip.user_ns.pop("exp"))
    ip.extension_manager.reload_extension("crucible_nb")  # another kernel remembers nothing
    CURRENT.default = None
    return tmp_path / "my runs"


def test_coming_back(run: Any, ip: Any, runs: Path, mistake: Any, capsys: Any) -> None:
    assert mistake("%crucible attach nightly") == (
        "UsageError: cannot attach to 'nightly': no store is known; pass --store PATH"
    )
    assert run(f"%crucible list --store '{runs}'").status.tolist() == ["dead"]
    capsys.readouterr()
    assert run(f"%crucible attach nightly --store '{runs}'") is None
    assert capsys.readouterr().out == "'nightly', running, 1 events\n"
    exp = ip.user_ns["exp"]
    assert cr.current() is exp
    assert exp.summary()["store"]["durability"] == "disk"
    assert exp.record("tick", n=1)
    run("%crucible attach nightly -o again")  # the store that was last given
    assert ip.user_ns["again"] is exp
    run("%crucible attach nightly --mode read -o reader")
    assert not ip.user_ns["reader"].record("tick")
    assert ip.user_ns["reader"].frame()["n"].tolist() == [0, 1]
    run("%crucible attach nightly --mode join -o worker")
    assert ip.user_ns["worker"].record("tick", n=2)
    assert exp.frame()["n"].tolist() == [0, 1, 2]
    run(f"%crucible attach '{exp.handle}' --mode read -o reader")
    assert ip.user_ns["reader"].id == exp.id
    assert run("%crucible list").index.tolist().count(exp.id) == 1


def test_start_resumes_an_experiment_of_a_store(run: Any, ip: Any, runs: Path) -> None:
    run(f"%crucible start nightly --store '{runs}' --on-exists resume")
    exp = ip.user_ns["exp"]
    assert exp.frame()["n"].tolist() == [0]
    run(f"%crucible start nightly --store '{runs}' --on-exists resume -o again")
    assert ip.user_ns["again"] is exp


def test_a_cell_can_be_kept(run: Any, ip: Any, tmp_path: Path) -> None:
    run(f"%%crucible kept --store {tmp_path}\nexp.record('tick')")
    assert cr.experiments(tmp_path).status.tolist() == ["stopped"]
    run("%crucible attach kept -o reader")
    assert (ip.user_ns["reader"].status, len(ip.user_ns["reader"].df)) == ("stopped", 1)


def test_a_home_folder_is_found(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run("%crucible start a --store ~/runs")
    assert cr.experiments(tmp_path / "runs").name.tolist() == ["a"]


NOWHERE = str(Path("nowhere").absolute())

MISTAKES = {
    "%crucible fly": "argument COMMAND: invalid choice: 'fly'",
    "%crucible start": "the following arguments are required: NAME",
    "%crucible start a --sample-size x": "argument --sample-size: 'x': expected a whole number",
    "%crucible start a --sampling-config rate": "argument --sampling-config: 'rate': expected NAME=VALUE",
    "%crucible start a --sampling some": "argument --sampling: invalid choice: 'some'",
    "%crucible start a --anomaly some": "expected one of",
    "%crucible start a -o 1x": "argument -o/--output: '1x': expected the name of a variable",
    "%crucible start 'a": "start 'a: unclosed quote",
    "%crucible start a b": "unrecognized arguments: b; a value with spaces needs quotes",
    "%crucible start don't": "unclosed quote; a text that has one needs quotes of the other kind",
    "%crucible stop # the run": "# the run; a comment needs a line of its own",
    "%crucible start b --tags x, y": "unrecognized arguments: y; a value with spaces needs quotes, and several values",
    "%crucible metrics --lats 5min": "unrecognized arguments: --lats 5min; did you mean '--last'?",
    "%crucible start b --store {no_such_folder}": "{no_such_folder}: there is no variable 'no_such_folder'",
    "%crucible start $nope": "$nope: there is no variable 'nope' to fill it from",
    "%crucible start f'b'": "no f-string is needed",
    "%crucible metrics --last yesterday": "last='yesterday': expected a positive duration",
    "%crucible dashboard --refresh x": "argument --refresh: 'x': expected a number",
    "%crucible dashboard --by tool": "by='tool': expected one of 'event', 'model'",
    "%crucible dashboard --compare nope": "no experiment 'nope' in this kernel; available:",
    "%crucible dashboard --refresh 0.01": "refresh=0.01: expected a number >= 0.1",
    "%crucible compare a nobody": "no experiment 'nobody' in this kernel; available: 'a'",
    "%crucible export out.exe": "expected a name that ends in",
    "%crucible report out.pdf": "expected a name that ends in .html",
    "%crucible start b --durability some": "argument --durability: invalid choice: 'some'",
    "%crucible start b --store ''": "argument --store: '': expected a path",
    "%crucible attach": "the following arguments are required: NAME",
    "%crucible attach b --mode some": "argument --mode: invalid choice: 'some'",
    "%crucible attach b --store nowhere": f"cannot attach to 'b': there is no folder {NOWHERE!r}",
    "%%crucible\n1": "the following arguments are required: NAME",
    "%%crucible a --seed 1\n1": "'a' is running: options apply to a new experiment only, got --seed",
}


@pytest.mark.parametrize("source", MISTAKES)
def test_a_mistake_is_one_line(source: str, run: Any, mistake: Any) -> None:
    run("%crucible start a")
    said = mistake(source)
    assert said.startswith("UsageError: ")
    assert MISTAKES[source] in said


def test_without_any_experiment(mistake: Any) -> None:
    assert "start one with `%crucible start NAME`" in mistake("%crucible metrics")


def test_a_bug_keeps_its_traceback(run: Any, ip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run("%crucible start a")
    monkeypatch.setattr(cr.Experiment, "anomalies", lambda self: 1 / 0)
    assert isinstance(ip.run_cell("%crucible anomalies").error_in_exec, ZeroDivisionError)


def test_help(run: Any, ip: Any, capsys: Any) -> None:
    for source in ("%crucible", "%crucible --help", "%crucible metrics --help", "%%crucible --help"):
        capsys.readouterr()
        assert run(source) is None
        assert capsys.readouterr().out.startswith("::\n\n  %")
    for name in COMMANDS:
        run(f"%crucible {name} -h")
        assert f"%crucible {name} [-h]" in capsys.readouterr().out
    assert ip.find_line_magic("crucible").__doc__ == full_help()
    assert all(
        f"%crucible {name}" in full_help() and one.description[:20] in full_help() for name, one in COMMANDS.items()
    )
    assert "%%crucible [-h]" in full_help()


def test_variables_are_expanded(run: Any, ip: Any) -> None:
    ip.user_ns["run_name"] = "from a variable"
    run("%crucible start '{run_name}'")
    assert ip.user_ns["exp"].name == "from a variable"


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a\tb", "-- ", "ünïcödé שלום", "back\\slash", "x" * 5000]
)
def test_hostile_names(name: str, ip: Any, run: Any) -> None:
    ip.run_line_magic("crucible", f'start -o e -- "{name}"')
    assert ip.user_ns["e"].name == name
    assert run("%crucible list").name.tolist()[-1] == name


# -- the cell -----------------------------------------------------------------------------------------------------


def test_a_cell_is_a_new_experiment(run: Any, ip: Any) -> None:
    assert (
        run("%%crucible mine --condition x\ncr = __import__('crucible_nb')\ncr.record('tick', latency_ms=1.0)\n1 + 2")
        == 3
    )
    exp = ip.user_ns["exp"]
    assert (exp.name, exp.condition, exp.status, len(exp.df)) == ("mine", "x", "stopped", 1)
    assert cr.current() is None
    assert run("%crucible status") is exp  # the last one is meant where none is current


def test_a_cell_of_a_running_one_is_a_span(run: Any, ip: Any) -> None:
    run("%crucible start a -o a\n%crucible start b -o b")
    run("import crucible_nb as cr")
    assert run("%%crucible a\ncr.record('tick')\nlen('four')") == 4
    assert ip.user_ns["a"].status == "running"
    assert ip.user_ns["a"].df.event.tolist() == ["tick", "cell"]
    assert bool(ip.user_ns["a"].df.success.iloc[1])
    assert cr.current() is ip.user_ns["b"]
    assert isinstance(ip.run_cell("%%crucible a\n1/0").error_in_exec, ZeroDivisionError)
    assert ip.user_ns["a"].df.error.iloc[-1] == "ZeroDivisionError"
    assert "exp" not in ip.user_ns


def test_a_cell_that_fails_marks_its_experiment(run: Any, ip: Any) -> None:
    assert isinstance(ip.run_cell("%%crucible a\n1/0").error_in_exec, ZeroDivisionError)
    assert ip.user_ns["exp"].status == "failed"
    assert isinstance(ip.run_cell("%%crucible b\n1 +").error_before_exec, SyntaxError)
    assert "b" not in cr.experiments().name.tolist()
    assert isinstance(ip.run_cell("%%crucible c\nexp.stop()\nraise KeyError").error_in_exec, KeyError)
    assert ip.user_ns["exp"].status == "stopped"


def test_a_cell_within_a_cell(run: Any, ip: Any) -> None:
    run("%%crucible a -o a\nget_ipython().run_cell('1 + 1')\na.record('after')\nstatus = a.status")
    assert ip.user_ns["status"] == "running"
    assert ip.user_ns["a"].status == "stopped"
    run("%%crucible a -o a\nget_ipython().run_cell('%%crucible b -o b\\n1')\nstatus = a.status, b.status")
    assert ip.user_ns["status"] == ("running", "stopped")
    assert ip.user_ns["a"].status == "stopped"


def test_the_header_may_follow_comments_and_precede_another_magic(run: Any, ip: Any) -> None:
    assert run("# setup\n\n%%crucible a\nexp.record('tick')\n1 + 1") == 2
    assert len(ip.user_ns["exp"].df) == 1
    run("%%crucible b\n# timed\n%%capture out\nprint('hi', exp.name, exp.status)")
    assert ip.user_ns["out"].stdout == "hi b running\n"
    assert (ip.user_ns["exp"].name, ip.user_ns["exp"].status) == ("b", "stopped")


def test_other_magics_around_the_cell(run: Any, ip: Any) -> None:
    run("%%time\n%%crucible a\nexp.record('tick')")
    assert (ip.user_ns["exp"].status, len(ip.user_ns["exp"].df)) == ("stopped", 1)
    run("%%capture out\n%%crucible b\nprint('hi')")
    assert (ip.user_ns["exp"].name, ip.user_ns["exp"].status) == ("b", "stopped")
    assert ip.user_ns["out"].stdout == "hi\n"


def test_the_cell_magic_called_by_hand_says_how(ip: Any) -> None:
    from IPython.core.error import UsageError

    with pytest.raises(UsageError, match="expected as the first line of a cell"):
        ip.run_cell_magic("crucible", "a", "1")


# -- the extension --------------------------------------------------------------------------------------------------


def test_loading_twice_and_unloading(ip: Any) -> None:
    before = (len(ip.input_transformers_cleanup), len(ip.Completer.custom_matchers))
    hooks = list(ip.events.callbacks["post_run_cell"])
    cr.load_ipython_extension(ip)
    ip.run_line_magic("load_ext", "crucible_nb")
    assert (len(ip.input_transformers_cleanup), len(ip.Completer.custom_matchers)) == before
    assert ip.events.callbacks["post_run_cell"] == hooks
    ip.run_cell("%crucible start a").raise_error()
    ip.run_line_magic("unload_ext", "crucible_nb")
    cr.unload_ipython_extension(ip)
    assert ip.find_line_magic("crucible") is ip.find_cell_magic("crucible") is None
    assert (len(ip.input_transformers_cleanup), len(ip.Completer.custom_matchers)) == (before[0] - 1, before[1] - 1)
    assert len(ip.events.callbacks["post_run_cell"]) == len(hooks) - 1
    assert ip.user_ns["exp"].status == "running"
    ip.run_line_magic("load_ext", "crucible_nb")
    assert ip.run_cell("%crucible status").result is ip.user_ns["exp"]
