"""What goes wrong: at one vertex, and at some of several."""

from collections.abc import Mapping
from typing import Any

UNREACHABLE = "unreachable"
BAD_ANSWER = "bad_answer"
NOT_WAITED_FOR = "not_waited_for"
DISAGREEMENT = "disagreement"


class VertexError(Exception):
    """A call that did not succeed. `err_type` and `err_msg` are the vertex's own words; `status` its HTTP status.

    Where no vertex spoke, `status` is 0 and `err_type` one of this module's.
    """

    def __init__(self, err_type: str, err_msg: str, status: int = 0, *, request_id: str | None = None) -> None:
        super().__init__(f"{err_type}: {err_msg}")
        self.err_type = err_type
        self.err_msg = err_msg
        self.status = status
        self.request_id = request_id


class Unreachable(VertexError):
    """No answer: nobody listens at the URL, or the connection broke, or the time was over."""

    def __init__(self, err_msg: str) -> None:
        super().__init__(UNREACHABLE, err_msg)


class BadAnswer(VertexError):
    """An answer that is none of the contract's."""

    def __init__(self, err_msg: str, status: int = 0) -> None:
        super().__init__(BAD_ANSWER, err_msg, status)


class QuorumError(Exception):
    """Some of several vertices failed: `failures` by the vertex's name, `answers` of those that did not."""

    def __init__(
        self, what: str, failures: Mapping[str, VertexError], answers: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{what}: " + "; ".join(f"{name}: {error}" for name, error in failures.items()))
        self.what = what
        self.failures = dict(failures)
        self.answers = dict(answers or {})

    @property
    def err_types(self) -> dict[str, str]:
        """The failures' types by name."""
        return {name: error.err_type for name, error in self.failures.items()}
