"""Webhooks: events are written to an outbox in the transaction that they tell of, and sent from there until taken."""
