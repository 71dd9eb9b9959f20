"""The event log attacked by one who owns the tables, the trigger out of the way: `audit_verify` names the first bad
event. What a chain can't show by itself, a rewritten past or a cut tail, shows against signed heads."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError
from django.utils import timezone

from audit import heads, log
from audit.models import AuditHead, Event
from audit.services import head_sign
from tests.audit.logged import KEY, OTHER, PEM, append, as_owner, countersigned, rechain, sign, verify

UPDATE = "UPDATE audit_event SET"
CHANGED, MISSING, DOES_NOT_FOLLOW = "was changed", "is missing", "does not follow"


@dataclass(frozen=True)
class Attack:
    """Statements, the first bad event, and what is said of it."""

    name: str
    statements: tuple[str, ...]
    bad: int
    why: str


def attack(name: str, *statements: str, bad: int, why: str = CHANGED) -> Attack:
    return Attack(name, statements, bad, why)


INSERT = "INSERT INTO audit_event SELECT {seq}, time, action, actor, subject, data, {previous}, {hash} FROM audit_event"
UNSEEN = [
    attack("data changed", f"{UPDATE} data = '{{\"n\": 9}}' WHERE seq = 3", bad=3),
    attack("number turned into a float", f"{UPDATE} data = data || '{{\"n\": 3.0}}' WHERE seq = 3", bad=3),
    attack("number turned into text", f'{UPDATE} data = data || \'{{"n": "3"}}\' WHERE seq = 3', bad=3),
    attack("data no object", f"{UPDATE} data = '7' WHERE seq = 3", bad=3),
    attack(
        "data nested beyond reading",
        f"{UPDATE} data = (repeat('[', 3000) || repeat(']', 3000))::jsonb WHERE seq = 3",
        bad=3,
    ),
    attack("actor changed", f"{UPDATE} actor = 'admin' WHERE seq = 2", bad=2),
    attack("action changed", f"{UPDATE} action = 'a.b' WHERE seq = 4", bad=4),
    attack("subject changed", f"{UPDATE} subject = 'x' WHERE seq = 1", bad=1),
    attack(
        "text moved between fields", f"{UPDATE} action = action || 's', actor = right(actor, -1) WHERE seq = 1", bad=1
    ),
    attack("time changed", f"{UPDATE} time = time + interval '1 microsecond' WHERE seq = 5", bad=5),
    attack("time beyond reading", f"{UPDATE} time = 'infinity' WHERE seq = 4", bad=4, why="was changed: its row"),
    attack("hash changed", f"{UPDATE} hash = sha256(hash) WHERE seq = 5", bad=5),
    attack("hash cut", f"{UPDATE} hash = '\\x00' WHERE seq = 5", bad=5),
    attack("previous hash changed", f"{UPDATE} previous = sha256(hash) WHERE seq = 4", bad=4, why=DOES_NOT_FOLLOW),
    attack("first dropped", "DELETE FROM audit_event WHERE seq = 1", bad=1, why=MISSING),
    attack("dropped", "DELETE FROM audit_event WHERE seq = 3", bad=3, why=MISSING),
    attack(
        "dropped and the gap closed",
        "DELETE FROM audit_event WHERE seq = 3",
        f"{UPDATE} seq = seq + 10 WHERE seq > 3",
        f"{UPDATE} seq = seq - 11 WHERE seq > 10",
        bad=3,
        why=DOES_NOT_FOLLOW,
    ),
    attack(
        "inserted in between",
        f"{UPDATE} seq = seq + 10 WHERE seq > 2",
        f"{UPDATE} seq = seq - 9 WHERE seq > 10",
        INSERT.format(seq=3, previous="hash", hash="sha256('x')") + " WHERE seq = 2",
        bad=3,
    ),
    attack(
        "inserted before the first",
        "ALTER TABLE audit_event DROP CONSTRAINT event_seq_from_one",
        INSERT.format(seq=0, previous="previous", hash="sha256('x')") + " WHERE seq = 1",
        bad=1,
        why=MISSING,
    ),
    attack("appended by hand", INSERT.format(seq=6, previous="hash", hash="'\\x00'") + " WHERE seq = 5", bad=6),
    attack(
        "appended behind a gap",
        INSERT.format(seq=8, previous="hash", hash="'\\x00'") + " WHERE seq = 5",
        bad=6,
        why=MISSING,
    ),
    attack(
        "swapped",
        f"{UPDATE} seq = 9 WHERE seq = 2",
        f"{UPDATE} seq = 2 WHERE seq = 3",
        f"{UPDATE} seq = 3 WHERE seq = 9",
        bad=2,
        why=DOES_NOT_FOLLOW,
    ),
    attack(
        "contents swapped",
        f"{UPDATE} subject = CASE seq WHEN 2 THEN 'thing 4' ELSE 'thing 2' END WHERE seq IN (2, 4)",
        bad=2,
    ),
]


@pytest.mark.parametrize("case", UNSEEN, ids=lambda case: case.name)
def test_the_chain_alone_names_the_first_bad_event(events: list[Event], case: Attack) -> None:
    verify()
    as_owner(*case.statements)
    with pytest.raises(CommandError, match=rf"event {case.bad}: {case.why}") as refused:
        verify()
    assert refused.value.returncode == 1


@pytest.mark.parametrize("size", [2, 3, 1000])
@pytest.mark.parametrize("twice", [2, 3, 5])
def test_an_event_that_stands_there_twice_is_named_wherever_chunks_end(
    events: list[Event], monkeypatch: pytest.MonkeyPatch, size: int, twice: int
) -> None:
    monkeypatch.setattr(log, "_CHUNK", size)
    verify()
    copy = INSERT.format(seq=twice, previous="previous", hash="hash") + f" WHERE seq = {twice}"
    keys = ", ".join(f"DROP CONSTRAINT audit_event_{name}" for name in ("pkey", "hash_key"))
    as_owner(f"ALTER TABLE audit_event {keys}", copy)
    with pytest.raises(CommandError, match=f"event {twice + 1}: {MISSING}"):
        verify()


def test_an_event_rewritten_with_its_own_hash_is_betrayed_by_the_next_one(events: list[Event]) -> None:
    as_owner(f"{UPDATE} actor = 'admin' WHERE seq = 3")
    changed = Event.objects.get(seq=3).entry
    fields = {
        name: getattr(changed, name) for name in ("seq", "time", "action", "actor", "subject", "data", "previous")
    }
    as_owner(f"{UPDATE} hash = '\\x{log.chain.entry_hash(**fields).hex()}' WHERE seq = 3")
    with pytest.raises(CommandError, match="event 4: does not follow"):
        verify()


# Whoever rewrites all hashes from some event on, or cuts the end, leaves a chain that holds by itself.

REWRITTEN = [
    attack("tail cut", "DELETE FROM audit_event WHERE seq > 3", bad=4, why="is no longer there"),
    attack("one event cut off the end", "DELETE FROM audit_event WHERE seq = 5", bad=5, why="is no longer there"),
    attack("all cut", "DELETE FROM audit_event", bad=1, why="is no longer there"),
    attack("last changed", f"{UPDATE} actor = 'admin' WHERE seq = 5", bad=5, why="is another"),
    attack("first changed", f"{UPDATE} actor = 'admin' WHERE seq = 1", bad=5, why="is another"),
    attack(
        "dropped, gap closed, one appended",
        "DELETE FROM audit_event WHERE seq = 3",
        f"{UPDATE} seq = seq + 10 WHERE seq > 3",
        f"{UPDATE} seq = seq - 11 WHERE seq > 10",
        INSERT.format(seq=5, previous="hash", hash="sha256('x')") + " WHERE seq = 4",
        bad=5,
        why="is another",
    ),
]


@pytest.mark.parametrize("against", ["own head", "peer", "written down", "earlier export"])
@pytest.mark.parametrize("case", REWRITTEN, ids=lambda case: case.name)
def test_a_chain_made_anew_contradicts_whoever_kept_a_head(
    events: list[Event], tmp_path: Path, case: Attack, against: str
) -> None:
    kept = tmp_path / "kept.jsonl"
    held: dict[str, object] = {}
    if against == "own head":
        head_sign(vertex="a", sign=sign)
    elif against == "peer":
        kept.write_text(countersigned(events[4]) + "\n")
        held = {"against": [kept]}
    elif against == "written down":
        held = {"head": [f"5:{bytes(events[4].hash).hex()}"]}
    else:
        head_sign(vertex="a", sign=sign)
        kept.write_text("".join(f"{line}\n" for line in log.export()))
        as_owner("DELETE FROM audit_audithead")
        held = {"against": [kept]}
    verify(**held)
    as_owner(*case.statements)
    rechain()
    with pytest.raises(CommandError, match=rf"event {case.bad}: {case.why}"):
        verify(**held)
    as_owner("DELETE FROM audit_audithead")
    assert verify().startswith("ok: "), "by itself it holds: without a head from elsewhere nothing shows"


def test_growth_after_a_cut_hides_nothing(events: list[Event]) -> None:
    """The cut log grows past the head that was shared; the event of that number is another one."""
    shared = f"5:{bytes(events[4].hash).hex()}"
    as_owner("DELETE FROM audit_event WHERE seq > 3")
    for number in range(4, 9):
        append(number)
    verify()
    with pytest.raises(CommandError, match="event 5: is another than the one that the given head names"):
        verify(head=[shared])


# Signed heads.


def add_head(statement: str, signature: bytes, *, seq: int = 5, digest: bytes | None = None) -> None:
    hashed = digest if digest is not None else bytes(Event.objects.get(seq=5).hash)
    AuditHead.objects.create(seq=seq, hash=hashed, time=timezone.now(), statement=statement, signature=signature)


def own_statement(event: Event, seq: int | None = None) -> str:
    at = seq if seq is not None else event.seq
    return heads.own_statement(vertex="a", seq=at, digest=bytes(event.hash), time=timezone.now())


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "vertex.pem"
    path.write_bytes(PEM)
    return path


HEADS = {
    "signature of another key": lambda text: (text, OTHER.sign(text.encode(), ec.ECDSA(SHA256()))),
    "signature of another statement": lambda text: (text, sign(text.replace('"a"', '"b"').encode())),
    "a flipped bit": lambda text: (text, flipped(sign(text.encode()))),
    "no signature": lambda text: (text, b""),
    "a signature that is no DER": lambda text: (text, bytes(70)),
}


def flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


@pytest.mark.parametrize("name", HEADS)
def test_a_forged_head_is_refused(events: list[Event], pem: Path, name: str) -> None:
    add_head(*HEADS[name](own_statement(events[4])))
    with pytest.raises(CommandError, match="event 5: the head signed by 'a' is not signed by this key"):
        verify(pubkey=pem)


def test_an_honest_head_verifies_and_another_key_does_not(events: list[Event], pem: Path) -> None:
    head_sign(vertex="a", sign=sign)
    assert verify(pubkey=pem) == f"ok: 5 events, head {bytes(events[4].hash).hex()}\n"
    pem.write_bytes(OTHER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(CommandError, match="not signed by this key"):
        verify(pubkey=pem)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        pytest.param("{}", "not an exported head", id="empty"),
        pytest.param("7", "not an exported head", id="a number"),
        pytest.param("[" * 5000, "not an exported head", id="nested"),
        pytest.param('{"format":"vertex-audit-head/2"}', "not an exported head", id="format"),
    ],
)
def test_a_head_that_is_none_is_named(events: list[Event], statement: str, why: str) -> None:
    add_head(statement, sign(statement.encode()))
    with pytest.raises(CommandError, match=f"event 5: its signed head was changed: {why}"):
        verify()


def test_a_head_row_that_says_something_else_than_its_statement_is_named(events: list[Event]) -> None:
    """`GET /audit/head` would answer the row: it must be what was signed."""
    statement = own_statement(events[2])
    add_head(statement, sign(statement.encode()))
    with pytest.raises(CommandError, match="event 5: its signed head was changed: row and statement differ"):
        verify()


def test_a_head_of_an_event_that_never_was_is_named(events: list[Event], pem: Path) -> None:
    statement = own_statement(events[4], seq=7)
    add_head(statement, sign(statement.encode()), seq=7)
    with pytest.raises(CommandError, match="event 6: is no longer there"):
        verify(pubkey=pem)


def test_two_chains_under_one_key_can_not_both_be_the_log(events: list[Event], pem: Path) -> None:
    """A vertex that shows its peers one chain and its auditor another: both heads are signed, one is not the log's."""
    head_sign(vertex="a", sign=sign)
    as_owner(f"{UPDATE} actor = 'admin' WHERE seq = 2")
    rechain(2)
    head_sign(vertex="a", sign=sign)
    assert AuditHead.objects.count() == 2
    with pytest.raises(CommandError, match="event 5: is another than the one that the head signed by 'a' names"):
        verify(pubkey=pem)


def test_peers_are_believed_with_their_key_only(events: list[Event], tmp_path: Path) -> None:
    kept, peer = tmp_path / "kept.jsonl", tmp_path / "peer.pem"
    peer.write_bytes(OTHER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    kept.write_text(countersigned(events[3]) + "\n")
    assert "note: no witness key" in verify(against=[kept])
    assert "note: no witness key" not in verify(against=[kept], witness_key=[peer])
    kept.write_text(countersigned(events[3], key=KEY) + "\n")
    with pytest.raises(CommandError, match="event 4: the head countersigned by 'peer' is not signed by this key"):
        verify(against=[kept], witness_key=[peer])


def test_a_clock_that_jumps_breaks_no_chain(events: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.services.events.timezone.now", lambda: events[0].time - timedelta(days=400))
    append(6)
    assert verify().startswith("ok: 6 events")
