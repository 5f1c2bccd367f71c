"""Tables, their version, and the migrations between versions; no name in them comes from data."""

from __future__ import annotations

from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.events.schema import COLUMNS, Kind

TYPES: dict[Kind, str] = {
    "category": "text", "string": "text", "float": "double precision", "integer": "bigint", "boolean": "boolean",
    "flag": "boolean not null default false", "count": "bigint not null",
}  # fmt: skip
_IN_EXTRA = frozenset(
    (
        "metadata", "reasoning_tokens", "ttft_ms", "streamed", "attempts", "trace_id", "span_id", "parent_id",
        "twin_of", "epoch_progress",
    )
)  # fmt: skip
"""Columns that are in the JSON object: those registered later stay where earlier releases put them."""

TYPED = tuple(name for name in COLUMNS if name not in _IN_EXTRA)
"""Event columns with their own table column; the others are in the JSON object `extra`."""

_LOCK = 0x637275636962
"""Key of the advisory lock that lets one process at a time change the tables."""

_EVENTS = ",\n    ".join(
    f"{name} {'double precision not null default 1' if name == 'weight' else TYPES[COLUMNS[name].kind]}"
    for name in TYPED
)

MIGRATIONS = (
    f"""
create schema if not exists crucible;
create table crucible.version (version integer not null, since timestamptz not null default now());
create table crucible.experiments (
    id uuid primary key,
    name text not null,
    condition text,
    status text not null,
    started_at timestamptz,
    stopped_at timestamptz,
    total_events bigint not null default 0,
    summary json not null,
    facts json not null,
    prices bytea not null,
    host text not null,
    pid integer not null,
    complete boolean not null default false,
    beat timestamptz not null default now(),
    created timestamptz not null default clock_timestamp()
);
create index experiments_name on crucible.experiments (name);
create table crucible.writers (
    experiment uuid not null references crucible.experiments (id),
    writer integer not null,
    next_seq bigint not null default 0,
    sample_from bigint,
    prices text not null default '',
    first_time timestamptz,
    last_time timestamptz,
    state_seq bigint not null default 0,
    state bytea,
    copied timestamptz not null default now(),
    primary key (experiment, writer)
);
create table crucible.events (
    experiment uuid not null,
    time timestamptz not null,
    writer integer not null,
    nanos smallint not null default 0,
    {_EVENTS},
    metadata jsonb,
    extra jsonb
);
create index events_time on crucible.events using brin (time) with (pages_per_range = 32);
""",
    "alter table crucible.writers add session text;",
)
"""SQL of each migration, forward only: the n-th makes version n + 1 of version n."""

VERSION = len(MIGRATIONS)
_ADD_VERSION = "insert into crucible.version (version) values (%d)"


def script() -> str:
    """Return SQL for psql that makes this version of any earlier one, if the writing role may not change tables."""
    steps = "".join(
        f"if found < {version} then\n{step.strip()}\n{_ADD_VERSION % version};\nend if;\n"
        for version, step in enumerate(MIGRATIONS, 1)
    )
    return f"""do $crucible$
declare found integer := 0;
begin
if to_regclass('crucible.version') is not null then
found := (select max(version) from crucible.version);
if coalesce(found, 0) < 1 then raise exception '{_UNKNOWN}'; end if;
end if;
{steps}end $crucible$;
"""


def rights(role: str) -> str:
    """Return SQL for psql that grants a role only the rights it needs to write.

    Args:
        role: Name of the role.
    """
    name = '"' + role.replace('"', '""') + '"'
    return f"""
grant usage on schema crucible to {name};
grant select on crucible.version to {name};
grant select, insert, update on crucible.experiments, crucible.writers to {name};
grant select, insert, delete on crucible.events to {name};
"""


def ensure(connection: Any) -> None:
    """Create or migrate the tables to this version; if they have it, no right to change tables is needed.

    Raises:
        StoreError: The tables have another version that is unknown here, or this role may not create them.
    """
    if connection.execute("show server_encoding").fetchone()[0] != "UTF8":
        raise StoreError("the database is not in UTF8 and cannot hold all text: create it with encoding 'UTF8'")
    if find_version(connection) < VERSION:
        _migrate(connection)
    _check_types(connection)


def find_version(connection: Any) -> int:
    """Return the version of the tables, 0 if there are none.

    Raises:
        StoreError: The version is not known, or that of a later release.
    """
    if connection.execute("select to_regclass('crucible.version')").fetchone()[0] is None:
        return 0
    version = connection.execute("select max(version) from crucible.version").fetchone()[0]
    if version is None or version < 1:
        raise StoreError(_UNKNOWN)
    if version > VERSION:
        raise StoreError(f"the tables have version {version}, this release reads up to {VERSION}; upgrade crucible_nb")
    return int(version)


_UNKNOWN = "crucible.version does not say which version the tables have; put back the row that was in it"


def _migrate(connection: Any) -> None:
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        now = find_version(connection)
        try:
            for version, step in enumerate(MIGRATIONS[now:], now + 1):
                connection.execute(step)
                connection.execute(_ADD_VERSION % version)
        except Exception as error:
            if getattr(error, "sqlstate", None) != "42501":
                raise
            raise StoreError(
                "this role may not create the tables: ask their owner to run `python -m crucible_nb postgres | psql`"
            ) from error


_TYPES = "select attname, format_type(atttypid, null) from pg_attribute where attrelid = 'crucible.events'::regclass"


def _check_types(connection: Any) -> None:
    """Compare the types of the columns: rows are sent as bytes of these types, which another type would misread.

    Raises:
        StoreError: A column is missing or has another type.
    """
    found = dict(connection.execute(f"{_TYPES} and attnum > 0 and not attisdropped").fetchall())
    wanted = {name: TYPES[COLUMNS[name].kind].split(" not ")[0] for name in TYPED}
    wrong = [f"{name} is {found.get(name, 'missing')}, not {sql}" for name, sql in wanted.items()
             if found.get(name) != sql]  # fmt: skip
    if wrong:
        raise StoreError(f"columns of crucible.events have been changed: {'; '.join(wrong)}; change them back")
