"""The vertex's own ES256 identity key: made once by a worker, private half in the keystore, public half in the table.

It signs heads of the audit log (and requests to rule servers). A JWT's signing input starts with ``ey``, a head's
statement with ``{``: neither can be taken for the other.
"""

from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from django.conf import settings
from django.db import IntegrityError, transaction

from audit import services as audit
from audit.models import AuditHead
from keys.keystore import KeystoreError, keystore
from keys.models import Node

_AAD = b"vertex/node/es256/1"


class WrongKeystore(KeystoreError):
    """This keystore is not the one that the database belongs to: the process must not touch either."""


def public_pem() -> str | None:
    """The public half; None until a worker has made the key. Needs no keystore."""
    return Node.objects.values_list("public_pem", flat=True).first()


def ensure_node() -> Node:
    """Worker: the node's row, made with its key at the first start. Raises WrongKeystore, KeystoreClosed,
    KeystoreUnavailable."""
    return known_node() or _ours(_make())


def known_node() -> Node | None:
    """Worker: the node's row, if one has made it. Raises as `ensure_node` does."""
    node = Node.objects.first()
    return None if node is None else _ours(node)


def _ours(node: Node) -> Node:
    if node.keystore_id != keystore().id:
        raise WrongKeystore(f"the database belongs to keystore {node.keystore_id}, this is {keystore().id}")
    return node


def sign_audit_head() -> AuditHead:
    """Worker: the signed end of the audit chain (the stored one if nothing was appended since)."""
    return audit.head_sign(vertex=settings.VERTEX_NAME, sign=sign)


def sign(message: bytes) -> bytes:
    """Worker: ECDSA P-256 over SHA-256, DER. `message` is what the module's docstring names, nothing else."""
    return _private_key().sign(message, ec.ECDSA(SHA256()))


def sign_jwt(claims: dict[str, Any]) -> str:
    """Worker: a JWT of these claims under ES256."""
    return jwt.encode(claims, _private_key(), algorithm="ES256")


def _private_key() -> ec.EllipticCurvePrivateKey:
    node = ensure_node()
    secret = keystore().keys.unwrap(node.data_key, bytes(node.sealed_secret), _AAD)
    key = load_der_private_key(secret, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeystoreError("the node's key is of another kind")
    return key


def _make() -> Node:
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    ref = keystore().keys.make()
    node = Node(
        keystore_id=keystore().id,
        public_pem=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        sealed_secret=keystore().keys.wrap(ref, secret, _AAD),
        data_key=ref,
    )
    try:
        with transaction.atomic():
            node.save(force_insert=True)
            audit.record(
                action="node.created",
                actor="system",
                subject=settings.VERTEX_NAME,
                data={"keystore": node.keystore_id, "public_key": node.public_pem},
            )
    except IntegrityError:  # another worker was faster
        keystore().keys.destroy(ref)
        return Node.objects.get()
    except BaseException:  # not written, or not recorded: nothing remains
        keystore().keys.destroy(ref)
        raise
    return node
