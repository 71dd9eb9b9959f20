"""Policies, rules and approvals. Rules differ in their fields: answers are JSON as the vertex gives it."""

from collections.abc import Mapping, Sequence
from typing import Any

from vertex_client.calls import Call, Route, given, path
from vertex_client.decoding import nothing


def _post(route: str, **fields: Any) -> Call[Any]:
    return Call("POST", f"/admin/policies/{route}", _any, given(**fields), as_admin=True)


def _delete(route: str, **fields: Any) -> Call[None]:
    return Call("DELETE", f"/admin/policies/{route}", nothing, given(**fields), as_admin=True)


def _list(route: str) -> Call[Any]:
    return Call("GET", f"/admin/policies/{route}", _any, as_admin=True, idempotent=True)


def _any(data: Any) -> Any:
    return data


class PolicyRoutes:
    """All of these are an admin's, `evaluate_policies` and `approvals` a user's too."""

    @Route
    def add_external_rule(self, *, name: str, url: str, pubkey: str, jwt_alg: str) -> Call[Any]:
        """A rule that a server decides: `pubkey` is its PEM, `jwt_alg` is `ES256` or `RS256`."""
        return _post("add-external-rule", name=name, url=url, pubkey=pubkey, jwt_alg=jwt_alg)

    @Route
    def add_built_in_rule(self, *, name: str, kind: str, parameters: Mapping[str, Any] | None = None) -> Call[Any]:
        """A rule that the vertex decides by itself; each kind has parameters of its own."""
        return _post("add-built-in-rule", name=name, kind=kind, parameters=dict(parameters or {}))

    @Route
    def list_rules(self) -> Call[Any]:
        """All rules."""
        return _list("list-all-rules")

    @Route
    def delete_rule(self, rule_id: str) -> Call[None]:
        """Deletes a rule that no policy has."""
        return _delete("delete-rule", rule_id=rule_id)

    @Route
    def create_policy(
        self, name: str, rules: Sequence[str] | None = None, *, confirms_deletion: bool | None = None
    ) -> Call[Any]:
        """A policy of these rules; it passes if all of them do."""
        listed = None if rules is None else list(rules)
        return _post("create-policy", name=name, rules=listed, confirms_deletion=confirms_deletion)

    @Route
    def list_policies(self) -> Call[Any]:
        """All policies."""
        return _list("list-all-policies")

    @Route
    def delete_policy(self, policy_id: str) -> Call[None]:
        """Deletes a policy that no key and no user has."""
        return _delete("delete-policy", policy_id=policy_id)

    @Route
    def add_rule_to_policy(self, policy_id: str, rule_id: str) -> Call[Any]:
        """All rules of a policy must pass."""
        return _post("add-rule-to-policy", policy_id=policy_id, rule_id=rule_id)

    @Route
    def remove_rule_from_policy(self, policy_id: str, rule_id: str) -> Call[Any]:
        """Takes a rule out of a policy."""
        return _post("remove-rule-from-policy", policy_id=policy_id, rule_id=rule_id)

    @Route
    def attach_policy_to_key(self, policy_id: str, key_id: str) -> Call[Any]:
        """What a key must pass, besides its user's default."""
        return _post("attach-policy-to-key", policy_id=policy_id, key_id=key_id)

    @Route
    def detach_policy_from_key(self, key_id: str) -> Call[Any]:
        """A key without a policy of its own."""
        return _post("detach-policy-from-key", key_id=key_id)

    @Route
    def set_default_user_policy(self, user_id: str, policy_id: str | None) -> Call[Any]:
        """What all keys of a user must pass; None for nothing."""
        body = {"user_id": user_id, "policy_id": policy_id}
        return Call("POST", "/admin/policies/set-default-user-policy", _any, body, as_admin=True)

    @Route
    def evaluate_policies(self, key_id: str, action: str, request: Mapping[str, Any] | None = None) -> Call[Any]:
        """What each rule would say to a call with this body now; nothing is counted and no operator is asked."""
        body = {"key_id": key_id, "action": action, "request": dict(request or {})}
        return Call("POST", "/policies/evaluate", _any, body, idempotent=True)

    @Route
    def approvals(self, *, limit: int | None = None, after: str | None = None) -> Call[Any]:
        """The caller's calls that wait, or waited, for an operator; all for admins."""
        return Call("GET", "/approvals", _any, query=given(limit=limit, after=after), idempotent=True)

    @Route
    def approve(self, approval_id: str, *, reason: str | None = None, statement_hash: str | None = None) -> Call[Any]:
        """Admin: the call passes once, when it is repeated soon."""
        body = given(reason=reason, statement_hash=statement_hash)
        return Call("POST", path("approvals", approval_id, "approve"), _any, body, as_admin=True)

    @Route
    def deny(self, approval_id: str, *, reason: str | None = None, statement_hash: str | None = None) -> Call[Any]:
        """Admin: the same call is refused for a while."""
        body = given(reason=reason, statement_hash=statement_hash)
        return Call("POST", path("approvals", approval_id, "deny"), _any, body, as_admin=True)
