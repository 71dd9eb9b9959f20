"""The contract as docs/openapi.json and docs/api.md state it, and what this run's outside clients have seen of it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SCHEMES = ("ecdsa", "ed25519", "bip340")
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SUCCESSES = (200, 202)

# Written out, so that a type can't leave the documents without a test that fails.
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
OTHER_ERRORS = {
    (401, "access_denied"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (413, "bad_request_params"),
    (415, "bad_request_params"),
    (429, "too_many_requests"),
    (503, "not_ready"),
}
INTERNAL = 500  # no answer that a client may count on: none was seen is what is asserted of it


class Seen(NamedTuple):
    """One answer: the path as it was called, without its query; `err_type` is empty for a success."""

    method: str
    path: str
    status: int
    err_type: str


# All answers of this process's outside clients.
SEEN: set[Seen] = set()


class Route(NamedTuple):
    """An operation of the OpenAPI document; parameters of the path are `{…}`."""

    method: str
    path: str

    def answered(self, seen: Seen) -> bool:
        """Whether a call was one of this route."""
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.path)
        return seen.method == self.method and re.fullmatch(pattern, seen.path.rstrip("/")) is not None


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text())
    return found


def routes() -> list[Route]:
    """Every operation."""
    paths = sorted(_document()["paths"].items())
    return [Route(method.upper(), path) for path, methods in paths for method in methods]


def open_routes() -> set[Route]:
    """Those that need no token."""
    return {route for route in routes() if not _operation(route).get("security")}


def documented(route: Route) -> set[tuple[int, str]]:
    """Each status that an operation may answer, with each of its error types; of other statuses than 400 `*`."""
    return set(_answers(_operation(route)["responses"]))


def documented_errors() -> set[str]:
    """The types with status 400 that docs/api.md lists."""
    section = (DOCS / "api.md").read_text().partition("## Error types")[2].partition("\n## ")[0]
    return set(re.findall(r"`([a-z_]+)`", section))


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = _document()["paths"][route.path][route.method.lower()]
    return found


def _answers(responses: dict[str, Any]) -> Iterator[tuple[int, str]]:
    for status, response in responses.items():
        if status == "400":
            _, narrowed = response["content"]["application/json"]["schema"]["allOf"]
            yield from ((400, err_type) for err_type in narrowed["properties"]["err_type"]["enum"])
        else:
            yield int(status), "*"
