"""How JSON comes in and goes out: strict on what it parses, deaf to `Accept`."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

MAX_DEPTH = 32  # of objects and lists


class StrictJSONParser(BaseParser):
    """An object of strict JSON: UTF-8, no NaN, no NUL characters, no lone surrogates, no numbers out of range, no name
    twice, at most `MAX_DEPTH` levels."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read()
        # PostgreSQL's text can't hold it; refused here, it can't reach a query anywhere.
        if b"\\u0000" in raw:
            raise ParseError("the body must not contain NUL characters")
        try:
            data = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError("the body is not valid JSON") from error
        if not isinstance(data, dict):
            raise ParseError("the body must be a JSON object")
        _check_depth(data, MAX_DEPTH)
        json.loads(raw, object_pairs_hook=_no_name_twice)
        return data


def _check_depth(value: Any, levels: int) -> None:
    if not levels:
        raise ParseError(f"the body is nested more than {MAX_DEPTH} deep")
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            _check_depth(inner, levels - 1)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> None:
    """Of two values one program would see the first, another the last: a policy one, a signer the other."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ParseError("the body names a field twice")


class JSONRenderer(BaseRenderer):
    """Answers as JSON, at a tenth of the cost of DRF's own: times as RFC 3339 in UTC, UUIDs as text."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else msgspec.json.encode(data)


class OneRendererNegotiation(BaseContentNegotiation):
    """Answers are what they are: the view's first renderer, its first fitting parser."""

    def select_parser(self, request: Request, parsers: list[BaseParser]) -> BaseParser | None:  # type: ignore[override]
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)
