"""The one place where policies speak: before anything of a call begins.

A key's policy and its user's default must both pass, each with all of its rules; an empty one passes. First come the
rules that only look, then the servers, then what passing takes (counts, approvals): all of it in one transaction, or
none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction

from audit import services as audit
from keys import clock
from keys.models import ApiUser, KeyShare, Policy, Rule, RuleCount
from keys.policies import approvals
from keys.policies.asked import Action, Asked
from keys.policies.builtin import KINDS, Claim, Count
from keys.policies.external import NoApproval, ask
from vertex.errors import ApiError


@dataclass(frozen=True)
class Verdict:
    """What one rule of one policy says; ``reason`` is None where it passes."""

    policy: Policy
    rule: Rule
    reason: str | None


def policy_check(*, key: KeyShare, action: Action, fields: Mapping[str, Any]) -> None:
    """Raises `policy_validation_failed`, with an event, unless the key's policy and its user's default let it pass.

    Not inside a transaction: rule servers are asked. ``fields``: the call's, validated, without secrets.
    """
    policies = _policies(key)
    if not policies:
        return
    asked = Asked.of(key, action, fields)
    rules = _rules(policies)
    refused = _looked_at(asked, rules) or _heard(asked, rules) or _taken(asked, rules)
    if refused is not None:
        _denied(asked, refused)


def explain(*, key: KeyShare, action: Action, fields: Mapping[str, Any]) -> list[Verdict]:
    """What every rule says now; nothing is counted, approved or asked of an operator. Rule servers are told so."""
    asked = Asked.of(key, action, fields)
    found = []
    for policy in _policies(key):
        for rule in policy.rules.order_by("name"):
            found.append(Verdict(policy, rule, _alone(asked, rule)))
    return found


def _policies(key: KeyShare) -> list[Policy]:
    default = ApiUser.objects.values_list("default_policy", flat=True).get(id=key.user_id)
    named = {identifier for identifier in (key.policy_id, default) if identifier is not None}
    return list(Policy.objects.filter(id__in=named).prefetch_related("rules").order_by("name")) if named else []


def _rules(policies: Iterable[Policy]) -> list[Rule]:
    """Each rule once, though both policies may hold it; in one order, so that no two calls wait for each other."""
    return sorted({rule.pk: rule for policy in policies for rule in policy.rules.all()}.values(), key=lambda r: r.pk)


def _looked_at(asked: Asked, rules: list[Rule]) -> tuple[Rule, str] | None:
    now = clock.now()
    for rule in rules:
        if rule.kind != Rule.EXTERNAL:
            reason = KINDS[rule.kind].refusal(asked, rule.parameters, now)
            if reason is not None:
                return rule, reason
    return None


def _heard(asked: Asked, rules: list[Rule], *, dry_run: bool = False) -> tuple[Rule, str] | None:
    for rule in rules:
        if rule.kind == Rule.EXTERNAL:
            try:
                ask(rule, asked, dry_run=dry_run)
            except NoApproval as refusal:
                return rule, str(refusal)
    return None


class _Short(Exception):
    """A claim that can't be met: what was taken before it is given back."""

    def __init__(self, rule: Rule, reason: str) -> None:
        self.refused = rule, reason


def _taken(asked: Asked, rules: list[Rule]) -> tuple[Rule, str] | None:
    # Counts first: an approval's event locks the log until the commit, and nothing may be waited for under that.
    found = [(rule, claim) for rule in rules if (claim := _claim(asked, rule)) is not None]
    claims = sorted(found, key=lambda each: not isinstance(each[1], Count))
    if not claims:
        return None
    try:
        with transaction.atomic():
            for rule, claim in claims:
                reason = _count(asked, rule, claim) if isinstance(claim, Count) else approvals.use(asked, rule)
                if reason is not None:
                    raise _Short(rule, reason)
    except _Short as short:
        rule, reason = short.refused
        return rule, reason if isinstance(_claim(asked, rule), Count) else approvals.request(asked, rule)
    return None


def _claim(asked: Asked, rule: Rule) -> Claim | None:
    return None if rule.kind == Rule.EXTERNAL else KINDS[rule.kind].claim(asked, rule.parameters)


def _count(asked: Asked, rule: Rule, claim: Count) -> str | None:
    """Count this call under the row's lock: calls at once wait for each other, and none is counted twice."""
    period = _period(claim)
    fresh = RuleCount(rule=rule, subject=asked.subject, period=period, ends=period + claim.seconds)
    RuleCount.objects.bulk_create([fresh], ignore_conflicts=True)
    row = RuleCount.objects.select_for_update().get(rule=rule, subject=asked.subject, period=period)
    amount = int(row.amount) + claim.amount  # as an int: a Decimal's sum would be rounded to 28 digits
    if amount > claim.limit:
        return _above(claim)
    row.amount = Decimal(amount)
    row.save(update_fields=["amount"])
    return None


def _period(claim: Count) -> int:
    return int(clock.now().timestamp()) // claim.seconds * claim.seconds


def _above(claim: Count) -> str:
    return f"with this call it would be above its limit for {claim.seconds} seconds"


def _alone(asked: Asked, rule: Rule) -> str | None:
    """One rule's word, nothing taken."""
    refused = _looked_at(asked, [rule]) or _heard(asked, [rule], dry_run=True)
    if refused is not None:
        return refused[1]
    claim = _claim(asked, rule)
    if isinstance(claim, Count):
        row = RuleCount.objects.filter(rule=rule, subject=asked.subject, period=_period(claim)).first()
        return _above(claim) if (int(row.amount) if row else 0) + claim.amount > claim.limit else None
    return approvals.missing(asked, rule) if claim is not None else None


def _denied(asked: Asked, refused: tuple[Rule, str]) -> None:
    rule, reason = refused
    with transaction.atomic():
        audit.record(
            action="policy.denied",
            actor=f"user:{asked.key.user_id}",
            subject=str(asked.key.id),
            data={"rule": rule.name, "rule_id": str(rule.id), "action": asked.action, "reason": reason},
        )
    raise ApiError("policy_validation_failed", f"rule {rule.name}: {reason}")
