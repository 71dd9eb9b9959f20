"""schemathesis against a real vertex: what the OpenAPI document allows and what it does not, as user and as admin.

VERTEX_FUZZ_EXAMPLES says how many requests each operation gets from each of them (`make fuzz`), VERTEX_FUZZ_SEED which.
"""

import os
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.conftest import Target

EXAMPLES = int(os.environ.get("VERTEX_FUZZ_EXAMPLES", "2"))
SEED = int(os.environ.get("VERTEX_FUZZ_SEED", "1"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
schema = schemathesis.openapi.from_path(Path(__file__).resolve().parent.parent.parent / "docs" / "openapi.json")
# A vertex does not look at parameters that it doesn't know; tokens have tests of their own.
schema.config.generation.allow_extra_parameters = False
schema.config.generation.with_security_parameters = False
turn = count()


def named(field: str, value: Any, ids: dict[str, list[Any]]) -> Any:
    """What is really there in the place of a made-up name; what is no name stays."""
    if field not in ids or (isinstance(value, str) and not is_uuid(value)) or not isinstance(value, (str, list)):
        return value
    if isinstance(value, list) and not all(isinstance(each, str) and each.startswith("vtx1") for each in value):
        return value
    return ids[field][next(turn) % len(ids[field])]


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


@pytest.mark.parametrize("who", ["user", "admin"])
@schema.parametrize()
@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_vertex_is_as_its_document_says(case: schemathesis.Case, target: Target, who: str) -> None:
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            part.update({field: named(field, value, target.ids) for field, value in part.items()})
    headers = {"Authorization": target.tokens[who]}
    try:
        case.call_and_validate(base_url=target.url, headers=headers, checks=CHECKS, timeout=30)
    except Exception as error:
        error.add_note(f"VERTEX_FUZZ_SEED={SEED} VERTEX_FUZZ_EXAMPLES={EXAMPLES}, as {who}")
        raise
