"""The laws of experiments, with samplers and detectors that ship; and arguments that break one are caught."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import crucible_nb as cr
from crucible_nb.anomaly import Verdict
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling import Choice, Uniform
from crucible_nb.testing import EXPERIMENT_LAWS, check_experiment
from crucible_nb.testing.experiments import calls

SAMPLING: dict[str, dict[str, Any]] = {
    "everything": {},
    "uniform": {"sampling": "uniform", "sampling_config": {"rate": 0.2}},
    "reservoir": {"sampling": "reservoir", "sampling_config": {"size": 50}},
    "adaptive": {"sampling": "adaptive", "sampling_config": {"min_samples": 50}},
    "importance": {"sampling": "importance", "sampling_config": {"size": 50, "by": "latency_ms"}},
}


@pytest.mark.parametrize("law", EXPERIMENT_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", SAMPLING)
def test_law(name: str, law: Any) -> None:
    law(
        partial(cr.start, "law", seed=1, anomaly=["z_score", "auto"], by=("score",), **SAMPLING[name]),
        cr.attach,
        calls(),
    )


class ByBlock(Uniform):
    """Keeps the first event of each block."""

    def choose(self, events: EventColumns) -> Choice:
        choice = super().choose(events)
        return choice._replace(keep=choice.keep | (np.arange(len(events)) == 0))


class CountsBlocks(cr.anomaly.ZScore):
    """Takes the number of blocks for an anomaly."""

    def start(self) -> None:
        super().start()
        self.blocks = 0

    def judge(self, events: EventColumns) -> Verdict:
        self.blocks += 1
        verdict = super().judge(events)
        return verdict._replace(score=np.where(self.blocks > 3, 2.0, verdict.score))


@pytest.mark.parametrize("broken", [{"sampling": ByBlock(0.2)}, {"anomaly": CountsBlocks("latency_ms")}], ids=str)
@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_what_depends_on_a_block_is_caught(broken: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=r"^(reading changes no bit|tables equal their rows): "):
        check_experiment(partial(cr.start, "law", seed=1, **broken))


def test_a_user_s_own_policy_is_given_to_attach() -> None:
    class Mine(Uniform):
        pass

    check_experiment(
        partial(cr.start, "law", sampling=Mine(0.5), seed=1), attach=partial(cr.attach, sampling=Mine(0.5))
    )


def test_what_is_not_callable_is_refused() -> None:
    with pytest.raises(cr.ConfigError, match=r"^start='law': expected a callable"):
        check_experiment("law")
