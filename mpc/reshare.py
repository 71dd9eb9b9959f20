"""Resharing: the same key to another quorum, also refresh (cryptography.md, section 10; lifecycle.md, step 1).

    0   hello       everybody                                            N = new parties, D = dealers
    1   broadcast   commitment and PROMISED of D; everybody confirms the sid
    2   broadcast   Feldman points, proofs, blind of D; everybody echoes
        private     sub-share and chain code D → N, set-up key N ↔ N
    3   private     base-OT answer, zero-seed half, echo; N ↔ N
    4   private     PPRF message; N ↔ N
    5   broadcast   digest, proof of the new share; N

What this returns must be stored and proved before anybody votes, and must not sign before the reshare is complete.
For Ed25519 and BIP340 there are no set-ups and no rounds 3 and 4; the digest of round 5 holds all of rounds 1 and 2.
Nothing of the old set-ups is carried over.  A failed attempt is never repeated with the same polynomials: a new one
has a new sid.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from mpc.attempt import HelloComplete, check_expectations, complete_hellos, dealt_points, rid_of
from mpc.channel import Session
from mpc.dealing import Dealing, check_deals
from mpc.errors import Malformed
from mpc.findings import Findings
from mpc.group import Point
from mpc.hashing import TH
from mpc.hello import Greetings, greet, hello_session
from mpc.identity import Identity
from mpc.outcome import check_outcomes, make_outcome, own_share
from mpc.protocol import Checkpoint, Protocol, Rng, scoped
from mpc.quorums import ReshareConfig, admits, make_hello
from mpc.schemes import scheme_of
from mpc.secret import Confidential, Secret
from mpc.setup import PairSetup, answer_setups, finish_setups
from mpc.shares import PairState, Share, chain_code_hash
from mpc.sharing import evaluate, lagrange, ranks
from mpc.statements import (
    ReshareStatement,
    dealt_openings,
    joint_polynomial,
    make_preimage,
    verify_preimage,
)
from mpc.wire import Deal, Outcome, Promise, Puncturing, ReshareDeal, ReshareOpening

__all__ = [
    "HelloComplete",
    "Promises",
    "ReshareConfig",
    "ReshareResult",
    "ReshareStatement",
    "reshare",
    "rid_of",
    "verify_preimage",
]


@dataclass(frozen=True)
class Promises(Checkpoint):
    """The dealers' PROMISED receipts as they came with R1. The driver verifies and stores them, or throws."""

    receipts: dict[bytes, bytes]


@dataclass(frozen=True, eq=False)
class ReshareResult(Confidential):
    """``share`` None: a departing party, which knows the digest all the same. ``preimage`` is public."""

    rid: bytes
    k: int
    gid_new: bytes
    share: Share | None
    pairs: dict[bytes, PairState]
    digest: bytes
    preimage: bytes


def reshare(me: Identity, config: ReshareConfig, old: Share | None, rng: Rng) -> Protocol[ReshareResult]:
    """Runs one attempt. ValueError if config, share and identity don't fit together.

    Yields ``HelloComplete`` once the attempt has a name, and ``Promises`` after R1.  Before ``HelloComplete`` an error
    means that there is no attempt.  Raises ParameterMismatch, Abort, and Blame: with evidence for a wrong sub-share,
    with ``ban`` for an inconsistent PPRF.
    """
    known = config.description(me.public, old)
    greetings = yield from greet(
        me,
        lambda nonce, ephemeral: make_hello(me, config, known, nonce, ephemeral),
        hello_session(config.room, 0),
        config.size,
        rng,
        lambda sender, hello: admits(config, known, sender, hello),
    )
    complete = complete_hellos(greetings.hellos, greetings.bodies)
    check_expectations(config, complete, greetings.hellos)
    receipt: bytes = yield complete
    party = _Party(greetings, complete, old if config.deals else None, rng)
    return (yield from party.run(receipt))


