"""Sentences below a table: those of many rows that differ only in their numbers are one, with the rows they are of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_NUMBER = re.compile(r"(?<![^\s(])\d[\d,]*(?:\.\d+)?%?(?![^\s,;:.)])")
_SHOWN = 8  # names of a line


class Said(NamedTuple):
    """A sentence on one row of a table.

    Attributes:
        text: The sentence.
        metric: Metric of the row; "" for all of them.
        place: Arm, or pair of arms, with its group.
    """

    text: str
    metric: str
    place: str


def joined_notes(said: Sequence[Said], metrics: Sequence[str], places: Sequence[Sequence[str]]) -> list[str]:
    """Join equal sentences, and those that differ only in numbers, into one line each.

    Args:
        said: The sentences.
        metrics: All metrics of the table.
        places: All arms, and all pairs of arms: a line that is of all of them names none.

    Examples:
        >>> few = [Said("4 clusters are few", "loss", "a"), Said("9 clusters are few", "loss", "b")]
        >>> joined_notes([*few, Said("ties", "", "b")], ["loss"], [["a", "b"]])
        ['4 to 9 clusters are few', 'b: ties']
    """
    lines: dict[tuple[str, ...], list[Said]] = {}
    for one in dict.fromkeys(said):
        numbers = _NUMBER.findall(one.text)
        named = any(number in one.place.split() for number in numbers)  # an arm whose name is a number
        key = (one.text,) if named else ("", *_NUMBER.split(one.text))
        lines.setdefault(key, []).append(one)
    found = []
    for same in lines.values():
        names = _names(same, metrics, places)
        found.append(f"{names}: {_joined(same)}" if names else _joined(same))
    return found


def _joined(same: Sequence[Said]) -> str:
    """Return the sentence with the range of each number that differs."""
    texts = list(dict.fromkeys(one.text for one in same))
    if len(texts) == 1:
        return texts[0]
    columns = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    ranges = iter([_range(numbers) for numbers in columns])
    return _NUMBER.sub(lambda _: next(ranges), texts[0])


def _range(numbers: Sequence[str]) -> str:
    ordered = sorted(set(numbers), key=lambda number: float(number.replace(",", "").rstrip("%")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _names(same: Sequence[Said], metrics: Sequence[str], places: Sequence[Sequence[str]]) -> str:
    """Return the rows that a sentence is of: metrics, with their places unless those are all."""
    of_metric: dict[str, tuple[str, ...]] = {}
    for one in same:
        of_metric[one.metric] = (*of_metric.get(one.metric, ()), one.place)
    by_places: dict[tuple[str, ...], list[str]] = {}
    for metric, mine in of_metric.items():
        by_places.setdefault(tuple(dict.fromkeys(mine)), []).append(metric)
    parts = []
    for mine, named in by_places.items():
        everywhere = any(set(all_of) == set(mine) for all_of in places)
        whole = named == [""] or (len(named) == len(metrics) and (everywhere or len(metrics) > 1))
        shown = "" if whole else listed(named)
        where = "" if everywhere else listed(mine)
        parts.append(
            f"{shown} ({where})" if shown and len(mine) > 1 and where else ", ".join(filter(None, (shown, where)))
        )
    return "; ".join(filter(None, parts))


def listed(names: Sequence[str]) -> str:
    """Join names; of many the first eight, and how many more.

    Examples:
        >>> listed(["a", "b"]), listed(list("abcdefghijkl"))
        ('a, b', 'a, b, c, d, e, f, g, h and 4 more')
    """
    more = len(names) - _SHOWN
    return ", ".join(names) if more < 2 else f"{', '.join(names[:_SHOWN])} and {more} more"
