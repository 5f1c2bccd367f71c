"""Figures for papers and export, such as `exp.plot.latency()`. plotly is imported with the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crucible_nb.events.where import Where
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.extensions import register
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

__all__ = ["Plot", "Plots", "plot"]


class Plot:
    """The figures of `exp.plot`: plain `plotly.graph_objects.Figure` objects of the events recorded so far.

    All take `theme`: None has no background, and colours readable on light and on dark pages; "light" and "dark" have
    a background. Anomalies are marked by shape and number, never by colour alone. A figure tells how many events were
    recorded and how many points are drawn; no anomaly and no extreme value is left out.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=120.0)
        >>> exp.plot
        <figures of 'demo': latency, quantiles, anomalies, windows, compare>
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __repr__(self) -> str:
        return f"<figures of {self._experiment.name!r}: latency, quantiles, anomalies, windows, compare>"

    def latency(self, *, log: bool | None = None, theme: str | None = None, where: Where = None) -> go.Figure:
        """Plot the latency of each event (ms) over time, with the median.

        Beyond 4,000 events only the first, last, minimum and maximum of each of 1,000 instants are drawn, and every
        anomaly (M4).

        Args:
            log: Logarithmic axis; None uses one if the maximum exceeds 20 times the median.
            theme: None, "light" or "dark".
            where: Condition on the events, as for `query_window`.

        Raises:
            ConfigError: An argument is not accepted.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", latency_ms=120.0)
            >>> exp.plot.latency().data[0].y.tolist()
            [120.0]
        """
        from crucible_nb.notebook.figures.latency import latency  # noqa: PLC0415

        return latency(self._experiment, theme, checks.one_of("log", log, (None, True, False)), where)

    def quantiles(
        self, window: Any = None, *, log: bool | None = None, theme: str | None = None, where: Where = None
    ) -> go.Figure:
        """Plot latency p50, p95 and p99 (ms) by time windows, with the start of each anomaly.

        Args:
            window: Length of a window, as in `windowed_metrics`; None chooses a round one, for at most 60 windows.
            log: Logarithmic axis; None uses one if the maximum p99 exceeds 20 times the median p99.
            theme: None, "light" or "dark".
            where: Condition on the events, as for `query_window`.

        Raises:
            ConfigError: An argument is not accepted.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", clock="events") as exp:
            ...     for i in range(60):
            ...         _ = exp.record("tick", latency_ms=1.0 + i % 3, time=i * 10**9)
            >>> [trace.name for trace in exp.plot.quantiles("20s").data]
            ['p50', 'p95', 'p99']
        """
        from crucible_nb.notebook.figures.quantiles import quantiles  # noqa: PLC0415

        return quantiles(self._experiment, window, theme, checks.one_of("log", log, (None, True, False)), where)

    def anomalies(self, metric: str | None = None, *, theme: str | None = None, where: Where = None) -> go.Figure:
        """Plot anomalies: every flagged event, the span of each anomaly, and the reasons in words.

        Args:
            metric: Column to draw; None draws the columns with anomalies, up to four.
            theme: None, "light" or "dark".
            where: Condition on the events, as for `query_window`.

        Raises:
            ConfigError, SchemaError: An argument is not accepted; no such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="z_score", clock="events") as exp:
            ...     for i in range(101):
            ...         _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.plot.anomalies().layout.annotations[-1].text
            '1 00:00:00 critical, 1 event: latency_ms 900 is 791.2 sd above the mean 101'
        """
        from crucible_nb.notebook.figures.anomalies import anomalies  # noqa: PLC0415

        return anomalies(self._experiment, metric, theme, where)

    def windows(
        self, window: Any = None, columns: str | Sequence[str] = (), *, theme: str | None = None, where: Where = None
    ) -> go.Figure:
        """Plot latency quantiles, events per second, success rate and cost by time windows, side by side.

        Args:
            window: Length of a window, as in `windowed_metrics`; None chooses a round one, for at most 60 windows.
            columns: Further numeric columns, drawn as window means, or names of metrics such as "max_loss",
                "share(latency_ms < 2000)" or "output_tokens_per_second".
            theme: None, "light" or "dark".
            where: Condition on the events, as for `query_window`.

        Raises:
            ConfigError, SchemaError: An argument is not accepted; no such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", clock="events") as exp:
            ...     for i in range(60):
            ...         _ = exp.record("train.step", loss=1 / (1 + i), time=i * 10**9)
            >>> [trace.name for trace in exp.plot.windows("20s", columns=["loss"]).data]
            ['events/s', 'mean of loss']
        """
        from crucible_nb.notebook.figures.panels import panels  # noqa: PLC0415

        return panels([self._experiment], window, columns, theme, where)

    def compare(self, other: Any, *, theme: str | None = None, **options: Any) -> go.Figure:
        """Plot this experiment (the control) against another: latency distributions and the difference of each metric.

        Like `cr.compare` it counts as an interim analysis of a plan.

        Args:
            other: Experiment or DataFrame, the treatment.
            theme: None, "light" or "dark".
            **options: Options of `cr.compare`, such as metrics, margin, direction, where.

        Raises:
            ConfigError, SchemaError, StatError: As in `cr.compare`.

        Examples:
            >>> import crucible_nb as cr
            >>> arms = [cr.start(name, clock="events") for name in ("base", "mini")]
            >>> for arm, ms in zip(arms, (100.0, 80.0)):
            ...     for i in range(200):
            ...         _ = arm.record("call", latency_ms=ms + i % 7, time=i)
            ...     arm.stop()
            >>> figure = arms[0].plot.compare(arms[1], metrics=["mean_latency_ms"])
            >>> figure.layout.title.text, figure.layout.annotations[2].text
            ('mini against base', '<b>better</b><br>103 → 82.97 ms')
        """
        from crucible_nb.notebook.figures.compare import comparison_figure  # noqa: PLC0415

        return comparison_figure(self._experiment, other, theme, options)


