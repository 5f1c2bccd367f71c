"""Messages for names of other packages, mistyped attributes and keywords, and things that do not exist."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr


@pytest.fixture
def exp() -> cr.Experiment:
    with cr.start("hints", clock="events") as one:
        for i in range(20):
            one.record("train.step", {"loss": 1.0 / (1 + i)}, step=i, latency_ms=float(i), time=i)
    return one


HINTS: dict[str, tuple[Any, type[Exception], str]] = {
    "exp.log": (
        lambda exp: exp.log({"loss": 1}),
        AttributeError,
        "use exp.record('train.step', {'loss': 0.3}, step=1)",
    ),
    "exp.finish": (lambda exp: exp.finish(), AttributeError, "use exp.stop()"),
    "exp.metrcs": (lambda exp: exp.metrcs(), AttributeError, "did you mean 'metrics'?"),
    "cr.init": (lambda _: cr.init(), AttributeError, "use exp = cr.start('name'"),
    "cr.log": (lambda _: cr.log({}), AttributeError, "use cr.record("),
    "cr.strat": (lambda _: cr.strat("x"), AttributeError, "'start'"),
    "p59": (lambda exp: exp.metrics().latency.p59, AttributeError, "or 'p95'?"),
    "lats": (lambda exp: exp.metrics(lats="5min"), TypeError, "did you mean 'last'?"),
    "sampel_size": (lambda _: cr.start("x", sampel_size=1), TypeError, "did you mean 'sample_size'?"),
    "Experiment": (lambda _: cr.Experiment("x"), cr.ConfigError, "use cr.start(name)"),
    "clock": (lambda _: cr.start("x", clock="event"), cr.ConfigError, "expected 'events', a callable () -> int"),
    "compare": (lambda _: cr.compare("a", "b"), cr.StatError, "a name is for `%crucible compare`"),
    "[latency]": (
        lambda exp: exp.metrics()["latency"],
        cr.ConfigError,
        "there are no groups without by=; use .latency",
    ),
    "export": (lambda exp: exp.export("no_such/run.csv"), cr.StoreError, "cannot write 'no_such/run.csv': no such"),
}


@pytest.mark.parametrize("name", HINTS)
def test_the_message_says_what_to_use(name: str, exp: cr.Experiment) -> None:
    call, kind, said = HINTS[name]
    with pytest.raises(kind) as caught:
        call(exp)
    assert said in str(caught.value)


def test_one_metric_and_several_are_accepted_alike(exp: cr.Experiment) -> None:
    assert list(cr.compare(exp, exp, metric="latency_ms")) == list(cr.compare(exp, exp, metrics="latency_ms"))
    assert cr.t_test(exp, exp, metrics="latency_ms") == cr.t_test(exp, exp, metric="latency_ms")
    assert pickle.loads(pickle.dumps(cr.t_test)) is cr.t_test


def test_durations_in_words(exp: cr.Experiment) -> None:
    assert exp.metrics(last="5 minutes").events == exp.metrics(last="5min").events == 20


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert repr(cr.experiments(tmp_path / "typo")) == f"no experiments: there is no folder {str(tmp_path / 'typo')!r}"
    with pytest.raises(cr.StoreError, match="there is no folder"):
        cr.attach("n", store=tmp_path / "typo")
    cr.start("one", store=tmp_path).stop()
    with pytest.raises(cr.StoreError, match="it holds 'one'"):
        cr.attach("n", store=tmp_path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"latency_ms": "fast"}, "latency_ms='fast': expected a number"),
        ({"success": "yes"}, "success='yes': expected True or False"),
        ({"time": "yesterday at noon"}, "time='yesterday at noon': it is no ISO text"),
        (
            {"event": {"loss": 0.3}},
            "event={'loss': 0.3}: the name comes first, as in record('train.step', {'loss': 0.3})",
        ),
    ],
)
def test_a_misfit_is_named_with_what_is_accepted_on_the_line_of_the_user(fields: Any, said: str) -> None:
    exp = cr.start("misfit")
    event = fields.pop("event", "call")
    exp.record(event, **fields)
    with pytest.warns(cr.CrucibleWarning) as caught:
        exp.frame()
    assert said in str(caught[0].message)
    assert caught[0].filename == __file__
    exp.stop()


def test_the_repr_of_a_training_run_shows_its_columns(exp: cr.Experiment) -> None:
    assert "loss                     last 0.05, min 0.05, mean 0.1799" in repr(exp.metrics())
