"""/admin/policies, /policies/evaluate and /approvals: what calls must pass, and the calls that wait for an operator."""

from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit import services as audit
from keys import operations, selectors
from keys.auth import principal_in
from keys.models import Approval, Policy, Rule
from keys.policies import approvals, services
from keys.policies.check import explain
from keys.selectors import READERS
from keys.serializers.fields import PageSerializer
from keys.serializers.people import DecisionSerializer
from keys.serializers.policies import (
    ApprovalAnswer,
    ApprovalListAnswer,
    BuiltInRuleSerializer,
    EvaluateAnswer,
    EvaluatedSignSerializer,
    EvaluateSerializer,
    ExternalRuleSerializer,
    KeyIdSerializer,
    PoliciesAnswer,
    PolicyIdAnswer,
    PolicyIdSerializer,
    PolicyOfKeySerializer,
    PolicyOfUserSerializer,
    PolicySerializer,
    RuleIdAnswer,
    RuleIdSerializer,
    RuleOfPolicySerializer,
    RulesAnswer,
)
from keys.views.admin import AdminView
from keys.views.base import ApiView, body_or_query, id_or_404, valid
from vertex.openapi import IDEMPOTENCY_KEY, Empty, refuses


class _Rule(AdminView):
    """What the two kinds of new rules share."""

    def add(self, request: Request, action: str, make: Any, fields: dict[str, Any]) -> Response:
        """Answer with the new rule's id."""

        def made() -> tuple[dict[str, Any], dict[str, Any]]:
            answer = {"rule_id": str(make(**fields, actor=principal_in(request).actor).id)}
            return answer, answer

        return operations.once(request, action=action, make=made)


class AddExternalRule(_Rule):
    """POST /admin/policies/add-external-rule"""

    @refuses("unique_violation")
    @extend_schema(request=ExternalRuleSerializer, parameters=[IDEMPOTENCY_KEY], responses={200: RuleIdAnswer})
    def post(self, request: Request) -> Response:
        """A rule that a server decides: it is asked with a JWT of this vertex and answers with one of its own."""
        fields = valid(ExternalRuleSerializer, request.data)
        return self.add(request, "add-external-rule", services.external_rule_add, fields)


class AddBuiltInRule(_Rule):
    """POST /admin/policies/add-built-in-rule"""

    @refuses("unique_violation")
    @extend_schema(request=BuiltInRuleSerializer, parameters=[IDEMPOTENCY_KEY], responses={200: RuleIdAnswer})
    def post(self, request: Request) -> Response:
        """A rule that this vertex decides by itself."""
        fields = valid(BuiltInRuleSerializer, request.data)
        return self.add(request, "add-built-in-rule", services.built_in_rule_add, fields)


class ListRules(AdminView):
    """GET /admin/policies/list-all-rules"""

    operator_groups = READERS

    @extend_schema(responses=RulesAnswer)
    def get(self, request: Request) -> Response:
        """All rules, by name."""
        rules = Rule.objects.order_by("name")
        told = [
            {"rule_id": str(rule.id), "name": rule.name, "kind": rule.kind, "parameters": rule.parameters}
            for rule in rules
        ]
        return Response({"rules": told})


class DeleteRule(AdminView):
    """DELETE /admin/policies/delete-rule"""

    @refuses("rule_not_found", "rule_in_use")
    @extend_schema(parameters=[RuleIdSerializer], request=RuleIdSerializer, responses={200: Empty})
    def delete(self, request: Request) -> Response:
        """Delete a rule that no policy holds; the id in the body or the query."""
        fields = valid(RuleIdSerializer, body_or_query(request))
        services.rule_delete(**fields, actor=principal_in(request).actor)
        return Response({})


class CreatePolicy(AdminView):
    """POST /admin/policies/create-policy"""

    @refuses("unique_violation", "rule_not_found")
    @extend_schema(request=PolicySerializer, parameters=[IDEMPOTENCY_KEY], responses={200: PolicyIdAnswer})
    def post(self, request: Request) -> Response:
        """A policy of some rules: it passes if all of them do."""
        fields = valid(PolicySerializer, request.data)

        def made() -> tuple[dict[str, Any], dict[str, Any]]:
            answer = {"policy_id": str(services.policy_create(**fields, actor=principal_in(request).actor).id)}
            return answer, answer

        return operations.once(request, action="create-policy", make=made)


class ListPolicies(AdminView):
    """GET /admin/policies/list-all-policies"""

    operator_groups = READERS

    @extend_schema(responses=PoliciesAnswer)
    def get(self, request: Request) -> Response:
        """All policies with the ids of their rules, by name."""
        policies = Policy.objects.order_by("name").prefetch_related("rules")
        told = [
            {
                "policy_id": str(policy.id),
                "name": policy.name,
                "rules": sorted(str(rule.id) for rule in policy.rules.all()),
                "confirms_deletion": policy.confirms_deletion,
            }
            for policy in policies
        ]
        return Response({"policies": told})


class DeletePolicy(AdminView):
    """DELETE /admin/policies/delete-policy"""

    @refuses("policy_not_found", "policy_in_use_by_keys", "policy_in_use_by_users")
    @extend_schema(parameters=[PolicyIdSerializer], request=PolicyIdSerializer, responses={200: Empty})
    def delete(self, request: Request) -> Response:
        """Delete a policy that no key and no user has; the id in the body or the query."""
        fields = valid(PolicyIdSerializer, body_or_query(request))
        services.policy_delete(**fields, actor=principal_in(request).actor)
        return Response({})


