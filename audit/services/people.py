"""Who may decide, and where it takes two: the same for deletions and for every other decision of operators."""

from django.conf import settings
from django.contrib.auth import get_user_model

from vertex.errors import ApiError

PROPOSE = "audit.propose_deletion"
APPROVE = "audit.approve_deletion"
_OPERATOR = "operator:"


def check_may(actor: str, permission: str) -> None:
    """Raises `policy_validation_failed` where this actor may not decide; `system` and ``user:`` act by a policy that
    the caller has evaluated."""
    if actor == "admin" and settings.VERTEX_TWO_PERSON:
        raise ApiError("policy_validation_failed", "two people decide here, and the admin token names nobody")
    if actor.startswith(_OPERATOR):
        operator = get_user_model().objects.filter(username=actor.removeprefix(_OPERATOR)).first()
        if operator is None or not operator.has_perm(permission):  # nobody inactive has one
            raise ApiError("policy_validation_failed", "this operator may not decide this")


def needs_second(actor: str) -> bool:
    """Whether this actor's first word only proposes."""
    return settings.VERTEX_TWO_PERSON and actor.startswith(_OPERATOR)


def check_second(*, actor: str, proposed_by: str | None, owner: str | None) -> None:
    """Raises `policy_validation_failed` unless `actor` may approve what `proposed_by` proposed."""
    if proposed_by == actor:
        raise ApiError("policy_validation_failed", "you proposed this: another operator must approve it")
    if owner is not None and actor == _OPERATOR + owner:
        raise ApiError("policy_validation_failed", "your API user asked for this: another operator must approve")
    check_may(actor, APPROVE)
