"""Rules and policies at a running vertex, and a rule server that approves, denies, or is not to be believed."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.cluster.contract import routes
from tests.cluster.listener import Listener, Received
from tests.cluster.outside import (
    Answer,
    Caller,
    Party,
    everywhere,
    keygen,
    reshare_body,
    room,
    sign,
    sign_body,
    until,
)

NOTHING = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"
METHODS = {route.path: route.method for route in routes()}


def route(name: str) -> str:
    path = f"/admin/policies/{name}"
    return f"{METHODS[path]} {path}"


class RuleServer:
    """Answers what it is told to; keeps what it was asked."""

    def __init__(self, listener: Listener) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.url = f"http://{listener.host}/rules"
        self.claims: dict[str, Any] = {"verdict": "approve"}
        self.asked: list[dict[str, Any]] = []
        self.vertex_keys: list[str] = []
        listener.answer = self.answer

    @property
    def pubkey(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def answer(self, received: Received) -> bytes:
        """The vertex's request, checked against its key; an answer about the same request."""
        said = jwt.decode(received.body.decode(), self.vertex_keys[0], algorithms=["ES256"])
        self.asked.append(said)
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        claims = {"request_id": said["request_id"], "exp": int(time.time()) + 60, **self.claims}
        return jwt.encode(claims, pem, algorithm="ES256").encode()


@pytest.fixture(scope="module")
def admin(mine: list[Party]) -> Caller:
    return mine[0].admin


@pytest.fixture(scope="module")
def mine(new_parties: Callable[..., list[Party]]) -> list[Party]:
    """A 2-of-3 key of this module, cheap to sign with."""
    made = new_parties(3, "ed25519")
    keygen(made, 2)
    return made


@pytest.fixture
def server(listener: Listener, admin: Caller) -> Iterator[RuleServer]:
    made = RuleServer(listener)
    made.vertex_keys.append(admin.ok("GET /identity-pubkey"))
    yield made
    listener.answer = lambda _: b""


def external(admin: Caller, server: RuleServer) -> str:
    fields = {"name": f"rule {uuid4()}", "url": server.url, "pubkey": server.pubkey, "jwt_alg": "ES256"}
    made = admin.ok(route("add-external-rule"), fields)
    assert set(made) == {"rule_id"}
    return str(made["rule_id"])


def built_in(admin: Caller, kind: str, **parameters: Any) -> str:
    fields = {"name": f"{kind} {uuid4()}", "kind": kind, "parameters": parameters}
    return str(admin.ok(route("add-built-in-rule"), fields)["rule_id"])


def policy(admin: Caller, *rules: str, **more: Any) -> str:
    made = admin.ok(route("create-policy"), {"name": f"policy {uuid4()}", "rules": list(rules), **more})
    assert set(made) == {"policy_id"}
    return str(made["policy_id"])


def test_what_rules_and_policies_are_made_of(admin: Caller, server: RuleServer) -> None:
    first, second = external(admin, server), external(admin, server)
    made = policy(admin, first)
    for name, wanted in (("list-all-rules", (first, second)), ("list-all-policies", (made, first))):
        shown = json.dumps(admin.ok(route(name)))
        assert all(each in shown for each in wanted)

    assert admin.refused(route("delete-rule"), {"rule_id": first}) == "rule_in_use"
    assert admin.ok(route("add-rule-to-policy"), {"policy_id": made, "rule_id": second}) == {}
    assert admin.ok(route("remove-rule-from-policy"), {"policy_id": made, "rule_id": first}) == {}
    again = {"policy_id": made, "rule_id": first}
    assert admin.refused(route("remove-rule-from-policy"), again) == "rule_not_in_policy"
    assert admin.ok(route("delete-rule"), {"rule_id": first}) == {}
    assert admin.ok(route("delete-policy"), {"policy_id": made}) == {}
    assert admin.ok(route("delete-rule"), {"rule_id": second}) == {}


def test_names_are_taken_once(admin: Caller, server: RuleServer) -> None:
    name = f"name {uuid4()}"
    rule = {"name": name, "url": server.url, "pubkey": server.pubkey, "jwt_alg": "ES256"}
    admin.ok(route("add-external-rule"), rule)
    assert admin.refused(route("add-external-rule"), rule) == "unique_violation"
    admin.ok(route("create-policy"), {"name": name, "rules": []})
    assert admin.refused(route("create-policy"), {"name": name, "rules": []}) == "unique_violation"


