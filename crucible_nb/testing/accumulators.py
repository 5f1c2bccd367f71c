"""Laws of accumulators, as checks for built-in and user-defined ones.

Each law is a function `law(make, pieces, rtol)` named after its statement; it raises AssertionError if the statement
is false. `make` returns a fresh accumulator, `pieces` are consecutive parts of one stream.
"""
# ruff: noqa: ARG001  all laws have the same arguments

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crucible_nb.accumulators.base import Accumulator
from crucible_nb.utils import checks

Make = Callable[[], Any]
Pieces = Sequence[Any]


def check_accumulator(factory: Make, *, values: Pieces | None = None, rtol: float = 1e-9) -> None:
    """Check that the accumulators made by `factory` obey the laws of accumulators.

    Args:
        factory: Callable without arguments that returns a fresh accumulator.
        values: Three or more parts of a stream, each a 1-D sequence that `update` accepts, without missing values;
            None uses seeded numbers of both signs with zeros.
        rtol: Relative tolerance of equal results; 0 requires the same bits.

    Raises:
        AssertionError: A law is broken; the message names it.
        ConfigError: `factory` is not callable, or there are fewer than three pieces.

    Examples:
        >>> from crucible_nb.accumulators import Extremes
        >>> check_accumulator(Extremes, rtol=0)
    """
    checks.function("factory", factory)
    checks.number("rtol", rtol, ge=0.0)
    pieces = numbers() if values is None else list(values)
    if len(pieces) < 3:
        raise checks.wrong("values", values, "three or more parts of a stream")
    for law in ACCUMULATOR_LAWS:
        try:
            law(factory, pieces, rtol)
        except AssertionError as broken:
            raise AssertionError(f"{factory()!r}: {law.__name__.replace('_', ' ')}: {broken}") from broken


def numbers(seed: int = 0, size: int = 300) -> list[np.ndarray]:
    """Return four parts of a stream: skewed, of both signs, whole numbers with zeros, a single number.

    Examples:
        >>> [len(piece) for piece in numbers()]
        [300, 300, 300, 1]
    """
    rng = np.random.default_rng(seed)
    return [
        rng.lognormal(3, 2, size),
        rng.normal(0, 10, size),
        rng.integers(-3, 4, size).astype(np.float64),
        np.array([42.0]),
    ]


def it_is_an_accumulator(make: Make, pieces: Pieces, rtol: float) -> None:
    """The methods exist, and `update` returns the accumulator."""
    one = make()
    assert isinstance(one, Accumulator), "update, merge, result, to_dict and from_dict are not all there"
    assert one.update(pieces[0]) is one, "update does not return the accumulator"


def a_fresh_one_knows_nothing_and_does_not_raise(make: Make, pieces: Pieces, rtol: float) -> None:
    """Numbers of an empty result are NaN if unknown and 0 if they count, never anything else."""
    strange = [number for number in _numbers(make().result()) if not (math.isnan(number) or number == 0)]
    assert not strange, f"an empty result has {strange[0]!r}"
    _same(make().update(pieces[0][:0]).result(), make().result(), 0.0)


def a_fresh_one_is_the_identity_on_both_sides(make: Make, pieces: Pieces, rtol: float) -> None:
    """Merging with an empty one changes no bit."""
    one = _of(make, *pieces)
    _same(make().merge(one).to_dict(), one.to_dict(), 0.0)
    _same(one.merge(make()).to_dict(), one.to_dict(), 0.0)
    _same(make().merge(make()).to_dict(), make().to_dict(), 0.0)


def merging_is_associative(make: Make, pieces: Pieces, rtol: float) -> None:
    """(a + b) + c equals a + (b + c)."""
    a, b, c = (_of(make, piece) for piece in pieces[:3])
    _same(a.merge(b).merge(c).result(), a.merge(b.merge(c)).result(), rtol)


def the_whole_equals_its_parts(make: Make, pieces: Pieces, rtol: float) -> None:
    """One update with all values, one per piece, one per value, and a merge of the pieces agree."""
    whole = make().update([value for piece in pieces for value in piece]).result()
    _same(_of(make, *pieces).result(), whole, rtol)
    _same(_of(make, *[[value] for piece in pieces for value in piece]).result(), whole, rtol)
    merged = make()
    for piece in pieces:
        merged = merged.merge(_of(make, piece))
    _same(merged.result(), whole, rtol)


def merging_leaves_its_inputs_alone(make: Make, pieces: Pieces, rtol: float) -> None:
    """Neither the merge nor later updates of the merged one change its two inputs."""
    a, b = _of(make, pieces[0]), _of(make, pieces[1])
    before = _text(a), _text(b)
    both = a.merge(b)
    both.update(pieces[2])
    assert (_text(a), _text(b)) == before, "an input changed"


def a_merged_one_can_be_updated(make: Make, pieces: Pieces, rtol: float) -> None:
    """A merged one can be updated like any other, also after a merge with an empty one."""
    a, b, c = pieces[:3]
    whole = _of(make, a, b, c).result()
    _same(_of(make, a).merge(_of(make, b)).update(c).result(), whole, rtol)
    _same(_of(make, a).merge(make()).update(b).update(c).result(), whole, rtol)


def an_input_of_a_merge_can_be_updated(make: Make, pieces: Pieces, rtol: float) -> None:
    """Updating an input later does not change the merged one."""
    a, b = _of(make, pieces[0]), _of(make, pieces[1])
    both = a.merge(b)
    before = _text(both)
    a.update(pieces[2])
    b.update(pieces[2])
    assert _text(both) == before, "the merged one changed"


