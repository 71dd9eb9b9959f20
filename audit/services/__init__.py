"""Writes of the audit app: events, signed heads, the deletion ledger, and other decisions of operators."""

from audit.services.decisions import decision_proposed, decision_take, statement_hash
from audit.services.events import head_sign, record, record_each
from audit.services.ledger import (
    deletion_confirm,
    deletion_mark,
    deletion_open,
    deletion_ready,
    deletion_reject,
)

__all__ = [
    "decision_proposed",
    "decision_take",
    "deletion_confirm",
    "deletion_mark",
    "deletion_open",
    "deletion_ready",
    "deletion_reject",
    "head_sign",
    "record",
    "record_each",
    "statement_hash",
]
