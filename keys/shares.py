"""Key shares at rest: sealing, opening, storing as lifecycle.md's step 2 demands, and erasing as its last section does.

The keystore is written before the database and survives its restores: a share's journal entry holds the sealed share
and what is needed to make its row again. Only workers call these functions.
"""

import base64
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from keys.keystore import JournalExists, KeyGone, Tampered, keystore
from keys.models import KeyShare, PartyIdentity, ProtocolSession
from keys.models import PairState as PairRow
from keys.sessions.records import session_key_exists
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.shares import PairState, Share

State = KeyShare.State


class ShareUnusable(Exception):
    """The share's key is gone or its ciphertext doesn't open: it can't be used, and must not be."""


def _aad(kind: str, *parts: bytes) -> bytes:
    return TH("sealed", kind.encode(), settings.VERTEX_NAME.encode(), *parts)


def share_aad(*, key_id: uuid.UUID, gid: bytes, scheme: str) -> bytes:
    """Associated data of a sealed share (32 bytes): format, vertex, key id, gid, scheme."""
    return _aad("share/1", key_id.bytes, gid, scheme.encode())


def journal_name(identity: bytes, gid: bytes) -> str:
    """Journal entry of a stored share."""
    return f"share/{identity.hex()}/{gid.hex()}"


# --- identities ---------------------------------------------------------------------------------------------------


def identity_create() -> PartyIdentity:
    """A fresh identity key, its secret half sealed under a data key of its own."""
    return _identity_seal(Identity(os.urandom(32)))


def identity_keep(identity: Identity) -> PartyIdentity:
    """The row of an identity that came with a backup: the one that is here, or a new one."""
    known = PartyIdentity.objects.filter(public=identity.public, data_key__isnull=False).first()
    return known or _identity_seal(identity)


def _identity_seal(identity: Identity) -> PartyIdentity:
    store = keystore()
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, identity.reveal(), _aad("identity/1", identity.public))
    return PartyIdentity.objects.create(public=identity.public, sealed_secret=sealed, data_key=ref)


def identity_open(row: PartyIdentity) -> Identity:
    """The identity key; raises ShareUnusable when it is gone."""
    public = bytes(row.public)
    if row.sealed_secret is None or row.data_key is None:
        raise ShareUnusable("the identity key of this party was destroyed")
    try:
        secret = keystore().keys.unwrap(row.data_key, bytes(row.sealed_secret), _aad("identity/1", public))
    except (KeyGone, Tampered) as error:
        raise ShareUnusable("the identity key of this party does not open") from error
    return Identity(secret)


# --- storing ------------------------------------------------------------------------------------------------------


def share_seal(*, key_id: uuid.UUID, share: Share) -> tuple[str, bytes]:
    """Seal under a fresh data key, durable on return: (reference, ciphertext)."""
    keys = keystore().keys
    ref = keys.make()
    aad = share_aad(key_id=key_id, gid=share.gid, scheme=share.scheme)
    return ref, keys.wrap(ref, share.encode(), aad)


def pairs_seal(*, gid: bytes, pairs: Mapping[bytes, PairState]) -> list[dict[str, str]]:
    """Seal each counterparty's OT state under a data key of its own."""
    keys = keystore().keys
    sealed = []
    for peer, state in pairs.items():
        ref = keys.make()
        box = keys.wrap(ref, state.encode(), _aad("pair/1", gid, peer))
        sealed.append({"peer": peer.hex(), "data_key": ref, "sealed": base64.b64encode(box).decode()})
    return sealed


