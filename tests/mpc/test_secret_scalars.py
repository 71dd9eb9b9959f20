"""No secret scalar meets a variable-time multiplication, and no "random" point is a multiple of the generator.

Twice: which calls there are at all, from the source; and, in every recorded scenario, which values they see.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import keys
import mpc
import reshare
from mpc import proofs
from mpc.ed25519 import ED25519
from mpc.frost import core
from mpc.frost.keys import SigningKey
from mpc.group import SECP256K1, Draw, Group, Point
from mpc.mul import MulReceiver, MulSender
from mpc.shares import Share
from mpc.sharing import Polynomial
from tests.mpc.transcripts import SCENARIOS, failures, transcript

GROUPS = Group.__subclasses__()
# Secret scalars that a scenario has at the least, where they are few: shares and their sum, one dealer's polynomial.
LEAST = {"export": 5, "import": 10}

# Every call of `mul_public`, by module, function and scalar, and why that scalar is public.
PUBLIC_SCALARS = {
    ("mpc.sharing", "evaluate", "x"): "a party's coordinate",
    ("mpc.sharing", "interpolate", "lagrange(group, x, points)"): "from coordinates",
    ("mpc.proofs", "verify", "challenge"): "a hash of what was sent",
    ("mpc.attempt", "dealt_points", "lagrange(group, xs[dealer], dealing)"): "from coordinates",
    ("mpc.frost.core", "__init__", "self.binding_factors[x]"): "a hash of what was sent",
    ("mpc.frost.core", "holds", "self._weight(x)"): "from coordinates and the challenge of a signature",
    ("mpc.frost.suites", "verify", "self.challenge(nonce_point, public_key, message)"): "a verifier's",
}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """(module, function) of all functions and methods of the packages that touch keys."""
    for package in (mpc, keys, reshare):
        root = Path(package.__path__[0])
        for path in root.rglob("*.py"):
            name = ".".join((package.__name__, *path.relative_to(root).with_suffix("").parts))
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef):
                    yield name, node


def calls(function: ast.FunctionDef, name: str) -> list[ast.Call]:
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [node for node in nodes if isinstance(node.func, ast.Attribute) and node.func.attr == name]


def test_each_call_of_mul_public_has_a_reason() -> None:
    found = {
        (module, function.name, ast.unparse(call.args[1]))
        for module, function in functions()
        for call in calls(function, "mul_public")
    }
    assert found == PUBLIC_SCALARS.keys()


def test_the_variable_time_multiplication_has_no_other_name() -> None:
    """libsecp256k1's is reached through `mul_public` alone, and nobody hands the method on."""
    for module, function in functions():
        source = ast.unparse(function)
        if function.name != "mul_public":
            assert "tweak_mul" not in source, module
        uses = sum(isinstance(node, ast.Attribute) and node.attr == "mul_public" for node in ast.walk(function))
        assert uses == len(calls(function, "mul_public")), module


def test_no_hash_to_point_multiplies() -> None:
    found = [function for _, function in functions() if function.name in ("hash_to_point", "hash_to_points", "_lift")]
    assert len(found) == 1 + len(GROUPS) + 2  # the abstract one, one for each group, and what secp256k1 has besides
    for function in found:
        for name in ("base_mul", "mul_public", "ecdh", "generator", "_generator", "random_scalar"):
            assert not any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(function))


class Marked(int):
    """A secret scalar; whatever is computed from it is one too."""

    seen: set[int]

    def __new__(cls, value: int) -> Marked:
        made = super().__new__(cls, value)
        cls.seen.update(value % group.order for group in GROUPS)
        return made


def _keeping(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    def operate(self: int, *others: int) -> Any:
        result = plain(int(self), *map(int, others))
        return result if result is NotImplemented else Marked(result)

    return operate


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "mod", "pow", "neg"):
    setattr(Marked, f"__{_name}__", _keeping(f"__{_name}__"))


class SecretMultiplied(AssertionError):
    """A secret, or a number equal to one, met a variable-time multiplication."""


def _marking(function: Callable[..., Any]) -> Callable[..., Any]:
    def marked(*args: Any, **named: Any) -> Any:
        result = function(*args, **named)
        return Marked(result) if isinstance(result, int) else result

    return marked


