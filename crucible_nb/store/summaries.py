"""A small summary beside the files of an ended experiment: a store is listed without reading its events.

It can be rebuilt from the other files at any time, and is not part of an archive or a copy.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import adler32

import orjson

from crucible_nb.files.disk import reason
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.syscalls import read_regular, write_whole
from crucible_nb.utils.interrupts import let_pass

SUMMARY = "summary.json"
_VERSION = 1
_MAX_BYTES = 4 << 20


def read_summary(folder: ExperimentFolder) -> dict[str, Any] | None:
    """Return the summary of an experiment; None if there is none, or its files have changed since."""
    try:
        content = _read(folder.path / SUMMARY)
        return content if {"files": content.get("files"), "given": content.get("given")} == _state(folder) else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        let_pass(error)
        return None


def write_summary(folder: ExperimentFolder, content: dict[str, Any]) -> bool:
    """Write the summary of an ended experiment; return whether that was possible.

    Args:
        folder: Folder of the experiment.
        content: Plain data.
    """
    with suppress(OSError):
        body = orjson.dumps({**content, **_state(folder)})
        whole = {"version": _VERSION, "checksum": adler32(body), "summary": orjson.Fragment(body)}
        return write_whole(folder.path / SUMMARY, orjson.dumps(whole))
    return False


def check_summary(folder: ExperimentFolder) -> tuple[Path, str] | None:
    """Return the path of the summary and why it cannot be read, "" if it can; None if there is none."""
    path = folder.path / SUMMARY
    try:
        _read(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        let_pass(error)
        return path, f"{reason(error)}; remove it, it is written again when the store is listed"
    return path, ""


def _state(folder: ExperimentFolder) -> dict[str, Any]:
    """Return what an experiment's files look like; a summary of another state is not used."""
    return {"files": folder.sizes(), "given": folder.facts_checksum()}


def _read(path: Path) -> dict[str, Any]:
    data = read_regular(path)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"it has {len(data):,} bytes")
    whole = orjson.loads(data)
    content = whole["summary"]
    if whole["version"] != _VERSION:
        raise ValueError(f"version {whole['version']!r} is not known")
    if not isinstance(content, dict) or adler32(orjson.dumps(content)) != whole["checksum"]:
        raise ValueError("its checksum is wrong")
    return content
