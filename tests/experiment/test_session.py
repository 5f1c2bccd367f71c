"""Starting, finding and naming experiments."""

from __future__ import annotations

import datetime as dt
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import crucible_nb as cr
from crucible_nb.experiment.live import LIVE


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": ""}, "name='': expected a non-empty string"),
        ({"name": 5}, "name=5: expected a non-empty string"),
        ({"on_exists": "maybe"}, "on_exists='maybe': expected one of 'new', 'resume', 'error'"),
        ({"windows": "1min"}, "windows='1min': expected a list of durations such as ('1min', '1h')"),
        (
            {"windows": ["soon"]},
            "windows='soon': expected a positive duration such as '5min', '30s', '1h' or a Timedelta",
        ),
        ({"windows": [5]}, "windows=5: expected a positive duration such as '5min', '30s', '1h' or a Timedelta"),
        ({"tags": "ab"}, "tags='ab': expected a list of non-empty strings"),
        ({"by": [1]}, "by=[1]: expected a list of non-empty strings"),
        ({"metadata": 3}, "metadata=3: expected a mapping with text keys"),
        ({"metadata": {1: 2}}, "metadata={1: 2}: expected a mapping with text keys"),
        ({"sample_size": 0}, "sample_size=0: expected a whole number >= 1 or None"),
        ({"max_events": 2.5}, "max_events=2.5: expected a whole number >= 1 or None"),
        ({"condition": ""}, "condition='': expected a non-empty string or None"),
        (
            {"clock": "wall"},
            "clock='wall': expected 'events', a callable () -> int (UTC nanoseconds since 1970) or None",
        ),
        ({"clock": 5}, "clock=5: expected 'events', a callable () -> int (UTC nanoseconds since 1970) or None"),
    ],
)
def test_bad_arguments_raise_at_once(arguments: dict, sentence: str) -> None:
    with pytest.raises(cr.ConfigError) as error:
        cr.start(**{"name": "x", **arguments})
    assert str(error.value) == sentence
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize("stored", [False, True])
def test_metadata_of_any_kind_is_kept_and_travels(tmp_path: Path, stored: bool) -> None:
    """What `vars(args)` of a training script holds."""
    args = {
        "data": Path("runs/x"), "layers": np.array([64, 8]), "lr": np.float32(0.5), "loss": float("nan"), "seed": 2**63,
        "big": 2**70, "day": dt.date(2025, 1, 1), "odd": {1, 2}, "deep": {"at": Path("y"), 3: (1, None)}, "\ud800": "\ud800",
        "huge": 10**5000, "activation": complex(1, 2),
    }  # fmt: skip
    plain = {
        "data": str(Path("runs/x")), "layers": [64, 8], "lr": 0.5, "loss": "nan", "seed": 2**63, "big": str(2**70),
        "day": "2025-01-01", "odd": [1, 2], "deep": {"at": "y", "3": [1, None]}, "\\ud800": "\\ud800",
        "huge": hex(10**5000), "activation": "(1+2j)",
    }  # fmt: skip
    exp = cr.start("args", metadata=args, store=tmp_path / "runs" if stored else None)
    exp.record("train.step", loss=1.0, checkpoint_path=Path("runs/x"))
    exp.stop()
    assert exp.metadata == plain
    assert exp.frame()["checkpoint_path"].tolist() == [str(Path("runs/x"))]
    for name in ("run.parquet", "run.csv", "run.jsonl"):
        assert cr.files.read_facts(exp.export(tmp_path / name))["metadata"] == plain
    if stored:
        assert cr.attach(exp.id, store=tmp_path / "runs").metadata == plain


@pytest.mark.parametrize("stored", [False, True])
def test_text_that_has_no_utf8_is_escaped(tmp_path: Path, stored: bool) -> None:
    store, lone = (tmp_path / "runs" if stored else None), "\ud800"
    exp = cr.start(f"a{lone}", condition=lone, hypothesis=lone, tags=[lone], by=[lone], store=store)
    exp.record("call", {lone: 1})
    exp.stop()
    assert (exp.name, exp.condition, exp.hypothesis, exp.tags) == ("a\\ud800", "\\ud800", "\\ud800", ("\\ud800",))
    exp.export(tmp_path / "run.parquet")
    if stored:
        assert cr.attach(f"a{lone}", store=store).id == exp.id


