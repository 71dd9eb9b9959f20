"""Batches (cryptography.md, section 8): what their messages are made of, and each field of one item's.

What ends the signature of a single request ends that of the batch; but where nobody is to blame once all shares have
left, the other items keep their signatures.
"""

from tests.mpc.attacks import table_frost, table_sign
from tests.mpc.attacks.table_keygen import HELLO
from tests.mpc.attacks.verdicts import AGREED, Row, Verdict

BLAMED, BANNED, ABORTED, NAMED = Verdict.BLAMED, Verdict.BANNED, Verdict.ABORTED, Verdict.NAMED

_NUMBER = {"one more": BLAMED, "one less": BLAMED, "none": BLAMED}
# Not signed: what is not offered alike. The other item goes on.
_OFFERS = Row(ABORTED, but={"one more": BLAMED, "one less": BLAMED}, shape=BLAMED, same=AGREED, found_after={"lie": 3})


def _of_items(table: dict[str, Row]) -> dict[str, Row]:
    """The rows of a single request's messages, for those in the bundles."""
    rows = {}
    for name, row in table.items():
        number, to, field = name.split(" ")
        if number != "0":
            rows[f"{number} {to} items.{field}"] = row
    return rows


ROWS = {
    **HELLO,
    "0 broadcast fields.room": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.scheme": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.size": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.t": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.identities": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.gid": Row(NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.public_key": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.count": Row(NAMED, shape=BLAMED),
    "0 broadcast extra": Row(BLAMED, but={"flipped": ABORTED}, same=AGREED, found_after={"lie": 3}),
    "0 broadcast extra.offers": _OFFERS,
    **_of_items(table_sign.ROWS),
    "1 broadcast items": Row(BLAMED, found_after={"lie": 1}),
    "1 private items": Row(BANNED, but=_NUMBER),
    "2 private items": Row(BANNED, but=_NUMBER),
    "3 broadcast items": Row(ABORTED, but=_NUMBER),
}
FROST = {
    "0 broadcast fields.public_key": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    **_of_items(table_frost.SIGN),
    "1 broadcast items": Row(BLAMED, found_after={"lie": 1}),
    "2 broadcast items": Row(BLAMED, but={"an earlier one": ABORTED, "another's": BLAMED}),
}
