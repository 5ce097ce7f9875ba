"""The PostgreSQL roles of the processes: made, given their rights, and compared with what they should be.

Each process signs in as a role of its own, which owns nothing and may do what ``database_rights`` names. Migrations,
backup and restore are done by the owner of the tables. SQLite knows no roles.

Foreign keys are looked at by PostgreSQL with the rights of the tables' owner, and identity columns need no right to
their sequence, so neither needs a grant (docs/reliability.md#postgresql-roles).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils.translation import gettext as _

from kmes.core.secret_types import SecretText
from kmes.operations.database_rights import PROCESSES, TABLES

OWNER = "owner"
PUBLIC = "PUBLIC"
# What none of them may have, by the column of pg_roles.
_POWERS = {
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
_CONFINED = " ".join(f"NO{power}" for power in _POWERS.values())
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,30}")


@dataclass(frozen=True, order=True)
class Grant:
    """One right: a role, a table, one of its columns or "" for the whole table, and what may be done with it."""

    role: str
    table: str
    column: str
    privilege: str

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        return f"{self.role}: {self.privilege} on {place}"


class RoleError(Exception):
    """The roles can't be made as this role of the database; the text says what an administrator has to run."""


def is_used() -> bool:
    """Return whether the database is one that knows roles."""
    return connection.vendor == "postgresql"


def role_of(process: str) -> str:
    """Return the name of a process's role.

    Raises:
        ImproperlyConfigured: the prefix can't begin a role's name.

    """
    prefix: str = settings.KMES_DATABASE_ROLE_PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise ImproperlyConfigured(
            _("KMES_DATABASE_ROLE_PREFIX must be lower-case letters, digits and underscores, and begin with a letter.")
        )
    return prefix + process


def roles() -> list[str]:
    """Return the names of all processes' roles."""
    return [role_of(process) for process in PROCESSES]


