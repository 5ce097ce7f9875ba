"""What the role of each process at PostgreSQL tries beyond its work; every statement is refused.

The server is a real one with passwords, and the roles are made by the command that an operator runs.
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors, sql

from tests import services
from tests.operations.installation import Installation

pytestmark = pytest.mark.timeout(240)
PROCESSES = ("web", "worker", "reports")
IS_READABLE = """
from kmes.accounts.models import User
print("is in use" if User.objects.filter(last_login__isnull=False) else "is not in use")
"""


def only_passwords(folder, server):
    """Let the server ask everybody but its superuser for a password."""
    (folder / "data" / "pg_hba.conf").write_text("host all kmes all trust\nhost all all all scram-sha-256\n")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")


def address_of(process, server, folder, database="postgres"):
    """The DATABASE_URL of a process's role, with the password that the command made."""
    password = (folder / process / "password").read_text()
    place = server.rpartition("@")[2].rpartition("/")[0]
    return f"postgres://kmes_{process}:{password}@{place}/{database}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A PostgreSQL as docker-compose.yml has it: its superuser made the tables of an earlier release."""
    folder = services.open_folder("kmes-roles-")
    with services.running_postgres(folder / "postgres") as url:
        only_passwords(folder / "postgres", url)
        yield url


@pytest.fixture(scope="module")
def passwords(server, tmp_path_factory):
    """The folder of the roles' passwords, after the one command of an upgrade."""
    installation = Installation(tmp_path_factory.mktemp("roles"), database_url=server)
    installation.manage("migrate", "--verbosity", "0")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO accounts_user (username, password, role, is_superuser, is_staff, is_active, first_name, last_name, email,"
            " date_joined) VALUES ('ada', 'the hash', 'admin', false, false, true, '', '', '', now())"
        )
        connection.execute("INSERT INTO logging_reports_loghead VALUES ('audit', 7, 'x')")
        connection.execute("ANALYZE")
    folder = installation.folder / "database"
    said = installation.manage("database_roles", "--passwords", str(folder)).stdout
    assert "made the role kmes_web" in said
    assert "each role has what it needs and nothing else" in said
    return folder


@pytest.fixture
def enter(server, passwords):
    """Open a connection as a process; all are closed afterwards."""
    opened = []

    def connect(process):
        opened.append(psycopg.connect(address_of(process, server, passwords), autocommit=True))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