@contextmanager
def traced() -> Iterator[list[int]]:
    """Marks what is secret where it is made; yields the scalars of variable-time multiplications, all public."""
    Marked.seen, public = set(), []
    drawn = Polynomial.random.__func__  # type: ignore[attr-defined]
    finish, multiply, start = MulReceiver.finish, MulSender.multiply, MulReceiver.start.__func__  # type: ignore[attr-defined]

    def started(cls: type[MulReceiver], *args: Any) -> Any:
        receiver, message = start(cls, *args)
        object.__setattr__(receiver, "b", Marked(receiver.b))
        return receiver, message

    def dealt(cls: type[Polynomial], group: Group, t: int, draw: Draw, constant: int | None = None) -> Any:
        return drawn(cls, group, t, draw, None if constant is None else Marked(constant))

    def multiplied(sender: MulSender, a_1: int, a_2: int, draw: Draw) -> Any:
        products, message = multiply(sender, a_1, a_2, draw)
        return tuple(map(Marked, products)), message

    with ExitStack() as stack:
        for target, name, replacement in (
            (Group, "random_scalar", _marking(Group.random_scalar)),
            (core, "make_nonce", _marking(core.make_nonce)),
            (Share, "scalar", property(_marking(Share.scalar.fget))),  # type: ignore[attr-defined]
            (Polynomial, "random", classmethod(dealt)),
            (Polynomial, "at", _marking(Polynomial.at)),
            (MulReceiver, "start", classmethod(started)),
            (MulReceiver, "finish", lambda receiver, message: tuple(map(Marked, finish(receiver, message)))),
            (MulSender, "multiply", multiplied),
        ):
            stack.enter_context(patch.object(target, name, replacement))
        for group in GROUPS:
            plain = group.mul_public

            def watched(self: Group, point: Point, scalar: int, plain: Any = plain) -> Point:
                if isinstance(scalar, Marked) or scalar % self.order in Marked.seen:
                    raise SecretMultiplied(hex(scalar))
                public.append(int(scalar))
                return plain(self, point, scalar)

            stack.enter_context(patch.object(group, "mul_public", watched))
        yield public


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_secret_reaches_a_variable_time_multiplication(name: str) -> None:
    with traced() as public:
        assert not failures(transcript(name))
    assert len(Marked.seen) > LEAST.get(name.partition("-")[2], 20)
    assert public


def _leaking(group: Group, secret: int, *_: Any) -> bytes:
    return group.mul_public(group.generator, secret).to_bytes()


def _base_mul(self: Group, secret: int) -> Point:
    return self.mul_public(self.generator, secret)


def _commit(self: Polynomial) -> tuple[Point, ...]:
    return tuple(SECP256K1.mul_public(SECP256K1.generator, coefficient) for coefficient in self.coefficients)


def _commit_to_nonces(self: core.Nonces, group: Group, *nonces: int) -> None:
    _leaking(group, *nonces)


# Scenario, and what is in place of what.
LEAKS = {
    "a coefficient": ("ecdsa-keygen", Polynomial, "commit", _commit),
    "a nonce of a proof": (
        "ecdsa-keygen",
        proofs,
        "prove",
        lambda group, secret, *rest: _leaking(group, secret) + bytes(32),
    ),
    "every product of the generator": ("ecdsa-keygen", SECP256K1.__class__, "base_mul", _base_mul),
    "every product of Ed25519's": ("ed25519-keygen", ED25519.__class__, "base_mul", _base_mul),
    "a nonce of BIP340": ("bip340-sign", core.Nonces, "__init__", _commit_to_nonces),
    "a nonce of Ed25519": ("ed25519-sign", core.Nonces, "__init__", _commit_to_nonces),
    "a share of a child": (
        "bip340-sign",
        SigningKey,
        "share",
        lambda self, secret: _leaking(self.group, self.factor * secret + self.offset),
    ),
}


@pytest.mark.parametrize(("scenario", "target", "name", "leak"), LEAKS.values(), ids=LEAKS)
def test_the_tracer_sees_a_leak(scenario: str, target: Any, name: str, leak: Callable[..., Any]) -> None:
    with traced(), patch.object(target, name, leak), pytest.raises(SecretMultiplied):
        transcript(scenario)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_random_point_is_a_known_multiple(name: str) -> None:
    """Points that come of hashing are never what a multiplication of the generator has given, and no step of them."""
    hashed: set[bytes] = set()
    multiples: set[bytes] = set()
    inside: list[bool] = []

    def hashing(plain: Callable[..., Any]) -> Callable[..., Any]:
        def hashed_to(*args: Any) -> Any:
            inside.append(True)
            made = plain(*args)
            inside.pop()
            hashed.update(point.to_bytes() for point in (made if isinstance(made, list) else [made]))
            return made

        return hashed_to

    def multiplying(plain: Callable[..., Point]) -> Callable[..., Point]:
        def multiplied(*args: Any) -> Point:
            assert not inside
            point = plain(*args)
            if not point.is_identity:
                multiples.add(point.to_bytes())
            return point

        return multiplied

    watched = {"hash_to_point": hashing, "hash_to_points": hashing, "base_mul": multiplying}
    with ExitStack() as stack:
        for group in GROUPS:
            for method in watched.keys() & vars(group).keys():
                stack.enter_context(patch.object(group, method, watched[method](getattr(group, method))))
        transcript(name)
    assert not hashed & multiples
    assert multiples
    if name == "ecdsa-keygen":  # both directions of a pair: 3 hashes for Alice, 2 for Bob, two of them the same points
        assert len(hashed) == 2 * 3 * 128
