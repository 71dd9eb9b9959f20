"""After all outside clients of a run: every route has answered, every type of error was provoked, and all that was
answered is what the documents say.

Its name is the last in this folder, so that it runs last. It says nothing of a run of single files, and fails there.
"""

from pathlib import Path

import pytest

from tests.cluster.contract import (
    ERROR_TYPES,
    INTERNAL,
    OTHER_ERRORS,
    SEEN,
    SUCCESSES,
    Route,
    Seen,
    documented,
    documented_errors,
    routes,
)

BAD_REQUEST = 400
FOLDER = Path(__file__).parent


@pytest.fixture(autouse=True)
def all_of_them(request: pytest.FixtureRequest) -> None:
    ran = {item.path for item in request.session.items}
    clients = {path for path in FOLDER.glob("test_*.py") if "tests.cluster.outside" in path.read_text()}
    missing = sorted(path.name for path in clients - ran)
    assert not missing, f"run the whole folder: without {', '.join(missing)} nothing can be said"


def test_every_route_has_answered() -> None:
    answered = [seen for seen in SEEN if seen.status in SUCCESSES]
    expected = [*routes(), Route("GET", "/docs")]
    assert len(expected) > 60
    assert [" ".join(route) for route in expected if not any(map(route.answered, answered))] == []


def test_every_type_of_error_was_provoked() -> None:
    promised = {answer for route in routes() for answer in documented(route)}
    types = {err_type for status, err_type in promised if status == BAD_REQUEST}
    assert len(types) > 20
    assert sorted(types - {seen.err_type for seen in SEEN if seen.status == BAD_REQUEST}) == []
    # Of a route or a method that is not there no operation tells.
    statuses = {status for status, _ in promised} - {INTERNAL} | {404, 405}
    assert sorted(statuses - {seen.status for seen in SEEN}) == []


def test_nothing_else_was_answered() -> None:
    """No 5xx but `not_ready`, and no type with a status that is not its own."""
    known = OTHER_ERRORS | {(400, err_type) for err_type in ERROR_TYPES} | {(status, "") for status in SUCCESSES}
    assert [seen for seen in sorted(SEEN) if (seen.status, seen.err_type) not in known] == []


def test_each_route_answered_what_its_description_says() -> None:
    expected = {route: documented(route) for route in routes()}

    def described(seen: Seen) -> bool:
        found = [answers for route, answers in expected.items() if route.answered(seen)]
        return not found or bool(found[0] & {(seen.status, seen.err_type), (seen.status, "*")})

    assert [seen for seen in sorted(SEEN) if not described(seen)] == []


def test_the_documents_know_all_types() -> None:
    """All of the contract, each of which the test above has seen provoked."""
    promised = {err_type for route in routes() for status, err_type in documented(route) if status == BAD_REQUEST}
    assert promised == ERROR_TYPES
    assert documented_errors() == ERROR_TYPES
