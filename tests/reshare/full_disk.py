"""A disk on which no event can be written, and whoever acts on it."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group
from django.db import OperationalError

from audit.models import Event
from keys import operators
from keys.models import ApiUser, Operator

PASSWORD = "a long password of no importance"
Act = Callable[[], object]
BY_ITSELF = {"receipts.conflict", "share.suspended", "reshare.alarms"}  # a worker's events, that no call leads to


class FullDisk:
    """In place of the event's model where events are appended: those that `refuses` names are not written."""

    def __init__(self, refuses: Callable[[dict[str, Any]], bool]) -> None:
        self.refuses = refuses
        self.objects = self

    def __getattr__(self, name: str) -> Any:
        return getattr(Event.objects, name)

    def __call__(self, **fields: Any) -> Event:
        return Event(**fields)

    def bulk_create(self, events: list[Event]) -> list[Event]:
        if any(self.refuses(vars(event)) for event in events):
            raise OperationalError("could not extend file: no space left on device")
        return Event.objects.bulk_create(events)


def user() -> ApiUser:
    return ApiUser.objects.create(name="somebody")


def new_operator(group: str = "approver") -> Operator:
    operators.groups_ensure()
    made = Operator.objects.create_user(username=group, password=PASSWORD, is_staff=True)
    made.groups.add(Group.objects.get(name=group))
    return made
