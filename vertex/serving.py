"""gunicorn's configuration (`--config python:vertex.serving`): what the application can't say by itself."""

from typing import Any, Protocol

# Of a body that the application has left unread gunicorn reads fewer bytes away; with more it drops the connection.
READ_AWAY = 65_536


class Message(Protocol):
    """gunicorn's request, as far as it is needed here."""

    headers: list[tuple[str, str]]  # names in capitals

    def force_close(self) -> None:
        """Answer `Connection: close`."""


def pre_request(worker: Any, req: Message) -> None:
    """A body that may be left unread and is longer than what is read away ends its connection, and the answer says so.

    A refused call's body is not read. The connection would be dropped all the same, but after `Connection: keep-alive`:
    the client's next request on it is lost.
    """
    lengths = [value for name, value in req.headers if name == "CONTENT-LENGTH"]
    chunked = any(name == "TRANSFER-ENCODING" for name, _ in req.headers)
    if chunked or any(not value.isdigit() or int(value) >= READ_AWAY for value in lengths):
        req.force_close()
