"""Webhooks: what is told, to whom, signed how, and what happens when nobody takes it."""

import base64
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from audit.models import Event
from keys import operations
from keys.models import Operation, WebhookDelivery, WebhookEndpoint
from keys.webhooks import sending, signing
from keys.webhooks.endpoints import delivery_retry
from keys.webhooks.events import EVENTS, announce
from tests.api import Api, error_of
from tests.keys.conftest import NameServer
from tests.keys.receiver import Receiver, signature_holds
from vertex.celery import app
from vertex.errors import ApiError

pytestmark = pytest.mark.django_db(transaction=True)
State = WebhookDelivery.State


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks that were asked for."""
    asked: list[str] = []
    monkeypatch.setattr(app, "send_task", lambda name, **options: asked.append(name))
    return asked


def made(caller: Api, url: str, **body: Any) -> tuple[str, str]:
    """A new endpoint: its id and secret."""
    answer = caller.call("POST /webhooks", {"url": url, **body})
    assert answer.status_code == 200, answer.content
    return answer.json()["webhook_id"], answer.json()["secret"]


def tell(caller: Api, event: str = EVENTS[0], **data: Any) -> None:
    assert caller.user is not None
    with transaction.atomic():
        announce(event, user_id=caller.user.id, data=data)


def due(delivery: WebhookDelivery) -> float:
    """Seconds until it is due."""
    delivery.refresh_from_db()
    return (delivery.next_at - timezone.now()).total_seconds()


def test_the_standards_own_example() -> None:
    """From the test vectors of the Standard Webhooks libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signing.headers(
        secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, payload=b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_signed(alice: Api, receiver: Receiver, tasks: list[str]) -> None:
    _, secret = made(alice, receiver.url)
    tell(alice, "deletion.pending", rid="ab")
    assert tasks == ["keys.webhooks_send"]
    before = time.time()
    assert sending.send_due() == 1
    [got] = receiver.got
    [delivery] = WebhookDelivery.objects.all()
    assert signature_holds(got, secret)
    assert got.headers["webhook-id"] == f"msg_{delivery.id.hex}"
    assert before - 1 <= int(got.headers["webhook-timestamp"]) <= time.time()
    assert got.headers["content-type"] == "application/json"
    message = json.loads(got.body)
    assert message["data"] == {"rid": "ab", "user_id": str(alice.user.id)}  # type: ignore[union-attr]
    assert (message["type"], message["vertex"]) == ("deletion.pending", "test")
    assert (delivery.state, delivery.status, delivery.attempts) == (State.DELIVERED, 200, 1)
    assert sending.send_due() == 0


def test_a_secret_is_shown_once_and_stored_sealed(alice: Api, receiver: Receiver) -> None:
    webhook_id, secret = made(alice, receiver.url)
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(raw) == 32
    endpoint = WebhookEndpoint.objects.get()
    assert raw not in bytes(endpoint.sealed_secret)
    told = [alice.call(route).content.decode() for route in ("GET /webhooks", f"GET /webhooks/{webhook_id}")]
    assert not any(secret in text or "sealed" in text for text in told)
    assert secret not in str(list(Event.objects.values())) + str(list(Operation.objects.values()))


def test_a_repeated_call_makes_one_endpoint_and_shows_no_secret(alice: Api, receiver: Receiver) -> None:
    first, second = (alice.call("POST /webhooks", {"url": receiver.url}, idempotency_key="k").json() for _ in range(2))
    assert "secret" in first
    assert second == {name: value for name, value in first.items() if name != "secret"}
    assert WebhookEndpoint.objects.count() == 1


def test_sealed_for_one_endpoint_and_one_secret_key(alice: Api, receiver: Receiver, settings: Any) -> None:
    made(alice, receiver.url)
    made(alice, receiver.url)
    first, second = WebhookEndpoint.objects.all()
    with pytest.raises(signing.Unsealable):
        signing.unseal(bytes(first.sealed_secret), endpoint=second.id)
    tell(alice)
    settings.SECRET_KEY = "another"
    sending.send_due()
    assert receiver.got == []
    assert all("VERTEX_SECRET_KEY" in row.error for row in WebhookDelivery.objects.all())


def test_a_name_that_nobody_resolves_holds_nothing_up(
    alice: Api, receiver: Receiver, name_server: NameServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt ends with its time; the other deliveries of the batch have arrived."""
    settings.VERTEX_WEBHOOK_HOSTS = [receiver.host, "hooks.test"]
    monkeypatch.setattr(sending, "TIMEOUT", 1.0)
    made(alice, "https://hooks.test/")
    made(alice, receiver.url)
    tell(alice)
    assert sending.send_due() == 2
    assert not name_server.gave_up.is_set()
    assert (name_server.asked, len(receiver.got)) == (["hooks.test"], 1)
    told = {row.endpoint.url: (row.state, row.error) for row in WebhookDelivery.objects.all()}
    assert told == {"https://hooks.test/": (State.PENDING, "no answer within 1 s"), receiver.url: (State.DELIVERED, "")}


@pytest.mark.parametrize(
    ("answer", "state"),
    [(200, State.DELIVERED), (204, State.DELIVERED), (301, State.PENDING), (400, State.PENDING), (500, State.PENDING)],
)
def test_what_counts_as_taken(alice: Api, receiver: Receiver, answer: int, state: State) -> None:
    receiver.answers, receiver.moved = [answer], receiver.url
    made(alice, receiver.url)
    tell(alice)
    sending.send_due()
    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.state, delivery.status, delivery.attempts) == (state, answer, 1)
    assert len(receiver.got) == 1  # no redirect is followed


def test_it_is_tried_for_three_days_and_then_given_up(alice: Api, receiver: Receiver, admin: Api) -> None:
    receiver.answers = [500]
    made(alice, receiver.url)
    tell(alice)
    [delivery] = WebhookDelivery.objects.all()
    pauses: list[float] = []
    for _ in range(sending.MAX_ATTEMPTS):
        WebhookDelivery.objects.update(next_at=timezone.now())
        assert sending.send_due() == 1
        pauses.append(due(delivery))
    assert (delivery.state, delivery.attempts) == (State.FAILED, sending.MAX_ATTEMPTS)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    for pause, expected in zip(pauses, [5, 20, 80, 320, 1280, 5120, 20480, 81920, 86400, 86400], strict=False):
        assert 0.89 * expected - 1 < pause < 1.11 * expected
    assert 2.9 < sum(pauses[:-1]) / 86400 < 3.6
    assert sending.send_due() == 0
    delivery_retry(delivery_id=delivery.id, actor="admin")
    receiver.answers = [200]
    sending.send_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 1)
    with pytest.raises(ApiError):
        delivery_retry(delivery_id=delivery.id, actor="admin")


def test_nobody_listens_there(alice: Api, receiver: Receiver) -> None:
    made(alice, receiver.url)
    tell(alice)
    receiver.close()
    sending.send_due()
    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.state, delivery.status, delivery.error) == (State.PENDING, None, "ConnectError")


def test_an_endpoint_that_hangs_holds_nobody(
    alice: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT", 0.3)
    receiver.answers = [0]
    other = Receiver()
    settings.VERTEX_WEBHOOK_HOSTS = [receiver.host, other.host]
    for url in (receiver.url, receiver.url, receiver.url, other.url):
        made(alice, url)
    tell(alice)
    begun = time.monotonic()
    assert sending.send_due() == 4
    assert time.monotonic() - begun < 3 * 0.3  # all at once
    other.close()
    states = WebhookDelivery.objects.order_by("endpoint__created_at").values_list("state", "error")
    assert [error[:9] for _, error in states] == ["no answer"] * 3 + [""]
    assert [state for state, _ in states] == [State.PENDING] * 3 + [State.DELIVERED]


def test_410_ends_it(alice: Api, receiver: Receiver) -> None:
    receiver.answers = [410]
    webhook_id, _ = made(alice, receiver.url)
    tell(alice)
    first = WebhookDelivery.objects.get()
    tell(alice)
    WebhookDelivery.objects.exclude(id=first.id).update(next_at=timezone.now() + timedelta(hours=1))
    sending.send_due()
    ended = WebhookDelivery.objects.order_by("created_at").values_list("state", "status", "error")
    assert list(ended) == [(State.FAILED, 410, ""), (State.FAILED, None, sending.DISABLED)]
    assert alice.call(f"GET /webhooks/{webhook_id}").json()["disabled_at"] is not None
    assert Event.objects.filter(action="webhook.disabled", subject=webhook_id).count() == 1
    tell(alice)
    assert WebhookDelivery.objects.count() == 2
    assert len(receiver.got) == 1


def test_a_sender_that_dies_leaves_it_to_the_next(alice: Api, receiver: Receiver, tasks: list[str]) -> None:
    """Between the commit and the task, and between the claim and its end."""
    made(alice, receiver.url)
    tell(alice)
    tasks.clear()  # the task was lost with the broker
    assert sending.ask_again()
    assert tasks == ["keys.webhooks_send"]
    assert len(sending._claim()) == 1  # and here it dies
    assert (sending.send_due(), sending.ask_again()) == (0, False)  # leased
    [delivery] = WebhookDelivery.objects.all()
    assert 50 < due(delivery) < 61
    WebhookDelivery.objects.update(next_at=timezone.now())  # the lease has run out
    assert (sending.ask_again(), sending.send_due()) == (True, 1)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, len(receiver.got)) == (State.DELIVERED, 2, 1)


def test_a_late_sender_changes_nothing(alice: Api, receiver: Receiver) -> None:
    made(alice, receiver.url)
    tell(alice)
    receiver.answers = [500]
    receiver.meanwhile = lambda: WebhookDelivery.objects.update(attempts=7) and None
    sending.send_due()
    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.attempts, delivery.status) == (7, None)


def test_what_is_rolled_back_is_told_to_nobody(alice: Api, receiver: Receiver, tasks: list[str]) -> None:
    made(alice, receiver.url)
    assert alice.user is not None
    with transaction.atomic():
        announce(EVENTS[0], user_id=alice.user.id, data={})
        transaction.set_rollback(True)
    assert (WebhookDelivery.objects.count(), tasks) == (0, [])
    with pytest.raises(RuntimeError):
        announce(EVENTS[0], user_id=alice.user.id, data={})


def test_who_is_told(alice: Api, bob: Api, admin: Api, receiver: Receiver) -> None:
    mine, _ = made(alice, receiver.url)
    picky, _ = made(alice, receiver.url, events=["deletion.erased", "deletion.erased"])
    theirs, _ = made(bob, receiver.url)
    everything, _ = made(admin, receiver.url)
    tell(alice, "deletion.confirmed")
    tell(alice, "deletion.erased")
    told = WebhookDelivery.objects.order_by("created_at").values_list("endpoint_id", "event")
    assert sorted((str(endpoint), event) for endpoint, event in told) == sorted(
        [
            (mine, "deletion.confirmed"),
            (everything, "deletion.confirmed"),
            (mine, "deletion.erased"),
            (picky, "deletion.erased"),
            (everything, "deletion.erased"),
        ]
    )
    assert theirs not in {str(endpoint) for endpoint, _ in told}


def test_operations_that_end(alice: Api, receiver: Receiver) -> None:
    made(alice, receiver.url)
    results: list[tuple[dict[str, Any], Any]] = [
        ({"result": {"secret": "hunter2"}}, ("done", 200, None)),
        ({"error": ApiError("executor_result", "m")}, ("failed", 400, "executor_result")),
    ]
    for given, _ in results:
        operation = Operation.objects.create(
            user=alice.user, caller="x", action="ecdsa.sign", deadline=timezone.now(), request_id="asked-1"
        )
        with transaction.atomic():
            assert operations.finish(operation_id=operation.id, **given)
            assert not operations.finish(operation_id=operation.id, **given)
    payloads = [json.loads(each.payload) for each in WebhookDelivery.objects.order_by("created_at")]
    assert [each["type"] for each in payloads] == ["operation.finished"] * 2
    told = [each["data"] for each in payloads]
    assert [(each["state"], each["status"], each["err_type"]) for each in told] == [wanted for _, wanted in results]
    assert {each["request_id"] for each in told} == {"asked-1"}
    assert "hunter2" not in str(payloads)


def test_a_test_and_its_delivery(alice: Api, bob: Api, receiver: Receiver) -> None:
    webhook_id, secret = made(alice, receiver.url, events=["deletion.erased"])
    delivery_id = alice.call(f"POST /webhooks/{webhook_id}/test").json()["delivery_id"]
    sending.send_due()
    [got] = receiver.got
    assert signature_holds(got, secret)
    assert not signature_holds(got, "whsec_" + base64.b64encode(bytes(32)).decode())
    [line] = alice.call(f"GET /webhooks/{webhook_id}/deliveries").json()["results"]
    assert (line["delivery_id"], line["event"], line["state"]) == (delivery_id, "webhook.test", "delivered")
    for route in ("GET {}", "DELETE {}", "GET {}/deliveries", "POST {}/test"):
        assert error_of(bob.call(route.format(f"/webhooks/{webhook_id}").replace("{}", ""))) == (404, "not_found")
    assert alice.call(f"DELETE /webhooks/{webhook_id}").json() == {}
    assert (WebhookEndpoint.objects.count(), WebhookDelivery.objects.count()) == (0, 0)
    actions = list(Event.objects.filter(subject=webhook_id).order_by("seq").values_list("action", flat=True))
    assert actions == ["webhook.created", "webhook.deleted"]


def test_a_host_that_is_no_longer_allowed_is_told_nothing(alice: Api, receiver: Receiver, settings: Any) -> None:
    made(alice, receiver.url)
    tell(alice)
    settings.VERTEX_WEBHOOK_HOSTS = ["elsewhere.example"]
    sending.send_due()
    [delivery] = WebhookDelivery.objects.all()
    assert receiver.got == []
    assert "VERTEX_WEBHOOK_HOSTS" in delivery.error
