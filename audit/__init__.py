"""What can be proven afterwards: the hash-chained event log and the deletion ledger."""
