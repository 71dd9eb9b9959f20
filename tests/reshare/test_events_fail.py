"""If an event can't be written, what it tells of does not happen: every service that records one, with a full disk.

Services that are called are in a table: after the failure all tables are as they were before. What a worker does by
itself is in `test_events_of_workers`.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from audit import services as audit
from audit import signals
from audit.services import events as appending
from keys import backup, create, exporting, keygen, node, operators, receipts, signing, users, witness
from keys.boxes import AnswerKey
from keys.keystore import keystore
from keys.models import (
    KeyShare,
    Operation,
    PairState,
    ProtocolSession,
    Statement,
)
from keys.sessions import services as sessions
from keys.sessions.lease import Lease
from keys.shares import journal_entry
from keys.stored import possession
from mpc.errors import Abort, Blame
from mpc.shares import UncheckedShare
from mpc.sign import Signature
from mpc.wire import decode
from reshare import reconcile
from reshare.decommission import decommission
from reshare.deleting import delete_request
from reshare.kind import ReshareKind
from reshare.models import Reshare
from reshare.receiving import Bundle, receive
from reshare.restoring import restore
from tests.audit.shown import ready
from tests.mpc.simulator import identity, key
from tests.reshare.acts_of_policies import OF_POLICIES
from tests.reshare.attempts import OLD, Attempt, old_quorum, old_share, public
from tests.reshare.full_disk import BY_ITSELF, PASSWORD, Act, FullDisk, new_operator, user

HOUSE = Path(__file__).resolve().parents[2]


def everything() -> dict[str, str]:
    """The contents of all tables, hashed; how long a worker may go on with a session is no trace of what it did."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            row = "(to_jsonb(t) - 'lease_until')::text"
            cursor.execute(f"SELECT md5(string_agg({row}, E'\\n' ORDER BY {row})) FROM \"{table}\" t")
            found[table] = cursor.fetchone()[0] or ""
    return found


# What is called: each makes what it needs, and gives the call that must leave nothing when its event fails.


def operation(**arguments: str) -> Operation:
    deadline = timezone.now() + timedelta(seconds=60)
    return Operation.objects.create(user=user(), caller="admin", action="test", deadline=deadline, arguments=arguments)


def api_key_created() -> Act:
    someone = user()
    return lambda: users.api_key_create(user_id=someone.id, actor="admin")


def operator_token_created() -> Act:
    someone = new_operator()
    return lambda: users.operator_token_create(operator=someone, actor="admin")


def api_key_revoked() -> Act:
    _, token = users.user_create(name="x", owner=None, actor="admin")
    return lambda: users.api_key_revoke(api_key=token, actor="admin")


def user_deleted() -> Act:
    someone, _ = users.user_create(name="x", owner=None, actor="admin")
    return lambda: users.user_delete(user_id=someone.id, actor="admin")


def operator_ensured() -> Act:
    operators.groups_ensure()
    entry = operators.OperatorEntry("somebody", PASSWORD, ["viewer"])
    return lambda: operators.operator_ensure(entry=entry, actor="admin")


def key_created() -> Act:
    asked = operation()
    return lambda: create.key_create(operation_id=asked.id, scheme="ecdsa")


def session(kind: str, share: KeyShare, **fields: Any) -> ProtocolSession:
    settled: dict[str, Any] = {"state": "running", "params": {"digest": "11" * 32}, "room": "r"}
    settled |= {"kind": kind, "share": share, "deadline": timezone.now() + timedelta(minutes=1)}
    return ProtocolSession.objects.create(**settled | fields)


def session_requested() -> Act:
    old_quorum()
    share = old_share("a")
    return lambda: sessions.session_open(
        kind="sign",
        share=share,
        operation=None,
        params={},
        relay_url="http://relay.test",
        room="r",
        min_size=2,
        max_size=3,
        deadline=timezone.now(),
        actor="admin",
        data={},
    )


def session_failed() -> Act:
    old_quorum()
    begun = session("keygen", old_share("a"), state="ready", operation=operation())
    error = sessions.absent(begun)
    return lambda: sessions.session_fail(session_id=begun.id, error=error, actor="system")


