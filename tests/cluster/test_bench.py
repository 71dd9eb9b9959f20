"""The benchmark: its figures have the promised names and form, and measure what they say."""

import json
from unittest.mock import patch

import pytest

from cluster.bench import cpu, rest, schnorr
from cluster.bench.figures import Figure, of_times, quantile
from cluster.cluster import Cluster
from mpc.hashing import TH
from mpc.identity import Identity


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3.0], 0.95, 3.0),
        ([1.0, 9.0], 0.5, 5.0),
        ([9.0, 1.0, 2.0], 0.5, 2.0),
        ([float(each) for each in range(101)], 0.95, 95.0),
        ([float(each) for each in range(101)], 0.5, 50.0),
    ],
)
def test_quantiles(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == expected


@pytest.mark.parametrize(("seconds", "over"), [([0.1, 0.2, 0.3], True), ([0.1, 0.1, 0.3], False)])
def test_a_figure_is_one_line_of_json(seconds: list[float], over: bool, capsys: pytest.CaptureFixture[str]) -> None:
    of_times("sign rest p50 2-of-3", seconds, bar=120.0).show()
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "name": "sign rest p50 2-of-3",
        "value": pytest.approx(1000 * sorted(seconds)[1]),
        "unit": "ms",
        "bar": 120.0,
        "n": 3,
        "min": 100.0,
        "max": 300.0,
    }
    assert ("over the bar" in err) is over


def test_figures_of_the_other_schemes() -> None:
    figures = {figure.name: figure for figure in schnorr.measure(runs=1)}
    assert set(figures) == {
        f"{what} {unit} {scheme} {quorum}"
        for what in ("keygen", "sign")
        for unit in ("cpu", "bytes")
        for scheme in ("ed25519", "bip340")
        for quorum in ("2-of-3", "3-of-5")
    }
    assert all(figure.value > 0 for figure in figures.values())
    # Payloads of 128 and 132 B, and less than 1.2 kB of hello, headers, signatures.
    assert all(128 < figures[f"sign bytes {scheme} 2-of-3"].value < 1_400 for scheme in ("ed25519", "bip340"))


def test_a_session_in_memory_is_the_protocol_itself() -> None:
    parties = sorted((Identity(TH("test", name)) for name in (b"a", b"b")), key=lambda one: one.public)
    made = cpu.run_keygen(parties, 2)
    names = {one.public for one in parties}
    assert len({result.digest for result in made.results.values()}) == 1
    signed = cpu.run_sign(parties, made.results)
    assert len(set(signed.results.values())) == 1
    assert set(signed.cpu) == set(signed.posted) == names
    assert all(seconds > 0 for seconds in signed.cpu.values())
    # 4,400 B, 40,228 B and 64 B of payloads, and less than 2 kB of hello, headers, signatures.
    assert all(44_800 < size < 46_800 for size in signed.posted.values())
    refreshed = cpu.run_refresh(parties, made.results, 2)
    assert len({result.gid_new for result in refreshed.results.values()}) == 1
    assert all(result.share is not None for result in refreshed.results.values())


def names_of(figures: list[Figure]) -> list[str]:
    assert all(figure.value > 0 and json.loads(figure.line())["unit"] == figure.unit for figure in figures)
    return [figure.name for figure in figures]


def test_the_figures_of_a_quorum() -> None:
    with patch.object(cpu, "QUORUMS", ((2, 2),)):
        assert names_of(list(cpu.measure(runs=1))) == [
            "cpu yardstick",
            "keygen cpu 2-of-2",
            "keygen bytes 2-of-2",
            "sign cpu 2-of-2",
            "sign bytes 2-of-2",
            "reshare cpu 2-of-2",
            "reshare bytes 2-of-2",
            "cpu yardstick",
        ]


def test_the_figures_of_a_cluster(cluster: Cluster) -> None:
    """Each is a real call of real vertices: a reshare that fails, or a new quorum that can't sign, raises."""
    figures = list(rest.measure(cluster, runs=1, warm_ups=0))
    assert names_of(figures) == [
        "relay exchange p50 2x40kB",
        "keygen rest p50 2-of-3",
        "sign rest p50 2-of-3",
        "sign rest p95 2-of-3",
        "reshare rest p50 2-of-3 to 3-of-5",
        "reshare pause 2-of-3",
    ]
    assert [figure.bar for figure in figures] == [8.0, 2000.0, 120.0, None, 4000.0, 3000.0]
