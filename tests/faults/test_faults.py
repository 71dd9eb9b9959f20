"""The fixed forty: every kind of fault once, on one long-lived cluster, with several keys at once."""

from pathlib import Path

from cluster.embedded import Servers
from tests.faults import plan
from tests.faults.harness import Harness
from tests.faults.table import summary, table

SEED = 20251125


def test_forty_faults_lose_nothing_and_leave_no_two_quorums(fault_servers: Servers, tmp_path: Path) -> None:
    scenarios = plan.fixed()
    with Harness(tmp_path, seed=SEED, say=print, servers=fault_servers) as harness:
        harness.play([scenario for scenario in scenarios if not scenario.alone], lanes=3)
        harness.play([scenario for scenario in scenarios if scenario.alone], lanes=1)
        broken = harness.chains()
    print(table(harness.results), summary(harness.results), sep="\n")
    assert broken == []
    assert [(result.scenario.name, result.told) for result in harness.results if not result.ok] == []
    assert harness.errors == []
    assert len(harness.results) == len(scenarios)
