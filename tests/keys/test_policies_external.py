"""Rules that a server decides, against a server on this machine: it approves, or it does not, in every way it can."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.utils import timezone
from jwt.utils import base64url_encode

from keys import node
from keys.models import ApiUser, KeyShare, PartyIdentity, Rule, RuleRequest
from keys.policies import external
from keys.policies.asked import Asked
from keys.policies.external import NoApproval, ask, check_key, questions_forget
from tests.keys.conftest import NameServer
from vertex.celery import app

OURS, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Claims = dict[str, Any]
Answer = Callable[[Claims], bytes]


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


class Server(ThreadingHTTPServer):
    """Answers as `answer` says; `heard` are the questions' claims, as the vertex's key has signed them."""

    daemon_threads = True
    answer: Answer
    status = 200
    vertex_key = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[Claims] = []
        self.let_go = threading.Event()
        self.drips = False


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        token = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(jwt.decode(token, self.server.vertex_key, algorithms=["ES256"]))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        try:
            while self.server.drips and not self.server.let_go.wait(0.05):
                self.wfile.write(b"a")
                self.wfile.flush()
            self.wfile.write(self.server.answer(self.server.heard[-1]))
        except OSError:
            pass


@pytest.fixture
def server(asked: Asked) -> Iterator[Server]:
    made = Server()
    made.vertex_key = node.public_pem() or ""
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.let_go.set()
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def asked(transactional_db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A call; the worker signs at once what it is asked to."""
    settings.VERTEX_KEYSTORE = str(tmp_path / "keystore")
    settings.VERTEX_RULE_TIMEOUT = 20.0
    node.ensure_node()

    def run(name: str, args: list[str], queue: str) -> None:
        assert (name, queue) == ("keys.rule_question", "sign")
        external.question_task(*args)

    monkeypatch.setattr(app, "send_task", run)
    user = ApiUser.objects.create(name="alice")
    identity = PartyIdentity.objects.create(public=b"\7" * 32)
    key = KeyShare.objects.create(user=user, identity=identity, scheme="ed25519")
    return Asked.of(key, "sign", {"msg": b"\0\xff", "derivation_path": (0, 1), "tweak": None, "extra_data": b"\1"})


def rule(server: Server, key: Any = OURS, algorithm: str = "ES256") -> Rule:
    parameters = {"url": f"http://127.0.0.1:{server.server_port}/decide", "pubkey": pem(key), "jwt_alg": algorithm}
    return Rule.objects.create(name="server", kind=Rule.EXTERNAL, parameters=parameters)


def verdict(claims: Claims, **changed: Any) -> Claims:
    said = {"request_id": claims["request_id"], "verdict": "approve", "exp": int(time.time()) + 60, **changed}
    return {name: value for name, value in said.items() if value is not None}


def signed(key: Any = OURS, algorithm: str = "ES256", **changed: Any) -> Answer:
    return lambda claims: jwt.encode(verdict(claims, **changed), key, algorithm=algorithm).encode()


