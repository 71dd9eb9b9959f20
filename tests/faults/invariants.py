"""I1, I2, I3 and I5 of docs/lifecycle.md, judged from evidence alone; I4, that it ends, is the scenario's patience.

The rule's own code is not used: a mistake in it must not hide itself here.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from audit import chain
from tests.faults.evidence import Attempt, Evidence, Held

ALIVE = frozenset({"active", "retiring"})
LIVED = frozenset({"active", "retiring", "superseded", "erased"})  # states that an activated share may have reached


def violations(evidence: Evidence, restored: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong, in words; empty where nothing is.

    `restored`: parties (hex) whose keystore was put back: they signed `STORED` and have lost the share, so the
    invariants, which count parties that do what they sign, can't count these.
    """
    attempts: dict[bytes, list[Attempt]] = defaultdict(list)
    for attempt in evidence.attempts:
        attempts[attempt.rid].append(attempt)
    found: list[str] = []
    by_gid: dict[bytes, list[Attempt]] = defaultdict(list)
    for seen in attempts.values():
        known = next((attempt for attempt in seen if attempt.new_gid is not None), seen[0])
        by_gid[known.gid].append(known)
        found += _one_outcome(evidence, known, restored)
    for gid, known_of in by_gid.items():
        found += _never_lost(evidence, gid, known_of, restored)
        found += _never_two(evidence, gid, known_of)
    return found + list(_faces(evidence, restored))


def _shares(evidence: Evidence, gid: bytes | None) -> list[Held]:
    return [held for held in evidence.shares if held.gid == gid]


def _lived(evidence: Evidence, attempt: Attempt) -> set[str]:
    """Parties whose new share of this attempt is or was active."""
    if attempt.new_gid is None:
        return set()
    now = {party for party, gid in evidence.active if gid == attempt.new_gid}
    return now | {held.party for held in _shares(evidence, attempt.new_gid) if held.state in LIVED}


def _never_lost(evidence: Evidence, gid: bytes, attempts: list[Attempt], restored: frozenset[str]) -> Iterator[str]:
    """I1. Of a sharing whose successor lived, later reshares may have destroyed shares: then those answer for it."""
    if any(_lived(evidence, attempt) for attempt in attempts) and any(
        attempt.gid == each.new_gid for each in attempts for attempt in evidence.attempts
    ):
        return
    old = evidence.opening(gid)
    if len(old) >= attempts[0].t:
        return
    for attempt in attempts:
        if attempt.new_gid is None:
            continue
        stored = {held.party for held in evidence.opening(attempt.new_gid)}
        if stored >= set(attempt.new) - restored:
            return
    yield f"I1: {len(old)} old shares of {gid.hex()[:8]} are left, and no attempt is stored everywhere"


def _never_two(evidence: Evidence, gid: bytes, attempts: list[Attempt]) -> Iterator[str]:
    """I2."""
    alive = [attempt for attempt in attempts if _lived(evidence, attempt)]
    if len({attempt.rid for attempt in alive}) > 1:
        yield f"I2: two attempts of {gid.hex()[:8]} have active shares"
    if alive and len(old := evidence.opening(gid)) >= alive[0].t:
        yield f"I2: a new share is active while {len(old)} old ones of {gid.hex()[:8]} open: {_where(old)}"


def _where(shares: list[Held]) -> str:
    return ", ".join(f"{held.vertex} {held.state}" for held in shares)


def _one_outcome(evidence: Evidence, attempt: Attempt, restored: frozenset[str]) -> Iterator[str]:
    """I3 and I5."""
    lived = _lived(evidence, attempt)
    stored = _signers(evidence, "STORED", attempt)
    destroyed = {
        held.party
        for held in _shares(evidence, attempt.new_gid)
        if held.party in stored - restored
        and (held.state == "discarded" or (held.state in ("quarantined", "parked") and not held.opens))
    }
    if lived and destroyed:
        yield f"I3: {attempt.rid.hex()[:8]} is active somewhere and destroyed elsewhere"
    confirmed, aborted = (_signers(evidence, kind, attempt) & set(attempt.old) for kind in ("CONFIRMED", "ABORTED"))
    committed = len(confirmed) >= attempt.d
    if committed and len(aborted) >= len(attempt.old) - attempt.d + 1:
        yield f"I5: {attempt.rid.hex()[:8]} is committed and aborted"
    if not committed and _signers(evidence, "DELETED", attempt):
        yield f"I5: a share was deleted for {attempt.rid.hex()[:8]}, which is not committed"
    if lived and len(_signers(evidence, "DELETED", attempt)) < attempt.d:
        yield f"I2: {attempt.rid.hex()[:8]} is active before {attempt.d} have deleted"


def _signers(evidence: Evidence, kind: str, attempt: Attempt) -> set[str]:
    return {party for said, party, rid, _, _ in evidence.receipts if said == kind and rid == attempt.rid}


def _faces(evidence: Evidence, restored: frozenset[str]) -> Iterator[str]:
    """Honest parties have one face, unless their keystore was put back: two faces prove just that (step 8)."""
    kinds: dict[tuple[str, bytes], set[str]] = defaultdict(set)
    digests: dict[tuple[str, bytes, str], set[bytes]] = defaultdict(set)
    for kind, party, rid, _, digest in evidence.receipts:
        if party in restored:
            continue
        kinds[party, rid].add(kind)
        if digest:
            digests[party, rid, kind].add(digest)
    for (party, rid), said in kinds.items():
        for pair in ({"CONFIRMED", "ABORTED"}, {"STORED", "FAILED"}):
            if pair <= said:
                yield f"two faces: {party[:8]} said {' and '.join(sorted(pair))} of {rid.hex()[:8]}"
    for (party, rid, kind), signed in digests.items():
        if len(signed) > 1:
            yield f"two faces: {party[:8]} said {kind} of two digests of {rid.hex()[:8]}"


def broken_chain(events: list[tuple[Any, ...]]) -> str | None:
    """What is wrong with an audit log, or None."""
    entries = (
        chain.Entry(seq, time, action, actor, subject, data, bytes(previous), bytes(hash_))
        for seq, time, action, actor, subject, data, previous, hash_ in events
    )
    try:
        chain.verify(entries)
    except chain.Broken as broken:
        return str(broken)
    return None
