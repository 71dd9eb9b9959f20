"""How long an exchange of two parties takes, over HTTP: each posts its message and has the other's when it returns."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from relay.client import Message, Relay

SIZE = 40_000  # bytes: about the largest message of a signature
PATIENCE = 5_000  # milliseconds


def measure_exchange(url: str, api_key: str, *, runs: int = 100, warm_ups: int = 10, size: int = SIZE) -> list[float]:
    """Seconds from the first request sent to the last answer, of each run. Raises RuntimeError if one fails."""
    relay = Relay(url, api_key)
    room = relay.create_room(2)
    parties = [secrets.token_hex(32) for _ in range(2)]
    for party in parties:
        until = int(time.time()) + 60
        relay.join(room, party=party, inbox=party, kind="bench", until=until, min_size=2, max_size=2)
    bodies = [secrets.token_bytes(size) for _ in range(2)]
    cursors = ["", ""]

    def exchange(index: int, number: int) -> None:
        me, other = parties[index], parties[1 - index]
        message = Message("bench", number, me, other, bodies[index])
        answer = relay.exchange(room, party=me, after=cursors[index], wait=PATIENCE, messages=[message])
        cursors[index] = answer.cursor
        if [(got.round, got.body) for got in answer.messages] != [(number, bodies[1 - index])]:
            raise RuntimeError("an exchange did not bring the other party's message")

    times = []
    with ThreadPoolExecutor(2) as pool:
        for number in range(warm_ups + runs):
            start = time.perf_counter()
            list(pool.map(exchange, (0, 1), (number, number)))
            times.append(time.perf_counter() - start)
    for party in parties:
        relay.done(room, party=party)
    return times[warm_ups:]