def share_keep(
    *,
    key: KeyShare,
    share: Share,
    pairs: Mapping[bytes, PairState],
    digest: bytes,
    extra: Mapping[str, Any],
    banned: Iterable[bytes] = (),
) -> dict[str, Any]:
    """Step 2, its first half: data keys and sealed share into the keystore (fsync); returns the journal's record.

    Idempotent: a share whose journal entry exists is never sealed a second time. ``share_row_from_journal`` puts the
    record into the database; ``extra`` (JSON) is for whoever makes lost rows again. ``banned``: the counterparties of a
    share from a backup with which it must have no pairs. Raises ShareUnusable where the share was erased meanwhile: it
    is not brought back.
    """
    name = journal_name(bytes(key.identity.public), share.gid)
    journal = keystore().journal
    entry = journal.read(name)
    if entry is None:
        ref, sealed = share_seal(key_id=key.id, share=share)
        record: dict[str, Any] = {
            "key_id": str(key.id),
            "user": str(key.user_id),
            "policy": str(key.policy_id) if key.policy_id else None,
            "predecessor": str(key.predecessor_id) if key.predecessor_id else None,
            "generation": key.generation,
            "scheme": share.scheme,
            "identity": bytes(key.identity.public).hex(),
            "gid": share.gid.hex(),
            "threshold": share.t,
            "parties": [party.hex() for party in share.identities],
            "public_key": share.public_key.hex(),
            "chain_code": share.chain_code.hex(),
            "data_key": ref,
            "sealed": base64.b64encode(sealed).decode(),
            "pairs": pairs_seal(gid=share.gid, pairs=pairs),
            "banned": [party.hex() for party in banned],
            "backed_up_at": key.backed_up_at.isoformat() if key.backed_up_at else None,
            "digest": digest.hex(),
            "extra": dict(extra),
        }
        try:
            journal.create(name, json.dumps(record).encode())
        except JournalExists:
            entry = journal.read(name)
            if entry is None or json.loads(entry)["data_key"] != ref:  # another worker was faster: its share is the one
                _keys_destroy(record)
                return share_keep(key=key, share=share, pairs=pairs, digest=digest, extra=extra, banned=banned)
        # Whoever was frozen since it looked into the journal may find there the place of an erased share. While the
        # share lives, the record is one that another worker has found here and goes by: nothing of it is destroyed.
        state = KeyShare.objects.filter(id=key.id).values_list("state", flat=True).first()
        if state in (State.SUPERSEDED, State.ERASED, State.DISCARDED):
            _keys_destroy(record)
            journal.destroy(name)
            raise ShareUnusable(f"the share of key {key.id} was stored before, and is {state}")
        return record
    kept: dict[str, Any] = json.loads(entry)
    return kept


def _keys_destroy(record: Mapping[str, Any]) -> None:
    for ref in (record["data_key"], *(pair["data_key"] for pair in record["pairs"])):
        keystore().keys.destroy(ref)


@transaction.atomic
def share_row_from_journal(record: Mapping[str, Any]) -> tuple[KeyShare, bool]:
    """Bring a stored share's row to what the journal says, when the database does not know it yet: the row, and whether
    it changed. Raises PartyIdentity.DoesNotExist or IntegrityError where the database has lost what the row names."""
    fields: dict[str, Any] = {
        "gid": bytes.fromhex(record["gid"]),
        "threshold": record["threshold"],
        "parties": record["parties"],
        "public_key": bytes.fromhex(record["public_key"]),
        "chain_code": bytes.fromhex(record["chain_code"]),
        "data_key": record["data_key"],
        "sealed_share": base64.b64decode(record["sealed"]),
        "generation": record["generation"],
        "state": State.QUARANTINED,
        "quarantined_at": timezone.now(),
    }
    if record.get("backed_up_at"):  # it was active when it was backed up; whether it is still, an operator must say
        fields |= {"state": State.ACTIVE, "activated_at": timezone.now(), "suspended": KeyShare.RESTORED}
        fields["backed_up_at"] = datetime.fromisoformat(record["backed_up_at"])
    key_id = uuid.UUID(record["key_id"])
    updated = KeyShare.objects.filter(id=key_id, state=State.CREATED).update(**fields)
    if not updated and not KeyShare.objects.filter(id=key_id).exists():
        identity = PartyIdentity.objects.get(public=bytes.fromhex(record["identity"]))
        predecessor = KeyShare.objects.filter(id=record["predecessor"]).first() if record["predecessor"] else None
        KeyShare.objects.create(
            id=key_id,
            user_id=record["user"],
            policy_id=record["policy"],
            predecessor=predecessor,
            identity=identity,
            scheme=record["scheme"],
            **fields,
        )
        updated = 1
    if updated:
        for pair in record["pairs"]:
            PairRow.objects.get_or_create(
                share_id=key_id,
                peer=bytes.fromhex(pair["peer"]),
                defaults={"sealed": base64.b64decode(pair["sealed"]), "data_key": pair["data_key"]},
            )
        for party in record.get("banned", ()):
            PairRow.objects.get_or_create(
                share_id=key_id, peer=bytes.fromhex(party), defaults={"banned_at": fields["backed_up_at"]}
            )
    return KeyShare.objects.select_related("identity").get(id=key_id), bool(updated)


# --- opening ------------------------------------------------------------------------------------------------------


