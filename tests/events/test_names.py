"""The registry of standard events."""

import pytest

import crucible_nb as cr
from crucible_nb import events
from crucible_nb.events.schema import COLUMNS

CATEGORIES = ["llm", "training", "inference", "pipeline", "ensemble", "hedging", "trace", "tool"]


def test_the_eight_categories_share_out_all_names() -> None:
    table = events.by_category()
    assert list(table) == CATEGORIES
    assert [name for names in table.values() for name in names] == list(events.standard())
    assert len(set(events.standard())) == len(events.standard())
    assert all(events.by_category(category) for category in CATEGORIES)


@pytest.mark.parametrize(
    "name", ["llm.request", "train.epoch", "train.step", "inference.predict", "pipeline.stage", "tool.call", "cell"]
)
def test_names_that_everybody_uses(name: str) -> None:
    assert events.info(name).name == name


@pytest.mark.parametrize("name", events.standard())
def test_columns_of_an_event_exist(name: str) -> None:
    found = events.info(name)
    assert set(found.columns) <= set(COLUMNS)
    assert found.description
    assert found.phase in ("", "start", "stop", "exception")
    assert name.endswith(found.phase)


def test_an_unknown_name_is_met_with_a_suggestion() -> None:
    with pytest.raises(cr.ConfigError) as error:
        events.info("llm.requst")
    assert (
        str(error.value)
        == "name='llm.requst': unknown event name (did you mean llm.request?). You may still record it."
    )
    with pytest.raises(cr.ConfigError) as error:
        events.by_category("gpu")
    assert str(error.value).startswith("category='gpu': expected one of 'llm', 'training'")
