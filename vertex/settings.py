"""Every setting of a vertex, with the environment variable that it is read from; nothing else reads the environment."""

from pathlib import Path
from urllib.parse import unquote

import environ

from vertex import logs, postgres
from vertex.rates import Rate, rate
from vertex.version import VERSION

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- who this vertex is -------------------------------------------------------------------------------------------
VERTEX_NAME: str = env.str("VERTEX_NAME", default="vertex")
VERTEX_PUBLIC_URL: str = env.str("VERTEX_PUBLIC_URL", default="")
# Only workers open the keystore: the master key is set for them alone (32 bytes, hex).
VERTEX_KEYSTORE: str = env.str("VERTEX_KEYSTORE", default="")
VERTEX_MASTER_KEY: str = env.str("VERTEX_MASTER_KEY", default="")
# A second one that is read and never written under: for the time of a rotation.
VERTEX_MASTER_KEY_OTHER: str = env.str("VERTEX_MASTER_KEY_OTHER", default="")
VERTEX_KEYSTORE_KIND: str = env.str("VERTEX_KEYSTORE_KIND", default="files")
# The operator's word that the directory's volume is neither copied nor snapshotted; the worker warns without it.
VERTEX_KEYSTORE_UNCOPIED: bool = env.bool("VERTEX_KEYSTORE_UNCOPIED", default=False)
VERTEX_PKCS11_MODULE: str = env.str("VERTEX_PKCS11_MODULE", default="")
VERTEX_PKCS11_TOKEN: str = env.str("VERTEX_PKCS11_TOKEN", default="")
VERTEX_PKCS11_PIN: str = env.str("VERTEX_PKCS11_PIN", default="")
VERTEX_VAULT_URL: str = env.str("VERTEX_VAULT_URL", default="")
VERTEX_VAULT_TOKEN: str = env.str("VERTEX_VAULT_TOKEN", default="")
VERTEX_VAULT_ROLE_ID: str = env.str("VERTEX_VAULT_ROLE_ID", default="")
VERTEX_VAULT_SECRET_ID: str = env.str("VERTEX_VAULT_SECRET_ID", default="")
VERTEX_VAULT_NAMESPACE: str = env.str("VERTEX_VAULT_NAMESPACE", default="")
VERTEX_VAULT_CA: str = env.str("VERTEX_VAULT_CA", default="")
VERTEX_VAULT_TIMEOUT: float = env.float("VERTEX_VAULT_TIMEOUT", default=5.0)
VERTEX_VAULT_TRANSIT: str = env.str("VERTEX_VAULT_TRANSIT", default="transit")
VERTEX_VAULT_KV: str = env.str("VERTEX_VAULT_KV", default="secret")
VERTEX_VAULT_PREFIX: str = env.str("VERTEX_VAULT_PREFIX", default=VERTEX_NAME)
VERTEX_ADMIN_TOKEN: str = env.str("VERTEX_ADMIN_TOKEN", default="")
# What a scraper shows to read /metrics, and nothing else; without it only admins read them.
VERTEX_METRICS_TOKEN: str = env.str("VERTEX_METRICS_TOKEN", default="")

# --- relay --------------------------------------------------------------------------------------------------------
VERTEX_RELAY_URL: str = env.str("VERTEX_RELAY_URL", default="http://127.0.0.1:8900")
VERTEX_RELAY_API_KEY: str = env.str("VERTEX_RELAY_API_KEY", default="")
# Hosts (host[:port]) that a request may name as `relay_address`; the default relay's own where empty.
VERTEX_RELAY_ALLOWED: list[str] = env.list("VERTEX_RELAY_ALLOWED", default=[])

# --- rules of the house -------------------------------------------------------------------------------------------
VERTEX_TWO_PERSON: bool = env.bool("VERTEX_TWO_PERSON", default=True)
VERTEX_MAX_PARTIES: int = env.int("VERTEX_MAX_PARTIES", default=32)
VERTEX_MAX_PATH_DEPTH: int = env.int("VERTEX_MAX_PATH_DEPTH", default=16)
# Requests of one batch-sign. In one room also: requests times counterparties at most 200, as the relay carries them.
VERTEX_MAX_BATCH: int = env.int("VERTEX_MAX_BATCH", default=200)
VERTEX_MAX_BODY: int = env.int("VERTEX_MAX_BODY", default=1_048_576)
VERTEX_SYNC_TIMEOUT: float = env.float("VERTEX_SYNC_TIMEOUT", default=60.0)
VERTEX_ASYNC_TIMEOUT: float = env.float("VERTEX_ASYNC_TIMEOUT", default=86_400.0)
VERTEX_MAX_WAITERS: int = env.int("VERTEX_MAX_WAITERS", default=48)
# Calls of one token, and unknown tokens from one address: a bucket of so many that fills in that time; empty: no limit.
VERTEX_RATE: Rate | None = rate(env.str("VERTEX_RATE", default="6000/min"))
VERTEX_GUESS_RATE: Rate | None = rate(env.str("VERTEX_GUESS_RATE", default="30/min"))
# Own proxies before `web` that append to X-Forwarded-For.
VERTEX_PROXIES: int = env.int("VERTEX_PROXIES", default=0)
# Hosts (host[:port]) that webhooks may name; none where empty.
VERTEX_WEBHOOK_HOSTS: list[str] = env.list("VERTEX_WEBHOOK_HOSTS", default=[])
VERTEX_SWEEP: float = env.float("VERTEX_SWEEP", default=2.0)
VERTEX_LEASE: float = env.float("VERTEX_LEASE", default=15.0)
# Seconds that a rule server may take to answer, and that an operator's approval waits for the call it was given for.
VERTEX_RULE_TIMEOUT: float = env.float("VERTEX_RULE_TIMEOUT", default=5.0)
VERTEX_APPROVAL_LIFE: int = env.int("VERTEX_APPROVAL_LIFE", default=3_600)
# Seconds after its end that a call is remembered, its Idempotency-Key and answer too; and a webhook's delivery.
VERTEX_OPERATION_LIFE: int = env.int("VERTEX_OPERATION_LIFE", default=30 * 86_400)
VERTEX_DELIVERY_LIFE: int = env.int("VERTEX_DELIVERY_LIFE", default=30 * 86_400)
VERTEX_STORE_BY: int = env.int("VERTEX_STORE_BY", default=120)
VERTEX_VOTE_BY: int = env.int("VERTEX_VOTE_BY", default=7 * 86_400)
# When an alarm is raised: seconds from a commit to completion, and from completion to the last old share's erasure.
VERTEX_COMPLETE_BY: int = env.int("VERTEX_COMPLETE_BY", default=60)
VERTEX_CLEAN_BY: int = env.int("VERTEX_CLEAN_BY", default=86_400)

