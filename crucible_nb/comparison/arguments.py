"""The checked arguments of `cr.compare`, and the combinations that do not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crucible_nb.errors import ConfigError
from crucible_nb.events.metric_names import SELECTIONS, metric_of, unit_of
from crucible_nb.events.metric_values import require_estimate
from crucible_nb.events.where import Where
from crucible_nb.utils import checks

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class CompareArguments:
    """The checked arguments of `cr.compare`, other than the arms and the correction."""

    metrics: tuple[str, ...] | None
    direction: dict[str, Direction]
    margin: Any
    pair_by: str | None
    paired: bool | None
    cluster: str | None
    resample: Any
    group_by: str | None
    alpha: float | None
    sequential: bool
    bound: Any
    asymptotic: bool
    where: Where = None

    def __post_init__(self) -> None:
        _refuse_together({"group_by": self.group_by, "resample": self.resample, "cluster": self.cluster})
        whole = {"group_by": self.group_by, "resample": self.resample}
        _refuse_together({"paired": self.paired or None, **whole})
        if self.sequential:
            for name, value in {**whole, "cluster": self.cluster}.items():
                if value is not None:
                    raise ConfigError(f"{name}={value!r}: sequences take rows as they arrive; leave out sequential")
            return
        for name, value in {"bound": self.bound, "asymptotic": self.asymptotic or None}.items():
            if value is not None:
                raise ConfigError(f"{name}={value!r}: expected only with sequential=True")

    def check_metrics(self, metrics: Sequence[str], columns: Iterable[str]) -> None:
        """Require that mappings name metrics that are compared, and that one number is for one unit.

        Raises:
            ConfigError: A mapping names another metric; one margin or bound is given for several units.
            StatError: A metric that has no standard error, such as max_latency_ms.
        """
        for name, value in {"margin": self.margin, "direction": self.direction, "bound": self.bound}.items():
            unknown = [key for key in value if key not in metrics] if isinstance(value, Mapping) else []
            if unknown:
                accepted = f"metrics that are compared ({', '.join(metrics)})"
                raise checks.wrong(name, unknown[0], accepted)
        found = [metric_of(metric, columns) for metric in metrics]
        for metric in found:
            if self.group_by is None or metric.kind not in SELECTIONS:  # a run has a single last value
                require_estimate(metric)
        if isinstance(self.margin, (int, float)) and not isinstance(self.margin, bool):
            _require_one_unit("margin", self.margin, [(metric.name, _unit(metric)) for metric in found], ", or '5%'")
        if isinstance(self.bound, Sequence):
            means = [metric for metric in found if metric.kind in {"mean", "total", "ratio"}]
            _require_one_unit("bound", self.bound, [(metric.name, _unit(metric)) for metric in means], "")


def _refuse_together(arguments: Mapping[str, Any]) -> None:
    given = [f"{name}={value!r}" for name, value in arguments.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{', '.join(given)}: expected one of them, got {len(given)}")


def _unit(metric: Any) -> str:
    """The unit of a metric; of an unknown unit, the column."""
    if metric.kind == "rate":
        return "share"
    return unit_of(metric).strip() or (metric.name if metric.per is not None else metric.column)


def _require_one_unit(name: str, value: Any, units: Sequence[tuple[str, str]], more: str) -> None:
    if len({unit for _, unit in units}) < 2:
        return
    example = ", ".join(f"{metric!r}: ..." for metric, _ in units[:2])
    texts = ", ".join(f"{metric} ({unit})" for metric, unit in units)
    raise ConfigError(
        f"{name}={value!r}: one value for metrics of several units: {texts}; expected a mapping, {{{example}}}{more}"
    )
