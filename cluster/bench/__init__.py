"""`make bench`: what the cryptography costs without a network, and how long a user waits for a running cluster.

``memory`` runs protocols without I/O, ``floor`` and ``bare`` run what they can't do without, ``cpu`` makes figures of
both; ``client`` and ``rest`` measure a cluster from outside; ``figures`` is the form that all come out in.
"""

import os

# Before numpy is loaded, and as in every process of a vertex: matrices this small are no work for two threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
