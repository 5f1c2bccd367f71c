"""The validated arguments of `cr.start`, and their JSON form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from crucible_nb.anomaly import Detector
from crucible_nb.anomaly.tellings import SEVERITIES
from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.pipeline.clock import EventClock, SteadyClock, checked_clock
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.pipeline.policies import describe, rebuild
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.sampling import Sampler
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems


@dataclass(frozen=True)
class ExperimentConfig:
    """The validated arguments of `cr.start`.

    Attributes:
        name, condition, hypothesis, tags, metadata, sample_size: As given.
        windows: Lengths of the live windows in nanoseconds.
        by, max_events, sampling, seed, detectors, action, notify: As given.
        clock: Callable () -> UTC nanoseconds, "events" for event time, or None for the system clock.
        prices: Price table.
        unit, cluster: Columns of items and of clusters of items; None if they were not declared.
    """

    name: str
    condition: str | None = None
    hypothesis: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sample_size: int | None = None
    windows: Sequence[int] = ()
    by: Sequence[str] = ()
    max_events: int | None = None
    sampling: Sampler | None = None
    seed: int = 0
    detectors: Sequence[Detector] = ()
    action: str = "flag"
    notify: str = "medium"
    clock: Callable[[], int] | str | None = None
    prices: PriceTable = field(default_factory=PriceTable.default)
    unit: str | None = None
    cluster: str | None = None

    def new_clock(self) -> SteadyClock:
        """Return a new clock, without readings."""
        if self.clock == "events":
            return EventClock()
        if self.clock is None:
            return SteadyClock()
        assert callable(self.clock)
        return SteadyClock(checked_clock(self.clock))

    def start_reading(self) -> int | None:
        """Read the clock for the start of a writer; None with a clock of event times.

        Raises:
            ConfigError: A user's clock fails or gives no UTC nanoseconds, so that nothing could be recorded.
        """
        if self.clock == "events":
            return None
        try:
            return self.new_clock().read()
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"clock: it raised {type(error).__name__}: {error}") from error

    def new_pipeline(self, clock: SteadyClock, problems: Problems, stream: int = 0) -> Pipeline:
        """Build the stages of a writer, before its first event.

        Args:
            clock: Clock of the writer.
            problems: Counter of problems.
            stream: Writer id.
        """
        pipeline = Pipeline(
            clock, problems, by=self.by, windows=self.windows, max_events=self.max_events, prices=self.prices,
            seed=self.seed, detectors=self.detectors, notify=self.notify, stream=stream,
        )  # fmt: skip
        pipeline.sample.set_policy(self.sampling, 0)
        return pipeline

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments as plain data, without prices, which are in a separate file."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain |= {name: getattr(self, name) for name in _DESIGN if getattr(self, name) is not None}
        return {
            **plain,
            "tags": list(self.tags),
            "metadata": dict(self.metadata),
            "windows": list(self.windows),
            "by": list(self.by),
            "clock": "custom" if callable(self.clock) else self.clock,
            "sampling": describe(self.sampling),
            "detectors": [describe(detector) for detector in self.detectors],
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], prices: PriceTable, given: ExperimentConfig | None = None) -> Self:
        """Rebuild the arguments from plain data.

        Args:
            facts: Result of `to_dict`.
            prices: Price table from its own file.
            given: Arguments with the objects that plain data cannot hold: a user's clock, sampler and detectors.

        Raises:
            StoreError: The data are broken, or a user-defined object is not in `given`.
        """
        supplied = given or cls(name="")
        try:
            detectors = list(supplied.detectors) + [None] * len(facts["detectors"])
            return cls(
                name=checks.text("name", facts["name"]),
                condition=checks.text("condition", facts["condition"], optional=True),
                hypothesis=checks.text("hypothesis", facts["hypothesis"], optional=True),
                tags=checks.texts("tags", facts["tags"]),
                metadata=checks.mapping("metadata", facts["metadata"]),
                sample_size=checks.whole("sample_size", facts["sample_size"], ge=1, optional=True),
                windows=[checks.whole("windows", window, ge=1) for window in facts["windows"]],
                by=checks.texts("by", facts["by"]),
                max_events=checks.whole("max_events", facts["max_events"], ge=1, optional=True),
                seed=checks.whole("seed", facts["seed"]),
                action=checks.text("action", facts["action"]),
                notify=checks.one_of("notify", facts.get("notify", "low"), SEVERITIES),  # release 0.1 told every one
                clock=facts["clock"] if facts["clock"] == "events" else supplied.clock,
                sampling=rebuild(facts["sampling"], supplied.sampling, Sampler),
                detectors=[
                    rebuild(description, detector, Detector)
                    for description, detector in zip(facts["detectors"], detectors, strict=False)
                ],
                prices=prices,
                **{name: checks.text(name, facts.get(name), optional=True) for name in _DESIGN},
            )
        except StoreError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the facts of the experiment are incomplete or invalid: {error!r}") from error

    def described(self, tags: Sequence[str], metadata: Mapping[str, Any], hypothesis: str | None) -> None:
        """Change what describes the experiment, and nothing that its events depend on, in place.

        All parts of an experiment hold this object, and none but these fields may change.
        """
        for name, value in (("tags", tuple(tags)), ("metadata", dict(metadata)), ("hypothesis", hypothesis)):
            object.__setattr__(self, name, value)

    def for_reader(self) -> Self:
        """Return a copy for read-only use: a user's clock, which is not available, is replaced by the system clock."""
        return self if self.clock == "events" else replace(self, clock=None)

    def redacted(self, clean: Callable[[str, Any], Any]) -> Self:
        """Return a copy with secrets removed from hypothesis, tags and metadata by `clean(field, value)`."""
        tags = tuple(tag for tag in (clean("tags", tag) for tag in self.tags) if tag is not None)
        hypothesis, metadata = clean("hypothesis", self.hypothesis), clean("metadata", dict(self.metadata))
        return replace(self, hypothesis=hypothesis, tags=tags, metadata=metadata)

    def without_policies(self) -> Self:
        """Return a copy without sampler and detectors."""
        return replace(self, sampling=None, detectors=())


_PLAIN = ("name", "condition", "hypothesis", "sample_size", "max_events", "seed", "action", "notify")
_DESIGN = ("unit", "cluster")  # written if declared; experiments of release 0.1 have none
