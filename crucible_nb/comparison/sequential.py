"""Stub."""

from typing import NamedTuple


class Sequence(NamedTuple):
    firm: bool


def sequence_of(*a, **k): ...
