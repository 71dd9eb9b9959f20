"""Resharing (cryptography.md, sections 2, 9 and 10): each field of its messages. The liar is a dealer that stays; in
private it lies to the joiner, who knows least. ``JOINERS``: where the verdict is another if the joiner lies itself.
"""

import dataclasses

from tests.mpc.attacks.attacker import JOINER, VICTIM
from tests.mpc.attacks.table_keygen import HELLO, OWN_PADS
from tests.mpc.attacks.verdicts import AGREED, Row, Verdict

BLAMED, BANNED, ABORTED = Verdict.BLAMED, Verdict.BANNED, Verdict.ABORTED
NAMED, STALLED, DONE = Verdict.NAMED, Verdict.STALLED, Verdict.DONE

NOT_SIGNED = "the signature of the old quorum's description does not cover it: the hello is dropped"
NOT_PARSED = "who is admitted is read from it: the hello is dropped"
FREE_D = "who was told no number of deletions takes the number of who was"
FREE_K = "attempts are numbered from the highest that any old party has seen, within reason"
OPAQUE = "receipts are opaque here: whoever drives the protocol verifies them"

# Of the old quorum the description's signature speaks; that of a lie that is signed, test_reshare_attacks.py.
DESCRIBED = {
    f"0 broadcast fields.{name}": Row(STALLED, NOT_SIGNED, invalid=STALLED, same=same)
    for name, same in {
        "scheme": frozenset[str](),
        "gid": AGREED,
        "old_identities": AGREED,
        "old_t": frozenset[str](),
        "public_key": AGREED,
        "public_shares": AGREED,
        "chain_code_hash": AGREED,
    }.items()
}

ROWS = {
    **HELLO,
    "0 broadcast role": Row(NAMED),
    "0 broadcast fields": Row(STALLED, NOT_PARSED, same=AGREED),
    "0 broadcast fields.room": Row(NAMED),
    "0 broadcast fields.size": Row(NAMED),
    "0 broadcast fields.new_identities": Row(NAMED, invalid=NAMED, same=AGREED),
    "0 broadcast fields.new_t": Row(NAMED),
    "0 broadcast fields.store_by": Row(NAMED),
    "0 broadcast fields.vote_by": Row(NAMED),
    "0 broadcast fields.d": Row(ABORTED, FREE_D, but={"one more": DONE}, same={"missing"}),
    **DESCRIBED,
    "0 broadcast extra": Row(STALLED, NOT_PARSED, same={"an earlier one"}),
    "0 broadcast extra.highest_k": Row(DONE, FREE_K, but={"most": ABORTED, "too large": STALLED}),
    "0 broadcast extra.receipts": Row(DONE, OPAQUE),
    "0 broadcast extra.description": Row(STALLED, NOT_SIGNED, same={"an earlier one"}),
    "1 broadcast commitment": Row(BLAMED, found_after={"lie": 1}),
    "1 broadcast receipt": Row(DONE, OPAQUE, same=AGREED | {"cut", "empty"}),
    "2 broadcast echo": Row(ABORTED, same={"another's"}),
    "2 broadcast opening": Row(BLAMED),
    "2 broadcast opening.points": Row(BLAMED),
    "2 broadcast opening.proofs": Row(BLAMED),
    "2 broadcast opening.blind": Row(BLAMED),
    "2 private deal": Row(BLAMED, victim=JOINER),
    "2 private deal.share": Row(BLAMED, victim=JOINER),
    "2 private deal.chain_code": Row(BLAMED, victim=JOINER, same=AGREED),
    "2 private setup": Row(BLAMED, victim=JOINER, same={"surplus"}),
    "2 private setup.key": Row(BANNED, found_after={"lie": 3}, victim=JOINER, others_finish=True),
    "2 private setup.zero_commitment": Row(BLAMED, found_after={"lie": 1}, victim=JOINER),
    "3 private echo": Row(ABORTED, same={"another's"}, victim=JOINER),
    "3 private answer.answer": Row(DONE, OWN_PADS, victim=JOINER),
    "3 private answer.zero_half": Row(BLAMED, victim=JOINER),
    # Looked at when all have proved their shares: nothing was returned, so nothing is stored.
    "4 private message": Row(BANNED, found_after={"lie": 1}, victim=JOINER, others_finish=True),
    "5 broadcast digest": Row(ABORTED, same={"another's"}),
    "5 broadcast proof": Row(BLAMED),
}

NO_WORD = "a joiner's word about the old quorum counts for nothing; the hello is its own"

JOINERS = {
    **{name: dataclasses.replace(row, victim=VICTIM) for name, row in ROWS.items() if row.victim == JOINER},
    "0 broadcast role": Row(STALLED, "who is neither joining nor of the old quorum is not admitted"),
    "0 broadcast fields": Row(STALLED, NOT_PARSED, but={"another's": DONE}, same={"an earlier one"}),
    "0 broadcast fields.scheme": Row(NAMED),
    "0 broadcast extra": Row(STALLED, NOT_PARSED, but={"another's": DONE}, same={"an earlier one"}),
    "0 broadcast extra.highest_k": Row(
        DONE, "a joiner has seen no attempt, and numbers none", but={"too large": STALLED}
    ),
    "0 broadcast extra.description": Row(DONE, NO_WORD, same={"cut", "empty", "an earlier one"}),
    "1 broadcast commitment": Row(BLAMED, same={"cut", "empty", "an earlier one"}),
}
