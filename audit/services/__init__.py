"""Writes of the audit app: events, signed heads and the deletion ledger."""

from audit.services.events import head_sign, record
from audit.services.ledger import (
    deletion_confirm,
    deletion_mark,
    deletion_open,
    deletion_ready,
    deletion_reject,
)

__all__ = [
    "deletion_confirm",
    "deletion_mark",
    "deletion_open",
    "deletion_ready",
    "deletion_reject",
    "head_sign",
    "record",
]
