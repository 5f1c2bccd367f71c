"""Pages of the API, as listed in `api.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple


class Family(NamedTuple):
    """One page of the API.

    Attributes:
        file: Name of the file.
        title: Heading.
        text: What the names have in common, as reST.
        module: Module under which the names are shown.
        names: Public names, by heading; "" has none.
    """

    file: str
    title: str
    text: str
    module: str
    names: dict[str, tuple[str, ...]]

    @property
    def all_names(self) -> tuple[str, ...]:
        """All names, of every heading."""
        return tuple(name for names in self.names.values() for name in names)


_LISTED = tomllib.loads((Path(__file__).parents[1] / "api.toml").read_text(encoding="utf-8"))

FAMILIES = tuple(
    Family(**page | {"names": {heading: tuple(names.split()) for heading, names in page["names"].items()}})
    for page in _LISTED["page"]
)
ALIASES: dict[str, str] = _LISTED["aliases"]
