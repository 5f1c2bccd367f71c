"""Address of a database, without ever showing the password."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.files.disk import as_path, reason
from crucible_nb.utils.optional import need

SCHEMES = ("postgresql://", "postgres://")
HOME = "CRUCIBLE_DIR"
"""Environment variable with the folder for the journals of experiments whose store is a database."""

_DEFAULTS = {
    "application_name": "crucible_nb", "connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10",
    "keepalives_count": "3", "tcp_user_timeout": "30000", "client_encoding": "utf8",
}  # fmt: skip
_NOT_A_STORE = "store='{}://...': expected a folder, such as 'runs/', 'postgresql://...' or None"
_AMBIGUOUS = (
    "store='postgresql://...': a host, a port or the database cannot be told from the password; in user and password, "
    "write '/' as %2F, '@' as %40, ':' as %3A, '?' as %3F"
)
_AUTHORITY = re.compile(
    r"(?:[^@]*@)?(?:(?:\[[^\]@]*\]|[^@:,\[\]]*)(?::\d*)?)(?:,(?:\[[^\]@]*\]|[^@:,\[\]]*)(?::\d*)?)*"
)
_SECRETS = ("password", "sslpassword", "passfile")
_LOCATION = ("host", "hostaddr", "port", "dbname")
_PLAIN = re.compile(r"[^A-Za-z0-9.]+")


def _is_ambiguous(text: str) -> bool:
    """Return whether an unescaped character of a password may be read as the end of it: parts of it would be shown."""
    authority, _, name = text.partition("://")[2].partition("?")[0].partition("/")
    return "@" in name or "/" in name or _AUTHORITY.fullmatch(authority) is None


class Address:
    """Address of a database, given as `store=`; its repr and its errors hold no password, and it is never pickled.

    Parts missing in the URL come from the sources of libpq: PGHOST, PGPASSWORD, ~/.pgpass and so on.

    The constructor never fails, because a traceback would show the URL; using an invalid address does.

    Args:
        text: A postgresql:// URL.
    """

    def __init__(self, text: str) -> None:
        self._given: dict[str, Any] = {}
        self._wrong = "" if text.startswith(SCHEMES) else _NOT_A_STORE.format(text.partition("://")[0])
        try:
            self._psycopg: Any = need("psycopg", "postgres", "store='postgresql://...'")
            if not self._wrong and _is_ambiguous(text):
                self._wrong = _AMBIGUOUS
            if not self._wrong:
                self._given = dict(self._psycopg.conninfo.conninfo_to_dict(text))
        except ConfigError as error:
            self._wrong = self._wrong or str(error)
        except self._psycopg.Error:
            self._wrong = "store='postgresql://...': expected an address such as postgresql://user@host:5432/database"
        self._secrets = _secret_texts(self._given, text)

    def check(self) -> Address:
        """Return the address itself, if it is valid.

        Raises:
            ConfigError: The URL is invalid, or psycopg is not installed.
        """
        if self._wrong:
            raise ConfigError(self._wrong)
        return self

    def __repr__(self) -> str:
        host, port, name = (self._given.get(key) for key in ("host", "port", "dbname"))
        where = f"{host or self._given.get('hostaddr') or ''}{f':{port}' if port else ''}"
        return f"postgresql://{where}/{name or ''}"

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} is not pickled: it may hold a password")

    @property
    def root(self) -> Path:
        """Local folder of the journals: one per database, in CRUCIBLE_DIR or ~/.crucible_nb."""
        self.check()
        home = os.environ.get(HOME)
        location = [str(self._given.get(key) or "") for key in _LOCATION]
        readable = _PLAIN.sub("-", "-".join(filter(None, location))).strip("-.")[-60:]
        digest = sha256("\0".join(location).encode()).hexdigest()[:12]
        base = as_path(home).absolute() if home else Path.home() / ".crucible_nb"
        return base / f"postgresql-{readable}-{digest}"

    def connect(self) -> Any:
        """Open a connection in autocommit mode.

        Raises:
            StoreError: The database cannot be reached.
        """
        self.check()
        try:
            connection = self._psycopg.connect(**{**_DEFAULTS, **self._given}, autocommit=True, prepare_threshold=None)
            connection.execute("set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1")
            return connection
        except self._psycopg.Error as error:
            why = self.reason(error)
        raise StoreError(f"cannot reach {self!r}: {why}")  # not in the handler, whose frames hold the password

    def reason(self, error: BaseException) -> str:
        """Return the first line of an exception without secrets."""
        text = reason(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _secret_texts(given: dict[str, Any], text: str) -> list[str]:
    """Return all forms in which a password may occur in a text, the longest first."""
    secrets = [str(given[key]) for key in _SECRETS if given.get(key)]
    return sorted({*secrets, *(quote(secret, safe="") for secret in secrets), text}, key=len, reverse=True)


def address_of(store: Any) -> Any:
    """Return the Address if `store` is any URL (so no message repeats its password), else `store` itself."""
    return Address(store) if isinstance(store, str) and "://" in store else store
