"""`python -m tests.mpc.vectors.compact FILE…`: Wycheproof's files (testvectors_v1) as they are kept here.

Kept of every test: number, comment, flags, input, result. Left out: what says the same again (the key as DER, PEM and
JWK), and, of ECDH, keys that are not the DER of an uncompressed or compressed point of the named curve: nothing here
parses ASN.1. How many those are stands in the file.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.mpc.vectors import HERE

# SubjectPublicKeyInfo of secp256k1 up to the point: uncompressed (65 B) and compressed (33 B).
POINT_HEADERS = ("3056301006072a8648ce3d020106052b8104000a034200", "3036301006072a8648ce3d020106052b8104000a032200")


def public_point(der: str) -> str | None:
    """The encoded point of a key in its plain DER, else None."""
    for header, size in zip(POINT_HEADERS, (65, 33), strict=True):
        if der.startswith(header) and len(der) == len(header) + 2 * size:
            return der[len(header) :]
    return None


def compact(original: dict[str, Any]) -> dict[str, Any]:
    groups, left_out = [], 0
    for group in original["testGroups"]:
        key = group.get("publicKey", {})
        tests = []
        for test in group["tests"]:
            if group["type"] == "EcdhTest":
                test = test | {"public": public_point(test["public"])}
            if test.get("public", "") is None:
                left_out += 1
            else:
                tests.append(test)
        groups.append({"key": key.get("uncompressed", key.get("pk")), "tests": tests})
    kept = {name: original[name] for name in ("algorithm", "schema", "numberOfTests")}
    return kept | {"left_out": left_out, "groups": groups}


def write(name: str, vectors: dict[str, Any]) -> None:
    """One test a line, so that a change can be read."""
    text = json.dumps(vectors, separators=(",", ":")).replace('{"tcId"', '\n{"tcId"').replace('{"key"', '\n{"key"')
    (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        write(path.stem.removesuffix("_test"), compact(json.loads(path.read_text())))