@pytest.mark.parametrize(
    ("name", "fields", "error"),
    [
        ("create-policy", {"name": "p", "rules": [NOTHING]}, "rule_not_found"),
        ("delete-rule", {"rule_id": NOTHING}, "rule_not_found"),
        ("delete-policy", {"policy_id": NOTHING}, "policy_not_found"),
        ("add-rule-to-policy", {"policy_id": NOTHING, "rule_id": NOTHING}, "policy_not_found"),
        ("attach-policy-to-key", {"key_id": NOTHING, "policy_id": "mine"}, "key_id_not_exists"),
        ("attach-policy-to-key", {"key_id": "mine", "policy_id": NOTHING}, "policy_not_found"),
        ("set-default-user-policy", {"user_id": NOTHING, "policy_id": "mine"}, "user_id_not_exists"),
        ("set-default-user-policy", {"user_id": "mine", "policy_id": NOTHING}, "policy_not_found"),
        ("create-policy", {"name": "p", "rules": "all"}, "bad_request_params"),
        ("add-external-rule", {"name": "r", "url": "file:///etc/passwd"}, "bad_request_params"),
        ("delete-rule", {}, "bad_request_params"),
    ],
)
def test_what_is_not_there(admin: Caller, mine: list[Party], name: str, fields: dict[str, Any], error: str) -> None:
    real = {"key_id": mine[0].key_id, "user_id": mine[0].user_id, "policy_id": policy(admin)}
    named = {field: real[field] if value == "mine" else value for field, value in fields.items()}
    assert admin.refused(route(name), named) == error


@pytest.mark.parametrize(
    "changed",
    [{"jwt_alg": "none"}, {"jwt_alg": "HS256"}, {"pubkey": "x"}, {"url": 7}, {"name": ""}, {"jwt_alg": "RS256"}],
)
def test_rules_that_can_not_be(admin: Caller, server: RuleServer, changed: dict[str, Any]) -> None:
    fields = {"name": f"rule {uuid4()}", "url": server.url, "pubkey": server.pubkey, "jwt_alg": "ES256"}
    assert admin.refused(route("add-external-rule"), fields | changed) == "bad_request_params"


def test_a_key_signs_what_its_rule_server_approves(admin: Caller, mine: list[Party], server: RuleServer) -> None:
    first = mine[0]
    made = policy(admin, external(admin, server))
    assert admin.ok(route("attach-policy-to-key"), {"key_id": first.key_id, "policy_id": made}) == {}
    assert first.key["policy_id"] == made
    assert admin.refused(route("delete-policy"), {"policy_id": made}) == "policy_in_use_by_keys"

    sign(mine[:2], extra_data="c0ffee")
    [asked] = server.asked
    assert asked["key_id"] == first.key_id
    assert asked["user_id"] == first.user_id
    assert asked["action"] == "sign"
    assert asked["exp"] > asked["iat"]
    assert "c0ffee" in json.dumps(asked["extra_data"])
    for claims in (
        {"verdict": "deny"},
        {"verdict": "maybe"},
        {"verdict": "approve", "request_id": NOTHING},
        {"verdict": "approve", "exp": 1},
        {},
    ):
        server.claims = claims
        bodies = {party: sign_body(party, name) for name in [room(first, 2)] for party in mine[:2]}
        answers = everywhere(
            mine[:2], lambda party, bodies=bodies: party.user.call("POST /ed25519/sign", bodies[party])
        )
        assert answers[0].error == (400, "policy_validation_failed"), claims
        assert answers[1].error == (400, "executor_result"), "the others end at once"
    server.claims = {"verdict": "approve"}
    sign(mine[:2])
    assert admin.ok(route("detach-policy-from-key"), {"key_id": first.key_id}) == {}
    assert admin.ok(route("delete-policy"), {"policy_id": made}) == {}


def attempted(signers: list[Party]) -> list[Answer]:
    name = room(signers[0], len(signers))
    return everywhere(
        signers, lambda party: party.user.call("POST /ed25519/sign", sign_body(party, name), prefer="wait=10")
    )


def test_a_users_default_binds_its_keys(admin: Caller, mine: list[Party], server: RuleServer) -> None:
    first = mine[0]
    made = policy(admin, external(admin, server))
    default = {"user_id": first.user_id, "policy_id": made}
    assert admin.ok(route("set-default-user-policy"), default) == {}
    assert admin.refused(route("delete-policy"), {"policy_id": made}) == "policy_in_use_by_users"
    server.claims = {"verdict": "deny"}
    assert attempted(mine[:2])[0].error == (400, "policy_validation_failed")
    # An empty policy passes, and so does none.
    for other in (policy(admin), None):
        assert admin.ok(route("set-default-user-policy"), default | {"policy_id": other}) == {}
        sign(mine[:2])


