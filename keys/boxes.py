"""Secrets between a view and a worker, sealed with HPKE (RFC 9180): database and broker see ciphertext only.

A request's secret is sealed to the workers' box key, an answer's to an ephemeral key of the view that waits for it.
"""

from datetime import timedelta

from celery import shared_task
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from keys.keystore import KeyGone, Tampered, keystore
from keys.models import BoxKey, Operation, ProtocolSession
from mpc.hashing import TH
from mpc.secret import Confidential
from vertex.celery import app
from vertex.errors import ApiError

KEY_BYTES = 32
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class BoxClosed(Exception):
    """A box that does not open: another key, another purpose or place, or changed on its way."""


def seal(public: bytes, plaintext: bytes, purpose: str, *context: bytes) -> bytes:
    """A box for the holder of ``public`` (32 bytes) that opens for the same purpose and context only: 48 bytes longer.

    BoxClosed where ``public`` is of small order.
    """
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), _info(purpose, context))
    except ValueError as error:
        raise BoxClosed("not a public key") from error


def unseal(private: X25519PrivateKey, sealed: bytes, purpose: str, *context: bytes) -> bytes:
    """What is in a box. Raises BoxClosed."""
    try:
        return _SUITE.decrypt(sealed, private, _info(purpose, context))
    except (InvalidTag, ValueError) as error:
        raise BoxClosed("the box does not open") from error


def _info(purpose: str, context: tuple[bytes, ...]) -> bytes:
    return TH("box", purpose.encode(), *context)


class AnswerKey(Confidential):
    """Of a view that waits for a secret; it lives as long as the view."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes, *context: bytes) -> bytes:
        """Raises BoxClosed."""
        return unseal(self._private, sealed, "answer", *context)


# --- to the workers -----------------------------------------------------------------------------------------------


def box_public() -> bytes:
    """The workers' box key (32 bytes); `not_ready` before a worker has made one."""
    row = BoxKey.objects.order_by("-id").first()
    if row is None:
        raise ApiError("not_ready", "no worker of this vertex has made its box key yet")
    return bytes(row.public)


def seal_to_workers(plaintext: bytes, purpose: str, *context: bytes) -> bytes:
    """The box key's public half, then the box."""
    public = box_public()
    BoxKey.objects.filter(public=public).update(used_at=timezone.now())
    return public + seal(public, plaintext, purpose, *context)


def open_in_worker(sealed: bytes, purpose: str, *context: bytes) -> bytes:
    """What `seal_to_workers` sealed. Raises ApiError: whoever sealed it must do it again."""
    row = BoxKey.objects.filter(public=sealed[:KEY_BYTES]).first()
    try:
        if row is None:
            raise BoxClosed("no such box key")
        secret = keystore().keys.unwrap(row.data_key, bytes(row.sealed_secret), _aad(bytes(row.public)))
        return unseal(X25519PrivateKey.from_private_bytes(secret), sealed[KEY_BYTES:], purpose, *context)
    except (BoxClosed, KeyGone, Tampered) as error:
        raise ApiError(
            "bad_request_params",
            "what was sealed to this vertex does not open: its key was replaced meanwhile, or it is for another; again",
        ) from error


def _aad(public: bytes) -> bytes:
    return TH("sealed", b"box/1", settings.VERTEX_NAME.encode(), public)


def ensure_box() -> None:
    """Worker: a box key whose private half this keystore has."""
    row = BoxKey.objects.order_by("-id").first()
    if row is None or not keystore().keys.exists(row.data_key):
        _make()


def _make() -> BoxKey:
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    keys = keystore().keys
    ref = keys.make()
    try:
        sealed = keys.wrap(ref, private.private_bytes_raw(), _aad(public))
        return BoxKey.objects.create(public=public, sealed_secret=sealed, data_key=ref)
    except BaseException:  # not written: nothing remains
        keys.destroy(ref)
        raise


def renewal_due() -> bool:
    """Whether the box key has served, and nothing that is sealed to it is still wanted."""
    served = timezone.now() - timedelta(seconds=2 * settings.VERTEX_SYNC_TIMEOUT)
    dealt = ProtocolSession.objects.filter(kind="import", finished_at=None, params__has_key="sealed")
    handed = Operation.objects.filter(state=Operation.State.PENDING, arguments__has_key="sealed")
    return BoxKey.objects.filter(used_at__lt=served).exists() and not (dealt.exists() or handed.exists())


def ask_again() -> int:
    """For the sweep, which never opens the keystore."""
    if not renewal_due():
        return 0
    app.send_task("keys.box_renew", queue="life")
    return 1


@shared_task(name="keys.box_renew")
def box_renew() -> None:
    """Worker: a new box key, then the old ones destroyed: keystore first."""
    with transaction.atomic():
        old = list(BoxKey.objects.select_for_update().order_by("id"))
        if not renewal_due():
            return
        _make()
    for row in old:
        keystore().keys.destroy(row.data_key)
        row.delete()
