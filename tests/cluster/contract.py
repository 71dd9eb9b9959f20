"""The contract as docs/api.md states it, and what the outside clients of this run have seen of it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SCHEMES = ("ecdsa", "ed25519", "bip340")
DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "api.md"

# Written out, so that a type can't leave the document without a test that fails.
ERROR_TYPES = frozenset(
    re.findall(
        r"\w+",
        """already_performed_keygen already_voted api_key_not_found bad_n_and_t_params bad_receipt bad_request_params
    batch_too_large deletion_not_ready executor_result key_id_not_exists key_operation_before_keygen
    policy_in_use_by_keys policy_in_use_by_users policy_not_found policy_validation_failed reshare_conflict
    reshare_not_complete room_creation_problem rule_in_use rule_not_found rule_not_in_policy
    server_share_backup_setting_disabled share_erased share_superseded unique_violation user_has_associated_keys
    user_id_not_exists user_name_already_exists you_have_to_be_admin""",
    )
)
# A 500 is no answer that a client may count on: none was seen is what is asserted of it.
OTHER_ERRORS = {
    (401, "access_denied"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (413, "bad_request_params"),
    (415, "bad_request_params"),
    (429, "too_many_requests"),
    (503, "not_ready"),
}


class Seen(NamedTuple):
    """One answer: the path as it was called, without its query; `err_type` is empty for a success."""

    method: str
    path: str
    status: int
    err_type: str


class Route(NamedTuple):
    """A method and a path whose parameters are `{…}`."""

    method: str
    path: str

    def answers(self, seen: Seen) -> bool:
        """Whether a call was one of this route."""
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.path)
        return seen.method == self.method and re.fullmatch(pattern, seen.path.rstrip("/")) is not None


# All answers of this process's outside clients.
SEEN: set[Seen] = set()

_TOKEN = re.compile(r"\b(GET|POST|PUT|DELETE)\b|`(/[^`?]*)[^`]*`")


def documented_routes(document: str) -> set[Route]:
    """Every route of the table under "Routes", `{s}` once for each scheme; a method holds until the next is named."""
    table = document.partition("## Routes")[2].partition("\n## ")[0]
    found: set[Route] = set()
    for cell in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE):
        methods: list[str] = []
        named = False
        for method, path in _TOKEN.findall(cell):
            if path:
                named = True
                found |= {Route(each, path) for each in methods}
            else:
                methods = [method] if named else [*methods, method]
                named = False
    return {route._replace(path=path) for route in found for path in _of_schemes(route.path)}


def _of_schemes(path: str) -> Iterable[str]:
    return [path.replace("{s}", scheme) for scheme in SCHEMES] if "{s}" in path else [path]


def documented_errors(document: str) -> set[str]:
    """The types with status 400."""
    return set(re.findall(r"`([a-z_]+)`", document.partition("## Error types")[2].partition("\n## ")[0]))


def unseen(routes: Iterable[Route]) -> list[str]:
    """Those that never gave a success."""
    successes = [seen for seen in SEEN if seen.status in (200, 202)]
    return sorted(" ".join(route) for route in routes if not any(route.answers(seen) for seen in successes))
