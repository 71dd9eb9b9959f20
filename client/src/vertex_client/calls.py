"""A call as data, and how one description becomes a method of both kinds of client.

A route is written once, as a function that describes a `Call`. On a class it is still that function; on a client that
blocks it sends the call and returns the answer; on an asynchronous one it returns a coroutine that does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request of the contract, without a vertex to send it to.

    `creates`: it takes an Idempotency-Key, and gets a fresh one where `idempotency_key` is None. `idempotent`: it may
    be sent twice without one. `as_admin`: it is sent with the admin token where there is one.
    """

    method: str
    path: str
    read: Callable[[Any], T] = field(repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, Any] = field(default_factory=dict)
    as_admin: bool = False
    creates: bool = False
    idempotent: bool = False
    plain_text: bool = False
    idempotency_key: str | None = None
    prefer: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it again does nothing twice."""
        return self.creates or self.idempotent


class Blocking(ABC):
    """A client whose methods return answers."""

    @abstractmethod
    def send(self, call: Call[T]) -> T:
        """The answer of a call. Raises VertexError."""


class Asynchronous(ABC):
    """A client whose methods return coroutines."""

    @abstractmethod
    async def send(self, call: Call[T]) -> T:
        """The answer of a call. Raises VertexError."""


class Route(Generic[P, T]):
    """A method of both kinds of client; the description's own first argument is not used."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self.describe = describe
        update_wrapper(self, describe)  # type: ignore[arg-type]  # an object that is called

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Call[T]]: ...

    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: Asynchronous, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        describe = partial(self.describe, None)
        if client is None:
            return update_wrapper(describe, self.describe)

        def sent(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(describe(*args, **kwargs))

        return update_wrapper(sent, self.describe)


def path(*parts: str) -> str:
    """A path of these parts; whatever a caller gave stays one part."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def given(**fields: Any) -> dict[str, Any]:
    """Those fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}
