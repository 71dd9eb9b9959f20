"""`create`: a new key with an identity of its own, made by a worker: `web` never opens the keystore."""

from uuid import UUID

from celery import shared_task
from django.db import transaction

from audit import services as audit
from keys import operations
from keys.keystore import keystore
from keys.models import ApiUser, KeyShare, Operation, PartyIdentity
from keys.selectors import keygen_id
from keys.shares import identity_create
from vertex.requests import caused_by


def key_request(*, operation: Operation, scheme: str) -> None:
    """Hand the call to a worker."""
    transaction.on_commit(lambda: key_create_task.apply_async(args=(str(operation.id), scheme), queue="life"))


def ask_again() -> int:
    """For the sweep: a task that was lost with its worker, or with the broker's memory, is asked for again."""
    asked = operations.unattended(action__endswith=".create")
    for operation in asked:
        scheme = operation.action.partition(".")[0]
        key_create_task.apply_async(args=(str(operation.id), scheme), queue="life")
    return len(asked)


@shared_task(name="keys.key_create")
def key_create_task(operation_id: str, scheme: str) -> None:
    """See `key_create`."""
    key_create(operation_id=UUID(operation_id), scheme=scheme)


@transaction.atomic
def key_create(*, operation_id: UUID, scheme: str) -> KeyShare | None:
    """Make identity and key of a pending call; does nothing the second time."""
    operation = (
        Operation.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(id=operation_id, state=Operation.State.PENDING)
        .first()
    )
    if operation is None or operation.user is None:
        return None
    identity = identity_create()
    try:
        with caused_by(operation.request_id):
            return _create(operation, operation.user, identity, scheme)
    except BaseException:  # not written, or not recorded: nothing remains in the keystore either
        keystore().keys.destroy(identity.data_key or "")
        raise


def _create(operation: Operation, user: ApiUser, identity: PartyIdentity, scheme: str) -> KeyShare:
    key = KeyShare.objects.create(user=user, identity=identity, scheme=scheme, policy_id=user.default_policy_id)
    result = {"key_id": str(key.id), "keygen_id": keygen_id(key)}
    operations.finish(operation_id=operation.id, result=result)
    audit.record(
        action="key.created",
        actor=operation.caller,
        subject=str(key.id),
        data={"scheme": scheme, "keygen_id": result["keygen_id"]},
    )
    return key
