"""Operators and their groups: what a person may do at the console follows from groups alone, nobody is a superuser."""

from typing import Any

import msgspec
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from audit import services as audit
from keys.models import Operator

_OVERVIEW = ("keys", "reshare")
_AUDIT = ("audit.view_deletion", "audit.view_event", "audit.view_audithead")
_PEOPLE = ("keys.add_apiuser", "keys.delete_apiuser", "keys.add_apikey", "keys.delete_apikey")


# Beyond what every group may: look at everything.
GROUPS: dict[str, tuple[str, ...]] = {
    "viewer": (),
    "operator": (*_PEOPLE, "audit.propose_deletion"),
    "approver": ("audit.propose_deletion", "audit.approve_deletion"),
    "auditor": ("audit.export_event",),
}


class OperatorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of ``manage.py ensure_operators``."""

    username: str
    password: str
    groups: list[str]


@transaction.atomic
def groups_ensure() -> None:
    """The four groups with exactly their permissions; after migrations, which make the permissions."""
    for name, permissions in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(_permissions(permissions))


@transaction.atomic
def operator_ensure(*, entry: OperatorEntry, actor: str) -> bool:
    """Make the operator, or bring password and groups in line; whether anything changed.

    Raises ValueError (unknown group), django's ValidationError (password). Never gives superuser rights.
    """
    if unknown := set(entry.groups) - GROUPS.keys():
        raise ValueError(f"unknown groups: {', '.join(sorted(unknown))}")
    operator = Operator.objects.select_for_update().filter(username=entry.username).first()
    changes: dict[str, Any] = {}
    if operator is None:
        operator = Operator(username=entry.username, is_staff=True)
        operator.full_clean(exclude=["password"])
        changes["created"] = True
    if not (operator.pk and operator.check_password(entry.password)):
        validate_password(entry.password, operator)
        operator.set_password(entry.password)
        changes["password"] = True
    if operator.is_superuser or not (operator.is_staff and operator.is_active):
        operator.is_superuser, operator.is_staff, operator.is_active = False, True, True
        changes["enabled"] = True
    operator.save()
    if set(operator.groups.values_list("name", flat=True)) != set(entry.groups):
        operator.groups.set(Group.objects.filter(name__in=entry.groups))
        changes["groups"] = sorted(entry.groups)
    if changes:
        audit.record(action="operator.ensured", actor=actor, subject=f"operator:{entry.username}", data=changes)
    return bool(changes)


def _permissions(names: tuple[str, ...]) -> list[Permission]:
    types = ContentType.objects.filter(app_label__in=_OVERVIEW)
    wanted = list(Permission.objects.filter(content_type__in=types, codename__startswith="view_"))
    for app, codename in (name.split(".") for name in (*_AUDIT, *names)):
        wanted.append(Permission.objects.get(content_type__app_label=app, codename=codename))
    return wanted
