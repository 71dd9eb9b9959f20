"""What `keys` announces, inside the transaction that decides: a receiver that raises refuses the decision.

`restored_share_agreed` is sent with `key` (locked, its identity at hand) and `actor`.
"""

from django.dispatch import Signal

restored_share_agreed = Signal()
