"""What the ledger announces, inside the transaction that decides: a receiver that raises refuses the decision.

Sent with `deletion` (locked, already changed), `actor` and `previous` (its state before).
"""

from django.dispatch import Signal

deletion_confirmed = Signal()
deletion_rejected = Signal()
