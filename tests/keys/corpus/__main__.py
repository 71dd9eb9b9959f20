"""`python -m tests.keys.corpus NAME [SCHEME]`: writes NAME.json from the code of today. Needs no server."""

import json
import os
import sys
from typing import Any

import django

from mpc.envelope import pack_bodies
from mpc.protocol import BROADCAST
from tests.keys.corpus import HERE, text
from tests.mpc.simulator import Network, identities
from tests.mpc.transcripts import SCENARIOS, keys_of, seeds


def entry(scheme: str) -> dict[str, Any]:
    """What the recorded key generation and reshare of a scheme leave behind, as it is stored today."""
    from keys import receipts
    from keys.stored import possession

    made, first, second = keys_of(scheme), Network(), Network()
    first.run(SCENARIOS[f"{scheme}-keygen"]())
    leaver = next(each for each in second.run(SCENARIOS[f"{scheme}-reshare"]()).values() if each.share is None)
    me = identities("AB")[0]
    result = made[me.public]
    hellos = sorted((frame.sender, frame.body) for frame in second.sent if frame.round == 0)
    stored = receipts.issue(
        me,
        kind=receipts.STORED,
        subject=result.sid,
        gid=result.gid,
        k=0,
        digest=result.digest,
        body={"proof": possession(result.share, result.digest)},
    )
    return {
        "scheme": scheme,
        "parties": [
            {
                "identity": text(one.reveal()),
                "share": text(made[one.public].share.encode()),
                "secret": made[one.public].share.secret.reveal().hex(),
                "pairs": [
                    {"encoded": text(pair.encode()), "zero_seed": pair.zero_seed.reveal().hex()}
                    for pair in made[one.public].pairs.values()
                ],
            }
            for one in identities("AB")
        ],
        "t": result.share.t,
        "public_key": result.share.public_key.hex(),
        "chain_code": result.share.chain_code.hex(),
        "session": {
            "seed": text(seeds("keygen")[me.public]),
            "room": "room",
            "inbound": [
                [frame.round, text(frame.sender), text(frame.receiver), text(frame.body)]
                for frame in first.sent
                if frame.sender != me.public and frame.receiver in (BROADCAST, me.public)
            ],
        },
        "keygen": {"preimage": text(result.preimage), "digest": result.digest.hex(), "gid": result.gid.hex()},
        "reshare": {
            "preimage": text(leaver.preimage),
            "digest": leaver.digest.hex(),
            "gid": leaver.gid_new.hex(),
            "rid": leaver.rid.hex(),
            "hellos": text(pack_bodies(tuple(body for _, body in hellos))),
        },
        "receipt": {"encoded": text(stored), "subject": result.sid.hex()},
    }


if __name__ == "__main__":
    name, scheme = (*sys.argv[1:], "ecdsa")[:2]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "vertex.settings",
        "DATABASE_URL": "postgresql://nobody@%2Fnonexistent/none",
        "REDIS_URL": "redis://localhost",
        "VERTEX_SECRET_KEY": "none",
        "VERTEX_DB_POOL": "0",
    }
    django.setup()
    with (HERE / f"{name}.json").open("x") as file:
        json.dump(entry(scheme), file, indent=1)
        file.write("\n")
