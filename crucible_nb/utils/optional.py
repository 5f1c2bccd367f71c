"""Optional packages: imported where used, with one message that names the extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from crucible_nb.errors import ConfigError


def need(package: str, extra: str, purpose: str) -> ModuleType:
    """Import `package`, or say which extra brings it. Only its own absence is caught."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise ConfigError(f"{purpose} needs {package}: pip install 'crucible_nb[{extra}]'") from error


def have(package: str) -> ModuleType | None:
    """`package` when it is installed, else None."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        return None