# Whether single shares may leave as backups: off, encrypted (to the X25519 key below, 32 bytes in hex), or plaintext.
VERTEX_BACKUP: str = env.str("VERTEX_BACKUP", default="off")
VERTEX_BACKUP_PUBLIC_KEY: str = env.str("VERTEX_BACKUP_PUBLIC_KEY", default="")

# --- Django -------------------------------------------------------------------------------------------------------
DEBUG: bool = env.bool("VERTEX_DEBUG", default=False)
SECRET_KEY: str = env.str("VERTEX_SECRET_KEY")
ALLOWED_HOSTS: list[str] = env.list("VERTEX_ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
INSECURE_HTTP: bool = env.bool("VERTEX_INSECURE_HTTP", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP
SESSION_COOKIE_NAME = f"vertex_session_{VERTEX_NAME}"
CSRF_COOKIE_NAME = f"vertex_csrf_{VERTEX_NAME}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = VERTEX_MAX_BODY
APPEND_SLASH = False

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "django_structlog",
    "audit",
    "keys",
    "reshare",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "vertex.middleware.ContractMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "vertex.urls"
WSGI_APPLICATION = "vertex.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- back ends ----------------------------------------------------------------------------------------------------
DB_POOL: int = env.int("VERTEX_DB_POOL", default=8)
DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"].update(
    ENGINE="django.db.backends.postgresql",
    HOST=unquote(DATABASES["default"]["HOST"]),  # libpq's form of a socket directory: %2Frun%2Fpostgresql
    CONN_MAX_AGE=0,
    OPTIONS=postgres.options(DATABASES["default"].get("OPTIONS", {}), pool=DB_POOL),
)
# The role that the processes connect as; migrations, run by the tables' owner, grant it what it needs.
VERTEX_APP_ROLE: str = env.str("VERTEX_APP_ROLE", default="vertex_app")
REDIS_URL: str = env.str("REDIS_URL")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "keys.Operator"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/console/login/"
LOGIN_REDIRECT_URL = "/console/"

# --- Celery: ids as arguments, no results, no retries; the lease and the sweep are the recovery ---------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "life"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# Redis channels are not per database number: names carry the vertex.
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"{VERTEX_NAME}:", "socket_timeout": None}

# --- API ----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["keys.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["vertex.auth.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["vertex.throttles.TokenThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["vertex.http.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["vertex.http.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "vertex.http.OneRendererNegotiation",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "vertex.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "vertex.openapi.ContractSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Vertex",
    "DESCRIPTION": "A self-hosted MPC node that can change its quorum safely.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Swagger UI would ask a validator on the internet about the document of any host but this machine.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "vertex.openapi.complete"],
    "TAGS": [
        {"name": "ecdsa", "description": "Threshold ECDSA on secp256k1."},
        {"name": "ed25519", "description": "Threshold Ed25519 (FROST)."},
        {"name": "bip340", "description": "Threshold Schnorr signatures of Bitcoin, taproot tweaks included (FROST)."},
        {"name": "keys", "description": "What may be said of keys; receipts of their generation."},
        {"name": "reshares", "description": "Changes of a quorum: progress, votes, decisions, receipts."},
        {"name": "rooms", "description": "Where the parties of a protocol meet."},
        {"name": "operations", "description": "Asynchronous calls."},
        {"name": "admin", "description": "API users and their keys; for admins."},
        {"name": "policies", "description": "What rules would say to a call; calls that wait for an operator."},
        {"name": "audit", "description": "The event log and its signed head; for admins."},
        {"name": "webhooks", "description": "Who is told of events, and what it was told."},
        {"name": "health", "description": "Probes, metrics, version."},
        {"name": "schema", "description": "This document."},
    ],
    "ENUM_NAME_OVERRIDES": {
        "KeyState": "keys.models.KeyShare.State",
        "DeliveryState": "keys.models.WebhookDelivery.State",
        "OperationState": "keys.models.Operation.State",
        "ReshareRole": "reshare.models.Reshare.Role",
        "ReshareState": "reshare.models.Reshare.State",
    },
}

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "vertex.formats"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = env.str("VERTEX_STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
_ICON = f"{STATIC_URL}audit/icon.svg"
UNFOLD = {
    "SITE_TITLE": "Vertex",
    "SITE_HEADER": "Vertex",
    "SITE_SUBHEADER": VERTEX_NAME,
    "SITE_ICON": _ICON,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _ICON}],
    "SHOW_HISTORY": False,
}

LOG_LEVEL: str = env.str("VERTEX_LOG_LEVEL", default="INFO")
LOGGING = logs.configure(LOG_LEVEL)
# ContractMiddleware keeps or makes the id.
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True
