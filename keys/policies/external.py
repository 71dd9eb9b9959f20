"""Rules that a server decides. Both sides sign: the vertex's question with its ES256 key, the server's answer with the
key that the rule names. Whatever is not a fresh, signed approval of this very question refuses.

The web process asks, without holding a worker or a database connection; only the signature over the question is a
worker's work.
"""

import asyncio
import hmac
import uuid
from datetime import timedelta
from typing import Any

import httpx
import jwt
import structlog
from celery import shared_task
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.db import connection, transaction

from keys import clock, node, operations
from keys.models import Rule, RuleRequest
from keys.policies.asked import Asked
from vertex import outbound
from vertex.celery import app

log = structlog.get_logger()
ALGORITHMS = ("ES256", "RS256")
LIFE = 60  # seconds that a question may be answered in
KEPT = timedelta(days=1)
LEEWAY = 10  # seconds that a server's clock may differ from ours
MAX_ANSWER = 16_384  # bytes
MIN_RSA = 2048  # bits


class NoApproval(Exception):
    """Why a rule's server has not approved, as far as the caller may know."""


def check_key(pem: str, algorithm: str) -> None:
    """Raises ValueError where a PEM is no public key for this algorithm."""
    try:
        key = load_pem_public_key(pem.encode())
    except Exception as error:
        raise ValueError("it is no public key in PEM") from error
    fits = (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        if algorithm == "ES256"
        else isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA
    )
    if not fits:
        raise ValueError(f"it is no key for {algorithm}")


def ask(rule: Rule, asked: Asked, *, dry_run: bool = False) -> None:
    """Ask the rule's server; raises NoApproval unless it approves. Not inside a transaction. ``dry_run``: nothing is
    going to happen."""
    question = _question(rule, asked, dry_run=dry_run)
    try:
        answer = _posted(str(rule.parameters["url"]), question.token)
        _judge(rule, question, answer)
    except NoApproval as refused:
        log.info("rule_server_did_not_approve", rule=rule.name, request_id=str(question.id), why=str(refused))
        raise
    finally:
        # The first answer is the only one, and nothing of the call is kept.
        RuleRequest.objects.filter(id=question.id).delete()


def _question(rule: Rule, asked: Asked, *, dry_run: bool) -> RuleRequest:
    """The signed question."""
    now = int(clock.now().timestamp())
    identifier = uuid.uuid4()
    claims = {
        "iss": settings.VERTEX_NAME,
        "iat": now,
        "exp": now + LIFE,
        "request_id": str(identifier),
        "action": asked.action,
        "request": asked.request,
        "extra_data": asked.extra_data,
        "key_id": str(asked.key.id),
        "user_id": str(asked.key.user_id),
        "dry_run": dry_run,
    }
    with transaction.atomic():
        question = RuleRequest.objects.create(id=identifier, rule=rule, claims=claims)
        transaction.on_commit(
            lambda: app.send_task("keys.rule_question", args=[str(identifier)], queue="sign"), robust=True
        )
    operations.wait_for(identifier, seconds=settings.VERTEX_RULE_TIMEOUT)
    question.refresh_from_db()
    if not question.token:
        raise NoApproval("no worker has signed the question in time")
    return question


@shared_task(name="keys.rule_question")
def question_task(identifier: str) -> None:
    """Worker: sign a question and wake who waits for it. The same again is harmless."""
    question = RuleRequest.objects.filter(id=identifier, token="").first()
    if question is None:
        return
    with transaction.atomic():
        RuleRequest.objects.filter(id=question.id).update(token=node.sign_jwt(question.claims))
        transaction.on_commit(lambda: operations.wake(question.id), robust=True)


def _posted(url: str, token: str) -> bytes:
    """The answer's body. All of it within the time-out, the look-up of the server's name too: one of httpx' own would
    begin again with each byte."""
    connection.close()
    try:
        return outbound.run(_exchange(url, token))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NoApproval("its server did not answer") from error


async def _exchange(url: str, token: str) -> bytes:
    # Not compressed: a few bytes could become very many before they are counted.
    headers = {"Content-Type": "application/jwt", "Accept-Encoding": "identity"}
    body = bytearray()
    async with (
        asyncio.timeout(settings.VERTEX_RULE_TIMEOUT),
        httpx.AsyncClient(timeout=settings.VERTEX_RULE_TIMEOUT, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", url, content=token, headers=headers) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise NoApproval(f"its server answered {response.status_code}")
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise NoApproval("its server's answer is too long")
    return bytes(body)


def _judge(rule: Rule, question: RuleRequest, answer: bytes) -> None:
    """An approval by the rule's key, under its algorithm and no other, of this question, in time."""
    algorithm = str(rule.parameters["jwt_alg"])
    try:
        claims: dict[str, Any] = jwt.decode(
            answer.strip(),
            str(rule.parameters["pubkey"]),
            algorithms=[algorithm],
            options={"require": ["exp"], "verify_aud": False},
            leeway=LEEWAY,
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise NoApproval("its server's answer is not signed as it must be, or too old") from error
    named = claims.get("request_id")
    if not isinstance(named, str) or not hmac.compare_digest(named.encode(errors="replace"), str(question.id).encode()):
        raise NoApproval("its server answered another question")
    if claims.get("verdict") != "approve":
        raise NoApproval("its server denied it")


def questions_forget() -> None:
    """Delete questions that nobody will answer any more. Idempotent."""
    RuleRequest.objects.filter(created_at__lt=clock.now() - KEPT).delete()
