"""What is true of the event log and the deletion ledger."""

from audit.models.decisions import Decision
from audit.models.events import AuditHead, Event
from audit.models.ledger import Deletion

__all__ = ["AuditHead", "Decision", "Deletion", "Event"]
