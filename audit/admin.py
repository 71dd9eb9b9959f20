"""The audit app's pages of the console."""

from audit.console.deletions import DeletionAdmin
from audit.console.log import AuditHeadAdmin, EventAdmin

__all__ = ["AuditHeadAdmin", "DeletionAdmin", "EventAdmin"]
