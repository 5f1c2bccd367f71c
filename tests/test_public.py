"""The public face: what it offers, that all of it is documented by example, what importing it costs in modules."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import crucible_nb as cr
import crucible_nb.comparison
import crucible_nb.datasets
import crucible_nb.experiment.replay
import crucible_nb.metrics
import crucible_nb.testing
from tests.golden import face

MODULES: list[ModuleType] = [
    cr,
    cr.accumulators,
    cr.capture,
    cr.events,
    cr.stats,
    crucible_nb.comparison,
    crucible_nb.datasets,
    crucible_nb.testing,
]
RESULTS = ("Metrics", "Span", "Latency", "Cost", "Reliability", "Tokens", "Summary", "NumericColumn", "NumericColumns")


def public() -> Iterator[tuple[str, Any]]:
    """Every public function, class and method, by dotted name."""
    found = {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in module.__all__}
    found |= {f"crucible_nb.metrics.{name}": getattr(crucible_nb.metrics, name) for name in RESULTS}
    found |= {
        f"crucible_nb.experiment.replay.{name}": getattr(crucible_nb.experiment.replay, name)
        for name in ("replay", "report")
    }
    for name, thing in found.items():
        if callable(thing):
            yield name, thing
            if inspect.isclass(thing) and not getattr(thing, "_is_protocol", False):
                yield from methods(name, thing)


def methods(prefix: str, cls: type) -> Iterator[tuple[str, Any]]:
    """Its methods and properties that the package defines, in the class itself or in a base class."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, property):
            thing, function = member, member.fget
        elif isinstance(member, (staticmethod, classmethod)) or inspect.isfunction(member):
            thing = function = getattr(cls, name)
        else:
            continue
        if not name.startswith("_") and function.__module__.startswith("crucible_nb"):
            yield f"{prefix}.{name}", thing


NAMES = dict(public())


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented_with_an_example(name: str) -> None:
    thing = NAMES[name]
    assert inspect.getdoc(thing), f"{name} has no docstring"
    if not isinstance(thing, property):
        assert ">>>" in (inspect.getdoc(thing) or ""), f"{name} has no example"


GOLDEN = Path(__file__).parent / "golden" / "v0.1.0" / "face.txt"
GONE = {"cr.__all__ faces", "dir(cr) faces"}
NEW = {
    "cr.__all__ capture",
    "dir(cr) capture",
    "class cr.capture.Capture(what, patched=())",
    "cr.capture.Capture.events",
    "cr.capture.Capture.undo(self)",
    "cr.capture.from_otel(path, **arguments)",
    *(
        f"cr.capture.{name}(client=None, exp=None)"
        for name in ("anthropic", "google_genai", "litellm", "mistral", "openai")
    ),
    "cr.capture.auto(exp=None)",
    "class cr.capture.Receiver(serving, token)",
    "class cr.capture.Trace(trace_id, frame)",
    "cr.Experiment.listen(self, port=0)",
    "cr.Experiment.trace(self, trace_id)",
    "cr.capture.Receiver.stats",
    "cr.capture.Receiver.stop(self)",
    "cr.capture.Receiver.wait(self, timeout=10.0)",
    "cr.capture.otel(exp=None, provider=None, twins='mark')",
    "cr.Metrics.latency_sketch",
    "cr.Metrics.moments(self, name)",
    "cr.Redaction.problems",
    "cr.__all__ extensions",
    "cr.testing.EXPERIMENT_LAWS",
    "cr.accumulators.LogHistogram.intervals(self)",
    "cr.accumulators.Quantiles.histogram(self)",
    "cr.accumulators.Quantiles.sorted_values(self)",
    "cr.testing.ManualClock.tick(self, seconds)",
    "cr.testing.PowerLossDisk.lose_power(self, root, into, seed=0)",
    "cr.testing.check_experiment(start, *, attach=<function attach>, events=None)",
    "class cr.testing.FaultyDisk(rate=0.0, seed=0)",
    "class cr.testing.ManualClock(now=1735732800000000000)",
    "class cr.testing.PowerLossDisk()",
    "dir(cr) extensions",
    "cr.anomaly.Incident.from_list(values)",
    "cr.comparison.Comparison.exclusions",
    "cr.comparison.Comparison.warnings",
}
DETECTORS = ("Auto", "CUSUM", "EWMA", "IQR", "IsolationForest", "ModifiedZScore", "ZScore")
GONE |= {"cr.anomaly.Auto.kernel"}
NEW |= {"cr.anomaly.Auto.sensitivity", "cr.sampling.Events.faults(self, name)"}
NEW |= {f"cr.anomaly.{name}.restorable" for name in DETECTORS}
_BASES = ("Detector", "OneByOne", "Refitted", "Windowed")
_SILENCE = ("lengths", "names", "newest(self, event)", "silences(self, now)")
NEW |= {f"cr.anomaly.{name}.{one}" for name in (*DETECTORS, *_BASES) for one in _SILENCE}
NEW |= {f"cr.sampling.{name}.restorable" for name in ("Adaptive", "Importance", "Reservoir", "Stratified", "Uniform")}
for _owner in ("CrucibleAccessor", "Experiment"):  # the default of `closed` is that of pandas
    _windows = (
        f"cr.{_owner}.windowed_metrics(self, window, step=None, by=None, columns=None, origin='start_day', closed="
    )
    GONE |= {f"{_windows}'left', exact=True)"}
    NEW |= {f"{_windows}None, exact=True)"}
