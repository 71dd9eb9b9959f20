"""Fixtures for tests of the REST API through Django's client: callers with tokens, a keystore, tasks run inline."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client
from django.test.client import ClientHandler

from audit.models import Event
from keys import create, users
from keys.models import ApiUser, KeyShare, Operation, Operator, ProtocolSession
from keys.operators import OperatorEntry, groups_ensure, operator_ensure
from tests import contract

PASSWORD = "a long password of no importance"


@cache
def _handler() -> ClientHandler:
    """One for all calls: whitenoise looks through all static files whenever one is made."""
    handler = ClientHandler(enforce_csrf_checks=False)
    handler.load_middleware()
    return handler


@dataclass(frozen=True)
class Api:
    """A caller: its token, and `call("POST /path", body, **headers)`."""

    token: str | None
    user: ApiUser | None = None

    def call(self, route: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
        method, _, path = route.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = sent.pop("content-type", "application/json")
        if self.token is not None:
            sent.setdefault("authorization", self.token)
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        # Failures must become answers, as they do outside tests.
        client = Client(raise_request_exception=False)
        client.handler = _handler()
        response = client.generic(method, path, data, content_type=content_type, headers=sent)
        contract.check(method, path, response)
        return response


def error_of(response: Any) -> tuple[int, str]:
    """Status and type of an error in the contract's form; fails on anything else."""
    body = json.loads(response.content)
    assert set(body) == {"err_msg", "err_type"}, body
    assert isinstance(body["err_msg"], str)
    assert body["err_msg"]
    return response.status_code, body["err_type"]


def footprint() -> dict[str, int]:
    """How many rows there are of what a call may leave behind."""
    models = (ApiUser, Event, KeyShare, Operation, ProtocolSession)
    return {model.__name__: model.objects.count() for model in models}


@pytest.fixture
def admin() -> Api:
    return Api(configured.VERTEX_ADMIN_TOKEN)


@pytest.fixture
def nobody() -> Api:
    return Api(None)


@pytest.fixture
def new_user(db: None) -> Callable[[str], Api]:
    def make(name: str) -> Api:
        user, token = users.user_create(name=name, owner=None, actor="admin")
        return Api(token, user)

    return make


@pytest.fixture
def alice(new_user: Callable[[str], Api]) -> Api:
    return new_user("alice")


@pytest.fixture
def bob(new_user: Callable[[str], Api]) -> Api:
    return new_user("bob")


@pytest.fixture
def new_operator(db: None, settings: Any) -> Callable[..., tuple[Operator, Api]]:
    """An operator in these groups, with a token of its own."""

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # for speed; not what is tested here

    def make(username: str, *groups: str) -> tuple[Operator, Api]:
        groups_ensure()
        entry = OperatorEntry(username=username, password=PASSWORD, groups=list(groups))
        operator_ensure(entry=entry, actor="system")
        operator = Operator.objects.get(username=username)
        return operator, Api(users.operator_token_create(operator=operator, actor="system"))

    return make


@pytest.fixture
def worker(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keystore, and `create`'s task run at once where it would be queued."""
    settings.VERTEX_KEYSTORE = str(tmp_path / "keystore")

    def run(args: tuple[str, ...], queue: str) -> None:
        assert queue == "life"
        create.key_create_task(*args)

    monkeypatch.setattr(create.key_create_task, "apply_async", run)
