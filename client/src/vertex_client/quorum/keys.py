"""A key as its quorum's vertices hold it together."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from vertex_client.answers import KeyShare, Scheme

USABLE = frozenset({"active", "retiring"})


@dataclass(frozen=True)
class Share:
    """One party's share: at which vertex, its name there, the party's identity."""

    vertex: str
    key_id: str
    keygen_id: str
    state: str = "created"


@dataclass(frozen=True)
class Key:
    """One generation of a key: `gid` names it, a reshare or refresh makes the next one under the same public key.

    `parties` are all parties' keygen ids, also of those whose vertices are not at hand.
    """

    scheme: Scheme
    public_key: str
    threshold: int
    shares: tuple[Share, ...]
    parties: tuple[str, ...] = ()
    gid: str | None = None
    generation: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The vertices that hold shares of it."""
        return tuple(share.vertex for share in self.shares)

    @property
    def states(self) -> dict[str, str]:
        """By vertex."""
        return {share.vertex: share.state for share in self.shares}

    @property
    def usable(self) -> tuple[str, ...]:
        """The vertices whose shares sign."""
        return tuple(share.vertex for share in self.shares if share.state in USABLE)

    def at(self, vertex: str) -> Share:
        """The share at a vertex. ValueError if there is none."""
        for share in self.shares:
            if share.vertex == vertex:
                return share
        raise ValueError(f"{vertex} holds no share of this key; {', '.join(self.names)} do")

    def only(self, vertices: Collection[str]) -> Self:
        """The same key with these vertices' shares alone, in their order. ValueError if one has none."""
        return replace(self, shares=tuple(self.at(name) for name in vertices))


@dataclass(frozen=True)
class Reshared:
    """What a reshare or a refresh has begun: `new` is quarantined until enough deletions of `old` are confirmed."""

    rid: str
    old: Key
    new: Key


def assemble(found: Mapping[str, Iterable[KeyShare]]) -> list[Key]:
    """Generations of keys, as they were made, from what each vertex lists; shares without a public key are left out."""
    together: defaultdict[tuple[str, str], list[tuple[str, KeyShare]]] = defaultdict(list)
    for vertex, shares in found.items():
        for share in shares:
            if share.public_key is not None and share.gid is not None:
                together[share.public_key, share.gid].append((vertex, share))
    made = {group: min(share.created_at for _, share in members) for group, members in together.items()}
    return [_key(together[group]) for group in sorted(together, key=lambda group: made[group])]


def _key(members: list[tuple[str, KeyShare]]) -> Key:
    _, one = members[0]
    return Key(
        scheme=one.scheme,  # type: ignore[arg-type]  # a vertex's word
        public_key=one.public_key or "",
        threshold=one.threshold or 0,
        shares=tuple(Share(vertex, each.key_id, each.keygen_id, each.state) for vertex, each in members),
        parties=one.parties,
        gid=one.gid,
        generation=one.generation,
    )


def current(keys: Iterable[Key], public_key: str) -> Key:
    """The generation that signs now, else the newest, of the key whose public key begins so. ValueError if there is
    none, or more than one such key."""
    wanted = public_key.lower().removeprefix("0x")
    matching = [key for key in keys if key.public_key.startswith(wanted)]
    different = {key.public_key for key in matching}
    if len(different) != 1:
        raise ValueError(f"{len(different) or 'no'} key{'s' * (len(different) > 1)} with a public key {public_key}…")
    return max(matching, key=lambda key: (bool(key.usable), key.generation))