_LOAD = "cr.load(path, map=None, time=None, event=None, *, unit=None, origin=None, where=None, format=None, max_bytes=4294967296"
GONE |= {f"{_LOAD})"}
NEW |= {
    f"{_LOAD}, columns=None, sep=None, decimal='.', header='infer', names=None, na_values=None, comment=None)",
}
_COMPARISON = "class cr.comparison.Comparison(control, treatment, metrics, design, plan=None, looked=()"
_FIELDS = ("control_over_events", "estimand", "exclusions", "treatment_over_events", "warnings")
GONE |= {f"{_COMPARISON})"}
NEW |= {
    f"{_COMPARISON}, warnings=(), decision=None)",
    "cr.comparison.Comparison.decision",
    "cr.comparison.Comparison.design_warnings",
    *(f"cr.comparison.MetricComparison.{name}" for name in _FIELDS),
}
_METRIC = (
    "class cr.comparison.MetricComparison(metric, verdict, control, treatment, estimate, confidence_interval, confidence, "
    "pvalue, raw_pvalue, test, why, design, effect, effect_size, n, direction, margin, correction, planned, next_sample, "
    "assumptions, method"
)
_FIELDS = ("relative_change", "relative_interval")
GONE |= {f"{_METRIC})"}
NEW |= {
    f"{_METRIC}, relative_change=nan, relative_interval=Interval(low=nan, high=nan), estimand='', "
    "control_over_events=nan, treatment_over_events=nan, exclusions=(), warnings=(), standard_error=nan, correlation=nan, role=None)",
}
NEW |= {f"cr.comparison.MetricComparison.{name}" for name in (*_FIELDS, "standard_error", "role")}
_TEST = (
    "class cr.stats.TestResult(test, metric, estimate, estimand, confidence_interval, confidence, statistic, df, pvalue, "
    "effect, effect_size, effect_interval, alternative, n, assumptions=(), exclusions=(), correction=None, method='', "
    "warnings=()"
)
GONE |= {f"{_TEST})"}
NEW |= {
    f"{_TEST}, relative_change=nan, relative_interval=Interval(low=nan, high=nan), limited=None, standard_error=nan)"
}
NEW |= {f"cr.stats.TestResult.{name}" for name in (*_FIELDS, "limited", "standard_error")}

_START = (
    "cr.start(name, *, condition=None, hypothesis=None, tags=(), metadata=None, sample_size=None, sampling=None, "
    "sampling_config=None, anomaly=None, anomaly_config=None, windows=('1min', '5min', '1h'), by=(), max_events=None, "
    "seed=None, clock=None, store=None, durability='os', on_exists='new', default=False, redact=None"
)
GONE |= {f"{_START})"}
NEW |= {f"{_START}, unit=None, cluster=None)"}