OF_NOBODY = [
    # The log, by grant as well as by trigger.
    "UPDATE logging_reports_logentry SET message = 'x'",
    "DELETE FROM logging_reports_logentry",
    "TRUNCATE logging_reports_logentry",
    "DELETE FROM logging_reports_loghead",
    "UPDATE logging_reports_loghead SET service = 'x'",
    # Numbers that the next rows would get.
    "INSERT INTO logging_reports_logentry (id, service) VALUES (1000000, 'audit')",
    "SELECT setval('logging_reports_logentry_id_seq', 9223372036854775807)",
    "UPDATE logging_reports_logcheckpoint SET signature = ''",
    "DELETE FROM logging_reports_logcheckpoint",
    "UPDATE logging_reports_checkpointtimestamp SET response = ''",
    "ALTER TABLE logging_reports_logentry DISABLE TRIGGER ALL",
    "DROP TRIGGER kmes_log_immutable ON logging_reports_logentry",
    "CREATE OR REPLACE FUNCTION kmes_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
    "CREATE RULE r AS ON INSERT TO logging_reports_logentry DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    # Requests, once they are signed.
    "UPDATE jobs_job SET params = '{}'",
    "UPDATE jobs_job SET trigger = 'schedule'",
    "UPDATE jobs_job SET kind = 'destroy'",
    "UPDATE jobs_job SET request_signature = ''",
    "UPDATE jobs_job SET requested_by_id = 1",
    "UPDATE jobs_jobtarget SET key_id = NULL",
    "UPDATE jobs_certification SET request_signature = ''",
    "DELETE FROM jobs_job",
    # The device's keys, as the database knows them.
    "UPDATE hsm_hsmdevice SET mfk_public_spki = ''",
    "INSERT INTO hsm_hsmdevice (serial) VALUES ('x')",
    # A key's place and name.
    "UPDATE keygroups_key SET group_id = NULL",
    "UPDATE keygroups_key SET public_spki = ''",
    "DELETE FROM keygroups_key",
    # More rights.
    "ALTER TABLE keygroups_key OWNER TO CURRENT_USER",
    "GRANT SELECT ON keygroups_key TO PUBLIC WITH GRANT OPTION",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CREATEROLE",
    "CREATE ROLE mine SUPERUSER",
    "SET ROLE kmes_owner",
    "SET ROLE kmes",
    "SET SESSION AUTHORIZATION kmes",
    "ALTER DEFAULT PRIVILEGES FOR ROLE kmes_owner GRANT ALL ON TABLES TO CURRENT_USER",
    # Things of its own, which would come before the console's or fill the disk.
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMP TABLE logging_reports_logentry (id int)",
    "CREATE SCHEMA mine",
    "CREATE EXTENSION dblink",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "CREATE DATABASE mine",
    # The server's machine.
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY logging_reports_notice FROM PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/kmes-roles'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kmes'",
    "ALTER SYSTEM SET log_statement = 'all'",
    "SELECT rolpassword FROM pg_authid",
    "DROP TABLE django_migrations",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('jobs', '9999', now())",
    "BEGIN; LOCK TABLE keygroups_key IN ACCESS EXCLUSIVE MODE",
]
OF_WEB = [
    "SELECT wrapped_private FROM keygroups_key",
    "SELECT mark FROM keygroups_key",
    "SELECT * FROM keygroups_key",
    "SELECT k FROM keygroups_key k",
    "SELECT to_jsonb(k) FROM keygroups_key k",
    "COPY keygroups_key TO STDOUT",
    "SELECT 1 FROM keygroups_key WHERE wrapped_private > ''",
    "UPDATE cloudcreds_signincertificate SET sealed_key = ''",
    "UPDATE cloudcreds_signincertificate SET wrapped_key = ''",
    "UPDATE keygroups_key SET wrapped_private = ''",
    "UPDATE keygroups_key SET mark = ''",
    "UPDATE keygroups_key SET state = 'present'",
    "INSERT INTO keygroups_key (name) VALUES ('x')",
    "UPDATE jobs_job SET lease_until = now()",
    "UPDATE jobs_jobtarget SET state = 'done'",
    "UPDATE jobs_certification SET report = ''",
    "INSERT INTO jobs_intent (id) VALUES (gen_random_uuid())",
    "UPDATE jobs_intent SET state = 'done'",
    "INSERT INTO logging_reports_logcheckpoint (number) VALUES (1)",
    "UPDATE accounts_user SET is_superuser = true",
]
OF_WORKER = [
    "SELECT password FROM accounts_user",
    "UPDATE accounts_user SET role = 'admin'",
    "INSERT INTO accounts_user (username) VALUES ('x')",
    "SELECT session_data FROM accounts_consolesession",
    "SELECT sealed_seed FROM accounts_authenticatorapp",
    "INSERT INTO accounts_consolesession (digest) VALUES ('x')",
    "UPDATE logging_reports_channel SET url = 'https://example.com/'",
    "INSERT INTO operations_storedoption (name) VALUES ('x')",
    "DELETE FROM keygroups_keygroup",
    "DELETE FROM cloudcreds_cloudcredential",
    "INSERT INTO jobs_certification (code) VALUES ('x')",
    "INSERT INTO logging_reports_checkpointtimestamp (number) VALUES (1)",
]
OF_REPORTS = [
    "SELECT password FROM accounts_user",
    "SELECT session_data FROM accounts_consolesession",
    "SELECT sealed_seed FROM accounts_authenticatorapp",
    "UPDATE accounts_user SET email = 'x'",
    *[
        f"SELECT 1 FROM {table}"  # noqa: S608 - names of our own
        for table in (
            *("keygroups_key", "keygroups_keygroup", "cloudcreds_cloudcredential", "cloudcreds_signincertificate"),
            *("cloudcreds_keyvault", "jobs_job", "jobs_jobtarget", "jobs_intent", "jobs_ephemeralkek", "hsm_hsmdevice"),
        )
    ],
    "SELECT sealed_secret FROM cloudcreds_cloudcredential",
    "SELECT sealed_key, wrapped_key FROM cloudcreds_signincertificate",
    "SELECT wrapped_private FROM keygroups_key",
    "INSERT INTO jobs_job (code) VALUES ('x')",
    "UPDATE logging_reports_channel SET url = 'https://example.com/'",
    "INSERT INTO logging_reports_logcheckpoint (number) VALUES (1)",
]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("statement", OF_NOBODY)
def test_no_process_does_what_is_for_the_owner_or_for_nobody(enter, process, statement):
    connection = enter(process)
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute(sql.SQL(statement))


