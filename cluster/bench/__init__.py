"""`make bench`: what the cryptography costs without a network, and how long a user waits for a running cluster.

``memory`` runs protocols without I/O, ``cpu`` makes figures of that; ``client`` and ``rest`` measure a cluster from
outside; ``figures`` is the form that all come out in.
"""
