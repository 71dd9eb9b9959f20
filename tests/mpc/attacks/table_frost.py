"""Ed25519 and BIP340 (cryptography.md, sections 7, 10 and 11): signing, and the two other protocols without set-ups."""

from tests.mpc.attacks import table_keygen, table_reshare
from tests.mpc.attacks.table_keygen import HELLO
from tests.mpc.attacks.verdicts import AGREED, Row, Verdict

BLAMED, ABORTED = Verdict.BLAMED, Verdict.ABORTED
NAMED, DONE = Verdict.NAMED, Verdict.DONE

NOTHING_SEALED = "nothing is sealed in a signature; a key of no use at all is refused"

SIGN = {
    **HELLO,
    "0 broadcast ephemeral": Row(DONE, NOTHING_SEALED, but={"zeros": BLAMED}),
    "0 broadcast fields.room": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.scheme": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.size": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.t": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.identities": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.gid": Row(NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.public_key": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.message": Row(NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.path": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.tweak": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.signing_key": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.index": Row(NAMED, shape=BLAMED),
    # Its sender signs for the commitments that it made: for others, its share is wrong.
    "1 broadcast hiding": Row(BLAMED, found_after={"lie": 1}),
    "1 broadcast binding": Row(BLAMED, found_after={"lie": 1}),
    "2 broadcast echo": Row(ABORTED, same={"another's"}),
    "2 broadcast z": Row(BLAMED),
}

_NO_SETUP = Row(BLAMED, same={"missing"})
_DEALT = (
    "1 broadcast commitment",
    "2 broadcast echo",
    "2 broadcast opening.points",
    "2 broadcast opening.proofs",
    "2 broadcast opening.blind",
    "2 private deal.share",
    "2 private deal.chain_code",
)

KEYGEN = {
    **{name: table_keygen.ROWS[name] for name in _DEALT},
    "2 private setup": _NO_SETUP,
    "4 broadcast echo": Row(ABORTED, same={"another's"}),
    "4 broadcast outcome.digest": Row(ABORTED, same={"another's"}),
    "4 broadcast outcome.proof": Row(BLAMED),
}

RESHARE = {
    **{
        name: table_reshare.ROWS[name]
        for name in (
            "0 broadcast fields.public_key",
            "0 broadcast fields.public_shares",
            *_DEALT,
            "1 broadcast receipt",
            "2 broadcast opening",
            "2 private deal",
            "5 broadcast digest",
            "5 broadcast proof",
        )
    },
    "2 private setup": _NO_SETUP,
}
