"""Every constant of the protocols: one place, so that a change of any of them is a change of `VERSION`.

κ = 256 (size of the group order), λ_c = 128 (computational), λ_s = 80 (statistical), ℓ = 2 inputs per multiplication,
ρ = 1 check column (cryptography.md, section 1). All lengths are bytes unless a name says otherwise.
"""

from typing import Final

VERSION: Final = 1

# Order of secp256k1.
Q: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141

KAPPA: Final = 256
LAMBDA_C: Final = 128
LAMBDA_S: Final = 80

HASH_LENGTH: Final = 32
SCALAR_LENGTH: Final = 32
POINT_LENGTH: Final = 33

# Oblivious transfers: base, per ordered pair of parties; extended, per multiplication.
BASE_OTS: Final = LAMBDA_C
GROUPS: Final = BASE_OTS // 2
LEAVES: Final = 4
SEED_LENGTH: Final = LAMBDA_C // 8  # a pad, a tree node or a leaf
BASE_ANSWER_LENGTH: Final = BASE_OTS * 2 * POINT_LENGTH
PPRF_GROUP_LENGTH: Final = 2 * SEED_LENGTH + 2 * HASH_LENGTH
PPRF_LENGTH: Final = GROUPS * PPRF_GROUP_LENGTH

XI: Final = KAPPA + 2 * LAMBDA_S  # extended OTs of one multiplication
CHECK_BITS: Final = LAMBDA_C  # Fiat–Shamir, so computational: not λ_s
CHOICES_LENGTH: Final = XI // 8
CHECK_LENGTH: Final = CHECK_BITS // 8
EXTENDED_LENGTH: Final = CHOICES_LENGTH + CHECK_LENGTH  # a row r_{g,y}, and the choices with their random tail
EXTENSION_LENGTH: Final = GROUPS * EXTENDED_LENGTH + CHECK_LENGTH + HASH_LENGTH

# Multiplication: two inputs and a check column.
INPUTS: Final = 2
WIDTH: Final = INPUTS + 1
CORRECTIONS_LENGTH: Final = XI * WIDTH * SCALAR_LENGTH
MULTIPLICATION_LENGTH: Final = CORRECTIONS_LENGTH + SCALAR_LENGTH + HASH_LENGTH

MIN_THRESHOLD: Final = 2
