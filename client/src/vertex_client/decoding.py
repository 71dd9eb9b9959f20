"""JSON into the types of `answers`: exact about what is there, silent about fields that a newer vertex adds."""

import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vertex_client.errors import BadAnswer

T = TypeVar("T")


def read(kind: type[T]) -> Callable[[Any], T]:
    """A reader of answers of this type; it raises BadAnswer."""
    return lambda data: cast("T", decode(kind, data, "answer"))


def nothing(data: Any) -> None:
    """A reader of `{}`."""


def decode(kind: Any, value: Any, where: str) -> Any:
    """`value`, as `json.loads` gave it, as a `kind`; `where` names it in a BadAnswer."""
    if kind is Any:
        return value
    if kind is datetime:
        return _time(value, where)
    if kind in (str, int, float, bool, type(None)):
        return _plain(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _either(arguments, value, where)
    if origin is Literal:
        return _plain(str, value, where)  # a newer vertex may know further words
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(items))
    if origin is dict:
        members = _expect(dict, value, where)
        return {str(name): decode(arguments[1], item, f"{where}.{name}") for name, item in members.items()}
    if is_dataclass(origin or kind):
        return _record(kind, _expect(dict, value, where), where)
    raise TypeError(f"answers have no fields of type {kind}")


def _expect(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise BadAnswer(f"{where} is {type(value).__name__}, not {kind.__name__}")
    return value


def _plain(kind: type, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise BadAnswer(f"{where} is {type(value).__name__}, not {kind.__name__}")
    return value


def _time(value: Any, where: str) -> datetime:
    try:
        return datetime.fromisoformat(_plain(str, value, where))
    except ValueError as error:
        raise BadAnswer(f"{where} is no time") from error


def _either(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """`X | None` above all; of several types the first that fits."""
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return decode(kind, value, where)
        except BadAnswer:
            continue
    return decode(others[-1], value, where)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Names and types of a record's fields, parameters put in."""
    origin = get_origin(kind) or kind
    put = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    return {name: _put(hint, put) for name, hint in get_type_hints(origin).items()}


def _put(hint: Any, put: dict[Any, Any]) -> Any:
    if hint in put:
        return put[hint]
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(put[each] for each in parameters)] if parameters else hint


def _record(kind: Any, data: dict[str, Any], where: str) -> Any:
    hints = _hints(kind)
    found = {}
    for field in fields(get_origin(kind) or kind):
        if field.name in data:
            found[field.name] = decode(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise BadAnswer(f"{where} has no {field.name}")
    return kind(**found)
