"""Reports of experiments: one self-contained HTML file to read, print and hand on, without a kernel or a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crucible_nb.comparison.many_arms import named_arms
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.extensions import register
from crucible_nb.files.disk import as_path, replacing
from crucible_nb.utils import checks

__all__ = ["report"]

_FORMATS = (None, "parquet", "csv")


def report(
    arms: Any,
    path: str | Path,
    *,
    data: str | None = None,
    title: str | None = None,
    redact: Any = None,
    made_at: Any = None,
    interactive: bool = False,
    **comparing: Any,
) -> Path:
    """Write experiments into one HTML file that needs nothing else: no script, no network, light, dark and on paper.

    It holds the main numbers, estimates with intervals, charts, windows, incidents, the comparison of several arms with
    its methods, how rows were sampled, what was lost, and provenance. Without `data` it stays below 100 kB however many
    events there are, and the same events give the same bytes. Texts have no secrets and are escaped.

    Args:
        arms: An experiment, a list of experiments or a mapping of names to experiments; each is compared with the
            first by `cr.compare`. With a plan that is a look at the data.
        path: File to write; it ends in .html.
        data: "parquet" or "csv" embeds the kept events of each arm, to be saved from the page; None leaves them out.
        title: Title; None for the names.
        redact: Text to remove, as in `cr.start`: None for what the experiment removes, else likely secrets, prompts and
            answers; False for nothing.
        made_at: Time that the page says it was made at: datetime, Timestamp, ISO text or int nanoseconds; None to say
            none.
        interactive: Embed plotly once (about 5 MB), and figures that can be zoomed; the page then runs this script.
        **comparing: Further arguments of `cr.compare`: metrics, margin, direction, sequential and so on.

    Returns:
        The path.

    Raises:
        ConfigError: An argument is not accepted.
        StoreError: The file cannot be written.

    Examples:
        >>> import pathlib, tempfile
        >>> import crucible_nb as cr
        >>> with cr.start("control") as a, cr.start("treatment") as b:
        ...     for i in range(40):
        ...         _ = a.record("call", latency_ms=100.0 + i % 7), b.record("call", latency_ms=80.0 + i % 5)
        >>> path = cr.report([a, b], pathlib.Path(tempfile.mkdtemp()) / "compare.html", metrics=["mean_latency_ms"])
        >>> "better" in path.read_text(), path.stat().st_size < 100_000
        (True, True)
    """
    from crucible_nb.reports import embedded, page  # noqa: PLC0415  with the first report
    from crucible_nb.reports import interactive as zoomable  # noqa: PLC0415
    from crucible_nb.reports.arms import ReportArm  # noqa: PLC0415

    target = as_path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise checks.wrong("path", str(target), "a name that ends in .html")
    checks.one_of("data", data, _FORMATS)
    named = _named(arms)
    moment = None if made_at is None else _moment(checks.instant("made_at", made_at))
    if comparing and len(named) < 2:
        raise checks.wrong("arms", arms, f"at least two experiments, to compare them with {', '.join(comparing)}")
    shown = [ReportArm(experiment, name, redact) for name, experiment in named.items()]
    heading = (
        " against ".join(arm.name for arm in shown)
        if title is None
        else shown[0].words(checks.text("title", title), 200)
    )
    links, sizes = [], []
    for at, arm in enumerate(shown if data is not None else (), 1):
        link, size = embedded.link(arm, str(data), f"{at}-" if len(shown) > 1 else "")
        links.append(link)
        sizes.append(size)
    drawn = zoomable.interactive(shown) if checks.one_of("interactive", interactive, (True, False)) else None
    content = page.page(shown, heading[:300], links, comparing, moment, drawn)
    with replacing(target) as stream:
        stream.write(content.encode())
    embedded.warn_if_large(sum(sizes), target)
    return target


def _named(arms: Any) -> Mapping[str, Experiment]:
    """Return the arms by name; ConfigError if one is no experiment."""
    several = isinstance(arms, (Mapping, list, tuple))
    inside: Sequence[Any] = list(arms.values()) if isinstance(arms, Mapping) else list(arms) if several else [arms]
    if not inside or not all(isinstance(one, Experiment) for one in inside):
        raise checks.wrong("arms", arms, "an experiment, a list of experiments, or a mapping of names to experiments")
    found = named_arms(arms if several else [arms], numbered="arm")
    assert found is not None
    return {arms.name: arms} if not several else found


def _moment(nanoseconds: int) -> str:
    import pandas as pd  # noqa: PLC0415

    return f"{pd.Timestamp(nanoseconds, unit='ns', tz='UTC'):%Y-%m-%d %H:%M:%S} UTC"


@register("report")
def _report(
    self: Experiment,
    path: str | Path,
    *,
    compare: Experiment | Sequence[Experiment] | None = None,
    data: str | None = None,
    title: str | None = None,
    redact: Any = None,
    made_at: Any = None,
    interactive: bool = False,
) -> Path:
    """Write this experiment into one HTML file that needs nothing else: no script, no network; see `cr.report`.

    Args:
        path: File to write; it ends in .html.
        compare: Another experiment or a list of them, each of which is compared with this one.
        data: "parquet" or "csv" embeds the kept events, to be saved from the page; None leaves them out.
        title: Title; None for the name.
        redact: Text to remove, as in `cr.report`.
        made_at: Time that the page says it was made at; None to say none, so that the same events give the same bytes.
        interactive: Embed plotly once (about 5 MB), and figures that can be zoomed; the page then runs this script.

    Returns:
        The path.

    Raises:
        ConfigError: An argument is not accepted.
        StoreError: The file cannot be written.

    Examples:
        >>> import pathlib, tempfile
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=812.4, success=True)
        >>> path = exp.report(pathlib.Path(tempfile.mkdtemp()) / "run.html")
        >>> '<data value="812.4">812.4 ms</data>' in path.read_text()
        True
    """
    others = [] if compare is None else [compare] if isinstance(compare, Experiment) else compare
    if isinstance(others, (str, Mapping)) or not isinstance(others, Sequence):
        raise checks.wrong("compare", compare, "another experiment, or a list of them")
    return report(
        [self, *others] if others else self,
        path,
        data=data,
        title=title,
        redact=redact,
        made_at=made_at,
        interactive=interactive,
    )
