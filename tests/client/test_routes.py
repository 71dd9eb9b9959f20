"""Every route of docs/api.md has a method, the same one for code that waits and for code that doesn't."""

import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from vertex_client import AsyncQuorum, AsyncVertex, Quorum, ToSign, Vertex
from vertex_client.answers import SCHEMES, Receipts
from vertex_client.calls import Call, Route
from vertex_client.routes import Routes

from tests.client.vertices import ADMIN_TOKEN, API_KEY, URL, Memory, key_share, ok

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "api.md"
TO_SIGN = ToSign("K", b"\x00\xff", "R", "sha256", [0, 1], None, b"\x01")
TAPROOT = ToSign("K", b"", "R", tweak=b"")
PART: dict[str, Any] = {"keygen_ids": ["i"], "new_threshold": 2, "room_uuid": "R"}
MADE: dict[str, Any] = {"num_parties": 2, "threshold": 2, "keygen_ids": ["i", "j"], "room_uuid": "R"}
RECEIPTS = Receipts(("00",), None)
POLICIES = "/admin/policies"

# Of each method: a call of it, the request line that it makes, and its body.
TABLE: dict[str, tuple[Call[Any], str, Any]] = {
    "create_room": (Vertex.create_room(3), "POST /create-room", {"room_size": 3}),
    "create": (Vertex.create("ecdsa"), "GET /ecdsa/create", None),
    "keygen": (Vertex.keygen("ecdsa", "K", **MADE), "POST /ecdsa/keygen", MADE | {"key_id": "K"}),
    "export_id": (Vertex.export_id("ecdsa", "K"), "GET /ecdsa/export-id/K", None),
    "keys": (Vertex.keys(limit=5, after="x"), "GET /keys?limit=5&after=x", None),
    "key": (Vertex.key("K"), "GET /keys/K", None),
    "lift_bans": (Vertex.lift_bans("K", reason="mended"), "POST /keys/K/lift-bans", {"reason": "mended"}),
    "key_receipts": (Vertex.key_receipts("K"), "GET /keys/K/receipts", None),
    "give_key_receipts": (
        Vertex.give_key_receipts("K", RECEIPTS),
        "POST /keys/K/receipts",
        {"receipts": ["00"], "preimage": None},
    ),
    "delete_key_share": (Vertex.delete_key_share("ecdsa", "K"), "DELETE /ecdsa/delete-key-share/K", None),
    "operation": (Vertex.operation("O"), "GET /operations/O", None),
    "operations": (Vertex.operations(), "GET /operations", None),
    "sign": (
        Vertex.sign("ecdsa", TO_SIGN),
        "POST /ecdsa/sign",
        {
            "key_id": "K",
            "msg": "00ff",
            "room_uuid": "R",
            "hash_algo": "sha256",
            "derivation_path": [0, 1],
            "extra_data": "01",
        },
    ),
    "sign_ecdsa": (Vertex.sign_ecdsa(TO_SIGN), "POST /ecdsa/sign", TO_SIGN.body()),
    "sign_ed25519": (
        Vertex.sign_ed25519(ToSign("K", b"m", "R")),
        "POST /ed25519/sign",
        {"key_id": "K", "msg": "6d", "room_uuid": "R"},
    ),
    "sign_bip340": (
        Vertex.sign_bip340(TAPROOT),
        "POST /bip340/sign",
        {"key_id": "K", "msg": "", "room_uuid": "R", "tweak": ""},
    ),
    "batch_sign": (
        Vertex.batch_sign("ecdsa", [TO_SIGN, TO_SIGN]),
        "POST /ecdsa/batch-sign",
        {"sign_requests": [TO_SIGN.body()] * 2},
    ),
    "derive_ecdsa": (
        Vertex.derive_ecdsa("K", [1]),
        "POST /ecdsa/derive-pubkey",
        {"key_id": "K", "derivation_path": [1]},
    ),
    "derive_ed25519": (
        Vertex.derive_ed25519("K", []),
        "POST /ed25519/derive-pubkey",
        {"key_id": "K", "derivation_path": []},
    ),
    "derive_bip340": (
        Vertex.derive_bip340("K", [], b""),
        "POST /bip340/derive-tweak-pubkey",
        {"key_id": "K", "derivation_path": [], "tweak": ""},
    ),
    "reshare_existing": (
        Vertex.reshare_existing("ecdsa", "K", **PART, deletions_required=3),
        "POST /ecdsa/reshare/existing-party",
        PART | {"key_id": "K", "deletions_required": 3},
    ),
    "reshare_departing": (
        Vertex.reshare_departing("ecdsa", "K", **PART),
        "POST /ecdsa/reshare/departing-party",
        PART | {"key_id": "K"},
    ),
    "reshare_joining": (
        Vertex.reshare_joining("ecdsa", "K", **PART, old_threshold=2, expected_pubkey="02"),
        "POST /ecdsa/reshare/new-party",
        PART | {"key_id": "K", "old_threshold": 2, "expected_pubkey": "02"},
    ),
    "refresh": (
        Vertex.refresh("ecdsa", "K", room_uuid="R"),
        "POST /ecdsa/refresh",
        {"key_id": "K", "room_uuid": "R"},
    ),
    "reshares": (Vertex.reshares(), "GET /reshares", None),
    "reshare": (Vertex.reshare("I"), "GET /reshares/I", None),
    "confirm_deletion": (
        Vertex.confirm_deletion("I", reason="r", exports_destroyed=True),
        "POST /reshares/I/confirm-deletion",
        {"reason": "r", "exports_destroyed": True},
    ),
    "abort": (Vertex.abort("I"), "POST /reshares/I/abort", {}),
    "decide": (
        Vertex.decide("I", "carry", statement_hash="aa"),
        "POST /reshares/I/carry",
        {"statement_hash": "aa"},
    ),
    "reshare_receipts": (Vertex.reshare_receipts("I"), "GET /reshares/I/receipts", None),
    "give_reshare_receipts": (
        Vertex.give_reshare_receipts("I", RECEIPTS),
        "POST /reshares/I/receipts",
        {"receipts": ["00"], "preimage": None},
    ),
    "export_full": (
        Vertex.export_full("ecdsa", "K", export_to="i", room_uuid="R"),
        "POST /ecdsa/export/full",
        {"key_id": "K", "export_to": "i", "room_uuid": "R"},
    ),
    "import_key": (
        Vertex.import_key("ecdsa", "K", private_key="01", **MADE),
        "POST /ecdsa/import/key-importer",
        MADE | {"key_id": "K", "private_key": "01"},
    ),
    "import_share": (
        Vertex.import_share("ecdsa", "K", **MADE, expected_pubkey="02"),
        "POST /ecdsa/import/import-key-share-recipient",
        MADE | {"key_id": "K", "expected_pubkey": "02"},
    ),
    "backup_share": (Vertex.backup_share("ecdsa", "K"), "GET /ecdsa/backup/export-key-share/K", None),
    "restore_share": (
        Vertex.restore_share("ecdsa", key_share="s", export_type="encrypted"),
        "POST /ecdsa/backup/import-key-share",
        {"key_share": "s", "export_type": "encrypted"},
    ),
    "agree_to_share": (Vertex.agree_to_share("K", reason="gone"), "POST /keys/K/agree", {"reason": "gone"}),
    "create_user": (Vertex.create_user("n m"), "GET /admin/create-user?name=n+m", None),
    "generate_api_key": (Vertex.generate_api_key("U"), "GET /admin/generate-api-key?user_id=U", None),
    "users": (Vertex.users(limit=2), "GET /admin/list-users?limit=2", None),
    "api_keys": (Vertex.api_keys("U"), "GET /admin/list-api-keys?user_id=U", None),
    "revoke_api_key": (Vertex.revoke_api_key("p"), "DELETE /admin/revoke-api-key", {"api_key": "p"}),
    "delete_user": (Vertex.delete_user("U"), "DELETE /admin/delete-user", {"user_id": "U"}),
    "system_keys": (Vertex.system_keys(), "GET /admin/list-all-system-keys", None),
    "user_keys": (Vertex.user_keys("U"), "GET /admin/list-all-user-keys?user_id=U", None),
    "events": (Vertex.events(after=7), "GET /audit/events?after=7", None),
    "audit_head": (Vertex.audit_head(), "GET /audit/head", None),
    "identity_pubkey": (Vertex.identity_pubkey(), "GET /identity-pubkey", None),
    "live": (Vertex.live(), "GET /health/live", None),
    "ready": (Vertex.ready(), "GET /health/ready", None),
    "version": (Vertex.version(), "GET /version", None),
    "metrics": (Vertex.metrics(), "GET /metrics", None),
    "schema": (Vertex.schema(), "GET /schema", None),
    "add_external_rule": (
        Vertex.add_external_rule(name="n", url="u", pubkey="p", jwt_alg="ES256"),
        f"POST {POLICIES}/add-external-rule",
        {"name": "n", "url": "u", "pubkey": "p", "jwt_alg": "ES256"},
    ),
    "add_built_in_rule": (
        Vertex.add_built_in_rule(name="n", kind="rate", parameters={"calls": 1, "seconds": 60}),
        f"POST {POLICIES}/add-built-in-rule",
        {"name": "n", "kind": "rate", "parameters": {"calls": 1, "seconds": 60}},
    ),
    "list_rules": (Vertex.list_rules(), f"GET {POLICIES}/list-all-rules", None),
    "delete_rule": (Vertex.delete_rule("r"), f"DELETE {POLICIES}/delete-rule", {"rule_id": "r"}),
    "create_policy": (
        Vertex.create_policy("n", ["r"]),
        f"POST {POLICIES}/create-policy",
        {"name": "n", "rules": ["r"]},
    ),
    "evaluate_policies": (
        Vertex.evaluate_policies("K", "sign", {"msg": "00"}),
        "POST /policies/evaluate",
        {"key_id": "K", "action": "sign", "request": {"msg": "00"}},
    ),
    "approvals": (Vertex.approvals(limit=5), "GET /approvals?limit=5", None),
    "approve": (Vertex.approve("I", reason="known"), "POST /approvals/I/approve", {"reason": "known"}),
    "deny": (Vertex.deny("I"), "POST /approvals/I/deny", {}),
    "list_policies": (Vertex.list_policies(), f"GET {POLICIES}/list-all-policies", None),
    "delete_policy": (Vertex.delete_policy("p"), f"DELETE {POLICIES}/delete-policy", {"policy_id": "p"}),
    "add_rule_to_policy": (
        Vertex.add_rule_to_policy("p", "r"),
        f"POST {POLICIES}/add-rule-to-policy",
        {"policy_id": "p", "rule_id": "r"},
    ),
    "remove_rule_from_policy": (
        Vertex.remove_rule_from_policy("p", "r"),
        f"POST {POLICIES}/remove-rule-from-policy",
        {"policy_id": "p", "rule_id": "r"},
    ),
    "attach_policy_to_key": (
        Vertex.attach_policy_to_key("p", "K"),
        f"POST {POLICIES}/attach-policy-to-key",
        {"policy_id": "p", "key_id": "K"},
    ),
    "detach_policy_from_key": (
        Vertex.detach_policy_from_key("K"),
        f"POST {POLICIES}/detach-policy-from-key",
        {"key_id": "K"},
    ),
    "set_default_user_policy": (
        Vertex.set_default_user_policy("U", None),
        f"POST {POLICIES}/set-default-user-policy",
        {"user_id": "U", "policy_id": None},
    ),
    "create_webhook": (Vertex.create_webhook("u"), "POST /webhooks", {"url": "u", "events": []}),
    "webhooks": (Vertex.webhooks(), "GET /webhooks", None),
    "webhook": (Vertex.webhook("W"), "GET /webhooks/W", None),
    "delete_webhook": (Vertex.delete_webhook("W"), "DELETE /webhooks/W", None),
    "deliveries": (Vertex.deliveries("W"), "GET /webhooks/W/deliveries", None),
    "test_webhook": (Vertex.test_webhook("W"), "POST /webhooks/W/test", {}),
}
ROUTES = {name for name, member in inspect.getmembers_static(Routes) if isinstance(member, Route)}


