"""All settings, read from environment variables (docs/configuration.md says what each means).

Defaults make an embedded development instance below ``var/``; a production installation sets DATABASE_URL,
KMES_REDIS_URL, KMES_ALLOWED_HOSTS and the HSM's module and PIN file.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from kmes import process_log
from kmes.core import redis_url, request_keys
from kmes.core.private_files import resolve_own
from kmes.secret_key import read_secret_key

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

KMES_STATE_DIR = Path(env.str("KMES_STATE_DIR", str(BASE_DIR / "var"))).resolve()
# Which of our processes this is. Of them web, beat and reports may open neither the HSM nor a stored cloud secret.
KMES_PROCESS = env.str("KMES_PROCESS", "manage")
KMES_INSECURE_HTTP = env.bool("KMES_INSECURE_HTTP", False)
KMES_SECRET_KEY_FILE = Path(env.str("KMES_SECRET_KEY_FILE", str(KMES_STATE_DIR / "secret_key")))
SECRET_KEY = read_secret_key(KMES_SECRET_KEY_FILE)
DEBUG = env.bool("KMES_DEBUG", False)
ALLOWED_HOSTS = env.list("KMES_ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.list("KMES_TRUSTED_ORIGINS", default=[])
# NULL scheme proxies: only where the installation says that its proxy sets the header.
if env.bool("KMES_BEHIND_TLS_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_tables2",
    "django_rq",
    "axes",
    "csp",
    "kmes.ui",
    "logging_reports",
    "kmes.accounts",
    "hsm",
    "cloudcreds",
    "keygroups",
    "jobs",
    "kmes.dashboard",
    "kmes.operations",
    "kmes.devtools",  # only for its command ``seed``: no page or task imports it
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Before the one that serves files, whose answers are compressed and have the policy as well.
    "kmes.ui.compression.CompressionMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "kmes.ui.middleware.StorableTextMiddleware",
    "kmes.accounts.middleware.SteadySessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "kmes.accounts.session_limits.SessionLimitMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "kmes.ui.middleware.ConsoleMiddleware",
    "kmes.accounts.middleware.FirstDutiesMiddleware",
    "kmes.accounts.second_factor.step_up.StepUpMiddleware",
    "kmes.accounts.dual_login.middleware.DualLoginMiddleware",
    "jobs.approvals.change_requests.ChangeRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "kmes.urls"
WSGI_APPLICATION = "kmes.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "kmes.ui.context.console",
                "kmes.accounts.context.session",
            ],
            "builtins": ["kmes.ui.templatetags.kmes_ui"],
        },
    },
]


def _sqlite_journal_mode() -> str:
    """Choose WAL only where SQLite has no WAL-reset bug (sqlite.org/wal.html#walresetbug).

    Versions before 3.51.3 can lose commits, save the patched 3.50.7+ and 3.44.6+.
    """
    version = sqlite3.sqlite_version_info
    patched = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "WAL" if patched else "DELETE"


# Resolved, because what SQLite and we put beside the file belongs beside the file itself, not beside a link to it.
EMBEDDED_DATABASE = resolve_own(KMES_STATE_DIR / "db.sqlite3", home=KMES_STATE_DIR)
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{EMBEDDED_DATABASE}")}
if password_file := env.str("KMES_DATABASE_PASSWORD_FILE", ""):
    DATABASES["default"]["PASSWORD"] = Path(password_file).read_text().strip()
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # IMMEDIATE takes the write lock at BEGIN: a read-then-write transaction then waits for its
    # turn instead of failing at once. FULL: a lost intent row would be a doubled key version.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            f"PRAGMA journal_mode={_sqlite_journal_mode()};PRAGMA synchronous=FULL;PRAGMA journal_size_limit=67108864;"
        ),
    }
    # Tests use a file as well: worker processes and lease threads must see the same rows.
    DATABASES["default"]["TEST"] = {"NAME": str(KMES_STATE_DIR / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# How the names of the processes' roles at PostgreSQL begin (kmes.operations.database_roles).
KMES_DATABASE_ROLE_PREFIX = env.str("KMES_DATABASE_ROLE_PREFIX", "kmes_")
DATABASES["default"]["CONN_MAX_AGE"] = env.int("KMES_DATABASE_CONN_MAX_AGE", 60)
ATOMIC_REQUESTS = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Sign-in -------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "kmes.accounts.breached_passwords.BreachedPasswordValidator"},
    {"NAME": "kmes.accounts.password_words.ContextWordValidator"},
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "dashboard:home"
LOGOUT_REDIRECT_URL = "accounts:login"
# Locked by user and address together, so that a stranger can't lock an administrator out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "kmes.accounts.views.locked_out"
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "kmes.accounts.client_address.of_request"
# Failed sign-ins within 15 minutes, after which an address, or a name from addresses new to it, is refused.
KMES_SIGN_IN_TRIES_PER_ADDRESS = env.int("KMES_SIGN_IN_TRIES_PER_ADDRESS", 50)
KMES_SIGN_IN_TRIES_PER_NAME = env.int("KMES_SIGN_IN_TRIES_PER_NAME", 30)
# Proxies in front that append the address they saw to X-Forwarded-For.
KMES_TRUSTED_PROXIES = env.int("KMES_TRUSTED_PROXIES", 1 if env.bool("KMES_BEHIND_TLS_PROXY", False) else 0)
KMES_ONE_TIME_PASSWORD_HOURS = env.int("KMES_ONE_TIME_PASSWORD_HOURS", 72)
# Roles whose users must have a second factor; the others may have one.
KMES_SECOND_FACTOR_ROLES = env.list("KMES_SECOND_FACTOR_ROLES", default=[])
# The host name for which passkeys are made; "": the one under which the console is opened.
KMES_PASSKEY_DOMAIN = env.str("KMES_PASSKEY_DOMAIN", "").lower()
# Hosts of the company's identity provider that lie in this network; public ones need no setting.
KMES_SIGN_ON_PRIVATE_HOSTS = env.list("KMES_SIGN_ON_PRIVATE_HOSTS", default=[])
# Dangerous acts ask for a second factor that was not proven within so many minutes; 0: they never do.
KMES_STEP_UP_MINUTES = env.int("KMES_STEP_UP_MINUTES", 5)
# The key of the web process that seals the seeds of authenticator apps (kmes.accounts.second_factor.seals).
KMES_SECOND_FACTOR_KEY_FILE = Path(
    env.str("KMES_SECOND_FACTOR_KEY_FILE", str(KMES_STATE_DIR / "second_factor" / "key"))
)

# --- Browser-side safety -------------------------------------------------------------------
# A session ends so long after its last use, and so long after its beginning in any case (docs/access.md).
KMES_SESSION_IDLE_MINUTES = env.int("KMES_SESSION_IDLE_MINUTES", 30)
KMES_SESSION_HOURS = env.int("KMES_SESSION_HOURS", 8)
SESSION_ENGINE = "kmes.accounts.session_store"
SESSION_COOKIE_AGE = KMES_SESSION_HOURS * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = not KMES_INSECURE_HTTP
SESSION_COOKIE_NAME = "kmes_session" if KMES_INSECURE_HTTP else "__Host-kmes_session"
CSRF_COOKIE_SECURE = not KMES_INSECURE_HTTP
CSRF_COOKIE_NAME = "kmes_csrf" if KMES_INSECURE_HTTP else "__Host-kmes_csrf"
CSRF_COOKIE_SAMESITE = "Strict"
SECURE_SSL_REDIRECT = not KMES_INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if KMES_INSECURE_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not KMES_INSECURE_HTTP
SECURE_HSTS_PRELOAD = not KMES_INSECURE_HTTP
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "object-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
# As kmes.web_server: no form is larger. One file at most: the certificate of a cloud credential, which stays in memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 524_288
DATA_UPLOAD_MAX_NUMBER_FILES = 1

# --- Pages ---------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("KMES_STATIC_ROOT", str(KMES_STATE_DIR / "static")))
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "kmes" / "static"]
if (BASE_DIR / "node_modules" / "bootstrap" / "dist").is_dir():
    STATICFILES_DIRS.append(("bootstrap", BASE_DIR / "node_modules" / "bootstrap" / "dist"))
WHITENOISE_USE_FINDERS = True
# Long-lived caching needs hashed names, which only `collectstatic` makes; the image does so.
WHITENOISE_MAX_AGE = 300
DJANGO_TABLES2_TEMPLATE = "ui/table.html"

# --- Redis, Celery, RQ ---------------------------------------------------------------------
KMES_REDIS_CA_FILE = env.str("KMES_REDIS_CA_FILE", "")
KMES_REDIS_URL = redis_url.complete(
    env.str("KMES_REDIS_URL", f"redis://127.0.0.1:{env.int('KMES_REDIS_PORT', 6390)}/0"),
    password=redis_url.read_password(
        env.str("KMES_REDIS_PASSWORD_FILE", ""),
        # ``make run`` makes that of its own Redis.
        made=None if "KMES_REDIS_URL" in os.environ else KMES_STATE_DIR / "redis" / "password",
    ),
    ca_file=KMES_REDIS_CA_FILE,
)
KMES_SCAN_SECONDS = env.int("KMES_SCAN_SECONDS", 15)
CELERY_BROKER_URL = KMES_REDIS_URL
CELERY_BROKER_TRANSPORT = "kmes.hint_transport:Transport"
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "cloud"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Whoever writes to Redis could otherwise tell a worker to take no more messages.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 60
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Without time-outs a frozen Redis hangs the page that sends a hint; socket_timeout must stay
# above the 1 s poll of the worker. No second try: a lost hint costs one scan, a page that waits a user.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 3,
    "socket_connect_timeout": 3,
    "health_check_interval": 30,
    # Kombu would otherwise go on connecting for as long as CELERY_BROKER_CONNECTION_TIMEOUT.
    "max_retries": 0,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2}
CELERY_TIMEZONE = "UTC"
# Celery's own falls silent for as long as a clock is set back.
CELERY_BEAT_SCHEDULER = "kmes.celery:SteadyScheduler"
CELERY_BEAT_SCHEDULE = {
    "scan-jobs": {"task": "jobs.tasks.scan_jobs", "schedule": KMES_SCAN_SECONDS},
    "scan-rotations": {"task": "jobs.tasks.scan_rotations", "schedule": env.int("KMES_ROTATION_SCAN_SECONDS", 60)},
    "scan-drift": {"task": "jobs.tasks.scan_drift", "schedule": env.int("KMES_DRIFT_SCAN_SECONDS", 300)},
    "remind": {"task": "jobs.tasks.remind", "schedule": env.int("KMES_REMINDER_SCAN_SECONDS", 900)},
    "sweep-keks": {"task": "jobs.tasks.sweep_keks", "schedule": env.int("KMES_KEK_SWEEP_SECONDS", 3600)},
}
# Time-outs in the address, because django-rq takes none beside one: a frozen Redis must not hang a page.
RQ_QUEUES = {"reports": {"URL": redis_url.with_timeouts(KMES_REDIS_URL, seconds=2), "DEFAULT_TIMEOUT": 3600}}
# Ours run a closed list of tasks; RQ's own would call whatever a message in Redis names.
RQ = {
    "JOB_CLASS": "logging_reports.report_queue.ReportJob",
    "WORKER_CLASS": "logging_reports.report_worker.ReportWorker",
}

# --- Jobs ----------------------------------------------------------------------------------
KMES_LEASE_SECONDS = env.int("KMES_LEASE_SECONDS", 60)
KMES_HEARTBEAT_SECONDS = env.int("KMES_HEARTBEAT_SECONDS", 15)
KMES_UNKNOWN_QUARANTINE_SECONDS = env.int("KMES_UNKNOWN_QUARANTINE_SECONDS", 120)
# For how long an announced change may still be sent; the quarantine counts from then.
KMES_SEND_SECONDS = env.int("KMES_SEND_SECONDS", 15)
# How long one call to a cloud may take in all, sign-in and every page included.
KMES_CALL_SECONDS = env.int("KMES_CALL_SECONDS", 60)
# Calls to a vault without an answer, in a row, after which its jobs wait.
KMES_CIRCUIT_FAILURES = env.int("KMES_CIRCUIT_FAILURES", 5)
KMES_MAX_ATTEMPTS = env.int("KMES_MAX_ATTEMPTS", 20)
# So many runs in a row that lose their worker and get nothing done end a job: it may be what kills them.
KMES_MAX_LOST_RUNS = env.int("KMES_MAX_LOST_RUNS", 5)
# Azure's limit of HSM creates and imports per vault. Kept here too, so that a large job collects no refusals.
KMES_VAULT_CHANGES = env.int("KMES_VAULT_CHANGES", 10)
KMES_VAULT_WINDOW_SECONDS = env.int("KMES_VAULT_WINDOW_SECONDS", 10)
KMES_PACE_CUSTOM_ENDPOINTS = env.bool("KMES_PACE_CUSTOM_ENDPOINTS", False)
# After so long a job lets others that wait have their turn.
KMES_TURN_SECONDS = env.int("KMES_TURN_SECONDS", 30)
# Scheduled rotations begun in a minute, so that a wrong clock or a long pause can't start thousands at once.
KMES_ROTATIONS_PER_MINUTE = env.int("KMES_ROTATIONS_PER_MINUTE", 60)
KMES_COMPARE_EVERY_HOURS = env.int("KMES_COMPARE_EVERY_HOURS", 24)
KMES_READ_VAULTS_EVERY_HOURS = env.int("KMES_READ_VAULTS_EVERY_HOURS", 24)
KMES_KEK_LIFETIME_SECONDS = env.int("KMES_KEK_LIFETIME_SECONDS", 7200)

# --- Device --------------------------------------------------------------------------------
KMES_HSM_MODULE = env.str("KMES_HSM_MODULE", "")
KMES_HSM_TOKEN_LABEL = env.str("KMES_HSM_TOKEN_LABEL", "KMES")
KMES_HSM_PIN_FILE = Path(env.str("KMES_HSM_PIN_FILE", str(KMES_STATE_DIR / "hsm" / "pin")))
KMES_SOFTHSM_CONF = Path(env.str("KMES_SOFTHSM_CONF", str(KMES_STATE_DIR / "hsm" / "softhsm2.conf")))
# The fingerprints of the keys that this installation trusts, outside the database (kmes.core.pinned_keys).
# Resolved: it is replaced as a whole, which must not replace a link to it.
KMES_PINNED_KEYS_FILE = Path(env.str("KMES_PINNED_KEYS_FILE", str(KMES_STATE_DIR / "pinned_keys.json"))).absolute()
KMES_PINNED_KEYS_FILE = resolve_own(KMES_PINNED_KEYS_FILE, home=KMES_STATE_DIR)
# The keys with which web and worker sign what they ask for (kmes.core.request_keys).
KMES_REQUEST_KEYS_DIR = Path(env.str("KMES_REQUEST_KEYS_DIR", str(KMES_STATE_DIR / "request_keys")))
KMES_REQUEST_SIGNERS_FILE = Path(
    env.str("KMES_REQUEST_SIGNERS_FILE", str(request_keys.default_signers_file(KMES_REQUEST_KEYS_DIR)))
)
# Tests that run inside a rolled-back transaction set it; nothing else may.
KMES_ALLOW_DEVICE_IN_TRANSACTION = False

# --- Azure ---------------------------------------------------------------------------------
KMES_ALLOW_CUSTOM_ENDPOINTS = env.bool("KMES_ALLOW_CUSTOM_ENDPOINTS", False)
# Trusted for every cloud besides the system's authorities: that of a proxy that inspects TLS.
KMES_CA_FILE = env.str("KMES_CA_FILE", "")
# What this installation shows to a proxy or gateway that asks for a client certificate.
KMES_CLIENT_CERTIFICATE_FILE = env.str("KMES_CLIENT_CERTIFICATE_FILE", "")
KMES_CLIENT_KEY_FILE = env.str("KMES_CLIENT_KEY_FILE", "")
KMES_CUSTOM_CA_FILE = env.str("KMES_CUSTOM_CA_FILE", "")
KMES_CUSTOM_HOSTS = env.list("KMES_CUSTOM_HOSTS", default=["127.0.0.1", "localhost"])
KMES_STAND_IN_URL = env.str("KMES_STAND_IN_URL", "")
# The one file whose token is sent to Entra by workload identity federation; no form can name another.
KMES_FEDERATED_TOKEN_FILE = env.str("KMES_FEDERATED_TOKEN_FILE", "")
# The metadata service that every virtual machine in Azure has at this address (docs/azure.md#ways-to-sign-in).
KMES_METADATA_URL = env.str("KMES_METADATA_URL", "http://169.254.169.254").rstrip("/")
if "KMES_METADATA_URL" in os.environ and not KMES_ALLOW_CUSTOM_ENDPOINTS:
    message = "KMES_METADATA_URL is for the stand-in only: unset it, or set KMES_ALLOW_CUSTOM_ENDPOINTS."
    raise ImproperlyConfigured(message)

# --- Notices -------------------------------------------------------------------------------
# The console's address as its users know it, for links in mails and webhooks.
KMES_PUBLIC_URL = env.str("KMES_PUBLIC_URL", "")
KMES_NOTICE_KEEP_DAYS = env.int("KMES_NOTICE_KEEP_DAYS", 90)
# How long to wait after each failed try: five tries within an hour.
KMES_NOTICE_RETRY_SECONDS = env.list("KMES_NOTICE_RETRY_SECONDS", cast=int, default=[30, 120, 600, 2700])
KMES_WEBHOOK_PRIVATE_HOSTS = env.list("KMES_WEBHOOK_PRIVATE_HOSTS", default=[])
# Plain http and this machine's own addresses: for development.
KMES_WEBHOOK_ALLOW_HTTP = env.bool("KMES_WEBHOOK_ALLOW_HTTP", False)
KMES_WEBHOOK_CA_FILE = env.str("KMES_WEBHOOK_CA_FILE", "")
EMAIL_HOST = env.str("KMES_EMAIL_HOST", "")
EMAIL_PORT = env.int("KMES_EMAIL_PORT", 587)
EMAIL_HOST_USER = env.str("KMES_EMAIL_USER", "")
EMAIL_USE_TLS = env.str("KMES_EMAIL_SECURITY", "starttls") == "starttls"
EMAIL_USE_SSL = env.str("KMES_EMAIL_SECURITY", "starttls") == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("KMES_EMAIL_FROM", "kmes@localhost")
# Only the report worker signs in to the mail server.
if KMES_PROCESS == "reports" and (email_password_file := env.str("KMES_EMAIL_PASSWORD_FILE", "")):
    EMAIL_HOST_PASSWORD = Path(email_password_file).read_text().strip()

# --- Reports and logs ----------------------------------------------------------------------
# A checkpoint of the log is signed so long after the last one, once there are new rows.
KMES_CHECKPOINT_SECONDS = env.int("KMES_CHECKPOINT_SECONDS", 300)
# The authority that stamps checkpoints with its time (RFC 3161); none by default.
KMES_TIMESTAMP_URL = env.str("KMES_TIMESTAMP_URL", "")
KMES_TIMESTAMP_CA_FILE = env.str("KMES_TIMESTAMP_CA_FILE", "")
KMES_TIMESTAMP_TLS_CA_FILE = env.str("KMES_TIMESTAMP_TLS_CA_FILE", "")
KMES_TIMESTAMP_POLICY = env.str("KMES_TIMESTAMP_POLICY", "")
KMES_TIMESTAMP_SECONDS = env.int("KMES_TIMESTAMP_SECONDS", 3600)
if KMES_TIMESTAMP_URL and not KMES_TIMESTAMP_CA_FILE:
    message = "KMES_TIMESTAMP_URL needs KMES_TIMESTAMP_CA_FILE: the certificates by which its time stamps are verified."
    raise ImproperlyConfigured(message)
# Receivers of log rows that lie in this network, and how soon a silent one is an alarm.
KMES_FORWARDING_PRIVATE_HOSTS = env.list("KMES_FORWARDING_PRIVATE_HOSTS", default=[])
KMES_FORWARDING_ALARM_SECONDS = env.int("KMES_FORWARDING_ALARM_SECONDS", 900)
KMES_FORWARDING_REPEAT_SECONDS = env.int("KMES_FORWARDING_REPEAT_SECONDS", 60)
KMES_EXPORT_DIR = Path(env.str("KMES_EXPORT_DIR", str(KMES_STATE_DIR / "exports")))
KMES_EXPORT_KEEP_DAYS = env.int("KMES_EXPORT_KEEP_DAYS", 7)
LOGGING = process_log.configuration(env.str("KMES_LOG_LEVEL", "INFO"))

# --- Failpoints ----------------------------------------------------------------------------
# Named moments at which the fault tests end a process (kmes.core.failpoints). The product does not start with any.
KMES_FAILPOINTS = ""
if "KMES_FAILPOINTS" in os.environ and os.environ.get("DJANGO_SETTINGS_MODULE") == "kmes.settings":
    message = "KMES_FAILPOINTS is for the settings of the fault tests only: unset it."
    raise ImproperlyConfigured(message)
