"""Dealer-based import of an existing private key: the requests, and the session, which ends as a key generation does.

The importer's secret comes sealed to the workers' box key and stays so until its session has stored the share.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from keys.boxes import open_in_worker, seal_to_workers
from keys.keygen import KeygenKind, generation_open
from keys.models import ApiUser, Operation, ProtocolSession
from keys.sessions.lease import Lease
from keys.shares import identity_open
from mpc.errors import Malformed
from mpc.identity import decode_keygen_id
from mpc.importing import Expected, Imported, KeyFormat, import_key, scalar_of
from mpc.keygen import KeygenConfig, KeygenResult
from mpc.protocol import Protocol, Rng
from mpc.schemes import scheme_of
from mpc.secret import Secret
from vertex.errors import ApiError

_PURPOSE, _SCALAR = "import", 32


def import_request(
    *,
    user: ApiUser,
    operation: Operation,
    key_id: UUID,
    scheme: str,
    num_parties: int,
    threshold: int,
    others: list[str],
    room_uuid: str,
    relay_address: str | None,
    deadline: datetime,
    dealt: Imported | None = None,
    importer: str | None = None,
    expected_pubkey: bytes | None = None,
) -> None:
    """Join the room of an import, as the importer with what it has ``dealt``. Raises ApiError."""
    said: dict[str, Any] = {"importer": None, "expected": None}
    if dealt is not None:
        secret = dealt.key.reveal() + dealt.chain_code.reveal()
        said["sealed"] = seal_to_workers(secret, _PURPOSE, key_id.bytes, room_uuid.encode()).hex()
    if importer is not None:
        try:
            said["importer"] = decode_keygen_id(importer).hex()
        except ValueError as error:
            raise ApiError("bad_request_params", f"importer_keygen_id: {error}") from error
    if expected_pubkey is not None:
        if len(expected_pubkey) not in scheme_of(scheme).key_lengths:
            raise ApiError("bad_request_params", f"expected_pubkey: {scheme} keys have another length")
        said["expected"] = expected_pubkey.hex()
    generation_open(
        kind="import",
        more=said,
        user=user,
        operation=operation,
        key_id=key_id,
        scheme=scheme,
        num_parties=num_parties,
        threshold=threshold,
        others=others,
        room_uuid=room_uuid,
        relay_address=relay_address,
        deadline=deadline,
    )


def private_key(scheme: str, given: bytes, key_format: KeyFormat) -> Secret:
    """The scalar of a private key as callers give it. Raises ApiError."""
    try:
        return scalar_of(scheme, given, key_format)
    except Malformed as error:
        raise ApiError("bad_request_params", f"private_key: {error}") from error


class ImportKind(KeygenKind):
    name: ClassVar[str] = "import"
    run_for: ClassVar[timedelta] = timedelta(hours=1)

    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[KeygenResult]:
        said = session.params
        config = KeygenConfig(
            room=session.room,
            scheme=session.share.scheme,
            t=said["threshold"],
            identities=tuple(bytes.fromhex(party) for party in said["parties"]),
        )
        expected = Expected(
            bytes.fromhex(said["importer"]) if said["importer"] else None,
            bytes.fromhex(said["expected"]) if said["expected"] else None,
        )
        return import_key(identity_open(session.share.identity), config, rng, dealt=_dealt(session), expected=expected)

    def finish(self, session: ProtocolSession, lease: Lease, result: KeygenResult) -> None:
        super().finish(session, lease, result)
        lease.update(params=_without_secret(session))

    def failed(self, session: ProtocolSession) -> bool:
        ProtocolSession.objects.filter(id=session.id).update(params=_without_secret(session))
        return super().failed(session)


def _dealt(session: ProtocolSession) -> Imported | None:
    if "sealed" not in session.params:
        return None
    place = session.share_id.bytes, session.room.encode()
    secret = open_in_worker(bytes.fromhex(session.params["sealed"]), _PURPOSE, *place)
    return Imported(Secret(secret[:_SCALAR]), Secret(secret[_SCALAR:]))


def _without_secret(session: ProtocolSession) -> dict[str, Any]:
    return {name: value for name, value in session.params.items() if name != "sealed"}