_PLAN = "cr.Experiment.plan(self, metric, margin=None, alpha=0.05, *, direction=None, "
_LOOKS = "secondary=(), sample_size=None, looks=1, sequential=False, hypothesis=None)"
GONE |= {f"{_PLAN}{_LOOKS}"}
NEW |= {f"{_PLAN}guardrails=None, {_LOOKS}"}
NEW |= {"cr.Experiment.mark(self, name, time=None)", "cr.Experiment.marks"}
_SUMMARY = "class metrics.Summary(events, seconds, active_seconds, events_per_second, tokens_per_second, cost_per_hour"
GONE |= {f"{_SUMMARY})"}
NEW |= {f"{_SUMMARY}, output_tokens_per_second=nan)", "metrics.Summary.output_tokens_per_second"}

GONE |= {"planned.take(self, n, metrics)"}
NEW |= {"planned.take(self, n, metrics, information=None)"}
NEW |= {
    *(f"{place} open_dataset" for place in ("cr.__all__", "dir(cr)")),
    "cr.open_dataset(source, *, client=None, executor='threads', time=None, map=None, errors='raise', memory=None)",
}
NEW |= {"planned.ended", "planned.fraction(self, information)", "planned.fractions"}

NEW |= {
    "cr.Experiment.last(self, column)",
    "cr.Metrics.columns",
    "cr.Experiment.slo(self, condition, target, *, windows=('5min', '30min', '1h', '6h', '3D'), confidence=0.95)",
}
NEW |= {"cr.Experiment.last(self, column)"}
for _owner in ("cr.Experiment", "cr.notebook"):
    _DASHBOARD = f"{_owner}.dashboard(self, refresh=0.5, *, compare=None"
    GONE |= {f"{_DASHBOARD})"}
    NEW |= {f"{_DASHBOARD}, by=None, show=True)"}
NEW |= {
    "cr.Experiment.update(self, *, tags=None, metadata=None, hypothesis=None)",
    *(f"{place} {name}" for place in ("cr.__all__", "dir(cr)") for name in ("remove", "restore")),
    "cr.remove(name, store)",
    "cr.restore(name, store)",
}
GONE |= {"cr.experiments(store=None)"}
NEW |= {"cr.experiments(store=None, metrics=())"}

_REPORT = "data=None, title=None, redact=None, made_at=None, interactive=False"
NEW |= {
    *(f"{place} {name}" for place in ("cr.__all__", "dir(cr)") for name in ("demo", "report")),
    "cr.demo(seconds=15.0, *, stream=None)",
    f"cr.report(arms, path, *, {_REPORT}, **comparing)",
    f"cr.Experiment.report(self, path, *, compare=None, {_REPORT})",
}

_EFFECT = (
    "class cr.stats.Effect(name, metric, estimate, effect_size, confidence_interval, confidence, n, method, "
    "assumptions=(), exclusions=(), warnings=(){})"
)
GONE |= {_EFFECT.format("")}
NEW |= {_EFFECT.format(", standard_error=nan"), "cr.stats.Effect.standard_error"}

_COMPARE = (
    "compare(control, treatment{}, metrics=None, pair_by='sample_id', correction='holm', sequential=False, bound=None, "
    "asymptotic=False, margin=None, direction=None, group_by=None, *, alpha=None, paired=None, cluster=None, "
    "resample=None{})"
)
for _owner in ("cr", "cr.comparison"):
    GONE |= {f"{_owner}.{_COMPARE.format('', '')}"}
    NEW |= {f"{_owner}.{_COMPARE.format('=None', ', by=None, pairs=' + repr('control'))}"}
