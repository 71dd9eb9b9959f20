"""The floor under a figure: the curve operations and hashes that a party can't do without.

What is counted for one party of t-of-n (a signature has n = t signers; "each" is each of the n − 1 counterparties):

| part | operations |
| --- | --- |
| set-up, each | lifts (a hash, a square root): 2 tries · (3·128 as Alice + 2·128 as Bob); G multiplied: 1 + 128;
|              | ECDH, sums of two, pads: 128 + 256; points read: 1 + 256, written: 1 + 256;
|              | hashes of trees, leaves, groups: 128 + 256 + 64 as Bob, 64 + 192 + 64 as Alice; of names, zero seeds: 5
| dealing      | G multiplied: t coefficients, t + 1 nonces of proofs, the own share
| checks, each | t + 1 proofs: a point read, G and a statement multiplied, a sum, a hash; t points read;
|              | the sub-share: G multiplied, and A(x) by t − 1 products with x and t − 1 sums
| result       | t sums of n points; n public shares A(x)
| reshare      | λ_i·X_i of n dealers and their X_i read, one sum (everybody deals)
| sign, each   | row hashes: 416 as Bob, 832 as Alice; leaves stretched: 256, 192; twice: check matrix, hash of T̃, θ, μ;
|              | G multiplied: 4 (Γu, Γv, d_u, d_v); ECDH, its image, sums: 2; points read: 4, written: 4;
|              | hashes of names and masks: 3
| sign         | G multiplied: 2 (R_i, pk_i); points written: 3; sums of n: 2; the public key read, and recovered

Inputs of hashes are as long as the protocols make them. Nothing else is in it: no arithmetic on scalars, limbs or bits,
no randomness, no encoding, no channel.
"""

from cluster.bench.bare import (
    Lift,
    Operation,
    Sha,
    add,
    base_mul,
    ecdh,
    mul_public,
    read,
    recover,
    sha,
    shake,
    write,
)
from mpc.params import (
    BASE_OTS,
    CHECK_BITS,
    CHOICES_LENGTH,
    CORRECTIONS_LENGTH,
    EXTENDED_LENGTH,
    GROUPS,
    HASH_LENGTH,
    INPUTS,
    LEAVES,
    POINT_LENGTH,
    SCALAR_LENGTH,
    SEED_LENGTH,
    WIDTH,
    XI,
)

_TRIES = 2  # of a lift, on average: half of all x are on the curve
_COUNT = 4  # bytes of a coordinate or number in a hash
_WIDE = 48  # bytes hashed for a scalar of negligible bias
_PROOF = POINT_LENGTH + SCALAR_LENGTH


def keygen(t: int, n: int) -> list[Operation]:
    """Of one party of a key generation."""
    return [*_setups(n - 1), *_dealing(t, n)]


def reshare(t: int, n: int) -> list[Operation]:
    """Of one party of a reshare to the same quorum, in which everybody deals."""
    return [*_setups(n - 1), *_dealing(t, n), read(n), mul_public(n), add(1, n)]


def sign(t: int) -> list[Operation]:
    """Of one of t signers."""
    return [
        *_multiplications(t - 1),
        base_mul(2),
        write(3),
        add(2, t),
        read(1),
        recover(1),
        sha(t, "com/nonce", HASH_LENGTH, HASH_LENGTH, POINT_LENGTH, HASH_LENGTH),
    ]


