"""The console's pages of keys: shown to those who may look, changed by services only, tokens shown once."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from audit.models import Event
from keys.auth import principal_of
from keys.models import (
    ApiKey,
    ApiUser,
    Approval,
    KeyShare,
    Operator,
    PartyIdentity,
    Policy,
    ProtocolSession,
    Rule,
    WebhookDelivery,
    WebhookEndpoint,
)
from keys.operators import groups_ensure
from keys.users import user_create

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
SEALED = b"sealed share, not to be shown"


@pytest.fixture(autouse=True)
def operators(settings: Any, db: None) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    groups_ensure()
    for name in ("viewer", "operator", "approver"):
        operator = Operator.objects.create_user(username=name, password=PASSWORD, is_staff=True)
        operator.groups.set(Group.objects.filter(name=name))


def client_of(username: str) -> Client:
    client = Client()
    assert client.login(username=username, password=PASSWORD)
    return client


def url(model: type, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:keys_{model.__name__.lower()}_{page}", args=args)


def act(client: Client, model: type, action: str, *rows: Any) -> Any:
    return client.post(url(model), {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def token_in(answer: Any) -> str:
    found = re.search(r'id="token" data-copy="([^"]+)"', answer.content.decode())
    assert found
    return found[1]


def share(user: ApiUser, **fields: Any) -> KeyShare:
    identity, _ = PartyIdentity.objects.get_or_create(public=b"\x07" * 32, defaults={"sealed_secret": SEALED})
    defaults = {"gid": bytes(32), "threshold": 2, "public_key": b"\x02" + bytes(32), "parties": ["07" * 32] * 3}
    return KeyShare.objects.create(user=user, identity=identity, scheme="ecdsa", **(defaults | fields))


def approval(held: KeyShare) -> Approval:
    rule = Rule.objects.create(name="by hand", kind="operator_approval")
    return Approval.objects.create(
        rule=rule, share=held, user=held.user, action="sign", request={"msg": "00ff"}, digest=bytes(32)
    )


def delivered(user: ApiUser, **fields: Any) -> WebhookDelivery:
    endpoint = WebhookEndpoint.objects.create(user=user, url="https://hooks.example/", sealed_secret=SEALED)
    return WebhookDelivery.objects.create(
        endpoint=endpoint, event="deletion.pending", payload="{}", next_at="2030-01-01T00:00Z", **fields
    )


def test_an_operator_makes_a_user_and_owns_it() -> None:
    client = client_of("operator")
    answer = client.post(url(ApiUser, "add"), {"name": "treasury"})
    user = ApiUser.objects.get()
    assert (user.name, user.owner) == ("treasury", Operator.objects.get(username="operator"))
    principal = principal_of(token_in(answer))
    assert principal is not None
    assert principal.user == user
    assert [event.action for event in Event.objects.all()] == ["user.created"]
    assert token_in(answer) not in client.get(url(ApiUser)).content.decode()
    assert token_in(answer) not in str(client.session.items())


def test_a_name_that_is_taken_is_refused() -> None:
    user_create(name="treasury", owner=None, actor="admin")
    answer = client_of("operator").post(url(ApiUser, "add"), {"name": "treasury"}, follow=True)
    assert answer.status_code == 200
    assert ApiUser.objects.count() == 1
    assert Event.objects.count() == 1


def test_keys_of_a_user_are_made_and_revoked() -> None:
    user, first = user_create(name="treasury", owner=None, actor="admin")
    client = client_of("operator")
    token = token_in(act(client, ApiUser, "make_key", user))
    assert principal_of(token) is not None
    act(client, ApiKey, "revoke", ApiKey.objects.get(public_id=token.split("_")[0]))
    assert principal_of(token) is None
    assert principal_of(first) is not None
    assert [event.action for event in Event.objects.order_by("seq")][1:] == ["api_key.created", "api_key.revoked"]


def test_only_users_without_shares_are_deleted() -> None:
    bare, _ = user_create(name="bare", owner=None, actor="admin")
    holder, _ = user_create(name="holder", owner=None, actor="admin")
    share(holder, state="superseded")
    answer = act(client_of("operator"), ApiUser, "delete_users", bare, holder)
    assert "this user has key shares" in answer.content.decode()
    assert [user.name for user in ApiUser.objects.all()] == ["holder"]


def test_an_operators_token_is_its_own() -> None:
    client = client_of("operator")
    me, other = (Operator.objects.get(username=name) for name in ("operator", "viewer"))
    assert "Choose yourself" in act(client, Operator, "make_token", other).content.decode()
    assert "Choose yourself" in act(client, Operator, "make_token", me, other).content.decode()
    principal = principal_of(token_in(act(client, Operator, "make_token", me)))
    assert principal is not None
    assert principal.operator == me


@pytest.mark.parametrize(("model", "action"), [(ApiUser, "make_key"), (ApiUser, "delete_users"), (ApiKey, "revoke")])
def test_a_viewer_changes_nothing(model: type, action: str) -> None:
    user, token = user_create(name="treasury", owner=None, actor="admin")
    client = client_of("viewer")
    act(client, model, action, user if model is ApiUser else ApiKey.objects.get())
    assert client.post(url(ApiUser, "add"), {"name": "other"}).status_code == 403
    assert principal_of(token) is not None
    assert ApiKey.objects.count() == Event.objects.count() == 1


@pytest.mark.parametrize(
    "model",
    [Operator, ApiUser, ApiKey, Policy, Rule, Approval, KeyShare, ProtocolSession, WebhookEndpoint, WebhookDelivery],
)
def test_rows_are_listed_but_not_edited(model: type) -> None:
    user, _ = user_create(name="treasury", owner=None, actor="admin")
    held = share(user, state="superseded", sealed_share=SEALED)
    policy = Policy.objects.create(name="plain")
    waiting = approval(held)
    policy.rules.add(waiting.rule)
    session = ProtocolSession.objects.create(
        kind="keygen", share=held, room="room", relay="http://relay", deadline="2030-01-01T00:00Z", sealed_seed=SEALED
    )
    delivery = delivered(user, state="failed", finished_at="2030-01-01T00:00Z")
    rows = [Operator.objects.get(username="operator"), user, ApiKey.objects.get(), policy, held, session]
    rows += [delivery.endpoint, delivery, waiting.rule, waiting]
    row = next(row for row in rows if type(row) is model)
    client = client_of("operator")
    for page in (url(model), url(model, "change", row.pk)):
        answer = client.get(page)
        assert answer.status_code == 200
        assert "sealed" not in answer.content.decode()
    assert client.post(url(model, "change", row.pk), {"name": "changed", "state": "active"}).status_code == 403
    assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    if model is not ApiUser:
        assert client.get(url(model, "add")).status_code == 403
    assert type(row).objects.get(pk=row.pk).pk == row.pk


def test_a_delivery_that_was_given_up_is_sent_again() -> None:
    user, _ = user_create(name="treasury", owner=None, actor="admin")
    failed = delivered(user, state="failed", finished_at="2030-01-01T00:00Z", attempts=11)
    taken = delivered(user, state="delivered", finished_at="2030-01-01T00:00Z")
    act(client_of("viewer"), WebhookDelivery, "retry", failed)
    assert not WebhookDelivery.objects.filter(state="pending").exists()
    answer = act(client_of("operator"), WebhookDelivery, "retry", failed, taken)
    assert "only a failed delivery" in answer.content.decode()
    again = WebhookDelivery.objects.get(state="pending")
    assert (again.id, again.attempts, again.finished_at) == (failed.id, 0, None)
    assert Event.objects.filter(action="webhook.retried", actor="operator:operator", subject=str(failed.id)).exists()


def test_an_endpoint_is_removed_by_operators() -> None:
    user, _ = user_create(name="treasury", owner=None, actor="admin")
    endpoint = delivered(user).endpoint
    act(client_of("viewer"), WebhookEndpoint, "remove", endpoint)
    assert WebhookEndpoint.objects.exists()
    act(client_of("operator"), WebhookEndpoint, "remove", endpoint)
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert Event.objects.filter(action="webhook.deleted", actor="operator:operator").exists()


def test_an_expired_key_is_shown_as_such() -> None:
    user_create(name="treasury", owner=None, actor="admin")
    ApiKey.objects.update(expires_at="2020-01-01T00:00Z", last_used_at="2020-01-01T00:00Z")
    assert ">expired<" in client_of("viewer").get(url(ApiKey)).content.decode()


def test_a_shares_lineage_is_shown_from_the_first_generation_on() -> None:
    user, _ = user_create(name="treasury", owner=None, actor="admin")
    first = share(user, state="erased")
    second = share(user, state="superseded", generation=2, predecessor=first, gid=b"\1" * 32)
    third = share(user, state="superseded", generation=3, predecessor=second, gid=b"\2" * 32)
    page = client_of("viewer").get(url(KeyShare, "change", second.pk)).content.decode()
    links = re.findall(r'keyshare/([0-9a-f-]{36})/change/">generation', page)
    assert links == [str(row.pk) for row in (first, second, third)]


def test_a_policy_leads_to_its_rules() -> None:
    policy = Policy.objects.create(name="p")
    rules = [policy.rules.create(name=name, kind="operator_approval") for name in ("b", "a")]
    page = client_of("viewer").get(url(Policy, "change", policy.pk)).content.decode()
    assert re.findall(r'rule/([0-9a-f-]{36})/change/">(\w)<', page) == [(str(r.pk), r.name) for r in reversed(rules)]


def test_groups_are_not_edited_in_the_console() -> None:
    assert client_of("operator").get("/console/auth/group/").status_code == 404


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_an_approver_decides_on_a_call_with_the_password(word: str) -> None:
    user, _ = user_create(name="treasury", owner=None, actor="admin")
    waiting = approval(share(user, state="superseded"))
    page = url(Approval, "change", waiting.pk)
    assert "Approve this call" not in client_of("operator").get(page).content.decode()
    client = client_of("approver")
    shown = client.get(page).content.decode()
    assert "00ff" in shown
    found = re.search(r'name="statement_hash" value="([0-9a-f]{64})"', shown)
    assert found
    form = {"decision": word, "statement_hash": found[1], "reason": "known", "password": PASSWORD}
    assert client_of("operator").post(page, form).status_code == 403
    client.post(page, form | {"password": "a wrong one"})
    client.post(page, form | {"statement_hash": "00" * 32})
    waiting.refresh_from_db()
    assert waiting.state == "pending"
    client.post(page, form)
    waiting.refresh_from_db()
    state = {"approve": "approved", "deny": "denied"}[word]
    assert (waiting.state, waiting.decided_by, waiting.reason) == (state, "operator:approver", "known")
    assert "Approve this call" not in client.get(page).content.decode()
