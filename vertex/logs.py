"""Logging, configured once: JSON lines to standard error, never a body, never a secret."""

from collections.abc import MutableMapping
from typing import Any

import structlog

# Names under which a secret could be handed to a logger by mistake.
_SECRETS = frozenset(
    {
        "api_key",
        "authorization",
        "body",
        "cookie",
        "master_key",
        "password",
        "payload",
        "secret",
        "seed",
        "share",
        "token",
    }
)


def _redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _SECRETS & event.keys():
        event[name] = "<redacted>"
    return event


def _path_only(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Request lines without their query, in which clients put tokens."""
    if isinstance(event.get("request"), str):
        event["request"] = event["request"].partition("?")[0]
    return event


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.format_exc_info,
    _redact,
    _path_only,
]


def configure(level: str) -> dict[str, Any]:
    """Set up structlog; returns Django's ``LOGGING`` so that the standard library's loggers come out alike."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(default=str),
                ],
                "foreign_pre_chain": _SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Each request has a line of its own already, and these two would print its query.
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }
