"""A key on its way: who holds it, and the calls that its users and operators make. Keys are prepared once and live on.

Every wait is patient and says at last what it waited for; what is right is judged by `invariants`, not here.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import coincurve
import httpx
import psycopg

from mpc.identity import decode_keygen_id
from tests.cluster.outside import Caller, new_user
from tests.faults.client import Unanswered, call, ok
from tests.faults.evidence import Witness
from tests.faults.vertices import STORE_BY, FaultyCluster

MESSAGE = b"abc"
POLL = 0.1  # seconds


class Stuck(Exception):
    """Something that must end has not ended in time: I4, or the harness' patience on this machine."""


@dataclass(frozen=True, slots=True)
class Member:
    """A party: its vertex, its user there and that vertex's admin, and the share that it holds now."""

    vertex: str
    user: Caller = field(repr=False)
    admin: Caller = field(repr=False)
    key_id: str
    keygen_id: str

    @property
    def party(self) -> str:
        """Identity, hex."""
        return decode_keygen_id(self.keygen_id).hex()


class World:
    """The cluster as its users see it: one user a vertex; a witness who reads everything; how patient we are."""

    def __init__(self, cluster: FaultyCluster, patience: float) -> None:
        self.cluster, self.patience = cluster, patience
        self.names = [vertex.name for vertex in cluster.vertices]
        self.witness = Witness(
            {vertex.name: cluster.owner_url(vertex.name) for vertex in cluster.vertices},
            {vertex.name: (vertex.keystore, vertex.master_key) for vertex in cluster.vertices},
        )
        self._users = {vertex.name: new_user(vertex.url, vertex.admin_token)[0] for vertex in cluster.vertices}
        self._admins = {vertex.name: Caller(vertex.url, vertex.admin_token) for vertex in cluster.vertices}
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="user")
        self.signatures = 0
        self._count = threading.Lock()

    def together(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """The results, in order; the first error is raised when all have ended."""
        futures = [self._pool.submit(each) for each in calls]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def member(self, vertex: str) -> Member:
        """A new party with a key that has no share yet."""
        user = self._users[vertex]
        key = ok(user, "GET /ecdsa/create", patience=self.patience)
        return Member(vertex, user, self._admins[vertex], key["key_id"], key["keygen_id"])

    def room(self, member: Member, size: int) -> str:
        return str(ok(member.user, "POST /create-room", {"room_size": size}, patience=self.patience)["room_uuid"])

    def until(self, holds: Callable[[], bool], what: Callable[[], str]) -> float:
        """Waits; the Unix time at which it held. Stuck, with `what()`, when it takes too long."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                if holds():
                    return time.time()
            except (psycopg.OperationalError, httpx.HTTPError):
                pass  # a server that is away
            if time.monotonic() > deadline:
                raise Stuck(f"not within {self.patience:.0f} s: {what()}")
            time.sleep(POLL)

    def signed(self) -> None:
        with self._count:
            self.signatures += 1


@dataclass
class Calls:
    """The asynchronous calls by their operations, and those that were made again."""

    made: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def latest(self, operation: str) -> str:
        """The operation of the call as it was last made."""
        while operation in self.again:
            operation = self.again[operation]
        return operation


@dataclass
class Life:
    """A key: its parties now, and what they held before."""

    world: World
    members: list[Member]
    threshold: int
    public_key: bytes = b""
    past: list[list[Member]] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)

    @property
    def vertices(self) -> list[str]:
        return [member.vertex for member in self.members]

    def keygen(self) -> None:
        """Generates the key, asynchronously; returns when it is active everywhere."""
        operations = self.keygen_begin()
        self.await_operations(operations)
        told = [(member.vertex, *self.operation(member, operation)) for member, operation in operations]
        if any(state != "done" for _, state, _ in told):
            raise Refused(f"a key generation failed: {told}")
        self.keygen_end()

    def keygen_begin(self) -> list[tuple[Member, str]]:
        members = self.members
        body = {
            "num_parties": len(members),
            "threshold": self.threshold,
            "room_uuid": self.world.room(members[0], len(members)),
        }

        def ask(member: Member) -> tuple[Member, str]:
            others = [each.keygen_id for each in members if each is not member]
            asked = body | {"key_id": member.key_id, "others_keygen_ids": others}
            return member, self.begin(member, "POST /ecdsa/keygen", asked)

        return self.world.together([lambda member=member: ask(member) for member in members])

    def keygen_end(self) -> None:
        member = self.members[0]
        [(public,)] = self.world.witness.query(
            member.vertex, "SELECT public_key FROM keys_keyshare WHERE id = %s", member.key_id
        )
        self.public_key = bytes(public)

    def begin(self, member: Member, route: str, body: dict[str, Any]) -> str:
        """An asynchronous call; its operation's id."""
        answer = call(member.user, route, body, patience=self.world.patience, prefer="respond-async")
        if answer.status != 202:
            raise Refused(f"{member.vertex} {route}: {answer.status} {answer.body}")
        operation = str(answer.headers["location"].rsplit("/", 1)[-1])
        self.calls.made[operation] = (route, body)
        return operation

    def reshare_begin(
        self, staying: Sequence[Member], joining: Sequence[Member], leaving: Sequence[Member], threshold: int
    ) -> list[tuple[Member, str]]:
        """Everybody's call, asynchronously: (member, operation)."""
        new = [*staying, *joining]
        body = {
            "keygen_ids": [member.keygen_id for member in new],
            "new_threshold": threshold,
            "room_uuid": self.world.room(staying[0], len(new) + len(leaving)),
        }
        roles = [(staying, "existing-party"), (joining, "new-party"), (leaving, "departing-party")]
        calls = [(member, role) for members, role in roles for member in members]

        def ask(member: Member, role: str) -> tuple[Member, str]:
            return member, self.begin(member, f"POST /ecdsa/reshare/{role}", body | {"key_id": member.key_id})

        return self.world.together([lambda each=each: ask(*each) for each in calls])

    def refresh_begin(self) -> list[tuple[Member, str]]:
        room = self.world.room(self.members[0], len(self.members))
        return self.world.together(
            [
                lambda member=member: (
                    member,
                    self.begin(member, "POST /ecdsa/refresh", {"key_id": member.key_id, "room_uuid": room}),
                )
                for member in self.members
            ]
        )

    def await_operations(self, operations: Sequence[tuple[Member, str]]) -> float:
        """Until all operations have ended; Unix time."""
        return self.world.until(
            lambda: self.ended(operations),
            lambda: "operations: " + ", ".join(f"{m.vertex} {self.operation(m, o)}" for m, o in operations),
        )

    def ended(self, operations: Sequence[tuple[Member, str]]) -> bool:
        """Whether all have; every one is looked at, as one that was cut off must be made again."""
        return "pending" not in [self.operation(*each)[0] for each in operations]

    def operation(self, member: Member, operation: str) -> tuple[str, Any]:
        """State and result of an operation, from the database. A call that says that it was cut off before anything
        began is made again, as its user would."""
        state, result = self._operation(member, self.calls.latest(operation))
        if state == "failed" and result.get("err_type") == "not_ready":
            with self.calls.lock:
                latest = self.calls.latest(operation)
                if self._operation(member, latest)[0] == "failed" and latest in self.calls.made:
                    self.calls.again[latest] = self.begin(member, *self.calls.made[latest])
            return "pending", None
        return state, result

    def _operation(self, member: Member, operation: str) -> tuple[str, Any]:
        [row] = self.world.witness.query(
            member.vertex, "SELECT state, result FROM keys_operation WHERE id = %s", operation
        )
        return row[0], row[1]

    def attempt_of(self, member: Member, operation: str) -> tuple[str, str, bytes | None]:
        """The reshare's id, state and rid, by the operation that asked for it."""
        [row] = self.world.witness.query(member.vertex, _RESHARE, self.calls.latest(operation))
        return str(row[0]), row[1], bytes(row[2]) if row[2] is not None else None

    def vote(self, member: Member, operation: str, word: str) -> None:
        """The operator's word, repeated until the vertex takes it."""
        route = f"POST /reshares/{self.attempt_of(member, operation)[0]}/{word}"
        deadline = time.monotonic() + self.world.patience
        while True:
            answer = call(member.admin, route, {}, patience=self.world.patience)
            if answer.status == 200 or answer.error[1] == "already_voted":
                return
            if answer.error[1] != "deletion_not_ready" or time.monotonic() > deadline:
                raise Stuck(f"{member.vertex} {word}: {answer.body}")
            time.sleep(POLL)

    def late(self, operations: Sequence[tuple[Member, str]], begun: float) -> bool:
        """Aborted everywhere, as not all heard in time that all store (a slow machine); `begun` by the monotonic clock.

        No excuse where enough of the old parties have confirmed.
        """
        attempts = [self.attempt_of(*each) for each in operations]
        if time.monotonic() < begun + STORE_BY or {state for _, state, _ in attempts} != {"aborted"}:
            return False
        confirmed = {
            bytes(party)
            for (member, _), (_, _, rid) in zip(operations, attempts, strict=True)
            for (party,) in self.world.witness.query(member.vertex, _CONFIRMED, rid)
        }
        return len(confirmed) <= len(self.members) - self.threshold

    def give_up(self, operations: Sequence[tuple[Member, str]]) -> None:
        """What operators do about a reshare that failed somewhere: the old parties whose vote it waits for abort it.

        A departing party can fail alone, when the relay forgets its room: then all are stored, and it has voted.
        """
        for member, operation in operations:
            if member in self.members and self.attempt_of(member, operation)[1] == "voting":
                try:
                    self.vote(member, operation, "abort")
                except Stuck:  # unless it has ended meanwhile
                    if self.attempt_of(member, operation)[1] == "voting":
                        raise

    def renewed(self, members: Sequence[Member], operations: Sequence[tuple[Member, str]]) -> list[Member]:
        """The members of the new quorum with their new shares."""
        made = {member.keygen_id: self.operation(member, operation)[1] for member, operation in operations}
        return [replace(member, key_id=made[member.keygen_id]["key_id"]) for member in members]

    def move_on(self, members: list[Member], threshold: int) -> None:
        """The new quorum lives: later scenarios reshare that one."""
        self.past.append(self.members)
        self.members, self.threshold = members, threshold

    # Signing attempts ----------------------------------------------------------------------------------------------

    def sign(self, signers: Sequence[Member], *, patient: bool = False) -> str | None:
        """None if they signed and the signature holds, else why not.

        A signature is never run again by itself: where a worker, or the relay's memory of its room, was lost in it
        (another lane's fault) its user, if `patient`, repeats it until workers are back.
        """
        deadline = time.monotonic() + (self.world.patience if patient else 0)
        while (refused := self._sign(signers)) in (AGAIN, ROOM_LOST) and time.monotonic() < deadline:
            time.sleep(POLL)
        return refused

    def _sign(self, signers: Sequence[Member]) -> str | None:
        try:
            room = self.world.room(signers[0], len(signers))
        except Unanswered as error:
            return str(error)
        body = {"msg": MESSAGE.hex(), "hash_algo": "sha256", "room_uuid": room}
        answers = self.world.together(
            [
                lambda member=member: call(
                    member.user, "POST /ecdsa/sign", body | {"key_id": member.key_id}, patience=self.world.patience
                )
                for member in signers
            ]
        )
        refused = [answer for answer in answers if answer.status != 200]
        if any(answer.body.get("err_msg") == NO_ROOM for answer in refused):
            return ROOM_LOST
        if refused:
            return "; ".join(sorted({str(answer.body.get("err_type")) for answer in refused}))
        self.world.signed()
        if not all(_holds(self.public_key, answer.body) for answer in answers):
            raise AssertionError("a signature does not verify")
        return None


AGAIN, ROOM_LOST = "executor_result", "room lost"  # what a user repeats in a new room
NO_ROOM = "the room is unknown or has expired"


class Refused(Exception):
    """A call was refused before anything began."""


def _holds(public_key: bytes, signature: dict[str, Any]) -> bool:
    return coincurve.PublicKey(public_key).verify(bytes.fromhex(signature["der"]), MESSAGE)


_CONFIRMED = "SELECT party FROM keys_receipt WHERE kind = 'CONFIRMED' AND subject = %s"
_RESHARE = """SELECT reshare.id, reshare.state, reshare.rid
                FROM reshare_reshare reshare JOIN keys_protocolsession session ON session.id = reshare.session_id
               WHERE session.operation_id = %s"""
