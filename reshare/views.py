"""Routes about changing a quorum."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from keys import operations
from keys.actions import refusals_of
from keys.auth import principal_in, user_in
from keys.models import Operation
from keys.receipts import Bundle
from keys.serializers.answers import KeyIdAnswer, ReceiptsAnswer, ReceivedAnswer
from keys.serializers.calls import ReceiptsSerializer
from keys.serializers.fields import PageSerializer
from keys.serializers.people import DecisionSerializer
from keys.sessions.services import session_cancel, telling_the_room
from keys.views.base import ApiView, key_id_of, paged, valid
from reshare import deleting, orders, requests, selectors
from reshare.decisions import decide
from reshare.receiving import bundle_of, receive
from reshare.requests import Room
from reshare.serializers import (
    JoiningSerializer,
    RefreshSerializer,
    ReshareAnswer,
    ReshareListAnswer,
    ReshareSerializer,
    VoteSerializer,
)
from vertex.auth import IsAdmin, IsUser
from vertex.errors import ApiError
from vertex.openapi import IDEMPOTENCY_KEY, PREFER, Accepted, Empty, refuses

F = TypeVar("F", bound=Callable[..., Response])

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAME = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^({_UUID}|[0-9a-f]{{64}})$"},
    OpenApiParameter.PATH,
    description="The `reshare_id` here, or the `rid` everywhere.",
)


def _documented(serializer: type[Serializer[Any]], *refusals: str) -> Callable[[F], F]:
    """What the calls which take a protocol share."""
    answers = {200: KeyIdAnswer, 202: Accepted()}
    documented = extend_schema(request=serializer, parameters=[PREFER, IDEMPOTENCY_KEY], responses=answers)
    declared = refuses("key_id_not_exists", "executor_result", "reshare_conflict", *refusals)

    def both(handler: F) -> F:
        decorated: F = documented(declared(handler))
        return decorated

    return both


_OF_A_QUORUM = ("bad_n_and_t_params", "policy_validation_failed", *refusals_of("reshare"))
_OF_A_VOTE = ("not_found", "already_voted", "deletion_not_ready", "policy_validation_failed")


class ProtocolCall(ApiView):
    """A call that answers once the new share is `quarantined`."""

    permission_classes = (IsUser,)
    scheme = ""

    def perform(
        self, request: Request, name: str, serializer: type[Serializer[Any]], ask: Callable[..., object]
    ) -> Response:
        """Validate, and ask for it."""
        fields = valid(serializer, request.data)
        if "ids" in fields:
            fields["keygen_ids"] = fields.pop("ids")

        def start(operation: Operation, deadline: datetime) -> None:
            named = dict(fields)
            room = Room(str(named.pop("room_uuid")), named.pop("relay_address", None), deadline)
            with telling_the_room(room.uuid, room.relay_address):
                ask(user=user_in(request), operation=operation, scheme=self.scheme, room=room, **named)

        return operations.perform(
            request,
            action=f"{self.scheme}.{name}",
            start=start,
            cancel=lambda operation_id: session_cancel(operation_id=operation_id),
        )


class Existing(ProtocolCall):
    """POST /{s}/reshare/existing-party"""

    @_documented(ReshareSerializer, *_OF_A_QUORUM)
    def post(self, request: Request) -> Response:
        """A party that stays; the answer's `key_id` is the new share's. The old one signs until it is erased."""
        return self.perform(request, "reshare", ReshareSerializer, requests.existing_request)


class Joining(ProtocolCall):
    """POST /{s}/reshare/new-party"""

    @_documented(JoiningSerializer, "bad_n_and_t_params", *refusals_of("join"))
    def post(self, request: Request) -> Response:
        """A party that joins, with a key made by `create`."""
        return self.perform(request, "join", JoiningSerializer, requests.joining_request)


class Departing(ProtocolCall):
    """POST /{s}/reshare/departing-party"""

    @_documented(ReshareSerializer, *_OF_A_QUORUM)
    def post(self, request: Request) -> Response:
        """A party that leaves: lends its share and takes part in the vote; the answer's `key_id` is the old one."""
        return self.perform(request, "leave", ReshareSerializer, requests.departing_request)


class Refresh(ProtocolCall):
    """POST /{s}/refresh"""

    @_documented(RefreshSerializer, *_OF_A_QUORUM)
    def post(self, request: Request) -> Response:
        """New shares for the same quorum under the same public key."""
        return self.perform(request, "refresh", RefreshSerializer, requests.refresh_request)


class Delete(ApiView):
    """DELETE /{s}/delete-key-share/{key_id}"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses("key_id_not_exists", "executor_result", *refusals_of("delete"), *_OF_A_VOTE)
    @extend_schema(parameters=[PREFER, IDEMPOTENCY_KEY], responses={200: Empty, 202: Accepted()})
    def delete(self, request: Request, key_id: str) -> Response:
        """Irreversible. An active share is erased; of a retiring one it is this vertex's word to delete it."""

        def start(operation: Operation, deadline: datetime) -> None:
            deleting.delete_request(
                user=user_in(request), operation=operation, key_id=key_id_of(key_id), scheme=self.scheme
            )
            operation.refresh_from_db()  # it may be answered already

        return operations.perform(request, action=f"{self.scheme}.delete", start=start)


