"""POST /create-room: a room at the default relay."""

from typing import Any
from uuid import uuid4

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations
from keys.relays import relay, resolve
from keys.serializers.answers import RoomAnswer
from keys.serializers.calls import CreateRoomSerializer
from keys.views.base import ApiView, valid
from relay.client import RelayRefused, RelayUnavailable
from vertex.errors import ApiError
from vertex.openapi import IDEMPOTENCY_KEY, refuses


class CreateRoom(ApiView):
    """POST /create-room"""

    @refuses("room_creation_problem")
    @extend_schema(request=CreateRoomSerializer, parameters=[IDEMPOTENCY_KEY], responses={200: RoomAnswer})
    def post(self, request: Request) -> Response:
        """A room for one protocol of `room_size` parties."""
        size = valid(CreateRoomSerializer, request.data)["room_size"]

        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            room = {"room_uuid": str(uuid4())}
            return room, room

        # The name first: asking the relay for the same room twice is harmless, so a repeated call may.
        response = operations.once(request, action="create-room", make=make)
        try:
            relay(resolve(None)).put_room(response.data["room_uuid"], room_size=size)
        except (RelayRefused, RelayUnavailable) as error:
            raise ApiError("room_creation_problem", "the relay made no room") from error
        return response
