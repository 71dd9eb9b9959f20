"""Signing (cryptography.md, sections 2, 8 and 9): each field of its messages."""

from tests.mpc.attacks.table_keygen import HELLO
from tests.mpc.attacks.verdicts import AGREED, Row, Verdict

BLAMED, BANNED, ABORTED, NAMED = Verdict.BLAMED, Verdict.BANNED, Verdict.ABORTED, Verdict.NAMED

ROWS = {
    **HELLO,
    "0 broadcast fields.room": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.scheme": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.size": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.t": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.identities": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.gid": Row(NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.public_key": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.digest": Row(NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.path": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.index": Row(NAMED, shape=BLAMED),
    "1 broadcast commitment": Row(BLAMED, found_after={"lie": 1}),
    "1 private extension": Row(BANNED),
    "2 private product": Row(BANNED),
    "2 private nonce_point": Row(BANNED),
    "2 private blind": Row(BLAMED),
    "2 private key_point": Row(BANNED),
    "2 private gamma_u": Row(BANNED),
    "2 private gamma_v": Row(BANNED),
    # ψ is checked by nothing but the signature itself: no culprit.
    "2 private psi": Row(ABORTED, found_after={"lie": 1}),
    "2 private echo": Row(ABORTED, same={"another's"}),
    "3 broadcast w": Row(ABORTED),
    "3 broadcast u": Row(ABORTED),
}