def updating_leaves_the_values_alone(make: Make, pieces: Pieces, rtol: float) -> None:
    """The caller's array is neither changed nor kept: it may be overwritten afterwards."""
    piece = np.array(pieces[0])
    one = make().update(piece)
    assert list(piece) == list(pieces[0]), "the values changed"
    before = _text(one)
    piece[:] = piece[::-1].copy()
    piece[:] = piece[0]
    assert _text(one) == before, "the state is a view of the values"


def asking_changes_nothing(make: Make, pieces: Pieces, rtol: float) -> None:
    """Reading the result twice gives the same result, and does not change later updates."""
    one, two = _of(make, pieces[0]), _of(make, pieces[0])
    before = _text(one)
    _same(one.result(), one.result(), 0.0)
    assert (repr(one), _text(one)) == (repr(two), before), "reading the result changed the state"
    _same(one.update(pieces[1]).to_dict(), two.update(pieces[1]).to_dict(), 0.0)


def the_state_survives_json(make: Make, pieces: Pieces, rtol: float) -> None:
    """`to_dict`, JSON and `from_dict` restore the same state; later updates give the same state too."""
    for one in (make(), _of(make, *pieces)):
        again = type(one).from_dict(json.loads(_text(one)))
        assert again == one, "the restored state differs"
        assert {"kind", "version"} <= set(one.to_dict()), "kind or version is missing"
        _same(again.update(pieces[0]).to_dict(), one.update(pieces[0]).to_dict(), 0.0)


def missing_values_are_skipped(make: Make, pieces: Pieces, rtol: float) -> None:
    """NaN or None between the values changes only the number of missing values."""
    gap = math.nan if isinstance(pieces[0][0], (int, float, np.number, np.bool_)) else None
    holes = [item for value in pieces[0] for item in (gap, value)]
    with_holes, without = make().update(holes).result(), _of(make, pieces[0]).result()
    if hasattr(without, "missing"):
        assert with_holes.missing == len(pieces[0]), f"missing is {with_holes.missing}"
    _same(_but_missing(with_holes), _but_missing(without), rtol)


def weights_of_one_change_nothing(make: Make, pieces: Pieces, rtol: float) -> None:
    """Weights of 1 equal no weights, and a value of weight 0 has no effect."""
    a, b = list(pieces[0]), list(pieces[1])
    plain = _of(make, a).result()
    _same(make().update(a, weights=[1.0] * len(a)).result(), plain, rtol)
    _same(make().update(a + b, weights=[1.0] * len(a) + [0.0] * len(b)).result(), plain, rtol)


def its_size_is_bounded(make: Make, pieces: Pieces, rtol: float) -> None:
    """Twice the events enlarge the state by at most a quarter."""
    one = make()
    sizes = []
    for _ in range(2):
        for _ in range(120):
            for piece in pieces:
                one.update(piece)
        sizes.append(len(_text(one)))
    assert sizes[1] <= 1.25 * sizes[0] + 200, f"the state grew from {sizes[0]} to {sizes[1]} characters"


ACCUMULATOR_LAWS: tuple[Callable[[Make, Pieces, float], None], ...] = (
    it_is_an_accumulator,
    a_fresh_one_knows_nothing_and_does_not_raise,
    a_fresh_one_is_the_identity_on_both_sides,
    merging_leaves_its_inputs_alone,
    an_input_of_a_merge_can_be_updated,
    merging_is_associative,
    the_whole_equals_its_parts,
    a_merged_one_can_be_updated,
    updating_leaves_the_values_alone,
    asking_changes_nothing,
    the_state_survives_json,
    missing_values_are_skipped,
    weights_of_one_change_nothing,
    its_size_is_bounded,
)
"""All laws, in the order in which they are checked."""


def _of(make: Make, *pieces: Any) -> Any:
    one = make()
    for piece in pieces:
        one.update(piece)
    return one


def _text(one: Any) -> str:
    return json.dumps(one.to_dict())


def _plain(value: Any) -> Any:
    """Convert a result to dicts, lists and scalars."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "_asdict"):
        return value._asdict()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _but_missing(result: Any) -> Any:
    plain = _plain(result)
    return {name: value for name, value in plain.items() if name != "missing"} if isinstance(plain, dict) else plain


def _numbers(result: Any) -> list[float]:
    plain = _plain(result)
    if isinstance(plain, dict):
        plain = list(plain.values())
    if isinstance(plain, (list, tuple)):
        return [number for item in plain for number in _numbers(item)]
    return [float(plain)] if isinstance(plain, (int, float)) and not isinstance(plain, bool) else []


def _same(got: Any, expected: Any, rtol: float, at: str = "") -> None:
    """Raise unless both are equal, floats within `rtol` (or of 1, near 0)."""
    got, expected = _plain(got), _plain(expected)
    if isinstance(expected, dict) and isinstance(got, dict):
        assert list(got) == list(expected), f"{at} has {list(got)} instead of {list(expected)}"
        for name in expected:
            _same(got[name], expected[name], rtol, f"{at}.{name}" if at else str(name))
    elif isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        assert len(got) == len(expected), f"{at} has {len(got)} items instead of {len(expected)}"
        for index, (one, two) in enumerate(zip(got, expected, strict=True)):
            _same(one, two, rtol, f"{at}[{index}]")
    elif isinstance(expected, float) and isinstance(got, float):
        near = math.isclose(got, expected, rel_tol=rtol, abs_tol=rtol) or (math.isnan(got) and math.isnan(expected))
        assert near, f"{at or 'result'} is {got!r} instead of {expected!r}"
    else:
        assert got == expected, f"{at or 'result'} is {got!r} instead of {expected!r}"