class _Party(Confidential):
    """One participant after the hello round."""

    def __init__(self, greetings: Greetings, complete: HelloComplete, old: Share | None, rng: Rng) -> None:
        self.me = greetings.me
        self.hellos = greetings.hellos
        self.complete = complete
        self.group = complete.group
        self.pairwise = scheme_of(complete.scheme).pairwise
        self.rng = rng
        self.session = Session(greetings, complete.sid, ranks(complete.participants), rng)
        self.new_xs = ranks(complete.new_identities)
        self.x = self.new_xs.get(self.me.public)
        self.new_peers = tuple(peer for peer in complete.new_identities if peer != self.me.public)
        self.chain_code = old.chain_code if old else b""
        self.dealing = self._deal(old) if old else None
        self.setups: dict[bytes, PairSetup] = {}

    def _deal(self, old: Share) -> Dealing:
        """A polynomial of degree t' − 1 with f(0) = λ_i·s_i over the dealers."""
        xs = ranks(old.identities)
        weight = lagrange(self.group, old.x, [xs[dealer] for dealer in self.complete.dealers])
        return Dealing(
            self.group,
            self.complete.sid,
            self.me.public,
            self.complete.new_t,
            scoped(self.rng, "dealing"),
            constant=weight * old.scalar,
        )

    def run(self, receipt: bytes) -> Protocol[ReshareResult]:
        """R1 to R5."""
        session, complete = self.session, self.complete
        commitment = self.dealing.commitment if self.dealing else b""
        round_1 = yield from session.exchange(
            1, broadcast=Promise(commitment=commitment, receipt=receipt), broadcasters=session.others
        )
        promises = round_1.broadcasts(Promise)
        self._check_promises(promises)
        yield Promises({dealer: promises[dealer].receipt for dealer in complete.dealers})

        if self.x is not None and self.pairwise:
            self.setups = {peer: self._start_setup(peer, self.x) for peer in self.new_peers}
        echo = session.echo
        round_2 = yield from session.exchange(
            2,
            broadcast=ReshareOpening(echo=echo, opening=self.dealing.opening if self.dealing else None),
            private=self._deals(),
            broadcasters=session.others,
            senders={*complete.dealers, *(self.new_peers if self.pairwise else ())} if self.x is not None else (),
        )
        published = round_2.broadcasts(ReshareOpening)
        openings = dealt_openings(promises, {party: message.opening for party, message in published.items()})
        points, feldman = joint_polynomial(
            self.group,
            session.sid,
            complete.new_t,
            dealt_points(self.group, complete.old_identities, complete.public_shares, complete.dealers),
            self.group.decode(complete.public_key),
            {dealer: promises[dealer].commitment for dealer in complete.dealers},
            openings,
        )
        session.check_echo(echo, {party: message.echo for party, message in published.items()})
        preimage = make_preimage(complete, self.hellos, round_1.signed, round_2.signed)
        digest = TH("digest/reshare", preimage)
        public_shares = {party: evaluate(self.group, feldman, x) for party, x in self.new_xs.items()}
        if self.x is None:
            yield from self._finish(digest, public_shares, None)
            return self._result(digest, preimage, None, {})

        private = round_2.privates(ReshareDeal)
        deals = self._check_private(private)
        shares = check_deals(session, self.group, self.x, points, deals, round_2.frames)
        secret = own_share(self.group, shares.values(), feldman, self.x)
        puncturings = (yield from self._set_up(private)) if self.pairwise else {}
        yield from self._finish(digest, public_shares, secret)
        gid = TH("gid", digest)
        sealed = Secret(self.group.encode_scalar(secret))
        share = Share(
            complete.scheme, gid, complete.new_t, complete.new_identities, self.x, sealed, feldman, self.chain_code
        )
        return self._result(digest, preimage, share, finish_setups(self.setups, gid, puncturings))

    def _start_setup(self, peer: bytes, x: int) -> PairSetup:
        draw = scoped(self.rng, f"pair/{peer.hex()}")
        return PairSetup(self.session.sid, x, peer, self.new_xs[peer], draw)

    def _result(
        self, digest: bytes, preimage: bytes, share: Share | None, pairs: dict[bytes, PairState]
    ) -> ReshareResult:
        complete = self.complete
        return ReshareResult(complete.rid, complete.k, TH("gid", digest), share, pairs, digest, preimage)

    def _check_promises(self, promises: Mapping[bytes, Promise]) -> None:
        findings = Findings()
        for party, promise in promises.items():
            with findings.about(party):
                if len(promise.commitment) != (32 if party in self.complete.dealers else 0):
                    raise Malformed("a commitment from who does not deal, or none from who does")
        findings.conclude()

    def _deals(self) -> dict[bytes, ReshareDeal]:
        """R2, private: to every new party what this one has for it."""
        return {
            peer: ReshareDeal(
                deal=self.dealing.deal(self.new_xs[peer], self.chain_code) if self.dealing else None,
                setup=self.setups[peer].key if self.setups else None,
            )
            for peer in self.new_peers
            if self.dealing or self.setups
        }

    def _check_private(self, private: Mapping[bytes, ReshareDeal]) -> dict[bytes, Deal]:
        """Every dealer's deal, the own one included. Blames for a missing or surplus part and for another chain
        code.
        """
        findings, deals = Findings(), {}
        for peer, message in private.items():
            with findings.about(peer):
                sets_up = self.pairwise and peer in self.new_xs
                if bool(message.deal) != (peer in self.complete.dealers) or bool(message.setup) != sets_up:
                    raise Malformed("not the parts that the sender's role asks for")
                if message.deal:
                    stated = chain_code_hash(message.deal.chain_code)
                    if not hmac.compare_digest(stated, self.complete.chain_code_hash):
                        raise Malformed("another chain code than the old quorum's")
                    deals[peer] = message.deal
        findings.conclude()
        if self.dealing and self.x is not None:
            deals[self.me.public] = self.dealing.deal(self.x, self.chain_code)
        self.chain_code = next(iter(deals.values())).chain_code
        return deals

    def _set_up(self, private: Mapping[bytes, ReshareDeal]) -> Protocol[dict[bytes, Puncturing]]:
        """R3 and R4 among the new parties."""
        keys = {peer: message.setup for peer, message in private.items() if message.setup}
        puncturings = yield from answer_setups(self.session, self.setups, keys)
        round_4 = yield from self.session.exchange(4, private=puncturings, senders=self.new_peers)
        return round_4.privates(Puncturing)

    def _finish(self, digest: bytes, public_shares: Mapping[bytes, Point], secret: int | None) -> Protocol[None]:
        """R5: the new parties state the digest and prove their shares; everybody checks."""
        own = None if secret is None else make_outcome(self.group, secret, self.me.public, digest, self.rng.draw)
        round_5 = yield from self.session.exchange(5, broadcast=own, broadcasters=self.new_peers)
        check_outcomes(self.group, digest, public_shares, round_5.broadcasts(Outcome))
