"""Limits of memory: what states and rows may take, said before they take it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from crucible_nb.errors import ConfigError

_GROUP = 3_000
"""Bytes of the state of a group without its values, measured."""

_CGROUP = Path("/sys/fs/cgroup/memory.max")


def physical_memory() -> int:
    """Return the bytes of memory of the machine, or of the container it runs in; 8 GiB where nothing tells.

    Examples:
        >>> physical_memory() > 1 << 20
        True
    """
    found = [8 << 30]
    with suppress(ValueError, OSError, AttributeError):
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(ValueError, OSError):
        found.append(int(_CGROUP.read_text()))
    return min(found)


def in_words(size: float) -> str:
    """Return bytes as text.

    Examples:
        >>> in_words(3_200_000_000), in_words(1_500_000)
        ('3.2 GB', '1.5 MB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def check_groups(by: Sequence[str], groups: int, values: int, budget: int) -> None:
    """Refuse groups whose states take more than a budget.

    Args:
        by: Columns of the groups.
        groups: Number of groups so far.
        values: Bytes of the values they retain.
        budget: Bytes that are allowed.

    Raises:
        ConfigError: They take more.

    Examples:
        >>> check_groups(["user_id"], 2_000_000, 0, 1 << 30)
        Traceback (most recent call last):
        ...
        crucible_nb.errors.ConfigError: by=user_id: the states of 2,000,000 groups take about 6.0 GB, more than \
memory=1.1 GB; group by fewer values, raise memory=, or aggregate with DuckDB, which spills to disk
    """
    size = groups * _GROUP + values
    if size > budget:
        raise ConfigError(
            f"by={', '.join(by)}: the states of {groups:,} groups take about {in_words(size)}, more than "
            f"memory={in_words(budget)}; group by fewer values, raise memory=, or aggregate with DuckDB, which "
            "spills to disk"
        )


def check_rows(rows: int, size: float, budget: int, what: str) -> None:
    """Refuse rows that take more memory than a budget.

    Args:
        rows: Number of rows.
        size: Bytes that they take.
        budget: Bytes that are allowed.
        what: What needs them, for the message.

    Raises:
        ConfigError: They take more.

    Examples:
        >>> check_rows(50_000_000, 4e9, 1 << 30, "to_frame()")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.ConfigError: to_frame() needs 50,000,000 rows in memory, about 4.0 GB, more than \
memory=1.1 GB; choose rows with where=, fewer columns, or raise memory=
    """
    if size > budget:
        raise ConfigError(
            f"{what} needs {rows:,} rows in memory, about {in_words(size)}, more than memory={in_words(budget)}; "
            "choose rows with where=, fewer columns, or raise memory="
        )


_SUMS = 600
"""Bytes of the sums of five columns in one cell, measured."""


def check_cells(cells: int, values: int, tables: int, budget: int) -> None:
    """Refuse windows whose states take more than a budget.

    Args:
        cells: Number of windows of groups so far.
        values: Number of values and buckets in memory.
        tables: Number of tables of sums.
        budget: Bytes that are allowed.

    Raises:
        ConfigError: They take more.
    """
    size = cells * _SUMS * tables + 24 * values
    if size > budget:
        raise ConfigError(
            f"window: the states of {cells:,} windows and groups take about {in_words(size)}, more than "
            f"memory={in_words(budget)}; use longer windows, fewer groups or columns, or raise memory="
        )