def are_there() -> bool:
    """Return whether each process has its role."""
    return len(_read("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [roles()])) == len(PROCESSES)


# --- Making them ----------------------------------------------------------------------------
def make_roles(password_of: Callable[[str], SecretText | None]) -> list[str]:
    """Make the roles that are missing, take from all of them what they must not have, and set their passwords.

    Where the tables' owner is a superuser, a role "owner" is made too, and gets them and the database: what a migration
    or a restore does is then no superuser's. Return the names of the roles that were made.

    Raises:
        RoleError: this role may not make roles, and some are missing.

    """
    wanted = list(PROCESSES)
    owner = current_owner()
    replaces_owner = _is_superuser(owner) or owner == role_of(OWNER)
    if replaces_owner:
        wanted.append(OWNER)
    present = {name for (name,) in _read("SELECT rolname FROM pg_roles")}
    missing = [role_of(process) for process in wanted if role_of(process) not in present]
    if not _may_make_roles():
        if missing:
            lines = [f"CREATE ROLE {_quoted(name)} LOGIN {_CONFINED};" for name in missing]
            raise RoleError("\n".join(lines))
        return []
    with transaction.atomic():
        for process in wanted:
            name = _quoted(role_of(process))
            if role_of(process) in missing:
                _run(f"CREATE ROLE {name} LOGIN {_CONFINED}")
            elif _is_superuser(current_role()):
                # Only a superuser may name all of these powers, even to take them away.
                _run(f"ALTER ROLE {name} {_CONFINED}")
            if password := password_of(process):
                _run(f"ALTER ROLE {name} LOGIN PASSWORD {_literal(_verifier(role_of(process), password))}")
        if replaces_owner and _is_superuser(current_role()):
            _give_everything_to(role_of(OWNER))
    return missing


def current_owner() -> str:
    """Return the owner of the console's tables; of an empty database, the role that this is."""
    found = _read(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'django_migrations'"
        " AND relnamespace = current_schema()::regnamespace"
    )
    return str(found[0][0]) if found else current_role()


def _give_everything_to(owner: str) -> None:
    """Make a role the owner of the database, its schema and all that lies in it."""
    _run(f"ALTER DATABASE {_quoted(str(connection.settings_dict['NAME']))} OWNER TO {_quoted(owner)}")
    _run(f"ALTER SCHEMA {_quoted(_schema())} OWNER TO {_quoted(owner)}")
    for (table,) in _read(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v')"
    ):
        _run(f"ALTER TABLE {_quoted(table)} OWNER TO {_quoted(owner)}")
    for (function,) in _read(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    ):
        _run(f"ALTER FUNCTION {function} OWNER TO {_quoted(owner)}")


def _verifier(role: str, password: SecretText) -> str:
    """Return what PostgreSQL keeps of a password, so that the password itself reaches no log of the server."""
    connection.ensure_connection()
    made = connection.connection.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
    return str(made.decode())


# --- Their rights ---------------------------------------------------------------------------
def wanted_grants() -> set[Grant]:
    """Return every right that a role should have on the tables and columns that exist."""
    existing = _columns()
    found = set()
    for table, rights in TABLES.items():
        if table not in existing:
            continue
        for process, own in rights.processes.items():
            role = role_of(process)
            for privilege, columns in (("SELECT", own.read), ("INSERT", own.insert), ("UPDATE", own.update)):
                found |= {Grant(role, table, column, privilege) for column in columns if column in existing[table]}
            if own.delete:
                found.add(Grant(role, table, "", "DELETE"))
    return found


def present_grants() -> set[Grant]:
    """Return every right that the roles and PUBLIC have on tables, columns and sequences."""
    rows = _read(
        "SELECT coalesce(rolname, 'PUBLIC'), relname, '', privilege_type"
        " FROM pg_class, aclexplode(relacl) LEFT JOIN pg_roles ON pg_roles.oid = grantee"
        " WHERE relnamespace = current_schema()::regnamespace AND (grantee = 0 OR rolname = ANY(%s))"
        " UNION ALL "
        "SELECT coalesce(rolname, 'PUBLIC'), relname, attname, privilege_type"
        " FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, aclexplode(attacl)"
        " LEFT JOIN pg_roles ON pg_roles.oid = grantee"
        " WHERE relnamespace = current_schema()::regnamespace AND NOT attisdropped AND (grantee = 0 OR rolname = ANY(%s))",
        [roles(), roles()],
    )
    return {Grant(*row) for row in rows}


def grant_rights() -> int:
    """Take what the roles have too much and give what they lack, in one transaction. Return how many rights changed.

    Must be done by the owner of the tables.
    """
    with transaction.atomic():
        wanted, present = wanted_grants(), present_grants()
        _change("REVOKE", "FROM", present - wanted)
        # A right on the whole table takes those on its columns with it.
        _change("GRANT", "TO", wanted - present_grants())
        names = ", ".join(map(_quoted, roles()))
        _run(f"REVOKE CREATE ON SCHEMA {_quoted(_schema())} FROM PUBLIC, {names}")
        _run(f"GRANT USAGE ON SCHEMA {_quoted(_schema())} TO {names}")
        database = _quoted(str(connection.settings_dict["NAME"]))
        # Temporary tables would come before the console's own of the same name.
        _run(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {names}")
        _run(f"GRANT CONNECT ON DATABASE {database} TO {names}")
        return len(wanted ^ present)


def _change(verb: str, between: str, grants: Iterable[Grant]) -> None:
    for (role, table), privileges in _by_table(grants).items():
        to = role if role == PUBLIC else _quoted(role)
        _run(f"{verb} {', '.join(privileges)} ON {_quoted(table)} {between} {to}")


def may_grant() -> bool:
    """Return whether all roles are there, and this one may give them their rights."""
    return are_there() and (current_owner() == current_role() or _is_superuser(current_role()))


def _by_table(grants: Iterable[Grant]) -> dict[tuple[str, str], list[str]]:
    """Return the rights in the words of GRANT, for each role and table."""
    columns: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for grant in sorted(grants):
        columns[grant.role, grant.table][grant.privilege].append(grant.column)
    return {
        place: [
            privilege if "" in names else f"{privilege} ({', '.join(map(_quoted, names))})"
            for privilege, names in found.items()
        ]
        for place, found in columns.items()
    }


# --- What is not as it should be ---------------------------------------------------------------
def find_faults() -> list[str]:
    """Return in sentences what differs from what should be; each role's powers, memberships and possessions included."""
    names = roles()
    present = {row[0]: row[1:] for row in _read(f"SELECT rolname, {', '.join(_POWERS)} FROM pg_roles")}  # noqa: S608
    faults = [f"the role {name} is missing" for name in names if name not in present]
    if faults:
        return faults
    for name in names:
        faults += [
            f"{name} has the power {power}" for power, has in zip(_POWERS.values(), present[name], strict=True) if has
        ]
    members = "SELECT pg_get_userbyid(member), pg_get_userbyid(roleid) FROM pg_auth_members WHERE pg_get_userbyid(member) = ANY(%s)"
    faults += [f"{name} is a member of {group}" for name, group in _read(members, [names])]
    owned = (
        "SELECT pg_get_userbyid(relowner), relname FROM pg_class WHERE pg_get_userbyid(relowner) = ANY(%s)"
        " UNION ALL SELECT pg_get_userbyid(proowner), proname FROM pg_proc WHERE pg_get_userbyid(proowner) = ANY(%s)"
        " UNION ALL SELECT pg_get_userbyid(nspowner), nspname FROM pg_namespace WHERE pg_get_userbyid(nspowner) = ANY(%s)"
    )
    faults += [f"{name} owns {what}" for name, what in _read(owned, [names, names, names])]
    owner = current_owner()
    # An empty database belongs to whoever migrates it.
    if _columns() and _is_superuser(owner):
        faults.append(f"the tables belong to {owner}, a superuser")
    strange = "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prosecdef"
    faults += [f"the function {name} acts with its owner's rights" for (name,) in _read(strange)]
    faults += _faults_of_places(names)
    wanted, given = wanted_grants(), present_grants()
    faults += [f"{grant} is missing" for grant in sorted(wanted - given)]
    faults += [f"{grant} is too much" for grant in sorted(given - wanted)]
    return faults


def _faults_of_places(names: list[str]) -> list[str]:
    """Return what everybody or one of the roles may do with the database and the schema beyond what it needs."""
    rows = _read(
        "SELECT 'the database', coalesce(rolname, 'PUBLIC'), privilege_type"
        " FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) LEFT JOIN pg_roles ON pg_roles.oid = grantee"
        " WHERE datname = current_database() AND (grantee = 0 OR rolname = ANY(%s)) UNION ALL "
        "SELECT 'the schema', coalesce(rolname, 'PUBLIC'), privilege_type"
        " FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))"
        " LEFT JOIN pg_roles ON pg_roles.oid = grantee"
        " WHERE nspname = current_schema() AND (grantee = 0 OR rolname = ANY(%s))",
        [names, names],
    )
    allowed = {("the schema", PUBLIC, "USAGE")}
    allowed |= {("the database", name, "CONNECT") for name in names} | {("the schema", name, "USAGE") for name in names}
    return [
        f"{role}: {privilege} on {place} is too much"
        for place, role, privilege in rows
        if (place, role, privilege) not in allowed
    ]


# --- The database's own words -----------------------------------------------------------------
def _read(query: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))


def _literal(text: str) -> str:
    """Return a text without quotes or backslashes as a literal, where PostgreSQL takes no parameter."""
    if "'" in text or "\\" in text:
        message = "a verifier holds base 64, numbers and punctuation only"
        raise ValueError(message)
    return f"'{text}'"


def current_role() -> str:
    """Return the role that this process has signed in as."""
    return str(_read("SELECT current_user")[0][0])


def _schema() -> str:
    return str(_read("SELECT current_schema()")[0][0])


def _columns() -> dict[str, set[str]]:
    """Return the columns of each table that exists; in the midst of migrations some are missing."""
    found: dict[str, set[str]] = defaultdict(set)
    for table, column in _read(
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped"
    ):
        found[table].add(column)
    return found


def _is_superuser(role: str) -> bool:
    found = _read("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])
    return bool(found and found[0][0])


def _may_make_roles() -> bool:
    return bool(_read("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")[0][0])