def test_the_table_has_every_method() -> None:
    assert TABLE.keys() == ROUTES


@pytest.mark.parametrize("name", TABLE)
def test_what_is_sent(name: str) -> None:
    call, line, body = TABLE[name]
    vertex = Memory([]).client()
    request = vertex.access.request(call)
    assert f"{request.method} {str(request.url).removeprefix(URL)}" == line
    assert Memory([], [request]).bodies == ([] if body is None else [body])
    assert request.headers["Authorization"] == (ADMIN_TOKEN if call.as_admin else API_KEY)
    assert ("Idempotency-Key" in request.headers) == call.creates


def normal(line: str) -> str:
    line = re.sub(r"\?.*", "", line)
    for scheme in SCHEMES:
        line = line.replace(f"/{scheme}/", "/{s}/")
    return re.sub(r"/(K|O|I|W|\{(?!s\})\w+\})(?=/|$)", "/{}", line)


def documented() -> set[str]:
    """`METHOD /path` of the table in docs/api.md: a method holds for the paths that follow it."""
    found = set()
    for row in re.findall(r"^\| (.*?) \|", DOCUMENT.read_text().partition("## Routes")[2], re.MULTILINE):
        methods: list[str] = []
        fresh = True
        for method, path in re.findall(r"\b(GET|POST|DELETE)\b|`(/[^`]*)`", row):
            if method:
                methods = [method] if fresh else [*methods, method]
                fresh = False
            else:
                fresh = True
                found |= {normal(f"{each} {path}") for each in methods}
    return found