_RESULT = ("to_dict(self)", "to_frame(self)", "to_latex(self)", "to_markdown(self)")
NEW |= {f"cr.comparison.Table.{name}" for name in ("to_frame(self)", "to_latex(self)", "to_markdown(self)")}
NEW |= {
    "class cr.comparison.Table(cells, *, by, confidence, correction, notes=())",
    "cr.__all__ plot",
    "cr.__all__ table",
    "cr.plot",
    "dir(cr) plot",
    *(
        f"{owner}.table(arms, by=None, metrics=None, cluster=None, pairs='control', *, pair_by='sample_id', "
        "confidence=0.95, correction='holm', direction=None, where=None)"
        for owner in ("cr", "cr.comparison")
    ),
    "cr.comparison.MetricComparison.correlation",
    "dir(cr) table",
}
_GROUPED = ("summary", "table_html(self)", *_RESULT)
NEW |= {f"cr.comparison.GroupedComparison.{name}" for name in _GROUPED}
NEW |= {f"cr.comparison.InteractionTest.{name}" for name in ("method", "warnings", *_RESULT)}
NEW |= {
    "class cr.comparison.GroupedComparison(by, groups, interaction, warnings=())",
    "class cr.comparison.InteractionTest(metric, by, groups, estimate, standard_error, statistic, df, pvalue, method='', "
    "warnings=())",
}

ADDED = ("where=None", "start=None", "by=None", "unit=None", "severity=None", "sensitivity='normal'")
ADDED += ("times=None", "given=False")
"""Optional arguments that many functions have got since, after those that they had."""


def as_before(line: str, before: set[str]) -> str:
    """The line of v0.1 for a function that has only got arguments of `ADDED`, or another cool-down of incidents."""
    found = [line, line.replace("cooldown=100", "cooldown=300")]
    for argument in ADDED:
        found += [old.replace(f", *, {argument}", "").replace(f", {argument}", "") for old in found]
    return next((old for old in found if old in before | NEW), line)


def test_names_and_arguments_are_those_of_v01() -> None:
    before = set(GOLDEN.read_text().splitlines())
    today = {as_before(line, before) for line in face.lines()}
    assert sorted(before - today) == sorted(GONE), "users' code may use these"
    assert sorted(today - before) == sorted(NEW), "a new public name is added to NEW"


def test_record_is_documented_where_users_ask() -> None:
    exp = cr.start("docs")
    assert ">>>" in inspect.getdoc(exp.record)
    assert list(inspect.signature(exp.record).parameters)[:3] == ["event", "values", "latency_ms"]


def test_names_of_this_release() -> None:
    named = {"start", "current", "experiments", "record", "span", "track", "load", "events", "accumulators"}
    assert named <= set(cr.__all__)
    assert all(hasattr(cr, name) for name in cr.__all__)


HEAVY = (
    "IPython",
    "ipywidgets",
    "anywidget",
    "plotly",
    "scipy",
    "statsmodels",
    "dask",
    "sklearn",
    "psycopg",
    "sqlite3",
    "numba",
)


def test_import_pulls_in_nothing_heavy() -> None:
    code = f"import sys, crucible_nb; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_recording_and_looking_import_nothing_more() -> None:
    code = (
        "import sys, crucible_nb as cr\n"
        "exp = cr.start('x'); before = set(sys.modules)\n"
        "exp.record('llm.request', latency_ms=1.0, model='gpt-4o', prompt_tokens=3, completion_tokens=4, foo='x')\n"
        "exp.metrics(); exp.frame()\n"
        "print(sorted(m for m in set(sys.modules) - before if m.split('.')[0] not in ('encodings', 'pandas', 'numpy', 'pyarrow')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_machine_address_in_a_repr() -> None:
    exp = cr.start("repr")
    for thing in (exp, exp.metrics(), exp.metrics(by="model")):
        assert " at 0x" not in repr(thing)
        assert "<table" in thing._repr_html_()


def test_hostile_names_are_escaped() -> None:
    evil = '<img src=x onerror="alert(1)">'
    exp = cr.start(evil, condition=evil)
    exp.record(evil, model=evil, latency_ms=1.0)
    for thing in (exp, exp.metrics(by="model"), exp.metrics(by="event")):
        assert "<img" not in thing._repr_html_()
        assert "&lt;img" in thing._repr_html_()
