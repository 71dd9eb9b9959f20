"""What an operator must look at: named on the attempt's row, told by an event and the log, counted for Prometheus."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from keys.models import KeyShare
from reshare.models import Reshare
from reshare.rule.facts import conflicts
from reshare.rule.types import Attempt, Deadline
from reshare.rule.view import View

State = Reshare.State


class Alarm(StrEnum):
    """Names of alarms, on the API, the pages and the metric."""

    HUNG = "hung"  # no outcome although the time for it has passed: supersede or carry
    DELETIONS_OVERDUE = "deletions_overdue"  # old shares still exist that should be gone
    TWO_FACES = "two_faces"  # a party signed two things that exclude each other
    RESTORED = "restored"  # this keystore is older than what this vertex has signed


def alarms_of(row: Reshare, attempt: Attempt, state: Reshare.State, view: View, now: datetime) -> list[str]:
    """The alarms that stand for one attempt, in order of their names."""
    found = set()
    late = {deadline for deadline, rid in view.overdue if rid == attempt.rid}
    unstored = Deadline.STORE_BY in late and attempt.rid not in view.facts.stored
    if state in (State.RUNNING, State.VOTING) and (unstored or Deadline.VOTE_BY in late):
        found.add(Alarm.HUNG)
    if state == State.COMMITTED and _passed(row.committed_at, settings.VERTEX_COMPLETE_BY, now):
        found |= {Alarm.HUNG, Alarm.DELETIONS_OVERDUE}
    if state == State.COMPLETE and _passed(row.completed_at, settings.VERTEX_CLEAN_BY, now):
        found.add(Alarm.DELETIONS_OVERDUE)
    if any(attempt.rid in (c.first.rid, c.second.rid) for c in conflicts(view.attempts, view.receipts)):
        found.add(Alarm.TWO_FACES)
    if view.acceptor.restored and state not in (State.CLEAN, State.ABORTED, State.SUPERSEDED):
        found.add(Alarm.RESTORED)
    return sorted(str(alarm) for alarm in found)


def _passed(since: datetime | None, seconds: int, now: datetime) -> bool:
    return since is not None and now > since + timedelta(seconds=seconds)


class AlarmCollector(Collector):
    """`vertex_alarms`: attempts with each alarm; `vertex_suspended_shares`. Read from the database when scraped."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield _alarms()
        yield _suspended()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        named = list(Reshare.objects.exclude(alarms=[]).values_list("alarms", flat=True))
        alarms = _alarms()
        for alarm in Alarm:
            alarms.add_metric([alarm], sum(alarm in each for each in named))
        yield alarms
        suspended = _suspended()
        suspended.add_metric([], KeyShare.objects.exclude(suspended="").count())
        yield suspended


def _alarms() -> GaugeMetricFamily:
    return GaugeMetricFamily("vertex_alarms", "Reshares that an operator must look at", labels=["alarm"])


def _suspended() -> GaugeMetricFamily:
    return GaugeMetricFamily("vertex_suspended_shares", "Shares that wait for an operator's decision")
