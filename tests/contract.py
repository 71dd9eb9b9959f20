"""Every answer that a test gets is held against the OpenAPI document: status, headers, body, error type.

What the document leaves open to what may come, unknown fields of answers, is closed here.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from vertex.document import document


@cache
def described() -> dict[str, Any]:
    """The document, its answers closed."""
    made: dict[str, Any] = json.loads(document())
    for name, schema in made["components"]["schemas"].items():
        if not name.endswith("Request") and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return made


def routes() -> Iterator[tuple[str, URLPattern]]:
    """Every route of the API with its path as the document writes it."""

    def below(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
        for each in resolver.url_patterns:
            path = prefix + str(each.pattern)
            if isinstance(each, URLPattern):
                yield template_of(path), each
            elif not path.startswith("console/"):
                yield from below(each, path)

    return below(get_resolver(), "")


def template_of(route: str) -> str:
    """A route of Django as the document writes it."""
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def operation_at(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The path's template and the operation there, or None where nothing is described."""
    try:
        template = template_of(resolve("/" + unquote(path).strip("/")).route)
    except Resolver404:
        return None
    operation = described()["paths"].get(template, {}).get(method.lower())
    return (template, operation) if operation is not None else None


@cache
def _validator(path: str, method: str, status: str, media_type: str) -> Any:
    answer = followed(described()["paths"][path][method]["responses"][status])
    schema = answer["content"][media_type]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": described()["components"]})


def followed(part: dict[str, Any]) -> dict[str, Any]:
    """The part of the document that a reference leads to."""
    if "$ref" not in part:
        return part
    found: Any = described()
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def check(method: str, path: str, response: Any) -> None:
    """Fails unless the document allows this answer."""
    found = operation_at(method, path.partition("?")[0])
    if found is None:
        return
    template, operation = found
    where = f"{method} {template}: {response.status_code} {response.content[:300]!r}"
    assert str(response.status_code) in operation["responses"], f"undocumented status: {where}"
    answer = followed(operation["responses"][str(response.status_code)])
    for name, header in answer["headers"].items():
        validator = jsonschema_rs.Draft202012Validator(followed(header)["schema"])
        assert validator.is_valid(response.headers.get(name)), f"{name}: {response.headers.get(name)!r}: {where}"
    media_type = response.headers["Content-Type"].partition(";")[0]
    assert media_type in answer["content"], f"undocumented type {media_type}: {where}"
    body = json.loads(response.content) if media_type.endswith("json") else response.content.decode()
    validator = _validator(template, method.lower(), str(response.status_code), media_type)
    errors = [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(body)]
    assert not errors, f"{where}: {errors[:3]}"
