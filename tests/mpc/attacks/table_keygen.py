"""Key generation (cryptography.md, sections 2, 7 and 9): each field of its messages."""

from tests.mpc.attacks.verdicts import AGREED, Row, Verdict

BLAMED, BANNED, ABORTED = Verdict.BLAMED, Verdict.BANNED, Verdict.ABORTED
NAMED, STALLED, DONE = Verdict.NAMED, Verdict.STALLED, Verdict.DONE

OWN_RANDOMNESS = "its sender's own randomness; the sid binds what everybody heard"
OWN_LABEL = "bound by the sid, and nothing else depends on it"
NO_SECRET_KEY = "its sender can't read what is sealed for that key: it shuts itself out"
UNUSED = "empty in this protocol, and nobody looks at it"
OWN_PADS = "only its sender's own pads become wrong: it can't puncture, and ends there itself"

# What every hello has, but for the fields of its protocol.
HELLO = {
    "0 broadcast protocol": Row(NAMED),
    "0 broadcast nonce": Row(DONE, OWN_RANDOMNESS),
    "0 broadcast ephemeral": Row(STALLED, NO_SECRET_KEY, but={"zeros": BLAMED}, found_after={"lie": 2}),
    "0 broadcast role": Row(DONE, OWN_LABEL),
    "0 broadcast fields": Row(BLAMED, but={"flipped": NAMED}, same=AGREED),
    "0 broadcast extra": Row(DONE, UNUSED, same=AGREED | {"cut", "empty"}),
}

ROWS = {
    **HELLO,
    "0 broadcast fields.room": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.scheme": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.t": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.n": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.identities": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "1 broadcast commitment": Row(BLAMED, found_after={"lie": 1}),
    "2 broadcast echo": Row(ABORTED, same={"another's"}),
    "2 broadcast opening.points": Row(BLAMED),
    "2 broadcast opening.proofs": Row(BLAMED),
    "2 broadcast opening.blind": Row(BLAMED),
    "2 private deal.share": Row(BLAMED),
    "2 private deal.chain_code": Row(BLAMED),
    "2 private setup": Row(BLAMED, same={"surplus"}),
    # Another's key, or one of unknown logarithm: its sender does not know the pads, so it can't make the PPRF.
    "2 private setup.key": Row(BANNED, found_after={"lie": 2}, others_finish=True),
    "2 private setup.zero_commitment": Row(BLAMED, found_after={"lie": 1}),
    "3 private echo": Row(ABORTED, same={"another's"}),
    "3 private answer.answer": Row(DONE, OWN_PADS),
    "3 private answer.zero_half": Row(BLAMED),
    "4 broadcast digest": Row(ABORTED, same={"another's"}),
    "4 broadcast proof": Row(BLAMED),
    "4 private message": Row(BANNED, others_finish=True),
}
