"""The routes of keys, users, rooms, operations and the audit log. Views shape HTTP; services decide."""
