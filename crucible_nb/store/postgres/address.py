"""Where a database is, without ever saying the password."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.files.disk import reason
from crucible_nb.utils.optional import need

SCHEMES = ("postgresql://", "postgres://")
HOME = "CRUCIBLE_DIR"
"""Environment variable: the folder under which journals of experiments stand that have a database for a store."""

_DEFAULTS = {
    "application_name": "crucible_nb", "connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10",
    "keepalives_count": "3", "tcp_user_timeout": "30000", "client_encoding": "utf8",
}  # fmt: skip
_STRANGE = "store='{}://...': expected a folder, such as 'runs/', 'postgresql://...' or None"
_SECRETS = ("password", "sslpassword", "passfile")
_PLACE = ("host", "hostaddr", "port", "dbname")
_PLAIN = re.compile(r"[^A-Za-z0-9.]+")


class Address:
    """A database, as `store=` names it. Its repr, its errors and its pickles hold no password.

    What the text leaves out comes from where libpq looks for it: PGHOST, PGPASSWORD, ~/.pgpass and the like.

    Making one never fails, for then the text would stand in a traceback; using a wrong one does.

    Args:
        text: A postgresql:// URL.
    """

    def __init__(self, text: str) -> None:
        self._given: dict[str, Any] = {}
        self._wrong = "" if text.startswith(SCHEMES) else _STRANGE.format(text.partition("://")[0])
        try:
            self._psycopg: Any = need("psycopg", "postgres", "store='postgresql://...'")
            if not self._wrong:
                self._given = dict(self._psycopg.conninfo.conninfo_to_dict(text))
        except ConfigError as error:
            self._wrong = self._wrong or str(error)
        except self._psycopg.Error:
            self._wrong = "store='postgresql://...': expected an address such as postgresql://user@host:5432/database"
        self._secrets = _said(self._given, text)

    def check(self) -> Address:
        """Itself.

        Raises:
            ConfigError: It is no address, or psycopg is not installed.
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
        """The local folder of its journals: one a database, under CRUCIBLE_DIR or ~/.crucible_nb."""
        self.check()
        home = os.environ.get(HOME)
        place = [str(self._given.get(key) or "") for key in _PLACE]
        readable = _PLAIN.sub("-", "-".join(filter(None, place))).strip("-.")[-60:]
        digest = sha256("\0".join(place).encode()).hexdigest()[:12]
        return (Path(home) if home else Path.home() / ".crucible_nb") / f"postgresql-{readable}-{digest}"

    def connect(self) -> Any:
        """A new connection in autocommit.

        Raises:
            StoreError: There is none to be had.
        """
        self.check()
        try:
            made = self._psycopg.connect(**{**_DEFAULTS, **self._given}, autocommit=True, prepare_threshold=None)
            made.execute("set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1")
            return made
        except self._psycopg.Error as error:
            said = self.reason(error)
        raise StoreError(f"cannot reach {self!r}: {said}")  # outside of the handler: no frame of it knows a password

    def reason(self, error: BaseException) -> str:
        """The first line of an exception, with nothing secret in it."""
        text = reason(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _said(given: dict[str, Any], text: str) -> list[str]:
    """All ways in which a password may turn up in a text."""
    found = [str(given[key]) for key in _SECRETS if given.get(key)]
    return sorted({*found, *(quote(one, safe="") for one in found), text}, key=len, reverse=True)


def address_of(store: Any) -> Any:
    """`store`, or the Address that it names; any URL is taken for one, so that nobody repeats its password."""
    return Address(store) if isinstance(store, str) and "://" in store else store
