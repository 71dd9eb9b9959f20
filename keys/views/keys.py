"""Reads of keys: metadata, export id, derived public keys."""

from typing import Any

from coincurve import PublicKey
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import bans, keygen_receipts, restored, selectors
from keys.actions import refusals_of, require
from keys.auth import principal_in, user_in
from keys.models import KeyShare
from keys.receipts import Bundle
from keys.serializers.answers import (
    EcdsaPubkeyAnswer,
    ExportIdAnswer,
    KeyDetailAnswer,
    KeyListAnswer,
    PubkeyAnswer,
    ReceiptsAnswer,
    ReceivedAnswer,
)
from keys.serializers.calls import Bip340DeriveSerializer, DeriveSerializer, ReceiptsSerializer
from keys.serializers.fields import PageSerializer
from keys.serializers.people import DecisionSerializer
from keys.views.base import ApiView, key_id_of, paged, valid
from mpc.frost.keys import signing_key
from mpc.schemes import scheme_of
from vertex.auth import IsAdmin, IsUser
from vertex.errors import ApiError
from vertex.openapi import refuses


class Keys(ApiView):
    """GET /keys"""

    @extend_schema(parameters=[PageSerializer], responses=KeyListAnswer)
    def get(self, request: Request) -> Response:
        """The caller's keys, all for admins; in order of creation."""
        rows = selectors.described(selectors.keys_seen_by(principal_in(request)))
        return paged(request, rows, selectors.key_metadata)


def _detail(key: KeyShare) -> dict[str, Any]:
    """All that is said of one key."""
    row = selectors.described(KeyShare.objects.filter(id=key.id)).get()
    return selectors.key_metadata(row) | {"bans": bans.shown(key), "restored": restored.shown(key)}


class Key(ApiView):
    """GET /keys/{key_id}"""

    @refuses("key_id_not_exists")
    @extend_schema(responses=KeyDetailAnswer)
    def get(self, request: Request, key_id: str) -> Response:
        """What may be said of a key: state, quorum, lineage, who is banned; never a secret."""
        return Response(_detail(selectors.key_seen_by(principal_in(request), key_id=key_id_of(key_id))))


class LiftBans(ApiView):
    """POST /keys/{key_id}/lift-bans"""

    permission_classes = (IsAdmin,)
    operator_groups = frozenset({"operator", "approver"})

    @refuses("key_id_not_exists", "policy_validation_failed")
    @extend_schema(request=DecisionSerializer, responses={200: KeyDetailAnswer})
    def post(self, request: Request, key_id: str) -> Response:
        """An operator's word that a reshare may make new pairs with the parties that are banned; with two-person
        approval the first word proposes it."""
        key = selectors.key_seen_by(principal_in(request), key_id=key_id_of(key_id))
        fields = valid(DecisionSerializer, request.data)
        bans.lift(
            key_id=key.id,
            actor=principal_in(request).actor,
            reason=fields["reason"],
            statement_hash=fields.get("statement_hash"),
        )
        return Response(_detail(key))


class KeygenReceipts(ApiView):
    """GET, POST /keys/{key_id}/receipts"""

    @refuses("key_id_not_exists")
    @extend_schema(responses=ReceiptsAnswer)
    def get(self, request: Request, key_id: str) -> Response:
        """All receipts that this vertex holds about the key generation, to be carried to the others."""
        key = selectors.key_seen_by(principal_in(request), key_id=key_id_of(key_id))
        return Response(keygen_receipts.bundle_of(key).to_data())

    @refuses("key_id_not_exists", "key_operation_before_keygen", "bad_receipt")
    @extend_schema(request=ReceiptsSerializer, responses={200: ReceivedAnswer})
    def post(self, request: Request, key_id: str) -> Response:
        """Receipts from elsewhere: with `STORED` of all parties at hand the key is active."""
        key = selectors.key_seen_by(principal_in(request), key_id=key_id_of(key_id))
        fields = valid(ReceiptsSerializer, request.data)
        bundle = Bundle(fields["receipts"], fields.get("preimage"))
        return Response({"new": keygen_receipts.receive(key=key, bundle=bundle, actor=principal_in(request).actor)})


class ExportId(ApiView):
    """GET /{s}/export/exportId/{key_id}, GET /{s}/export-id/{key_id}"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses("key_id_not_exists", *refusals_of("read"))
    @extend_schema(responses=ExportIdAnswer)
    def get(self, request: Request, key_id: str) -> Response:
        """This party's keygen id for the share."""
        key = selectors.key_of(user=user_in(request), key_id=key_id_of(key_id), scheme=self.scheme)
        require(key, "read")
        return Response({"export_id": selectors.keygen_id(key)})


class Derive(ApiView):
    """What the schemes' routes share."""

    permission_classes = (IsUser,)
    scheme = ""

    def derived(self, request: Request, fields: dict[str, Any]) -> bytes:
        """The public key at a path, tweaked if that is asked for, as the scheme's users know it."""
        key = selectors.key_of(user=user_in(request), key_id=fields["key_id"], scheme=self.scheme)
        require(key, "derive")
        known, code = bytes(key.public_key or b""), bytes(key.chain_code or b"")
        try:
            child = signing_key(self.scheme, known, code, fields["derivation_path"], fields.get("tweak"))
        except ValueError as error:
            raise ApiError("bad_request_params", f"derivation_path: {error}") from error
        return scheme_of(self.scheme).shown(child.public.to_bytes())


class EcdsaDerive(Derive):
    """POST /ecdsa/derive-pubkey"""

    scheme = "ecdsa"

    @refuses("key_id_not_exists", *refusals_of("derive"))
    @extend_schema(request=DeriveSerializer, responses={200: EcdsaPubkeyAnswer})
    def post(self, request: Request) -> Response:
        """The public key at a non-hardened BIP32 path."""
        child = self.derived(request, valid(DeriveSerializer, request.data))
        return Response({"compressed": child.hex(), "uncompressed": PublicKey(child).format(compressed=False).hex()})


class Ed25519Derive(Derive):
    """POST /ed25519/derive-pubkey"""

    scheme = "ed25519"

    @refuses("key_id_not_exists", *refusals_of("derive"))
    @extend_schema(request=DeriveSerializer, responses={200: PubkeyAnswer})
    def post(self, request: Request) -> Response:
        """The public key at a non-hardened path, by this project's own derivation: there is no standard one."""
        return Response({"pubkey": self.derived(request, valid(DeriveSerializer, request.data)).hex()})


class Bip340Derive(Derive):
    """POST /bip340/derive-tweak-pubkey"""

    scheme = "bip340"

    @refuses("key_id_not_exists", *refusals_of("derive"))
    @extend_schema(request=Bip340DeriveSerializer, responses={200: PubkeyAnswer})
    def post(self, request: Request) -> Response:
        """The x-only public key at a non-hardened BIP32 path; with a `tweak` its taproot output key."""
        return Response({"pubkey": self.derived(request, valid(Bip340DeriveSerializer, request.data)).hex()})