def share_open(key: KeyShare) -> Share:
    """Unseal a share from its row, checked; raises ShareUnusable."""
    if key.sealed_share is None or key.data_key is None or key.gid is None:
        raise ShareUnusable(f"no share is stored for key {key.id}")
    aad = share_aad(key_id=key.id, gid=bytes(key.gid), scheme=key.scheme)
    try:
        plain = keystore().keys.unwrap(key.data_key, bytes(key.sealed_share), aad)
        share = Share.decode(plain)
    except (KeyGone, Tampered, ValueError) as error:
        raise ShareUnusable(f"the share of key {key.id} does not open: {error}") from error
    if share.gid != bytes(key.gid) or share.public_key != bytes(key.public_key or b""):
        raise ShareUnusable(f"the share of key {key.id} is not the one that its row names")
    return share


def pair_open(row: PairRow, *, gid: bytes) -> PairState | None:
    """A counterparty's OT state, or None when it is banned or gone."""
    if row.banned_at is not None or row.sealed is None or row.data_key is None:
        return None
    try:
        plain = keystore().keys.unwrap(row.data_key, bytes(row.sealed), _aad("pair/1", gid, bytes(row.peer)))
    except (KeyGone, Tampered):
        return None
    return PairState.decode(plain)


def pairs_open(key: KeyShare, peers: Iterable[bytes] | None = None) -> dict[bytes, PairState]:
    """OT state by counterparty; those that are banned or gone are missing."""
    rows = key.pairs.all()
    if peers is not None:
        rows = rows.filter(peer__in=list(peers))
    opened = {bytes(row.peer): pair_open(row, gid=bytes(key.gid or b"")) for row in rows}
    return {peer: state for peer, state in opened.items() if state is not None}


# --- erasing ------------------------------------------------------------------------------------------------------


def material_refs(key: KeyShare) -> set[str]:
    """References of the data keys that a share and its pairs were sealed under, from its row and from the journal."""
    refs = {key.data_key, *key.pairs.values_list("data_key", flat=True)}
    entry = journal_entry(key)
    if entry is not None:
        refs |= {entry["data_key"], *(pair["data_key"] for pair in entry["pairs"])}
    return {ref for ref in refs if ref}


def journal_entry(key: KeyShare) -> dict[str, Any] | None:
    """The journal's record of a stored share."""
    if key.gid is None:
        return None
    entry = keystore().journal.read(journal_name(bytes(key.identity.public), bytes(key.gid)))
    return json.loads(entry) if entry is not None else None


def share_key_exists(key: KeyShare) -> bool:
    """Whether the key that opens this share is in the keystore."""
    entry = journal_entry(key)
    refs = {key.data_key, entry["data_key"] if entry is not None else None}
    return any(ref is not None and keystore().keys.exists(ref) for ref in refs)


def material_destroy(key: KeyShare) -> None:
    """Destroy the data keys of a share and of its pairs, then the journal's copy. Idempotent; the keystore only."""
    store = keystore()
    for ref in material_refs(key):
        store.keys.destroy(ref)
    if key.gid is not None:
        store.journal.destroy(journal_name(bytes(key.identity.public), bytes(key.gid)))


def share_erase(key: KeyShare) -> dict[str, bool]:
    """Destroy the keys of a share, null what they sealed, and check: each of lifecycle.md's checks, True when it holds.

    Idempotent. The row, of which there may be none yet, keeps its state: that is the caller's to change, and with it
    the ciphertext of a share that is discarded (its state needs one up to then).
    """
    store = keystore()
    refs, ref, sealed = material_refs(key), key.data_key, key.sealed_share
    material_destroy(key)
    opens = False
    if sealed is not None and ref is not None and key.gid is not None:
        try:
            store.keys.unwrap(ref, bytes(sealed), share_aad(key_id=key.id, gid=bytes(key.gid), scheme=key.scheme))
            opens = True
        except (KeyGone, Tampered):
            pass
    with transaction.atomic():
        KeyShare.objects.filter(id=key.id, state=State.SUPERSEDED).update(sealed_share=None, data_key=None)
        key.pairs.update(sealed=None, data_key=None)
    return {
        "keys_destroyed": not any(store.keys.exists(each) for each in refs),
        "ciphertext_does_not_open": not opens,
        "journal_copy_gone": journal_entry(key) is None,
        "no_session_key_left": not session_keys_left(key),
    }


def session_keys_left(key: KeyShare) -> bool:
    """Whether the key of a session that made or dealt this share still exists: its traffic could still be opened.

    By their rows, and by their records in the keystore: a restored database may know of no key.
    """
    made_or_dealt = ProtocolSession.objects.filter(
        share_id__in=[key.id, key.predecessor_id], kind__in=["keygen", "import", "reshare"]
    )
    rows = list(made_or_dealt.values_list("id", "data_key"))
    return any(ref is not None for _, ref in rows) or any(session_key_exists(session_id) for session_id, _ in rows)
