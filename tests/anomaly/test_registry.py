"""Detectors by name: accepted arguments, and the messages for all others."""

from __future__ import annotations

from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.anomaly import (
    CUSUM,
    EWMA,
    IQR,
    Auto,
    Detector,
    IsolationForest,
    ModifiedZScore,
    ZScore,
    detector_of,
    detectors_of,
)

KINDS = {
    "auto": Auto, "z_score": ZScore, "modified_z_score": ModifiedZScore, "iqr": IQR, "ewma": EWMA, "cusum": CUSUM,
    "isolation_forest": IsolationForest,
}  # fmt: skip
NAMES = "'auto', 'z_score', 'modified_z_score', 'iqr', 'ewma', 'cusum', 'isolation_forest'"
COMMON = [
    "by",
    "cooldown",
    "false_alarm_rate",
    "false_discovery_rate",
    "floor",
    "learn",
    "metrics",
    "threshold",
    "warm_up",
]


@pytest.mark.parametrize("name", KINDS)
def test_a_name_is_a_detector_that_watches_latency_and_cost(name: str) -> None:
    got = detector_of("anomaly", name)
    assert type(got) is KINDS[name]
    assert got.metrics == ("latency_ms", "cost_usd")
    assert got.threshold == KINDS[name].default


def test_options_are_handed_on_and_none_is_the_default() -> None:
    got = detector_of("anomaly", "ewma", metrics="loss", threshold=5, share=0.1, warm_up=None, by=["model"], cooldown=0)
    assert vars(got) == vars(EWMA("loss", 5, share=0.1, by=["model"], cooldown=0))
    assert (got.metrics, got.by, got.warm_up, got.cooldown) == (("loss",), ("model",), 32, 0)


def test_an_instance_is_taken_as_it_is() -> None:
    class Mine(ZScore):
        pass

    mine = Mine("loss")
    assert detector_of("anomaly", mine) is mine
    assert detectors_of(mine) == ([mine], "flag", "medium")


@pytest.mark.parametrize(
    ("anomaly", "kinds"),
    [
        (None, []),
        ("z_score", [ZScore]),
        ("z_score,iqr", [ZScore, IQR]),
        (" z_score ,  auto ", [ZScore, Auto]),
        (["ewma", "cusum"], [EWMA, CUSUM]),
        (("ewma", IQR("loss")), [EWMA, IQR]),
        ([ZScore("loss"), ZScore("latency_ms")], [ZScore, ZScore]),
        (Auto("loss"), [Auto]),
        ([], []),
    ],
)
def test_names_instances_and_lists_of_both(anomaly: Any, kinds: list[type[Detector]]) -> None:
    found, action, _ = detectors_of(anomaly)
    assert [type(one) for one in found] == kinds
    assert action == "flag"


def test_the_config_is_for_those_given_by_name() -> None:
    mine = IQR("loss")
    config = {"threshold": 4, "metrics": ["loss"], "action": "alert", "notify": "high"}
    (named, same), action, notify = detectors_of(["z_score", mine], config)
    assert same is mine
    assert (same.threshold, named.threshold, named.metrics, action, notify) == (3, 4, ("loss",), "alert", "high")


def test_a_config_is_left_alone() -> None:
    config = {"threshold": 4, "action": "pause"}
    detectors_of("z_score", config)
    assert config == {"threshold": 4, "action": "pause"}


@pytest.mark.parametrize("action", ["flag", "alert", "sample_more", "pause"])
def test_an_action_is_one_of_four(action: str) -> None:
    assert detectors_of("z_score", {"action": action})[1] == action