def share_quarantined() -> Act:
    old_quorum()
    share = old_share("a")
    result = key(OLD, 2)[public("a")]
    KeyShare.objects.filter(id=share.id).update(state="created", gid=None, sealed_share=None, data_key=None)
    begun = session("keygen", KeyShare.objects.get(id=share.id))
    return lambda: keygen.KeygenKind().finish(begun, Lease(begun.id, 0), result)


def share_active() -> Act:
    old_quorum()
    results = key(OLD, 2)
    first = results[public("a")]
    receipts.keep_statement(subject=first.sid, digest=first.digest, preimage=first.preimage)
    for name in OLD:
        proof = {"proof": possession(results[public(name)].share, first.digest)}
        about = {"subject": first.sid, "gid": first.gid, "k": 0, "digest": first.digest}
        said = receipts.issue(identity(name), kind=receipts.STORED, **about, body=proof)
        receipts.keep(said, receipts.parse(said))
    KeyShare.objects.filter(id=old_share("a").id).update(state="quarantined")
    share, asked = old_share("a"), operation()
    return lambda: keygen.keygen_advance(key=share, sid=first.sid, operation_id=asked.id)


def sign_released() -> Act:
    old_quorum()
    begun = session("sign", old_share("a"))
    return lambda: signing.release(begun, Lease(begun.id, 0))


def sign_done() -> Act:
    old_quorum()
    begun = session("sign", old_share("a"), operation=operation())
    return lambda: signing.SignKind().finish(begun, Lease(begun.id, 0), Signature(1, 1, 0))


def key_exported() -> Act:
    old_quorum()
    begun = session("export", old_share("a"), params={"recipient": public("b").hex(), "caller": "admin"})
    return lambda: exporting.mark(begun, Lease(begun.id, 0))


def export_done() -> Act:
    old_quorum()
    begun = session("export", old_share("a"), operation=operation())
    return lambda: exporting.ExportKind().finish(begun, Lease(begun.id, 0), None)


def share_exported() -> Act:
    old_quorum()
    asked = operation(key_id=str(old_share("a").id), answer_to=AnswerKey().public.hex())

    def exported() -> None:
        with override_settings(VERTEX_BACKUP="plaintext"):
            backup.backup_export(str(asked.id))

    return exported


def share_restored() -> Act:
    asked, share = operation(scheme="ecdsa"), key("AB", 2)[identity("A").public].share
    unchecked = decode(UncheckedShare, share.encode())
    content = backup.Content(identity=identity("A").reveal(), generation=1, made_at=1, banned=(), share=unchecked)
    return lambda: restore(operation=asked, content=content, share=share)


def request_not_signed() -> Act:
    old_quorum()
    asked = {"items": [{"digest": "11" * 32, "path": []}]}
    begun = session("sign", old_share("a"), operation=operation(), params=asked)
    return lambda: signing.SignKind().finish(begun, Lease(begun.id, 0), (Abort("it was not asked for"),))


def pair_banned() -> Act:
    old_quorum()
    begun = session("sign", old_share("a"))
    return lambda: signing.SignKind().blamed(begun, Blame({public("b")}, "a check failed", ban=True))


def deletion_proposed() -> Act:
    new_operator()
    deletion = ready()
    asked = {"statement_hash": bytes(deletion.statement_hash), "reason": "x", "exports_destroyed": False}
    return lambda: audit.deletion_confirm(deletion_id=deletion.id, actor="operator:approver", **asked)


def deletion_confirmed() -> Act:
    deletion = ready()
    asked = {"statement_hash": bytes(deletion.statement_hash), "reason": "x", "exports_destroyed": False}
    return lambda: audit.deletion_confirm(deletion_id=deletion.id, actor="system", **asked)


def deletion_rejected() -> Act:
    new_operator()
    deletion = ready()
    return lambda: audit.deletion_reject(deletion_id=deletion.id, actor="operator:approver", reason="x")


