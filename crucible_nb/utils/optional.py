"""Import optional packages on use; the error names the extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from crucible_nb.errors import ConfigError


def need(package: str, extra: str, purpose: str) -> ModuleType:
    """Import `package`, or raise ConfigError naming the extra that installs it; other import errors propagate."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if not _is_absent(package, error):
            raise
        raise ConfigError(f"{purpose} needs {package}: pip install 'crucible_nb[{extra}]'") from error


def have(package: str) -> ModuleType | None:
    """Import `package` if it is installed, else return None; other import errors propagate."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if not _is_absent(package, error):
            raise
        return None


def _is_absent(package: str, error: ModuleNotFoundError) -> bool:
    """Return whether the package itself is missing, or a part of its name (`google` may be there without `genai`)."""
    return error.name is not None and f"{package}.".startswith(f"{error.name}.")
