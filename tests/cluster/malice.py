"""A vertex that lies: what its own identity key signs, although nothing of it is true."""

import json
import subprocess

from cluster.cluster import CHECKOUT
from cluster.process import python
from cluster.vertex import Vertex

_SIGN = """
import json, sys
from keys import receipts
from keys.shares import identity_open
from reshare.models import Reshare

asked = json.load(sys.stdin)
row = Reshare.objects.select_related("identity").get(rid=bytes.fromhex(asked["rid"]))
for kind in asked["kinds"]:
    digest = b"" if kind in ("ABORTED", "FAILED") else bytes(row.digest)
    me = identity_open(row.identity)
    told = {"kind": kind, "subject": bytes(row.rid), "gid": bytes(row.gid), "k": row.k, "digest": digest}
    print("signed", receipts.issue(me, **told).hex())
"""


def lies(vertex: Vertex, rid: str, *kinds: str) -> list[str]:
    """Receipts (hex) of these kinds about an attempt, signed by the vertex's party in it, in this order."""
    done = subprocess.run(
        [*map(str, python("manage.py", "shell", "-c", _SIGN))],
        input=json.dumps({"rid": rid, "kinds": kinds}),
        env=vertex.worker_env,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("signed ")]
