"""What the relay refuses: one table of error types with their HTTP status and what they say."""

ERRORS: dict[str, tuple[int, str]] = {
    "bad_request_params": (400, "the request is malformed"),
    "access_denied": (401, "a valid relay API key is needed"),
    "not_found": (404, "there is no such route"),
    "room_not_found": (404, "the room is unknown or has expired"),
    "method_not_allowed": (405, "the route does not take this method"),
    "room_size": (409, "the room has another size"),
    "room_kind": (409, "the room is used for another kind of session"),
    "room_full": (409, "the room is full"),
    "room_used": (409, "the room was used before and has ended"),
    "party_taken": (409, "the party has joined with another inbox"),
    "not_joined": (409, "the party has not joined the room"),
    "slot_taken": (409, "another message stands in this slot"),
    "room_limit": (409, "the room holds no more messages"),
    "too_large": (413, "the body is too large"),
    "too_many_requests": (429, "the relay is at its limit; try again later"),
    "internal_problem": (500, "internal problem"),
    "not_ready": (503, "Redis does not answer"),
}
RETRY_AFTER = 1  # seconds, with 429 and 503


class Refusal(Exception):
    """Ends a request with an error of the table. `detail` replaces the table's message and quotes nothing."""

    def __init__(self, err_type: str, detail: str | None = None) -> None:
        self.status, message = ERRORS[err_type]
        self.err_type = err_type
        self.message = detail or message
        super().__init__(self.message)