@pytest.mark.parametrize(
    ("anomaly", "config", "said"),
    [
        ("zscore", None, f"anomaly='zscore': expected one of {NAMES}"),
        ("", None, f"anomaly='': expected one of {NAMES}"),
        ("z_score,", None, f"anomaly='': expected one of {NAMES}"),
        ("z_score;iqr", None, f"anomaly='z_score;iqr': expected one of {NAMES}"),
        (["z_score", "z"], None, f"anomaly='z': expected one of {NAMES}"),
        (3, None, f"anomaly=3: expected one of {NAMES}, or a detector of cr.anomaly"),
        (["z_score", None], None, f"anomaly=None: expected one of {NAMES}, or a detector of cr.anomaly"),
        (ZScore, None, f"anomaly=<class 'crucible_nb.anomaly.z_score.ZScore'>: expected one of {NAMES}, or a detector of cr.anomaly"),
        ("z_score", {"limit": 3}, f"anomaly: 'z_score' takes {', '.join(COMMON)}, got limit"),
        ("z_score", {"share": 0.1, "trees": 3}, f"anomaly: 'z_score' takes {', '.join(COMMON)}, got share, trees"),
        ("ewma,z_score", {"share": 0.1}, f"anomaly: 'z_score' takes {', '.join(COMMON)}, got share"),
        ("ewma", {"slack": 1}, f"anomaly: 'ewma' takes {', '.join(sorted([*COMMON, 'share']))}, got slack"),
        ("z_score", {"action": "explode"}, "anomaly_config['action']='explode': expected one of 'flag', 'alert', 'sample_more', 'pause'"),
        ("z_score", {"action": None}, "anomaly_config['action']=None: expected one of 'flag', 'alert', 'sample_more', 'pause'"),
        ("z_score", {"threshold": 0}, "threshold=0: expected a number > 0"),
        ("z_score", {"threshold": "3"}, "threshold='3': expected a number > 0"),
        ("z_score", {"metrics": 3}, "metrics=3: expected a list of non-empty strings"),
        ("z_score", {"by": [3]}, "by=[3]: expected a list of non-empty strings"),
        ("z_score", {"warm_up": 1}, "warm_up=1: expected a whole number >= 2"),
        ("z_score", {"floor": -1}, "floor=-1: expected a number >= 0"),
        ("z_score", {"cooldown": 1.5}, "cooldown=1.5: expected a whole number >= 0"),
        ("z_score", {"learn": "never"}, "learn='never': expected one of 'always', 'normal'"),
        ("ewma", {"share": 1}, "share=1: expected a number > 0 and < 1"),
        ("cusum", {"slack": -1}, "slack=-1: expected a number >= 0"),
        ("z_score", 3, "anomaly_config=3: expected a mapping with text keys"),
        (None, {"threshold": 3}, "anomaly_config={'threshold': 3}: expected None without anomaly detectors"),
        ("z_score", {"action": "sample_more"}, "anomaly_config['action']='sample_more' needs sampling='adaptive'"),
    ],
)  # fmt: skip
def test_what_start_cannot_do_is_said_at_once(anomaly: Any, config: Any, said: str) -> None:
    with pytest.raises(cr.ConfigError) as raised:
        cr.start("wrong", anomaly=anomaly, anomaly_config=config)
    assert str(raised.value) == said
    assert "wrong" not in cr.experiments()["name"].tolist()


@pytest.mark.parametrize("anomaly", [None, []])
@pytest.mark.parametrize("config", [{"action": "pause"}, {"threshold": 3}])
def test_a_config_that_nothing_would_heed_is_refused(anomaly: Any, config: dict[str, Any]) -> None:
    with pytest.raises(cr.ConfigError, match=r"^anomaly_config=\{.*\}: expected None without anomaly detectors$"):
        cr.start("wrong", anomaly=anomaly, anomaly_config=config)


def test_detectors_that_have_their_own_arguments_take_none_from_the_config() -> None:
    with pytest.raises(cr.ConfigError) as raised:
        cr.start("wrong", anomaly=[ZScore("loss")], anomaly_config={"threshold": 4, "action": "alert"})
    said = "expected 'action' and 'notify' alone beside detectors that have their own arguments"
    assert str(raised.value) == f"anomaly_config={{'action': 'alert', 'threshold': 4}}: {said}"
    assert detectors_of([ZScore("loss")], {"action": "alert"})[1] == "alert"


def test_to_watch_nothing_is_refused() -> None:
    with pytest.raises(cr.ConfigError) as raised:
        detector_of("anomaly", "z_score", metrics=[])
    assert str(raised.value) == "metrics=[]: expected at least one column"


@pytest.mark.parametrize("sampling", ["uniform", "reservoir", "stratified", "importance"])
def test_to_sample_more_needs_a_sampler_that_adapts(sampling: str) -> None:
    config = {
        "uniform": {"rate": 0.5},
        "reservoir": {"size": 9},
        "stratified": {"rates": {True: 0.5}},
        "importance": {"size": 9},
    }
    with pytest.raises(cr.ConfigError) as raised:
        cr.start(
            "wrong",
            sampling=sampling,
            sampling_config=config[sampling],
            anomaly="auto",
            anomaly_config={"action": "sample_more"},
        )
    assert str(raised.value) == "anomaly_config['action']='sample_more' needs sampling='adaptive'"
    for adaptive in ("adaptive", cr.sampling.Adaptive()):
        cr.start("right", sampling=adaptive, anomaly="auto", anomaly_config={"action": "sample_more"}).stop()
