"""Writes: rules, policies, and what they are attached to. Each with its event."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from audit import services as audit
from keys.models import ApiUser, KeyShare, Policy, Rule
from keys.policies.asked import plain
from keys.policies.builtin import KINDS
from keys.policies.external import check_key
from vertex.errors import ApiError


def external_rule_add(*, name: str, url: str, pubkey: str, jwt_alg: str, actor: str) -> Rule:
    """A rule that a server decides. Raises `bad_request_params` for a URL or key that can't be used."""
    parts = urlsplit(url)
    schemes = ("https", "http") if settings.INSECURE_HTTP else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
        raise ApiError("bad_request_params", f"url: {' or '.join(schemes)}, a host, and no user")
    try:
        check_key(pubkey, jwt_alg)
    except ValueError as error:
        raise ApiError("bad_request_params", f"pubkey: {error}") from error
    return _add(name, Rule.EXTERNAL, {"url": url, "pubkey": pubkey, "jwt_alg": jwt_alg}, actor)


def built_in_rule_add(*, name: str, kind: str, parameters: dict[str, Any], actor: str) -> Rule:
    """A rule of a built-in kind. Raises what becomes `bad_request_params` where its parameters don't fit."""
    checked = KINDS[kind].Parameters(data=parameters)
    checked.is_valid(raise_exception=True)
    return _add(name, kind, plain(checked.validated_data), actor)


def _add(name: str, kind: str, parameters: dict[str, Any], actor: str) -> Rule:
    with transaction.atomic():
        rule = Rule(name=name, kind=kind, parameters=parameters)
        _unique(rule, "a rule")
        _record("rule.added", actor, str(rule.id), name=name, kind=kind, parameters=parameters)
    return rule


def _unique(row: Rule | Policy, what: str) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise ApiError("unique_violation", f"{what} of this name exists already") from error


@transaction.atomic
def rule_delete(*, rule_id: UUID, actor: str) -> None:
    """Delete a rule that no policy holds and no operator was asked about."""
    rule = _rule(rule_id)
    if rule.policies.exists():
        raise ApiError("rule_in_use", "a policy holds this rule")
    try:
        rule.delete()
    except ProtectedError as error:
        raise ApiError("rule_in_use", "operators were asked by this rule: it stays for the record") from error
    _record("rule.deleted", actor, str(rule_id), name=rule.name)


@transaction.atomic
def policy_create(*, name: str, rules: Sequence[UUID], confirms_deletion: bool = False, actor: str) -> Policy:
    """A policy of these rules; without any it lets everything pass."""
    found = [_rule(rule_id) for rule_id in sorted(set(rules))]
    policy = Policy(name=name, confirms_deletion=confirms_deletion)
    _unique(policy, "a policy")
    policy.rules.set(found)
    told = {"name": name, "rules": sorted(map(str, rules)), "confirms_deletion": confirms_deletion}
    _record("policy.created", actor, str(policy.id), **told)
    return policy


@transaction.atomic
def policy_delete(*, policy_id: UUID, actor: str) -> None:
    """Delete a policy that no key and no user has."""
    policy = _policy(policy_id)
    if KeyShare.objects.filter(policy=policy).exists():
        raise ApiError("policy_in_use_by_keys", "keys have this policy")
    if ApiUser.objects.filter(default_policy=policy).exists():
        raise ApiError("policy_in_use_by_users", "it is the default policy of users")
    policy.delete()
    _record("policy.deleted", actor, str(policy_id), name=policy.name)


@transaction.atomic
def rule_to_policy(*, policy_id: UUID, rule_id: UUID, actor: str) -> None:
    """Add a rule; one that it holds is left as it is."""
    policy, rule = _policy(policy_id), _rule(rule_id)
    if not policy.rules.contains(rule):
        policy.rules.add(rule)
        _record("policy.rule_added", actor, str(policy.id), rule=str(rule.id))


@transaction.atomic
def rule_from_policy(*, policy_id: UUID, rule_id: UUID, actor: str) -> None:
    """Remove a rule; `rule_not_in_policy` where it holds none of that id."""
    policy, rule = _policy(policy_id), _rule(rule_id)
    if not policy.rules.contains(rule):
        raise ApiError("rule_not_in_policy", "this policy does not hold this rule")
    policy.rules.remove(rule)
    _record("policy.rule_removed", actor, str(policy.id), rule=str(rule.id))


@transaction.atomic
def policy_of_key(*, key_id: UUID, policy_id: UUID | None, actor: str) -> None:
    """Attach a policy to a key share, or with None detach what it has."""
    key = KeyShare.objects.select_for_update().filter(id=key_id).first()
    if key is None:
        raise ApiError("key_id_not_exists", "there is no such key")
    policy = _policy(policy_id) if policy_id is not None else None
    if policy is None and key.policy_id is None:
        raise ApiError("policy_not_found", "this key has no policy")
    before = key.policy_id
    # A new share took its policy from the old one when it was made, which may have been a moment ago.
    KeyShare.objects.filter(identity_id=key.identity_id).update(policy=policy)
    if policy is not None:
        _record("policy.attached", actor, str(key.id), policy=policy_id, before=before)
    else:
        _record("policy.detached", actor, str(key.id), before=before)


@transaction.atomic
def policy_of_user(*, user_id: UUID, policy_id: UUID | None, actor: str) -> None:
    """A user's default policy, which its calls must pass besides the key's; None: none."""
    user = ApiUser.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise ApiError("user_id_not_exists", "there is no such user")
    policy = _policy(policy_id) if policy_id is not None else None
    before = user.default_policy_id
    user.default_policy = policy
    user.save(update_fields=["default_policy"])
    _record("policy.of_user", actor, str(user.id), policy=policy_id, before=before)


def _rule(rule_id: UUID) -> Rule:
    # Locked, so that a deletion and whoever begins to use it see each other.
    rule = Rule.objects.select_for_update().filter(id=rule_id).first()
    if rule is None:
        raise ApiError("rule_not_found", "there is no such rule")
    return rule


def _policy(policy_id: UUID) -> Policy:
    policy = Policy.objects.select_for_update().filter(id=policy_id).first()
    if policy is None:
        raise ApiError("policy_not_found", "there is no such policy")
    return policy


def _record(action: str, actor: str, subject: str, **data: Any) -> None:
    told = {name: str(value) if isinstance(value, UUID) else value for name, value in data.items()}
    audit.record(action=action, actor=actor, subject=subject, data=told)