def password_refused() -> Act:
    new_operator()
    deletion = ready()
    client = Client()
    assert client.login(username="approver", password=PASSWORD)
    form = {"statement_hash": bytes(deletion.statement_hash).hex(), "decision": "confirm"}
    form |= {"reason": "x", "password": "a wrong one"}
    return lambda: client.post(reverse("admin:audit_deletion_change", args=[deletion.pk]), form)


def confirmation(attempt: Attempt) -> bytes:
    about = {"subject": attempt.rid, "gid": attempt.hello.gid, "k": attempt.hello.k}
    return receipts.issue(identity("a"), kind="CONFIRMED", **about, digest=attempt.result("a").digest)


def begun_attempt() -> Attempt:
    old_quorum()
    attempt = Attempt()
    attempt.begin()
    attempt.through()
    return attempt


def receipts_received() -> Act:
    attempt = begun_attempt()
    bundle = Bundle([confirmation(attempt)], attempt.result("a").preimage)
    return lambda: receive(rid=attempt.rid, bundle=bundle, actor="admin")


def receipts_refused() -> Act:
    attempt = begun_attempt()
    bundle = Bundle([confirmation(attempt), b"garbage"], None)
    return lambda: receive(rid=attempt.rid, bundle=bundle, actor="admin")


def reshare_told() -> Act:
    attempt = begun_attempt()
    Reshare.objects.all().delete()
    Statement.objects.all().delete()
    bundle = Bundle([confirmation(attempt)], attempt.result("a").preimage)
    return lambda: receive(rid=attempt.rid, bundle=bundle, actor="admin")


def reshare_began() -> Act:
    attempt = begun_attempt()
    row = attempt.row("a")
    unwritten: dict[str, Any] = {"rid": None, "run": "", "state": "waiting"}
    Reshare.objects.filter(id=row.id).update(**unwritten)
    begun = session("reshare", old_share("a"))
    Reshare.objects.filter(id=row.id).update(session=begun)
    written = ReshareKind()._written
    return lambda: written(begun, Lease(begun.id, 0), attempt.hello, run=Reshare.Run.HELLO)


def journal_record(name: str = "a") -> dict[str, Any]:
    old_quorum()
    record = journal_entry(old_share(name))
    assert record is not None
    PairState.objects.all().delete()
    KeyShare.objects.filter(id=old_share(name).id).delete()
    return record


def row_restored() -> Act:
    record = journal_record()
    return lambda: reconcile._restore(record)


def not_restored() -> Act:
    record = journal_record() | {"identity": "00" * 32}
    return lambda: reconcile._restore(record)


def key_missing() -> Act:
    old_quorum()
    share = old_share("a")
    return lambda: reconcile._without_key(share)


def deletion_asked() -> Act:
    old_quorum()
    share = old_share("a")
    mine = share.user
    asked = Operation.objects.create(
        user=mine, caller=f"user:{mine.id}", action="test", deadline=timezone.now() + timedelta(seconds=60)
    )
    return lambda: delete_request(user=mine, operation=asked, key_id=share.id, scheme=share.scheme)


def identity_destroyed() -> Act:
    old_quorum()
    share = old_share("a")
    gone: dict[str, Any] = {"state": KeyShare.State.ERASED, "sealed_share": None, "data_key": None}
    KeyShare.objects.filter(id=share.id).update(**gone, erased_at=timezone.now())
    return lambda: decommission(key_id=share.id, actor="admin", abandon=True)


def keystore_rotated() -> Act:
    node.ensure_node()
    key_created()()
    old, new = configured.VERTEX_MASTER_KEY, bytes(range(32)).hex()
    opening = override_settings(VERTEX_MASTER_KEY=new, VERTEX_MASTER_KEY_OTHER=old)

    def rotate() -> None:
        with opening:
            call_command("keystore_rotate", verbosity=0)

    return rotate


