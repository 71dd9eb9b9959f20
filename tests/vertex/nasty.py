"""What does not belong in a request, as it is sent; and what does, made from the schema."""

import json
import uuid
from typing import Any

import jsonschema_rs

from mpc.identity import encode_keygen_id
from tests import contract

# JSON texts: the parser gets them as they are, duplicate keys and what is no JSON included.
VALUES = (
    *("null", "true", "0", "-1", "1.5", "2.0", "2147483648", "9223372036854775808", "1e400", "NaN"),
    *("1" + "0" * 100, "1" + "0" * 5000, "01", "undefined"),
    *('""', '" "', '"0"', '"0x"', '"zz"', '"1e400"', '"m/0/"', '"../.."', '"٣"', '"💥"', '"' + "f" * 5000 + '"'),
    *('"a\\u0000b"', '"\\ud800"', '"\\ufeff00"', '"\\r\\nX: y"'),
    *("[]", "[null]", "[[]]", '["x","x"]', "[" + "0," * 2000 + "0]", "[1e400]"),
    *("{}", '{"a":1,"a":2}', "[" * 600 + "]" * 600),
)
BODIES = (
    *(b"", b" ", b"null", b"[]", b'"x"', b"0", b"{", b"{}{}", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"\xff":1}'),
    *(b"\x00", b'{"a":NaN}', b"[" * 100_000, b'{"a":' * 100_000, b'{"\\u0000":1}', b'{"\\ud800":1}', b"key_id=1"),
)
# In paths, queries and headers.
TEXTS = (
    *("", " ", "-1", "1.5", "9" * 30, "9" * 5000, "x" * 300, "é", "٣", "💥", "\x00", "a\x00b", "%", "../.."),
    *(
        str(uuid.UUID(int=0)),
        "{" + str(uuid.UUID(int=0)) + "}",
        "0" * 32,
        "0" * 64,
        "g" * 64,
        "00 " * 21 + "0",
        "a\r\nb",
    ),
)
HEADERS = {
    "authorization": ("", "Bearer", "Bearer  x", "Basic eDp5", "é", "💥", "x" * 5000, "_", "a_b", "\x00"),
    "prefer": ("", "wait", "wait=", "wait=0", "wait=1e9", "wait=" + "9" * 30, "wait=٣", "x" * 5000, "=,=;"),
    "idempotency-key": ("", " ", "x" * 201, "é", "💥", "a\tb", "\x00", "\x7f", "k"),
    "x-request-id": ("", "x" * 65, "é", "a b", "../..", "\x00", "a\r\nb"),
    "content-type": ("", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "/", "é", ";"),
    "accept": ("text/html", "*/*;q=0", "", "\x00"),
    "content-length": ("-1", "x", "1e3", "9" * 30, "٣"),
    "host": ("evil.example", "a b", "", "[::1", "localhost:99999999"),
}
# For patterns: the first that fits.
CANDIDATES = (encode_keygen_id(bytes(range(32))), "00" * 32, "00", "m/0", "1", "x", "https://rules.example/answer")


def example(schema: dict[str, Any]) -> Any:
    """A value that the schema allows."""
    schema = contract.followed(schema)
    alternatives = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
    if alternatives and "properties" not in schema:
        return example(alternatives[0])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        named = [*schema.get("required", []), *schema.get("oneOf", [{}])[0].get("required", [])]
        return {name: example(schema["properties"][name]) for name in named}
    if kind == "array":
        return [example(schema["items"]) for _ in range(schema.get("minItems", 0))]
    if kind == "string" and schema.get("format") == "uuid":
        return str(uuid.uuid4())
    if kind == "string":
        return next(text for text in CANDIDATES if jsonschema_rs.is_valid(schema, text))
    return {"integer": schema.get("minimum", 2), "number": 1.5, "boolean": False, "null": None}[kind]


def with_field(body: dict[str, Any], name: str, value: str) -> bytes:
    """The body as JSON, with this text as one field's value."""
    fields = [f"{json.dumps(key)}:{json.dumps(each)}" for key, each in body.items() if key != name]
    return ("{" + ",".join([*fields, f"{json.dumps(name)}:{value}"]) + "}").encode("utf-8", "surrogatepass")