def test_every_documented_route_has_a_method() -> None:
    ours = {normal(line) for _, line, _ in TABLE.values()}
    ours |= {normal(f"POST /reshares/I/{word}") for word in ("supersede", "carry", "agree", "discard")}
    other_names = {"GET /{s}/export/exportId/{}"}
    assert len(documented()) > 40
    assert documented() - ours - other_names == set()


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_kinds_of_client_have_the_same_methods() -> None:
    assert public(Vertex) - {"asynchronous"} == public(AsyncVertex)
    for name in public(AsyncVertex):
        ours, theirs = getattr(Vertex, name), getattr(AsyncVertex, name)
        if callable(ours):
            assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters, name


def test_both_kinds_of_quorum_have_the_same_methods() -> None:
    one_vertex = {"vertex", "ask", "room"}
    assert public(AsyncQuorum) - one_vertex == public(Quorum) - {"run", "add", "remove"}
    for name in public(AsyncQuorum) - one_vertex - {"close"}:
        assert inspect.signature(getattr(Quorum, name)) == inspect.signature(getattr(AsyncQuorum, name)), name
        assert getattr(Quorum, name).__doc__ == getattr(AsyncQuorum, name).__doc__


def test_both_kinds_answer_the_same() -> None:
    memory = Memory([ok(key_share())])
    waited = memory.client().key("K")
    assert asyncio.run(memory.async_client().key("K")) == waited
    assert waited.parties == ("id-a", "id-b", "id-c")
    assert waited.created_at.isoformat() == "2026-11-25T12:00:00+00:00"
    assert [request.url.path for request in memory.requests] == ["/keys/K"] * 2


def test_an_id_stays_one_part_of_the_path() -> None:
    assert Vertex.key("../admin?x#y").path == "/keys/..%2Fadmin%3Fx%23y"


def test_what_only_admins_may_is_sent_as_an_admin() -> None:
    """By the OpenAPI document; webhooks apart, which users have too."""
    document = json.loads((DOCUMENT.parent / "openapi.json").read_text())
    demanded = {
        normal(f"{method.upper()} {path}")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/webhooks") and "you_have_to_be_admin" in json.dumps(operation["responses"])
    }
    ours = {normal(line): call.as_admin for call, line, _ in TABLE.values()}
    assert "POST /keys/{}/lift-bans" in demanded
    assert {line for line in demanded & ours.keys() if not ours[line]} == set()