def _setups(peers: int) -> list[Operation]:
    blinds, hashes = BASE_OTS, 2 * BASE_OTS + 2 * BASE_OTS  # Hp: both branches at Alice, both at Bob
    transfers = BASE_OTS + 2 * BASE_OTS  # one pad each at Alice, both at Bob
    slot = 2
    return [
        shake(peers * _TRIES * blinds, POINT_LENGTH, "ot/blind", HASH_LENGTH, 1),
        shake(peers * _TRIES * hashes, POINT_LENGTH, "ot/Hp", HASH_LENGTH, slot, POINT_LENGTH, 1),
        Lift(peers * _TRIES * (blinds + hashes)),
        base_mul(peers * (1 + BASE_OTS)),
        ecdh(peers * transfers),
        add(peers * transfers),
        shake(peers * transfers, SEED_LENGTH, "ot/pad", HASH_LENGTH, slot, HASH_LENGTH),
        read(peers * (1 + 2 * BASE_OTS)),
        write(peers * (1 + 2 * BASE_OTS)),
        shake(peers * (2 + 1) * GROUPS, 2 * SEED_LENGTH, "prg", HASH_LENGTH, 1, 1, SEED_LENGTH),
        shake(peers * (LEAVES + LEAVES - 1) * GROUPS, HASH_LENGTH, "pprf", HASH_LENGTH, 1, 1, SEED_LENGTH),
        sha(peers * 2 * GROUPS, "pprf-s", HASH_LENGTH, 1, LEAVES * HASH_LENGTH),
        sha(peers * 2, "pair/ot", HASH_LENGTH, _COUNT, _COUNT, POINT_LENGTH),
        sha(peers * 2, "zero-com", HASH_LENGTH, _COUNT, _COUNT, HASH_LENGTH),
        sha(peers, "zero-seed", HASH_LENGTH, HASH_LENGTH, HASH_LENGTH),
    ]


def _dealing(t: int, n: int) -> list[Operation]:
    others, proofs = n - 1, t + 1
    # Public shares at every x, and others' sub-shares at the own one, say n.
    evaluated_at = (*range(1, n + 1), *[n] * others)
    context = HASH_LENGTH, HASH_LENGTH, len("coefficient"), 1
    return [
        base_mul(t + proofs + 1),
        base_mul(others * (proofs + 1)),
        mul_public(others * proofs),
        add(others * proofs),
        read(others * (proofs + t)),
        write(t + proofs + n),
        shake(n * proofs, _WIDE, "schnorr/challenge", len("secp256k1"), POINT_LENGTH, POINT_LENGTH, *context),
        sha(n, "com", HASH_LENGTH, HASH_LENGTH, t * (POINT_LENGTH + _PROOF) + HASH_LENGTH, HASH_LENGTH),
        *(mul_public(t - 1, x) for x in evaluated_at),
        add((t - 1) * len(evaluated_at)),
        add(t, n),
    ]


def _multiplications(peers: int) -> list[Operation]:
    stretched, hashed = (LEAVES + LEAVES - 1) * GROUPS, (1 + 2) * XI
    corrections, matrix = GROUPS * EXTENDED_LENGTH, CHECK_BITS * CHOICES_LENGTH
    return [
        shake(peers * stretched, EXTENDED_LENGTH, "row", HASH_LENGTH, 1, 1, SEED_LENGTH),
        shake(peers * 2, matrix, "check", HASH_LENGTH, corrections),
        sha(peers * 2, "tt", HASH_LENGTH, CHECK_BITS * BASE_OTS // 8),
        shake(peers * hashed, WIDTH * SCALAR_LENGTH, "rowhash", HASH_LENGTH, 2, SEED_LENGTH),
        Sha(peers * 2, bytes(CORRECTIONS_LENGTH)),
        shake(peers * 2, INPUTS * SCALAR_LENGTH, "theta", HASH_LENGTH, HASH_LENGTH),
        sha(peers * 2, "mu", HASH_LENGTH, XI * SCALAR_LENGTH),
        sha(peers * 2, "pair/mul", HASH_LENGTH, HASH_LENGTH),
        shake(peers, _WIDE, "zero-share", HASH_LENGTH, HASH_LENGTH),
        base_mul(peers * 4),
        ecdh(peers * 2),
        Sha(peers * 2, bytes(POINT_LENGTH)),
        add(peers * 2),
        read(peers * 4),
        write(peers * 4),
    ]