class Plots:
    """The figures of data that need not be one experiment, as `cr.plot`.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.plot
        <figures of data: by, runs>
    """

    def __repr__(self) -> str:
        return "<figures of data: by, runs>"

    def runs(
        self,
        runs: Any,
        metric: str,
        x: str = "step",
        group_by: str | None = None,
        *,
        log: bool | None = None,
        theme: str | None = None,
        where: Where = None,
    ) -> go.Figure:
        """Plot a column of many runs in one chart: a line for each run, or mean and band of each group of runs.

        A line is the mean of the column at each x; beyond 400 points the means over equal parts of the axis. A band is
        the standard deviation between the runs of a group, where at least two have reached that x.

        Args:
            runs: 1 to 200 experiments or DataFrames, as a list or a mapping of names; or the folder of a store.
            metric: Name of the column.
            x: Column of the horizontal axis, "time", or "elapsed" for the seconds since the first row of each.
            group_by: Key of `metadata`, "name", "condition" or a column that is the same in all rows of a run, such as
                "lr": runs with the same value are taken together, as over seeds.
            log: Logarithmic axis; None uses one if the maximum exceeds 20 times the median.
            theme: None, "light" or "dark".
            where: Condition on the rows, as for `query_window`.

        Raises:
            ConfigError, SchemaError: An argument is not accepted; no run has such a column.

        Examples:
            >>> import crucible_nb as cr
            >>> runs = []
            >>> for seed, rate in ((1, 0.1), (2, 0.1), (1, 0.5)):
            ...     with cr.start("training", metadata={"lr": rate, "seed": seed}) as exp:
            ...         for step in range(5):
            ...             _ = exp.record("train.step", step=step, loss=seed / (1 + rate * step))
            ...     runs.append(exp)
            >>> [trace.name for trace in cr.plot.runs(runs, "loss", group_by="lr").data if trace.fill is None]
            ['0.1 (n = 2)', '0.5 (n = 1)']
        """
        from crucible_nb.notebook.figures.runs import figure_of_runs  # noqa: PLC0415

        log = checks.one_of("log", log, (None, True, False))
        return figure_of_runs(runs, metric, checks.text("x", x), group_by, theme, where, log)

    def by(
        self,
        data: Any,
        metric: str,
        by: str | None = None,
        *,
        cluster: str | None = None,
        confidence: float = 0.95,
        log_x: bool | None = None,
        theme: str | None = None,
        where: Where = None,
    ) -> go.Figure:
        """Plot a metric with its interval over groups: a line over numbers (a sweep), a forest plot over names.

        The numbers are those of `cr.confidence_interval(by=)`. Groups that are too small are named in the subtitle; an
        open side of an interval ends at the edge of the figure.

        Args:
            data: Experiment or DataFrame; or a mapping or list of up to six arms, drawn beside each other.
            metric: Name of the metric.
            by: Column of groups, e.g. "concurrency" or "subject"; at most 200 values. None takes the arms themselves as
                groups, with the keys of the mapping: {1: one, 8: eight} is a sweep.
            cluster: Column of clusters of similar rows, as for `cr.confidence_interval`.
            confidence: Coverage of the intervals.
            log_x: Logarithmic axis of numbers; None uses one for steps that grow, such as 1, 4, 16.
            theme: None, "light" or "dark".
            where: Condition on the rows, as for `query_window`.

        Raises:
            ConfigError, SchemaError, StatError: An argument is not accepted; no such column; no group can be estimated.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> rows = pd.DataFrame({"concurrency": [1, 1, 4, 4, 16, 16], "latency_ms": [1.0, 2, 3, 4, 9, 11]})
            >>> figure = cr.plot.by(rows, "latency_ms", "concurrency")
            >>> figure.data[0].y.tolist(), figure.layout.xaxis.type
            ([1.5, 3.5, 10.0], 'log')
        """
        from crucible_nb.notebook.figures.groups import figure_by  # noqa: PLC0415

        return figure_by(
            data, metric, by, cluster=cluster, confidence=confidence, log_x=log_x, theme=theme, where=where
        )


register("plot")(property(Plot))
plot = Plots()
