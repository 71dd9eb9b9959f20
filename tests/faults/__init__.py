"""The life cycle under faults: real vertices, killed, stopped, cut off and restored, judged from outside.

``points`` names where a process can be told to die, ``armed`` is the entry point of the processes that obey, ``arming``
tells them. ``vertices`` is a cluster of such processes behind relays that lie (``proxy``); ``supervisor`` keeps it up.
``life`` is a key on its way through many quorums, ``scenario`` one reshare under one fault (``operations``: others),
``plan`` the list of them. ``evidence`` reads all databases and keystores, ``invariants`` judges what it read.
"""