class AddRule(AdminView):
    """POST /admin/policies/add-rule-to-policy"""

    @refuses("policy_not_found", "rule_not_found")
    @extend_schema(request=RuleOfPolicySerializer, responses={200: Empty})
    def post(self, request: Request) -> Response:
        """Add a rule to a policy."""
        services.rule_to_policy(**valid(RuleOfPolicySerializer, request.data), actor=principal_in(request).actor)
        return Response({})


class RemoveRule(AdminView):
    """POST /admin/policies/remove-rule-from-policy"""

    @refuses("policy_not_found", "rule_not_found", "rule_not_in_policy")
    @extend_schema(request=RuleOfPolicySerializer, responses={200: Empty})
    def post(self, request: Request) -> Response:
        """Remove a rule from a policy."""
        services.rule_from_policy(**valid(RuleOfPolicySerializer, request.data), actor=principal_in(request).actor)
        return Response({})


class AttachPolicy(AdminView):
    """POST /admin/policies/attach-policy-to-key"""

    @refuses("policy_not_found", "key_id_not_exists")
    @extend_schema(request=PolicyOfKeySerializer, responses={200: Empty})
    def post(self, request: Request) -> Response:
        """Attach a policy to a key, in place of the one that it had."""
        services.policy_of_key(**valid(PolicyOfKeySerializer, request.data), actor=principal_in(request).actor)
        return Response({})


class DetachPolicy(AdminView):
    """POST /admin/policies/detach-policy-from-key"""

    @refuses("policy_not_found", "key_id_not_exists")
    @extend_schema(request=KeyIdSerializer, responses={200: Empty})
    def post(self, request: Request) -> Response:
        """Take its policy off a key."""
        fields = valid(KeyIdSerializer, request.data)
        services.policy_of_key(**fields, policy_id=None, actor=principal_in(request).actor)
        return Response({})


class DefaultPolicy(AdminView):
    """POST /admin/policies/set-default-user-policy"""

    @refuses("policy_not_found", "user_id_not_exists")
    @extend_schema(request=PolicyOfUserSerializer, responses={200: Empty})
    def post(self, request: Request) -> Response:
        """A user's default policy, which its calls must pass besides the key's; without `policy_id` none."""
        services.policy_of_user(**valid(PolicyOfUserSerializer, request.data), actor=principal_in(request).actor)
        return Response({})


class Evaluate(ApiView):
    """POST /policies/evaluate"""

    @refuses("key_id_not_exists")
    @extend_schema(request=EvaluateSerializer, responses={200: EvaluateAnswer})
    def post(self, request: Request) -> Response:
        """What each rule would say to a call now. Nothing is counted and no operator is asked; rule servers are."""
        fields = valid(EvaluateSerializer, request.data)
        key = selectors.key_seen_by(principal_in(request), key_id=fields["key_id"])
        asked = fields["request"]
        if fields["action"] == "sign":
            asked |= valid(EvaluatedSignSerializer, asked)
        verdicts = explain(key=key, action=fields["action"], fields=asked)
        told = [
            {
                "policy_id": str(each.policy.id),
                "rule_id": str(each.rule.id),
                "rule": each.rule.name,
                "passes": each.reason is None,
                "reason": each.reason,
            }
            for each in verdicts
        ]
        return Response({"passes": all(each["passes"] for each in told), "verdicts": told})


def _approval(row: Approval) -> dict[str, Any]:
    return {
        "approval_id": str(row.id),
        "rule_id": str(row.rule_id),
        "key_id": str(row.share_id),
        "user_id": str(row.user_id),
        "action": row.action,
        "request": row.request,
        "statement_hash": audit.statement_hash(approvals.statement_of(row)).hex(),
        "state": row.state,
        "asked_at": row.created_at,
        "decided_by": row.decided_by or None,
        "decided_at": row.decided_at,
    }


class Approvals(ApiView):
    """GET /approvals"""

    @extend_schema(parameters=[PageSerializer], responses=ApprovalListAnswer)
    def get(self, request: Request) -> Response:
        """Calls that wait, or waited, for an operator: the caller's own, all for admins; in order of asking."""
        page = valid(PageSerializer, request.query_params.dict())
        rows = selectors.seen_by(principal_in(request), Approval.objects.all())
        found, after = selectors.page_after(rows, after=page.get("after"), limit=page["limit"])
        following = f"/approvals?{urlencode({'after': str(after), 'limit': page['limit']})}" if after else None
        return Response({"results": [_approval(row) for row in found], "next": following})


class DecideApproval(AdminView):
    """POST /approvals/{id}/approve, /deny"""

    operator_groups = frozenset({"approver"})
    approve = False

    @refuses("not_found", "already_voted", "policy_validation_failed")
    @extend_schema(request=DecisionSerializer, responses={200: ApprovalAnswer})
    def post(self, request: Request, approval_id: str) -> Response:
        """An operator's word on a call; once approved it is repeated, and passes once."""
        fields = valid(DecisionSerializer, request.data)
        row = approvals.decide(
            approval_id=id_or_404(approval_id),
            approve=self.approve,
            actor=principal_in(request).actor,
            reason=fields["reason"],
            statement_hash=fields.get("statement_hash"),
        )
        return Response(_approval(row))
