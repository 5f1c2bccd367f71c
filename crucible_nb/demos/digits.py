"""A demo that trains models: an A/B comparison of two classifiers on scikit-learn's digits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.session import start
from crucible_nb.metrics import Metrics
from crucible_nb.utils.optional import need

EPOCHS = 12
ARMS = ("logistic", "neighbours")


def run(out: Path, predictions: int = 3000, stream: TextIO | None = None) -> dict[str, Experiment]:
    """Train and measure both arms, print the results, and write one Parquet file per arm.

    A linear model trained by stochastic gradient descent, epoch by epoch, against five nearest neighbours; every
    prediction is one call on one image, as in a service.

    Args:
        out: Folder for the Parquet files.
        predictions: Number of predictions per arm.
        stream: Text stream to print to; None for the standard output.

    Returns:
        The stopped experiments by arm.

    Raises:
        ConfigError: scikit-learn is not installed (extra `anomaly`).
        StoreError: The files cannot be written.

    Examples:
        >>> import io, pathlib, tempfile
        >>> from crucible_nb.demos import digits
        >>> arms = digits.run(pathlib.Path(tempfile.mkdtemp()), predictions=20, stream=io.StringIO())
        >>> {name: exp.metrics(by="event")["inference.predict"].events for name, exp in arms.items()}
        {'logistic': 20, 'neighbours': 20}
    """
    stream = sys.stdout if stream is None else stream
    digits = need("sklearn.datasets", "anomaly", "the demo").load_digits()
    split = need("sklearn.model_selection", "anomaly", "the demo").train_test_split
    train_x, test_x, train_y, test_y = split(digits.data / 16, digits.target, test_size=0.4, random_state=0)
    arms = {name: start(f"digits {name}", condition=name, tags=["demo"]) for name in ARMS}
    models = {
        "logistic": _train_by_epochs(arms["logistic"], train_x, train_y, stream),
        "neighbours": _train_at_once(arms["neighbours"], train_x, train_y, stream),
    }
    stream.write("\n")
    order = np.random.default_rng(0).permutation(np.resize(np.arange(len(test_y)), predictions))
    for name, exp in arms.items():
        with exp:
            _predict(exp, models[name], test_x, test_y, order, stream)
    files = [exp.export(_folder(out) / f"{exp.name.replace(' ', '_')}.parquet") for exp in arms.values()]
    stream.write(_summary(arms, files))
    return arms


def _train_by_epochs(exp: Experiment, x: Any, y: Any, stream: TextIO) -> Any:
    """Train a linear classifier; record each epoch with its loss and accuracy."""
    model = need("sklearn.linear_model", "anomaly", "the demo").SGDClassifier(loss="log_loss", random_state=0)
    log_loss = need("sklearn.metrics", "anomaly", "the demo").log_loss
    for epoch in range(1, EPOCHS + 1):
        with exp.span("train.epoch", epoch=epoch, model="sgd-logistic"):
            model.partial_fit(x, y, classes=np.unique(y))
        with _paused(exp):  # scoring is not training, so it does not count as active time
            loss, accuracy = float(log_loss(y, model.predict_proba(x))), float(model.score(x, y))
        exp.record("train.validation", epoch=epoch, loss=loss, accuracy=accuracy, model="sgd-logistic")
        if epoch in (1, EPOCHS // 2, EPOCHS):
            stream.write(f"  {exp.condition:<11} epoch {epoch:>2}   loss {loss:.4f}   accuracy {accuracy:.3f}\n")
    return model


def _train_at_once(exp: Experiment, x: Any, y: Any, stream: TextIO) -> Any:
    """Train a nearest-neighbours classifier, which takes a single epoch."""
    model = need("sklearn.neighbors", "anomaly", "the demo").KNeighborsClassifier(5, algorithm="ball_tree")
    with exp.span("train.epoch", epoch=1, model="five-neighbours"):
        model.fit(x, y)
    with _paused(exp):
        accuracy = float(model.score(x, y))
    exp.record("train.validation", epoch=1, accuracy=accuracy, model="five-neighbours")
    stream.write(f"  {exp.condition:<11} epoch  1   accuracy {accuracy:.3f}\n")
    return model


@contextmanager
def _paused(exp: Experiment) -> Iterator[None]:
    exp.pause()
    try:
        yield
    finally:
        exp.resume()


def _predict(exp: Experiment, model: Any, x: Any, y: Any, order: Any, stream: TextIO) -> None:
    """Predict one image per call; a correct prediction is a success."""
    name = "sgd-logistic" if exp.condition == "logistic" else "five-neighbours"
    steps = max(1, len(order) // 5)
    for count, item in enumerate(order.tolist(), 1):
        with exp.span(
            "inference.predict", model=name, model_name=name, sample_id=f"digit-{item}", batch_size=1
        ) as span:
            answer = model.predict(x[item : item + 1])[0]
            span.set(success=bool(answer == y[item]), digit=int(y[item]))
        if count % steps == 0:
            so_far = exp.metrics(by="event")["inference.predict"]
            stream.write(
                f"  {exp.condition:<11} {count:>6,} of {len(order):,}   p50 {so_far.latency.p50:.3f} ms   "
                f"p95 {so_far.latency.p95:.3f} ms   right {so_far.reliability.success_rate:.1%}\n"
            )
            stream.flush()


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _summary(arms: dict[str, Experiment], files: list[Path]) -> str:
    predictions = {name: exp.metrics(by="event")["inference.predict"] for name, exp in arms.items()}
    lines = ["", f"{'one prediction per call':<24}" + "".join(f"{name:>14}" for name in arms)]
    for label, read in _ROWS.items():
        lines.append(f"  {label:<22}" + "".join(f"{read(metrics):>14}" for metrics in predictions.values()))
    for exp in arms.values():
        facts = exp.summary()
        lines += [
            "",
            f"{exp.name}: {facts['active_duration']:.2f} s active of {facts['wall_clock_duration']:.2f} s, "
            f"{facts['pause_count']} pauses, {facts['total_events']:,} events",
            _windows(exp),
        ]
    lines += ["", "written:", *(f"  {path}" for path in files), f'read them again with cr.load("{files[0]}")', ""]
    return "\n".join(lines)


def _windows(exp: Experiment) -> str:
    seconds = exp.summary()["wall_clock_duration"]
    window = next((f"{step}ms" for step in (50, 100, 250, 500, 1000, 2500) if seconds / step * 1000 <= 12), "10s")
    table = exp.windowed_metrics(window)
    table = table[table.event_count > 0]
    columns = ["event_count", "mean_latency_ms", "p50_latency_ms", "p95_latency_ms", "success_rate"]
    shown = table[columns].set_axis([f"{start:%H:%M:%S.%f}"[:-3] for start in table.index], axis=0).rename_axis(None)
    text = shown.to_string(float_format="{:,.3f}".format)
    return f"windows of {window}\n" + "\n".join(f"  {line}" for line in text.splitlines())


def _milliseconds(name: str) -> Any:
    return lambda metrics: f"{getattr(metrics.latency, name):.3f} ms"


def _accuracy(metrics: Metrics) -> str:
    return f"{metrics.reliability.success_rate:.2%}"


_ROWS: dict[str, Any] = {
    "predictions": lambda metrics: f"{metrics.events:,}",
    "right": _accuracy,
    "latency mean": _milliseconds("mean"),
    "latency p50": _milliseconds("p50"),
    "latency p95": _milliseconds("p95"),
    "latency p99": _milliseconds("p99"),
}