def head_conflict() -> Act:
    for number, seq in ((1, 9), (2, 5)):
        body = {witness.FIELD: [seq, bytes(32), number]}
        about = {"subject": bytes(32), "gid": bytes(32), "k": 0, "digest": b""}
        said = receipts.issue(identity("a"), kind=receipts.DELETED, **about, body=body)
        receipts.keep(said, receipts.parse(said))
    return lambda: witness._compare(witness.PeerHead.objects.get(number=2).id)


CALLED: dict[str, Callable[[], Act]] = {
    "user.created": lambda: lambda: users.user_create(name="x", owner=None, actor="admin"),
    "api_key.created": api_key_created,
    "operator_token.created": operator_token_created,
    "api_key.revoked": api_key_revoked,
    "user.deleted": user_deleted,
    "operator.ensured": operator_ensured,
    "node.created": lambda: node.ensure_node,
    "key.created": key_created,
    "sign.requested": session_requested,
    "keygen.failed": session_failed,
    "share.quarantined": share_quarantined,
    "share.active": share_active,
    "sign.released": sign_released,
    "sign.done": sign_done,
    "key.exported": key_exported,
    "export.done": export_done,
    "share.exported": share_exported,
    "share.restored": share_restored,
    "sign.failed": request_not_signed,
    "pair.banned": pair_banned,
    "deletion.proposed": deletion_proposed,
    "deletion.confirmed": deletion_confirmed,
    "deletion.rejected": deletion_rejected,
    "deletion.password_refused": password_refused,
    "receipts.received": receipts_received,
    "receipts.refused": receipts_refused,
    "reshare.told": reshare_told,
    "reshare.began": reshare_began,
    "share.row_restored": row_restored,
    "share.not_restored": not_restored,
    "share.key_missing": key_missing,
    "audit.head_conflict": head_conflict,
    "share.deletion_asked": deletion_asked,
    "identity.destroyed": identity_destroyed,
    "keystore.rotated": keystore_rotated,
    **OF_POLICIES,
}
# A ban destroys the pair's key before it says so, and what was stored stays stored: both err on the safe side.
# So does an identity's; nobody needs another word of it.
KEYSTORE_GOES_AHEAD = {"pair.banned", "share.quarantined", "identity.destroyed"}


@pytest.fixture
def alone(
    db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    settings.VERTEX_KEYSTORE = str(tmp_path / "keystore")
    settings.VERTEX_TWO_PERSON = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for signal in (signals.deletion_confirmed, signals.deletion_rejected):
        monkeypatch.setattr(signal, "receivers", [])
        signal.sender_receivers_cache.clear()


@pytest.mark.parametrize("action", CALLED)
def test_nothing_remains_of_a_call_whose_event_fails(alone: None, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    call = CALLED[action]()
    before, keys = everything(), keystore().keys.list()
    refused: list[str] = []

    def refuses(fields: dict[str, Any]) -> bool:
        refused.append(fields["action"])
        return True

    with monkeypatch.context() as failing:
        failing.setattr(appending, "Event", FullDisk(refuses))
        with pytest.raises(OperationalError, match="no space left"):
            call()
    assert refused == [action]
    after = everything()
    assert {table for table in before if before[table] != after[table]} == set()
    if action not in KEYSTORE_GOES_AHEAD:
        assert keystore().keys.list() == keys


ELSEWHERE = {"audit.cut"}  # tests/keys/test_witness.py: what shares a head must not be in a transaction


def test_every_event_of_the_source_is_tried() -> None:
    """A new service that records something is added here, or this fails."""
    # Not the actions of calls, by which some are looked for.
    literal = re.compile(r'(?:(?<!Q\()(?<!unattended\()action=|_record\(\s*)"([a-z_]+\.[a-z_.]+)"')
    sources = [path for app in ("audit", "keys", "reshare") for path in (HOUSE / app).rglob("*.py")]
    recorded = {
        action
        for path in sources
        if "views" not in path.parts and not path.name.endswith("views.py")
        for action in literal.findall(path.read_text())
    }
    assert recorded - CALLED.keys() - BY_ITSELF - ELSEWHERE == set()
    assert CALLED.keys() - recorded == {"sign.requested", "keygen.failed"}, "those of sessions, by their kind"
