"""Signed envelopes and sealed payloads: how a message travels (cryptography.md, section 2).

Envelope, the ``body`` of a frame: header (99 B) ‖ content ‖ signature (64 B).
Header: version 1 B, kind 1 B (0 hello, 1 message), round 1 B, session 32 B, sender 32 B, receiver 32 B (zeros = all).
The content of a private message is nonce (12 B) ‖ ChaCha20-Poly1305 ciphertext, with the header as associated data.
"""

from __future__ import annotations

import hmac

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mpc.errors import Malformed
from mpc.hashing import TH
from mpc.identity import PUBLIC_BYTES, SIGNATURE_BYTES, Identity, verify
from mpc.params import VERSION
from mpc.protocol import BROADCAST, Frame

HEADER_BYTES = 99
NONCE_BYTES = 12
SEAL_BYTES = NONCE_BYTES + 16  # what sealing adds to a payload: the nonce, and Poly1305's tag

_EVERYBODY = bytes(PUBLIC_BYTES)
_TAGS = ("hello", "message")


def make_header(kind: str, number: int, session: bytes, sender: bytes, receiver: bytes) -> bytes:
    """The 99 bytes that bind a message to its place."""
    return bytes((VERSION, _TAGS.index(kind), number)) + session + sender + (receiver or _EVERYBODY)


def make_body(me: Identity, header: bytes, content: bytes) -> bytes:
    """A signed envelope."""
    return header + content + me.sign(_TAGS[header[1]], header, content)


def open_body(frame: Frame, kind: str, session: bytes) -> bytes | None:
    """The content of an authentic envelope whose header says what the frame says, else None."""
    if len(frame.body) < HEADER_BYTES + SIGNATURE_BYTES or len(frame.sender) != PUBLIC_BYTES:
        return None
    if not 0 <= frame.round < 256:
        return None
    header, content = frame.body[:HEADER_BYTES], frame.body[HEADER_BYTES:-SIGNATURE_BYTES]
    if header != make_header(kind, frame.round, session, frame.sender, frame.receiver):
        return None
    return content if verify(frame.sender, kind, (header, content), frame.body[-SIGNATURE_BYTES:]) else None


def frame_of(body: bytes) -> Frame | None:
    """The frame that an envelope claims to be; its signature is not looked at."""
    if len(body) < HEADER_BYTES + SIGNATURE_BYTES:
        return None
    sender, receiver = body[35:67], body[67:99]
    return Frame(body[2], sender, BROADCAST if receiver == _EVERYBODY else receiver, body)


def session_of(frame: Frame) -> bytes:
    """The session (32 B) that a frame's header names: the sid, or what `hello_session` makes of the room."""
    return frame.body[3:35]


def conflict(first: Frame, second: Frame) -> bool:
    """True if one party signed two different messages for one slot of one session: evidence, keep both."""
    header = first.body[:HEADER_BYTES]
    # Two different bodies that begin alike have a whole header.
    if first.body == second.body or second.body[:HEADER_BYTES] != header or header[1] > 1:
        return False
    return all(open_body(frame, _TAGS[header[1]], header[3:35]) is not None for frame in (first, second))


def seal_payload(key: bytes, header: bytes, payload: bytes) -> bytes:
    """nonce (12 B) ‖ ciphertext (payload + 16 B). Equal bytes seal equally, different ones under different nonces."""
    nonce = _payload_nonce(key, header, payload)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, payload, header)


def open_payload(key: bytes, header: bytes, content: bytes) -> bytes | None:
    """The payload, or None if tag or nonce are not those of ``seal_payload`` (so one content has one key)."""
    if len(key) != 32 or len(content) < SEAL_BYTES:
        return None
    nonce = content[:NONCE_BYTES]
    try:
        payload = ChaCha20Poly1305(key).decrypt(nonce, content[NONCE_BYTES:], header)
    except InvalidTag:
        return None
    return payload if hmac.compare_digest(nonce, _payload_nonce(key, header, payload)) else None


def _payload_nonce(key: bytes, header: bytes, payload: bytes) -> bytes:
    return TH("nonce", key, header, payload)[:NONCE_BYTES]


def pack_bodies(bodies: tuple[bytes, ...]) -> bytes:
    """Several envelopes as one byte string, for example the signed hellos."""
    return msgspec.msgpack.encode(bodies)


def unpack_bodies(data: bytes) -> tuple[bytes, ...]:
    """The inverse. Raises Malformed."""
    try:
        return msgspec.msgpack.decode(data, type=tuple[bytes, ...])
    except msgspec.MsgspecError as error:
        raise Malformed("not a list of envelopes") from error
