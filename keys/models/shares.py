"""Identities, key shares and the pairwise OT state. The database holds ciphertext; the keys live in the keystore."""

import uuid

from django.db import models
from django.db.models import Q

from keys.models.people import ApiUser, Policy


class Scheme(models.TextChoices):
    ECDSA = "ecdsa", "ECDSA"
    ED25519 = "ed25519", "Ed25519"
    BIP340 = "bip340", "BIP340"


class PartyIdentity(models.Model):
    """A party's Ed25519 identity key for one key, over all its generations; ``keygen_id`` is the public half as
    text."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public = models.BinaryField(max_length=32, unique=True)
    sealed_secret = models.BinaryField(null=True)
    data_key = models.CharField(max_length=64, null=True)
    created_at = models.DateTimeField(auto_now_add=True)


class KeyShare(models.Model):
    """One party's share of one generation of a key.

    ::

        created -> quarantined -> active -> retiring -> superseded -> erased
                        |            ^          |
                        +-> parked --+          +-> active   (every attempt known is aborted)
                        +-> discarded <- parked
    """

    RESTORED = "this share came from a backup, or peers hold receipts that this journal does not cover: it was restored"

    class State(models.TextChoices):
        CREATED = "created"
        QUARANTINED = "quarantined"
        ACTIVE = "active"
        RETIRING = "retiring"
        SUPERSEDED = "superseded"
        ERASED = "erased"
        PARKED = "parked"
        DISCARDED = "discarded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(ApiUser, on_delete=models.PROTECT, related_name="shares")
    identity = models.ForeignKey(PartyIdentity, on_delete=models.PROTECT, related_name="shares")
    policy = models.ForeignKey(Policy, null=True, blank=True, on_delete=models.PROTECT)
    scheme = models.CharField(max_length=10, choices=Scheme.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.CREATED)
    # For people; machines use `gid`, the sharing id (32 bytes), since two attempts from generation 3 both make a "4".
    generation = models.PositiveIntegerField(default=1)
    gid = models.BinaryField(max_length=32, null=True)
    threshold = models.PositiveSmallIntegerField(null=True)
    # Public material of the sharing: identities in order of x (32 bytes each, hex), public shares, Feldman vector.
    parties = models.JSONField(default=list)
    public_key = models.BinaryField(max_length=33, null=True)
    chain_code = models.BinaryField(max_length=32, null=True)
    # mpc.shares.Share.encode() sealed under `data_key`, associated data: format, vertex, key id, gid, scheme.
    sealed_share = models.BinaryField(null=True)
    data_key = models.CharField(max_length=64, null=True)
    predecessor = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors")
    created_at = models.DateTimeField(auto_now_add=True)
    quarantined_at = models.DateTimeField(null=True)
    activated_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    # When this party let its share out to make the whole key: it is no quorum's key any more.
    exported_at = models.DateTimeField(null=True)
    # Why this share must not act until an operator has decided; empty where nothing is wrong.
    suspended = models.CharField(max_length=200, default="", blank=True)
    # When the backup was made that this share came back from: bans of later are not known here.
    backed_up_at = models.DateTimeField(null=True)
    erasure = models.JSONField(default=dict)  # the checks of the erase, each with its result

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["identity", "gid"], name="one_share_per_party_and_sharing"),
            models.CheckConstraint(
                name="share_material_follows_state",
                condition=(
                    Q(state="created", gid__isnull=True, sealed_share__isnull=True)
                    | Q(
                        state__in=["quarantined", "active", "retiring", "parked"],
                        gid__isnull=False,
                        public_key__isnull=False,
                        threshold__isnull=False,
                        sealed_share__isnull=False,
                        data_key__isnull=False,
                    )
                    | Q(state="superseded", gid__isnull=False)
                    | Q(state__in=["erased", "discarded"], sealed_share__isnull=True, data_key__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="share_generation_from_one", condition=Q(generation__gte=1) & ~Q(predecessor=models.F("id"))
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ShareExport(models.Model):
    """A share left this vertex as a backup, or in an export of the whole key: who asked and when. The confirmation page
    lists these."""

    share = models.ForeignKey(KeyShare, on_delete=models.PROTECT, related_name="exports")
    caller = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)


class PairState(models.Model):
    """OT state and zero seed of a share towards one counterparty, each sealed under a data key of its own.

    A ban destroys that key; the row stays to say so. Lifting one does not bring it back: it lets a reshare make a fresh
    one with that counterparty.
    """

    share = models.ForeignKey(KeyShare, on_delete=models.PROTECT, related_name="pairs")
    peer = models.BinaryField(max_length=32)
    sealed = models.BinaryField(null=True)
    data_key = models.CharField(max_length=64, null=True)
    banned_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=200, default="", blank=True)
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["share", "peer"], name="one_pair_state_per_peer")]
