"""Export and import (cryptography.md, sections 16 and 17): each field of their messages. The culprit imports."""

from tests.mpc.attacks import table_frost, table_keygen
from tests.mpc.attacks.table_keygen import HELLO
from tests.mpc.attacks.verdicts import AGREED, Row, Verdict

BLAMED, ABORTED, NAMED = Verdict.BLAMED, Verdict.ABORTED, Verdict.NAMED

EXPORT = {
    **HELLO,
    "0 broadcast fields.room": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.scheme": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.size": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.t": Row(NAMED, shape=BLAMED),
    "0 broadcast fields.identities": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.gid": Row(NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.public_key": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "0 broadcast fields.recipient": Row(NAMED, invalid=NAMED, shape=BLAMED, same=AGREED),
    "1 broadcast sid": Row(ABORTED, same={"another's"}),
    "2 private share": Row(BLAMED, same={"an earlier one"}),
}
EXPORT_BARE = {name: EXPORT[name] for name in ("0 broadcast fields.public_key", "1 broadcast sid", "2 private share")}

IMPORT = {
    **{name: row for name, row in table_keygen.ROWS.items() if name != "2 broadcast opening"},
    "0 broadcast role": Row(NAMED),
    "2 broadcast opening": Row(BLAMED),
    "2 private deal": Row(BLAMED),
    # The importer's own, of which there is one for all sessions.
    "2 private deal.chain_code": Row(BLAMED, same={"an earlier one"}),
}
IMPORT_BARE = {
    **table_frost.KEYGEN,
    **{
        name: IMPORT[name]
        for name in ("1 broadcast commitment", "2 broadcast opening", "2 private deal", "2 private deal.chain_code")
    },
}
