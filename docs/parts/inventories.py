"""Inventories of other packages' documentation as text, so that the build needs no network and a diff can be read.

The first line of `inventories/NAME.txt` is the address of the documentation; each further line has a name, its role in
the domain `py` and its page, as in Sphinx's own inventories (`$` at the end of a page stands for the name).
"""

from __future__ import annotations

import zlib
from pathlib import Path

_HEAD = """# Sphinx inventory version 2
# Project: {0}
# Version:
# The remainder of this file is compressed using zlib.
"""


def packed(texts: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Write each text as an inventory of Sphinx; return the mapping that `intersphinx` wants."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for text in sorted(texts.glob("*.txt")):
        address, *names = text.read_text(encoding="utf-8").split("\n")
        rows = (line.split() for line in names if line)
        body = "".join(f"{name} py:{role} 1 {page} -\n" for name, role, page in rows)
        path = folder / f"{text.stem}.inv"
        path.write_bytes(_HEAD.format(text.stem).encode() + zlib.compress(body.encode()))
        mapping[text.stem] = (address, str(path))
    return mapping