def test_any_text_is_a_name() -> None:
    for name in ("../../etc/passwd", "a'; drop table", "ünïcode \n", "x" * 1000):
        exp = cr.start(name)
        assert exp.name == name
        assert exp.id.isalnum()


def test_a_namesake_is_stopped_and_said_so(capsys: pytest.CaptureFixture) -> None:
    first = cr.start("same")
    first.record("tick")
    second = cr.start("same")
    assert capsys.readouterr().out == "crucible_nb: stopped the earlier 'same' (1 events)\n"
    assert (first.status, second.status) == ("stopped", "running")
    assert first.id != second.id


def test_resume_continues_the_namesake() -> None:
    first = cr.start("same", on_exists="resume")
    first.pause()
    assert cr.start("same", on_exists="resume") is first
    assert first.status == "running"
    assert cr.start("same", on_exists="resume") is first
    first.stop()
    assert cr.start("same", on_exists="resume") is not first


def test_a_namesake_elsewhere_is_not_continued(tmp_path: Path) -> None:
    memory = cr.start("same")
    stored = cr.start("same", store=tmp_path / "a", on_exists="resume")
    other = cr.start("same", store=tmp_path / "b", on_exists="resume")
    assert stored.record("tick")
    assert len({memory.id, stored.id, other.id}) == 3
    assert [len(cr.experiments(tmp_path / store)) for store in ("a", "b")] == [1, 1]
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert cr.start("same", store=tmp_path / "link", on_exists="resume") is stored
    assert cr.start("same", store=tmp_path / "b", on_exists="resume") is other
    assert memory.record("tick")


@pytest.mark.parametrize("mode", [None, "read", "resume"])
def test_a_copy_is_not_the_original(tmp_path: Path, mode: str | None) -> None:
    exp = cr.start("same", store=tmp_path / "a")
    exp.record("tick")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    exp.record("tick")
    copy = cr.attach("same", store=tmp_path / "b", mode=mode)
    assert copy is not exp
    assert (len(copy.df), len(exp.df)) == (1, 2)
    assert cr.attach("same", store=tmp_path / "a") is exp
    assert pickle.loads(pickle.dumps(exp)) is exp
    if mode == "resume":
        copy.record("tick")
        assert cr.attach(exp.id, store=tmp_path / "b") is copy
        assert pickle.loads(pickle.dumps(copy)) is copy
        copy.stop()
    exp.stop()


def test_error_refuses_the_namesake() -> None:
    first = cr.start("same", on_exists="error")
    with pytest.raises(cr.LifecycleError) as error:
        cr.start("same", on_exists="error")
    assert (
        str(error.value)
        == "cannot start 'same': an experiment with this name is 'running'; allowed: on_exists='new', 'resume'"
    )
    assert first.status == "running"


def test_experiments_lists_them_all() -> None:
    one, two = cr.start("one", tags=["a"]), cr.start("two")
    two.record("tick")
    two.pause()
    rows = cr.experiments().loc[[one.id, two.id]]
    assert rows["name"].tolist() == ["one", "two"]
    assert rows["status"].tolist() == ["running", "paused"]
    assert rows["total_events"].tolist() == [0, 1]
    assert cr.experiments().index.name == "id"


def test_the_default_is_what_is_meant_outside_any_with() -> None:
    assert cr.current() is None
    default = cr.start("default", default=True)
    assert cr.current() is default
    with cr.start("inner") as inner:
        assert cr.current() is inner
    assert cr.current() is default


def test_without_an_experiment_nothing_is_recorded_and_one_warning_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIVE, "warned", False)
    with pytest.warns(
        cr.CrucibleWarning, match=r"^no experiment is running: nothing is recorded. Start one with cr.start\(name\)$"
    ):
        assert cr.record("lost") is False
    assert cr.record("lost", {"a": 1}, b=2) is False
    with cr.span("lost"):
        pass

    @cr.track("lost")
    def work() -> int:
        return 5

    assert work() == 5


def test_module_functions_record_into_the_current_one() -> None:
    @cr.track("call", model="m")
    def double(x: int) -> int:
        return 2 * x

    with cr.start("current") as exp:
        assert cr.record("a", {"train/loss": 0.5}, step=1)
        with cr.span("b", k="v") as span:
            span.set(j=2)
        assert double(4) == 8
    assert exp.df.event.tolist() == ["a", "b", "call"]
    assert exp.df["train/loss"].iloc[0] == 0.5
    assert exp.df.model.iloc[2] == "m"