@pytest.mark.parametrize(
    ("process", "statement"),
    [
        *[("web", statement) for statement in OF_WEB],
        *[("worker", statement) for statement in OF_WORKER],
        *[("reports", statement) for statement in OF_REPORTS],
    ],
)
def test_no_process_does_the_work_of_another_or_reads_its_secrets(enter, process, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        enter(process).execute(sql.SQL(statement))


@pytest.mark.parametrize("process", PROCESSES)
def test_statistics_tell_nothing_of_a_column_that_is_withheld(enter, process):
    """PostgreSQL keeps samples of each column for its planner."""
    found = "SELECT attname FROM pg_stats WHERE tablename = 'accounts_user' AND attname IN ('password', 'username')"
    names = {name for (name,) in enter(process).execute(found)}
    assert names == ({"password", "username"} if process == "web" else {"username"})


@pytest.mark.parametrize("process", PROCESSES)
def test_the_head_of_the_log_moves_forward_only(enter, process):
    connection = enter(process)
    connection.execute("UPDATE logging_reports_loghead SET sequence = sequence + 1")
    with pytest.raises(errors.RaiseException, match="append-only"):
        connection.execute("UPDATE logging_reports_loghead SET sequence = 1")


def test_nobody_gets_in_without_the_password_or_into_another_database(server, passwords):
    web = address_of("web", server, passwords)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(web.replace(":" + (passwords / "web" / "password").read_text(), ":guess"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE of_somebody_else")
        connection.execute("REVOKE CONNECT ON DATABASE of_somebody_else FROM PUBLIC")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(address_of("web", server, passwords, "of_somebody_else"))


def test_passwords_are_kept_as_verifiers_and_in_files_of_one_owner(server, passwords):
    for process in (*PROCESSES, "owner"):
        path = passwords / process / "password"
        assert path.stat().st_mode & 0o777 == 0o600
        with psycopg.connect(server) as connection:
            [kept] = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [f"kmes_{process}"])
        assert kept[0].startswith("SCRAM-SHA-256$")


def test_what_a_superuser_owned_belongs_to_a_role_without_power_that_still_migrates(server, passwords, tmp_path):
    owner = address_of("owner", server, passwords)
    with psycopg.connect(owner) as connection:
        [power] = connection.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        [of_others] = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_get_userbyid(relowner) <> current_user"
        )
        assert (power, of_others) == ((False,), (0,))
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("COPY django_migrations FROM PROGRAM 'id'")
    there = Installation(tmp_path / "owner", database_url=owner)
    there.manage("migrate", "--verbosity", "0", "operations", "zero")
    there.manage("migrate", "--verbosity", "0")
    assert "nothing else" in there.manage("database_roles", "--check").stdout


def test_an_empty_database_is_set_up_in_the_order_of_the_containers(server, passwords, tmp_path):
    """Roles by the superuser, then tables and first administrators by the owner: docker-compose.yml."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
    superuser = Installation(tmp_path / "superuser", database_url=f"{server.rpartition('/')[0]}/fresh")
    assert "nothing else" in superuser.manage("database_roles", "--passwords", str(passwords)).stdout
    owner = Installation(tmp_path / "owner", database_url=address_of("owner", server, passwords, "fresh"))
    handed = tmp_path / "handed"
    said = owner.run(
        "-m",
        "kmes.supervision.prepare",
        "database",
        "admins",
        KMES_FIRST_PASSWORDS_DIR=str(handed),
        KMES_ADMIN_PASSWORD="",
    ).stdout
    assert f"one-time password in {handed}/admin1" in said
    assert "nothing else" in owner.manage("database_roles", "--check").stdout
    web = Installation(tmp_path / "web", database_url=address_of("web", server, passwords, "fresh"))
    assert "is not in use" in web.run("manage.py", "shell", "-c", IS_READABLE, KMES_PROCESS="web").stdout
    # A restore makes every table anew.
    owner.manage("backup", str(tmp_path / "b"), "--plain", "--unsigned")
    owner.manage("restore", str(tmp_path / "b"), "--replace", "--without-device", "--accept-unsigned")
    assert "nothing else" in owner.manage("database_roles", "--check").stdout


def test_what_was_granted_by_hand_is_named_and_taken_away(server, passwords, tmp_path):
    here = Installation(tmp_path / "here", database_url=server)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON keygroups_key TO kmes_web")
        connection.execute("GRANT UPDATE (role) ON accounts_user TO PUBLIC")
        connection.execute("REVOKE INSERT (message) ON logging_reports_logentry FROM kmes_reports")
        connection.execute("ALTER ROLE kmes_web CREATEDB")
        connection.execute("GRANT CREATE ON SCHEMA public TO kmes_worker")
    found = here.manage("database_roles", "--check", check=False)
    assert found.returncode == 1
    for line in (
        "kmes_web: SELECT on keygroups_key is too much",
        "PUBLIC: UPDATE on accounts_user.role is too much",
        "kmes_reports: INSERT on logging_reports_logentry.message is missing",
        "kmes_web has the power CREATEDB",
        "kmes_worker: CREATE on the schema is too much",
    ):
        assert line in found.stderr
    assert "nothing else" in here.manage("database_roles").stdout
    assert "nothing else" in here.manage("database_roles", "--check").stdout


def test_a_member_of_another_role_is_named(server, passwords, tmp_path):
    here = Installation(tmp_path / "here", database_url=server)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("GRANT kmes_worker TO kmes_web")
        try:
            assert "kmes_web is a member of kmes_worker" in here.manage("database_roles", "--check", check=False).stderr
        finally:
            connection.execute("REVOKE kmes_worker FROM kmes_web")


def test_an_owner_that_may_not_make_roles_says_what_an_administrator_runs(server, tmp_path):
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'p'")
        connection.execute("CREATE DATABASE plain OWNER plain")
    place = server.rpartition("@")[2].rpartition("/")[0]
    own = Installation(
        tmp_path / "plain", database_url=f"postgres://plain:p@{place}/plain", KMES_DATABASE_ROLE_PREFIX="other_"
    )
    own.manage("migrate", "--verbosity", "0")
    refused = own.manage("database_roles", check=False)
    assert refused.returncode == 1
    wanted = [line for line in refused.stderr.splitlines() if line.startswith("CREATE ROLE")]
    assert len(wanted) == len(PROCESSES)
    with psycopg.connect(server, autocommit=True) as connection:
        for line in wanted:
            connection.execute(sql.SQL(line))
    assert "each role has what it needs" in own.manage("database_roles").stdout


def test_sqlite_has_no_roles_and_the_command_says_so(tmp_path):
    refused = Installation(tmp_path / "file", database_url=f"sqlite:///{tmp_path / 'db.sqlite3'}").manage(
        "database_roles", check=False
    )
    assert "every process can change every row" in refused.stderr


def test_a_deployment_check_names_a_process_that_signs_in_as_somebody_else(server, passwords, tmp_path):
    here = Installation(tmp_path / "check", database_url=server)
    check = ("manage.py", "check", "--deploy", "--tag", "deployment")
    as_owner = here.run(*check, check=False, KMES_PROCESS="web").stderr
    assert "as kmes, not as kmes_web" in as_owner
    assert "kmes.E007" in as_owner
    own = here.run(*check, check=False, KMES_PROCESS="web", DATABASE_URL=address_of("web", server, passwords)).stderr
    assert "kmes.E007" not in own
    assert "kmes.W012" in own
    assert "kmes.E008" not in here.run(*check, check=False).stderr
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON keygroups_key TO kmes_reports")
        try:
            assert "kmes_reports: SELECT on keygroups_key is too much" in here.run(*check, check=False).stderr
        finally:
            connection.execute("REVOKE SELECT ON keygroups_key FROM kmes_reports")
    here.manage("database_roles")
