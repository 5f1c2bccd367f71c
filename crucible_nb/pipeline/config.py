"""What an experiment was asked to be, and that as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from crucible_nb.anomaly import Detector
from crucible_nb.errors import StoreError
from crucible_nb.pipeline.clock import EventClock, SteadyClock
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.pipeline.policies import describe, rebuild
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.sampling import Sampler
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems


@dataclass(frozen=True)
class ExperimentConfig:
    """The arguments of `cr.start`, checked.

    Attributes:
        name, condition, hypothesis, tags, metadata, sample_size: As given.
        windows: Lengths of the live windows in nanoseconds.
        by, max_events, sampling, seed, detectors, action: As given.
        clock: A callable -> UTC nanoseconds, "events", or None for the computer's.
        prices: Price table.
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
    clock: Callable[[], int] | str | None = None
    prices: PriceTable = field(default_factory=PriceTable.default)

    def steady(self) -> SteadyClock:
        """A clock that has read nothing yet."""
        if self.clock == "events":
            return EventClock()
        return SteadyClock() if self.clock is None else SteadyClock(self.clock)  # type: ignore[arg-type]

    def pipeline(self, clock: SteadyClock, problems: Problems, stream: int = 0) -> Pipeline:
        """The stages before the first event.

        Args:
            clock: Of this writer.
            notes: Where trouble is counted.
            stream: Ordinal of the writer.
        """
        made = Pipeline(
            clock, problems, by=self.by, windows=self.windows, max_events=self.max_events, prices=self.prices,
            seed=self.seed, detectors=self.detectors, stream=stream,
        )  # fmt: skip
        made.sample.set_policy(self.sampling, 0)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Plain data; prices are kept in a file of their own."""
        plain = {name: getattr(self, name) for name in _PLAIN}
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
        """The setup that was written down.

        Args:
            facts: From `to_dict`.
            prices: From their own file.
            given: Where to take what plain data cannot hold: a clock, samplers and detectors of the user's.

        Raises:
            StoreError: Something cannot be made again, and was not given.
        """
        again = given or cls(name="")
        try:
            detectors = list(again.detectors) + [None] * len(facts["detectors"])
            return cls(
                checks.text("name", facts["name"]),
                checks.text("condition", facts["condition"], optional=True),
                checks.text("hypothesis", facts["hypothesis"], optional=True),
                checks.texts("tags", facts["tags"]),
                checks.mapping("metadata", facts["metadata"]),
                checks.whole("sample_size", facts["sample_size"], ge=1, optional=True),
                [checks.whole("windows", window, ge=1) for window in facts["windows"]],
                checks.texts("by", facts["by"]),
                checks.whole("max_events", facts["max_events"], ge=1, optional=True),
                seed=checks.whole("seed", facts["seed"]),
                action=checks.text("action", facts["action"]),
                clock=facts["clock"] if facts["clock"] == "events" else again.clock,
                sampling=rebuild(facts["sampling"], again.sampling, Sampler),
                detectors=[
                    rebuild(one, detector, Detector)
                    for one, detector in zip(facts["detectors"], detectors, strict=False)
                ],
                prices=prices,
            )
        except StoreError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the facts of the experiment are not complete: {error!r}") from error

    def reading(self) -> Self:
        """For somebody who only looks: a clock of the user's is not at hand, the computer's has to do."""
        return self if self.clock == "events" else replace(self, clock=None)

    def cleaned(self, clean: Callable[[str, Any], Any]) -> Self:
        """What people say of it as it may be written; `clean` takes the name of a field and a value."""
        tags = tuple(tag for tag in (clean("tags", tag) for tag in self.tags) if tag is not None)
        hypothesis, metadata = clean("hypothesis", self.hypothesis), clean("metadata", dict(self.metadata))
        return replace(self, hypothesis=hypothesis, tags=tags, metadata=metadata)

    def bare(self) -> Self:
        """Without sampler and detectors."""
        return replace(self, sampling=None, detectors=())


_PLAIN = ("name", "condition", "hypothesis", "sample_size", "max_events", "seed", "action")