class Reshares(ApiView):
    """GET /reshares"""

    @extend_schema(parameters=[PageSerializer], responses=ReshareListAnswer)
    def get(self, request: Request) -> Response:
        """The caller's reshares, all for admins; in order of creation."""
        return paged(request, selectors.reshares_seen_by(principal_in(request)), selectors.reshare_line)


class ReshareView(ApiView):
    """GET /reshares/{id}"""

    @refuses("not_found")
    @extend_schema(parameters=[NAME], responses=ReshareAnswer)
    def get(self, request: Request, name: str) -> Response:
        """Quorums, who has stored, voted and deleted, and what is still needed. `id`: `reshare_id` or `rid`."""
        row = selectors.reshare_of(selectors.reshares_seen_by(principal_in(request)), name)
        return Response(selectors.reshare_detail(row))


class Vote(ApiView):
    """What both votes share."""

    permission_classes = (IsAdmin,)
    operator_groups = frozenset({"operator", "approver"})


class ConfirmDeletion(Vote):
    """POST /reshares/{id}/confirm-deletion"""

    @refuses(*_OF_A_VOTE)
    @extend_schema(request=VoteSerializer, parameters=[NAME], responses={200: ReshareAnswer})
    def post(self, request: Request, name: str) -> Response:
        """This vertex's word to delete its old share; with two-person approval the first word proposes it."""
        row = selectors.reshare_of(selectors.reshares_seen_by(principal_in(request)), name)
        fields = valid(VoteSerializer, request.data)
        orders.confirm(
            row=row,
            actor=principal_in(request).actor,
            reason=fields["reason"],
            exports_destroyed=fields["exports_destroyed"],
            statement_hash=fields.get("statement_hash"),
        )
        row.refresh_from_db()
        return Response(selectors.reshare_detail(row))


class Abort(Vote):
    """POST /reshares/{id}/abort"""

    @refuses(*_OF_A_VOTE)
    @extend_schema(request=VoteSerializer, parameters=[NAME], responses={200: ReshareAnswer})
    def post(self, request: Request, name: str) -> Response:
        """This vertex's word to abort."""
        row = selectors.reshare_of(selectors.reshares_seen_by(principal_in(request)), name)
        orders.abort(row=row, actor=principal_in(request).actor, reason=valid(VoteSerializer, request.data)["reason"])
        row.refresh_from_db()
        return Response(selectors.reshare_detail(row))


class Decide(Vote):
    """POST /reshares/{id}/supersede, /carry, /agree, /discard"""

    decision = ""

    @refuses(*_OF_A_VOTE, "share_superseded")
    @extend_schema(request=DecisionSerializer, parameters=[NAME], responses={200: ReshareAnswer})
    def post(self, request: Request, name: str) -> Response:
        """An operator's word on an attempt; with two-person approval the first one proposes it."""
        row = selectors.reshare_of(selectors.reshares_seen_by(principal_in(request)), name)
        fields = valid(DecisionSerializer, request.data)
        decide(
            name=self.decision,
            row_id=row.id,
            actor=principal_in(request).actor,
            reason=fields["reason"],
            statement_hash=fields.get("statement_hash"),
        )
        row.refresh_from_db()
        return Response(selectors.reshare_detail(row))


class Receipts(ApiView):
    """GET, POST /reshares/{id}/receipts"""

    @refuses("not_found")
    @extend_schema(parameters=[NAME], responses=ReceiptsAnswer)
    def get(self, request: Request, name: str) -> Response:
        """All receipts that this vertex holds about a reshare, to be carried to the others."""
        row = selectors.reshare_of(selectors.reshares_seen_by(principal_in(request)), name)
        bundle = bundle_of(bytes(row.rid)) if row.rid is not None else Bundle([], None)
        return Response(bundle.to_data())

    @refuses("not_found", "bad_receipt", "deletion_not_ready")
    @extend_schema(request=ReceiptsSerializer, parameters=[NAME], responses={200: ReceivedAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Receipts from elsewhere: signed, so that whoever carries them needs no trust."""
        fields = valid(ReceiptsSerializer, request.data)
        bundle = Bundle(fields["receipts"], fields.get("preimage"))
        new = receive(rid=self._rid(request, name), bundle=bundle, actor=principal_in(request).actor)
        return Response({"new": new})

    @staticmethod
    def _rid(request: Request, name: str) -> bytes:
        try:
            row = selectors.reshare_of(selectors.reshares_seen_by(principal_in(request)), name)
        except ApiError:
            if len(name) == 64 and all(digit in "0123456789abcdef" for digit in name):
                return bytes.fromhex(name)
            raise
        if row.rid is None:
            raise ApiError("deletion_not_ready", "this reshare has no attempt yet: its room is not full")
        return bytes(row.rid)
