"""The receipts of a key generation, carried by hand: for a key that some parties could store and others did not hear of
it, or whose vertex was restored from a database of before the keygen."""

from uuid import UUID

import msgspec
from celery import shared_task
from django.db import transaction

from audit import services as audit
from keys import receipts
from keys.keygen import journal_complete_name, keygen_advance
from keys.keystore import keystore
from keys.models import KeyShare, ProtocolSession, Receipt
from keys.receipts import Bundle
from keys.sessions import services as sessions
from keys.shares import identity_open, share_open
from keys.stored import keygen_statement, keygen_stored, of_keygen, own_stored
from mpc.errors import ProtocolError
from mpc.keygen import KeygenStatement, verify_preimage
from vertex.celery import app
from vertex.errors import ApiError

State = KeyShare.State


def sid_of(key: KeyShare) -> bytes | None:
    """The session id (32 bytes) of the keygen that made this share: what its own `STORED` is about."""
    said = Receipt.objects.filter(party=bytes(key.identity.public), kind=receipts.STORED).order_by("id")
    for row in said:
        receipt = receipts.parse(bytes(row.encoded))
        if receipt.gid == bytes(key.gid or b"") and receipt.k == 0:
            return receipt.subject
    return None


def bundle_of(key: KeyShare) -> Bundle:
    """Everything that this vertex holds about the keygen of a share; nothing for one that a reshare made."""
    sid = sid_of(key)
    if sid is None:
        return Bundle([], None)
    statement = keygen_statement(party=bytes(key.identity.public), sid=sid)
    return Bundle([encoded for encoded, _ in receipts.held(sid)], bytes(statement.preimage) if statement else None)


def receive(*, key: KeyShare, bundle: Bundle, actor: str) -> int:
    """Keep what verifies and belongs to this key's generation; returns how many receipts were new.

    One that doesn't verify refuses the whole call (`bad_receipt`, audited).
    """
    try:
        sid = sid_of(key)
        if sid is None:
            raise ApiError("key_operation_before_keygen", "this key was not generated yet, or was made by a reshare")
        parsed = [(encoded, _checked(encoded, key, sid)) for encoded in bundle.receipts]
        statement = _statement(bundle.preimage, key, sid) if bundle.preimage is not None else None
    except ApiError as error:
        with transaction.atomic():
            audit.record(action="receipts.refused", actor=actor, subject=str(key.id), data={"error": error.message})
        raise
    with transaction.atomic():
        new = sum(receipts.keep(encoded, receipt) for encoded, receipt in parsed)
        if statement is not None and bundle.preimage is not None:
            receipts.keep_statement(subject=sid, digest=statement.digest, preimage=bundle.preimage)
        audit.record(action="receipts.received", actor=actor, subject=str(key.id), data={"new": new})
        _poke(key, sid)
    return new


def _checked(encoded: bytes, key: KeyShare, sid: bytes) -> receipts.Receipt:
    try:
        receipt = receipts.parse(encoded)
    except receipts.BadReceipt as error:
        raise ApiError("bad_receipt", str(error)) from error
    if receipt.subject != sid or receipt.gid != bytes(key.gid or b""):
        raise ApiError("bad_receipt", "a receipt is about another key generation")
    if not of_keygen(receipt):
        raise ApiError("bad_receipt", "a key generation has STORED receipts alone, of no ballot (k = 0)")
    if receipt.party.hex() not in key.parties:
        raise ApiError("bad_receipt", "a receipt is signed by a party that does not hold this key")
    return receipt


def _statement(preimage: bytes, key: KeyShare, sid: bytes) -> KeygenStatement:
    try:
        statement = verify_preimage(preimage)
    except ProtocolError as error:
        raise ApiError("bad_receipt", f"the preimage does not verify: {error}") from error
    described = [party.hex() for party in statement.identities]
    same = (statement.sid, statement.public_key, statement.t, statement.scheme, described)
    if same != (sid, bytes(key.public_key or b""), key.threshold, key.scheme, key.parties):
        raise ApiError("bad_receipt", "the preimage is about another key generation")
    own = own_stored(party=bytes(key.identity.public), sid=sid)
    if own is None or statement.digest != own.digest:
        raise ApiError("bad_receipt", "the preimage is not of the digest that this party's own STORED signs")
    return statement


def _poke(key: KeyShare, sid: bytes) -> None:
    """After the commit: through the session while it carries receipts, else by a task of its own."""
    session = ProtocolSession.objects.filter(share=key, sid=sid, state=ProtocolSession.State.SETTLING).first()
    if session is not None:
        sessions.wake(session)
    else:
        transaction.on_commit(
            lambda: app.send_task("keys.keygen_advance", args=[str(key.id)], queue="life"), robust=True
        )


@shared_task(name="keys.keygen_advance")
def keygen_advance_task(key_id: str) -> None:
    """Activate a key, without a session, whose `STORED` are all at hand."""
    key = KeyShare.objects.select_related("identity").get(id=UUID(key_id))
    sid = sid_of(key)
    if sid is not None and key.state == State.QUARANTINED:
        keygen_advance(key=key, sid=sid, operation_id=None)


def restored(key: KeyShare, *, sid: bytes, digest: bytes, preimage: bytes) -> None:
    """The database had lost this keygen, its share's row is there again: say `STORED` again (the journal's own, the
    same for ever). Of a key that was active the journal has the others' too; else they must be carried here."""
    if key.state != State.QUARANTINED:
        return
    stored = keygen_stored(identity=identity_open(key.identity), share=share_open(key), sid=sid, digest=digest)
    with transaction.atomic():
        receipts.keep_statement(subject=sid, digest=digest, preimage=preimage)
        receipts.keep(stored, receipts.parse(stored))
        entry = keystore().journal.read(journal_complete_name(key, sid))
        for encoded in msgspec.msgpack.decode(entry, type=list[bytes]) if entry is not None else []:
            receipts.keep(encoded, receipts.parse(encoded))
    keygen_advance(key=key, sid=sid, operation_id=None)