def under_the_public_key(claims: Claims) -> bytes:
    """HS256 with the PEM for a secret, as who has read it could make."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, verdict(claims))]
    text = b".".join(map(base64url_encode, parts))
    mac = hmac.HMAC(pem(OURS).encode(), hashes.SHA256())
    mac.update(text)
    return text + b"." + base64url_encode(mac.finalize())


def unsigned(claims: Claims) -> bytes:
    return jwt.encode(verdict(claims), None, algorithm="none").encode()


def broken(claims: Claims) -> bytes:
    token = bytearray(signed()(claims))
    token[-10] ^= 1
    return bytes(token)


def half_a_pair(claims: Claims) -> bytes:
    body = b'{"request_id":"\\ud800","verdict":"approve","exp":%d}' % (int(time.time()) + 60)
    return jwt.api_jws.encode(body, OURS, algorithm="ES256").encode()


@pytest.mark.parametrize(("key", "algorithm"), [(OURS, "ES256"), (RSA, "RS256")])
def test_an_approval(asked: Asked, server: Server, key: Any, algorithm: str) -> None:
    server.answer = signed(key, algorithm)
    ask(rule(server, key, algorithm), asked)
    (claims,) = server.heard
    assert claims["request"] == {"msg": "00ff", "derivation_path": [0, 1]}
    told = {name: claims[name] for name in ("action", "extra_data", "dry_run", "key_id", "user_id")}
    ids = {"key_id": str(asked.key.id), "user_id": str(asked.key.user_id)}
    assert told == {"action": "sign", "extra_data": "01", "dry_run": False, **ids}
    assert claims["exp"] - claims["iat"] == external.LIFE
    assert not RuleRequest.objects.exists(), "the first answer is the only one"


REFUSED: dict[str, Answer] = {
    "denied": signed(verdict="deny"),
    "another word": signed(verdict=True),
    "no verdict": signed(verdict=None),
    "another key": signed(OTHER),
    "a broken signature": broken,
    "HS256 under the public key": under_the_public_key,
    "no algorithm": unsigned,
    "RS256 where ES256 belongs": signed(RSA, "RS256"),
    "another question": signed(request_id="3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"),
    "no question": signed(request_id=None),
    "a question that is no text": signed(request_id=[1]),
    "half of a surrogate pair": half_a_pair,
    "expired": signed(exp=int(time.time()) - 60),
    "never expires": signed(exp=None),
    "no JWT": lambda claims: b"approve",
    "nothing": lambda claims: b"",
    "too long": lambda claims: signed()(claims) + b" " * external.MAX_ANSWER,
    "a list": lambda claims: jwt.api_jws.encode(b"[]", OURS, algorithm="ES256").encode(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_answers_that_are_no_approval(asked: Asked, server: Server, name: str) -> None:
    server.answer = REFUSED[name]
    with pytest.raises(NoApproval):
        ask(rule(server), asked)
    assert len(server.heard) == 1
    assert not RuleRequest.objects.exists(), "nothing of the call is kept"


@pytest.mark.parametrize("status", [201, 302, 403, 500])
def test_statuses_that_are_no_approval(asked: Asked, server: Server, status: int) -> None:
    server.status, server.answer = status, signed()
    with pytest.raises(NoApproval, match=str(status)):
        ask(rule(server), asked)
    assert len(server.heard) == 1, "no redirect is followed"


def test_the_time_counts_for_the_whole_answer(asked: Asked, server: Server, settings: Any) -> None:
    server.answer, server.drips = signed(), True
    made = rule(server)
    settings.VERTEX_RULE_TIMEOUT = 1.0
    with pytest.raises(NoApproval, match="did not answer"):
        ask(made, asked)


def test_the_time_counts_for_the_servers_name_too(
    asked: Asked, server: Server, settings: Any, name_server: NameServer
) -> None:
    """A look-up can't be cancelled, so nobody waits for it."""
    made = rule(server)
    made.parameters["url"] = "https://rules.test/decide"
    settings.VERTEX_RULE_TIMEOUT = 1.0
    with pytest.raises(NoApproval, match="did not answer"):
        ask(made, asked)
    assert name_server.asked == ["rules.test"]
    assert not name_server.gave_up.is_set()


def test_a_server_that_is_not_there(asked: Asked, server: Server) -> None:
    made = rule(server)
    made.parameters["url"] = "http://127.0.0.1:1/"
    with pytest.raises(NoApproval, match="did not answer"):
        ask(made, asked)


def test_a_question_that_no_worker_signs(asked: Asked, server: Server, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(app, "send_task", lambda *args, **options: None)
    settings.VERTEX_RULE_TIMEOUT = 0.1
    with pytest.raises(NoApproval, match="no worker"):
        ask(rule(server), asked)
    assert server.heard == []


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (OURS, "RS256"),
        (RSA, "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES256"),
        (rsa.generate_private_key(public_exponent=65537, key_size=1024), "RS256"),
    ],
)
def test_keys_that_do_not_fit(key: Any, algorithm: str) -> None:
    with pytest.raises(ValueError, match="no key for"):
        check_key(pem(key), algorithm)


def test_old_questions_are_forgotten(asked: Asked, server: Server) -> None:
    made = rule(server)
    old, new = (RuleRequest.objects.create(rule=made, claims={}) for _ in range(2))
    RuleRequest.objects.filter(id=old.id).update(created_at=timezone.now() - external.KEPT - timedelta(minutes=1))
    questions_forget()
    assert RuleRequest.objects.get().id == new.id
