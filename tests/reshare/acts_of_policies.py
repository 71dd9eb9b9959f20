"""What is called of policies, approvals and webhooks, for `test_events_fail`: each makes what it needs, and gives the
call that must leave nothing when its event fails.
"""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from keys.models import ApiUser, Approval, KeyShare, Policy, Rule, WebhookDelivery, WebhookEndpoint
from keys.policies import approvals
from keys.policies import services as policies
from keys.policies.asked import Asked
from keys.policies.check import policy_check
from keys.webhooks import endpoints, sending
from tests.reshare.attempts import old_quorum, old_share
from tests.reshare.full_disk import Act, new_operator, user


def webhook(user: ApiUser | None = None) -> WebhookEndpoint:
    url = "https://hooks.example/vertex"
    with override_settings(VERTEX_WEBHOOK_HOSTS=["hooks.example"]):
        return endpoints.endpoint_create(url=url, events=[], user=user, actor="admin")[0]


def webhook_deleted() -> Act:
    endpoint = webhook()
    return lambda: endpoints.endpoint_delete(endpoint=endpoint, actor="admin")


def webhook_disabled() -> Act:
    endpoint = webhook()
    return transaction.atomic(lambda: sending._disable(endpoint))


def webhook_retried() -> Act:
    delivery = endpoints.endpoint_test(endpoint=webhook())
    WebhookDelivery.objects.update(state="failed", finished_at=timezone.now())
    return lambda: endpoints.delivery_retry(delivery_id=delivery.id, actor="admin")


def new_rule(kind: str = "operator_approval", **parameters: Any) -> Rule:
    return policies.built_in_rule_add(name=kind, kind=kind, parameters=parameters, actor="admin")


def new_policy(*rules: Rule) -> Policy:
    return policies.policy_create(name="p", rules=[rule.id for rule in rules], actor="admin")


def bound(rule: Rule, *, asked: bool = False) -> KeyShare:
    """A share under a policy of this rule; with a call that waits for an operator."""
    old_quorum()
    share = old_share("a")
    policies.policy_of_key(key_id=share.id, policy_id=new_policy(rule).id, actor="admin")
    share.refresh_from_db()
    if asked:
        approvals.request(Asked.of(share, "delete", {}), rule)
    return share


def deletion_checked(share: KeyShare) -> Act:
    return lambda: policy_check(key=share, action="delete", fields={})


def rule_deleted() -> Act:
    rule = new_rule()
    return lambda: policies.rule_delete(rule_id=rule.id, actor="admin")


def policy_deleted() -> Act:
    policy = new_policy()
    return lambda: policies.policy_delete(policy_id=policy.id, actor="admin")


def rule_put_in() -> Act:
    rule, policy = new_rule(), new_policy()
    return lambda: policies.rule_to_policy(policy_id=policy.id, rule_id=rule.id, actor="admin")


def rule_taken_out() -> Act:
    rule = new_rule()
    policy = new_policy(rule)
    return lambda: policies.rule_from_policy(policy_id=policy.id, rule_id=rule.id, actor="admin")


def policy_attached() -> Act:
    old_quorum()
    share, policy = old_share("a"), new_policy()
    return lambda: policies.policy_of_key(key_id=share.id, policy_id=policy.id, actor="admin")


def policy_detached() -> Act:
    share = bound(new_rule())
    return lambda: policies.policy_of_key(key_id=share.id, policy_id=None, actor="admin")


def policy_of_user() -> Act:
    someone, policy = user(), new_policy()
    return lambda: policies.policy_of_user(user_id=someone.id, policy_id=policy.id, actor="admin")


def approval_asked() -> Act:
    return deletion_checked(bound(new_rule()))


def approval_decided(*, approve: bool) -> Act:
    new_operator()
    bound(new_rule(), asked=True)
    waiting = Approval.objects.get()
    return lambda: approvals.decide(approval_id=waiting.id, approve=approve, actor="operator:approver")


def approval_used() -> Act:
    new_operator()
    share = bound(new_rule(), asked=True)
    approvals.decide(approval_id=Approval.objects.get().id, approve=True, actor="operator:approver")
    return deletion_checked(share)


OF_POLICIES: dict[str, Callable[[], Act]] = {
    "webhook.created": lambda: webhook,
    "webhook.deleted": webhook_deleted,
    "webhook.disabled": webhook_disabled,
    "webhook.retried": webhook_retried,
    "rule.added": lambda: new_rule,
    "rule.deleted": rule_deleted,
    "policy.created": lambda: new_policy,
    "policy.deleted": policy_deleted,
    "policy.rule_added": rule_put_in,
    "policy.rule_removed": rule_taken_out,
    "policy.attached": policy_attached,
    "policy.detached": policy_detached,
    "policy.of_user": policy_of_user,
    "policy.denied": lambda: deletion_checked(bound(new_rule("allowed_actions", actions=["sign"]))),
    "approval.asked": approval_asked,
    "approval.approved": lambda: approval_decided(approve=True),
    "approval.denied": lambda: approval_decided(approve=False),
    "approval.used": approval_used,
}
