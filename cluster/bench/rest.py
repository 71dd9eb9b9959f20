"""How long a user waits: calls to a running cluster that is otherwise idle, from the first request to the last answer.

Connections are kept and rooms made beforehand.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from cluster.bench.client import Party, Refused, User, all_at_once
from cluster.bench.figures import Figure, of_times, say
from cluster.cluster import Cluster
from relay.bench import measure_exchange

PARTIES = 6  # a, b, c hold the old key; a, b, d, e, f the new one
BATCH, BATCHES = 100, 3  # signatures in a batch; batches that are measured
GAIN = 5  # how many times the throughput of single calls a batch must have
POLL = 0.01  # seconds between two looks at a state
PATIENCE = 60.0  # seconds that a state may take
BARS = {"relay": 8.0, "keygen": 2000.0, "sign": 120.0, "reshare": 4000.0, "pause": 3000.0}  # milliseconds
LISTED, READERS, READS = 100, 4, 100  # keys in an answer of `GET /keys`; connections, and the requests on each
LIST_BAR = 1000 / 120  # milliseconds: 120 requests a second of one `web` process


def measure(cluster: Cluster, *, runs: int, warm_ups: int) -> Iterator[Figure]:
    """All figures of a cluster of six vertices; the warm-ups of each kind are not counted."""
    exchanges = measure_exchange(cluster.relay.url, cluster.relay.api_key)
    yield of_times("relay exchange p50 2x40kB", exchanges, bar=BARS["relay"])
    with ThreadPoolExecutor(PARTIES) as pool:
        bench = Bench([User.at(vertex) for vertex in cluster.vertices], pool)
        count = warm_ups + runs
        say(f"over REST: {count} times keygen 2-of-3")
        made = [bench.keygen() for _ in range(count)]
        times, keys = [seconds for seconds, _ in made], [key for _, key in made]
        yield of_times("keygen rest p50 2-of-3", times[warm_ups:], bar=BARS["keygen"])
        say(f"over REST: {count} times sign 2-of-3")
        rooms = [bench.room(2) for _ in range(count)]
        times = [bench.sign(keys[0][:2], room) for room in rooms]
        yield of_times("sign rest p50 2-of-3", times[warm_ups:], bar=BARS["sign"])
        yield of_times("sign rest p95 2-of-3", times[warm_ups:], share=0.95)
        say(f"over REST: {BATCH} signatures, one call each, and {BATCHES} batches of {BATCH}")
        yield bench.batches(keys[0][:2])
        say(f"over REST: {count} times reshare 2-of-3 to 3-of-5, confirmed")
        resharing: list[float] = []
        pauses: list[float] = []
        for key in keys:
            seconds, new = bench.reshare(key)
            resharing.append(seconds)
            pauses.append(bench.pause(key, new))
        yield of_times("reshare rest p50 2-of-3 to 3-of-5", resharing[warm_ups:], bar=BARS["reshare"])
        yield of_times("reshare pause 2-of-3", pauses[warm_ups:], bar=BARS["pause"])
        say(f"over REST: {READERS * READS} times GET /keys, {LISTED} keys each")
        yield bench.keys()


class Bench:
    """The users of six vertices and what they do together; what a method measures it returns in seconds."""

    def __init__(self, users: list[User], pool: ThreadPoolExecutor) -> None:
        self._users, self._pool = users, pool

    def room(self, size: int) -> str:
        return str(self._users[0].user.post("/create-room", {"room_size": size})["room_uuid"])

    def keygen(self) -> tuple[float, list[Party]]:
        """A 2-of-3 key of the first three vertices."""
        parties = [user.create() for user in self._users[:3]]
        body = {"num_parties": 3, "threshold": 2, "others_keygen_ids": _ids(parties), "room_uuid": self.room(3)}
        seconds, _ = self._together([party.calls("/ecdsa/keygen", body) for party in parties])
        return seconds, parties

    def sign(self, signers: Sequence[Party], room: str) -> float:
        """A signature; RuntimeError if the signers answer different ones."""
        body = {"msg": "00" * 32, "hash_algo": "none", "room_uuid": room}
        seconds, answers = self._together([party.calls("/ecdsa/sign", body) for party in signers])
        if any(answer != answers[0] for answer in answers):
            raise RuntimeError("the signers answered different signatures")
        return seconds

    def batches(self, signers: Sequence[Party]) -> Figure:
        """A batch in one room, against as many single calls, one after the other; all rooms made beforehand."""
        rooms = [self.room(2) for _ in range(BATCH + BATCHES)]
        single = sum(self.sign(signers, room) for room in rooms[BATCHES:])
        times = [self.batch(signers, room) for room in rooms[:BATCHES]]
        figure = of_times(f"batch rest {BATCH} 2-of-3", times, bar=1000 * single / GAIN)
        compared = {"single": 1000 * single, "ratio": 1000 * single / figure.value}
        return replace(figure, more=figure.more | compared)

    def batch(self, signers: Sequence[Party], room: str) -> float:
        """A batch of signatures; RuntimeError if one fails, or the signers answer different ones."""
        requests = [{"msg": f"{number:064x}", "hash_algo": "sha256"} for number in range(BATCH)]
        body = {"sign_requests": requests, "room_uuid": room}
        seconds, answers = self._together([party.calls("/ecdsa/batch-sign", body) for party in signers])
        if any(answer != answers[0] for answer in answers) or not all("Signature" in each for each in answers[0]):
            raise RuntimeError("not every request of a batch was signed, by all alike")
        return seconds

    def reshare(self, old: list[Party]) -> tuple[float, list[Party]]:
        """From three to five parties: two stay, one leaves, three join. Until all new shares are quarantined."""
        staying, leaving, joining = old[:2], old[2:], [user.create() for user in self._users[3:]]
        new = [*staying, *joining]
        roles = {"existing-party": staying, "new-party": joining, "departing-party": leaving}
        body = {"keygen_ids": _ids(new), "new_threshold": 3, "room_uuid": self.room(len(old) + len(joining))}
        seconds, answers = self._together(
            [party.calls(f"/ecdsa/reshare/{role}", body) for role, parties in roles.items() for party in parties]
        )
        answers.pop()  # the leaver's: its old key
        return seconds, [replace(party, key_id=answer["key_id"]) for party, answer in zip(new, answers, strict=True)]

    def pause(self, old: list[Party], new: list[Party]) -> float:
        """Confirms two deletions; from the second confirmation, which commits, to the new quorum's first signature.

        Returns when the third party has erased too and all know: the next reshare finds the cluster idle.
        """
        room, signers = self.room(3), new[:3]
        routes = [(party, _reshare_of(party)) for party in old]
        for party, route in routes[:2]:
            begun = _confirm(party, route)
        for party in signers:
            _until(partial(party.is_in, "active"))
        self.sign(signers, room)
        seconds = time.perf_counter() - begun
        for party, route in routes:
            _until(partial(_is_clean, party, route))
        return seconds

    def keys(self) -> Figure:
        """How long `web` takes for a list of keys, several asking at once: time that has passed for each request. The
        answers are not parsed here: the client's own work must not slow the vertex down."""
        user = self._users[0]
        while len(user.user.get(f"/keys?limit={LISTED}")["results"]) < LISTED:
            user.create()
        callers = [user.user.again() for _ in range(READERS)]
        seconds, _ = self._together([partial(caller.repeat, f"/keys?limit={LISTED}", READS) for caller in callers])
        each = seconds / (READERS * READS)
        return Figure("keys rest per request", 1000 * each, "ms", LIST_BAR, {"rps": 1 / each, "keys": LISTED})

    def _together(self, calls: Sequence[Callable[[], Any]]) -> tuple[float, list[Any]]:
        begun = time.perf_counter()
        answers = all_at_once(self._pool, calls)
        return time.perf_counter() - begun, answers


def _ids(parties: Sequence[Party]) -> list[str]:
    return [party.keygen_id for party in parties]


def _reshare_of(party: Party) -> str:
    """The route of the one reshare of a party's key."""
    lines = party.at.user.get("/reshares?limit=1000")["results"]
    [found] = [line["reshare_id"] for line in lines if line["old_key_id"] == party.key_id]
    return f"/reshares/{found}"


def _is_clean(party: Party, route: str) -> bool:
    return bool(party.at.user.get(route)["clean"])


def _confirm(party: Party, route: str) -> float:
    """Confirms the deletion of an old share as soon as all new ones are stored; when the confirmation was sent."""
    sent = 0.0

    def confirmed() -> bool:
        nonlocal sent
        sent = time.perf_counter()
        try:
            party.at.admin.post(f"{route}/confirm-deletion", {})
        except Refused as refused:
            if refused.err_type != "deletion_not_ready":
                raise
            return False
        return True

    _until(confirmed)
    return sent


def _until(holds: Callable[[], bool]) -> None:
    """RuntimeError when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"what should take a moment takes more than {PATIENCE:.0f} s")
        time.sleep(POLL)