def test_a_rule_server_that_does_not_answer_refuses(admin: Caller, mine: list[Party], listener: Listener) -> None:
    first = mine[0]
    server = RuleServer(listener)
    listener.answer = lambda _: b"approve"
    made = policy(admin, external(admin, server))
    admin.ok(route("attach-policy-to-key"), {"key_id": first.key_id, "policy_id": made})
    assert attempted(mine[:2])[0].error == (400, "policy_validation_failed")
    admin.ok(route("detach-policy-from-key"), {"key_id": first.key_id})


def test_a_dry_run_says_what_each_rule_would(admin: Caller, mine: list[Party]) -> None:
    first = mine[0]
    rules = {
        kind: built_in(admin, kind, **parameters)
        for kind, parameters in (("allowed_actions", {"actions": ["sign"]}), ("message_prefix", {"prefixes": ["00"]}))
    }
    made = policy(admin, *rules.values())
    admin.ok(route("attach-policy-to-key"), {"key_id": first.key_id, "policy_id": made})
    asked = {"key_id": first.key_id, "action": "sign", "request": {"msg": "616263"}}
    told = first.user.ok("POST /policies/evaluate", asked)
    verdicts = {verdict["rule_id"]: verdict["passes"] for verdict in told["verdicts"]}
    assert (told["passes"], verdicts) == (False, {rules["allowed_actions"]: True, rules["message_prefix"]: False})
    assert attempted(mine[:2])[0].error == (400, "policy_validation_failed")
    assert first.user.ok("POST /policies/evaluate", asked | {"request": {"msg": "00ff"}})["passes"]
    assert mine[1].user.refused("POST /policies/evaluate", asked) == "key_id_not_exists"
    admin.ok(route("detach-policy-from-key"), {"key_id": first.key_id})


def test_a_call_that_waits_for_an_operator(admin: Caller, mine: list[Party]) -> None:
    first = mine[0]
    made = policy(admin, built_in(admin, "operator_approval"))
    admin.ok(route("attach-policy-to-key"), {"key_id": first.key_id, "policy_id": made})

    def waiting() -> str:
        assert attempted(mine[:2])[0].error == (400, "policy_validation_failed")
        [pending] = [row for row in first.user.ok("GET /approvals")["results"] if row["state"] == "pending"]
        return f"/approvals/{pending['approval_id']}"

    path = waiting()
    assert first.user.refused(f"POST {path}/approve", {}) == "you_have_to_be_admin"
    assert admin.ok(f"POST {path}/approve", {"reason": "as agreed"})["state"] == "approved"
    sign(mine[:2])
    path = waiting()
    assert admin.ok(f"POST {path}/deny", {})["state"] == "denied"
    assert admin.refused(f"POST {path}/approve", {}) == "already_voted"
    assert admin.call(f"POST /approvals/{NOTHING}/approve", {}).error == (404, "not_found")
    admin.ok(route("detach-policy-from-key"), {"key_id": first.key_id})


def test_a_policy_that_confirms_leaves_the_deletion_to_the_client(mine: list[Party]) -> None:
    """As Sodot's clients end a reshare: each deletes its old share, and no operator is asked. A new share is under the
    policy of the one that it replaces."""
    policies = [policy(party.admin, confirms_deletion=True) for party in mine]
    for party, made in zip(mine, policies, strict=True):
        party.admin.ok(route("attach-policy-to-key"), {"key_id": party.key_id, "policy_id": made})
    name = room(mine[0], 3)
    told = everywhere(
        mine, lambda party: party.user.ok("POST /ed25519/reshare/existing-party", reshare_body(party, mine, 2, name))
    )
    new = [replace(party, key_id=answer["key_id"]) for party, answer in zip(mine, told, strict=True)]
    assert [party.key["policy_id"] for party in new] == policies
    for party in mine:
        delete = f"DELETE /ed25519/delete-key-share/{party.key_id}"
        until(lambda party=party, delete=delete: party.user.call(delete).status, 200)
    until(lambda: [party.key["state"] for party in new], ["active"] * 3)
    sign(new[1:])
