"""The relay's bar: two parties exchange 40 kB each."""

from statistics import median

import redis

from cluster.relay import Relay as Server
from relay.bench import measure_exchange

# The bar of the benchmark is 8 ms on a quiet machine; here only that nothing waits for a timer or polls.
PATIENCE = 0.1


def test_an_exchange_of_two_parties_is_fast(server: Server, memory: redis.Redis) -> None:
    times = measure_exchange(server.url, server.api_key, runs=20, warm_ups=3)
    assert len(times) == 20
    assert median(times) < PATIENCE
