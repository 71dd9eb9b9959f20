"""Log lines are JSON and hold no secret."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.api import Api


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the configured handler's formatter makes of all log records."""
    root = logging.getLogger()
    handlers = (h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter))
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(next(handlers).formatter)
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_secrets_are_redacted(written: io.StringIO) -> None:
    structlog.get_logger("test").warning("something", token="hunter2", body={"share": "hunter2"}, path="/keys")
    [line] = lines(written)
    assert (line["event"], line["token"], line["body"], line["path"]) == (
        "something",
        "<redacted>",
        "<redacted>",
        "/keys",
    )


def test_the_standard_librarys_loggers_come_out_alike(written: io.StringIO) -> None:
    logging.getLogger("elsewhere").error("with %s", "arguments")
    [line] = lines(written)
    assert (line["event"], line["level"], line["logger"]) == ("with arguments", "error", "elsewhere")


def test_a_refused_call_is_a_line_without_its_token(db: None, written: io.StringIO) -> None:
    Api("hunter2-token").call("GET /keys?api_key=hunter2-query", x_request_id="my-id")
    assert "hunter2" not in written.getvalue()
    [denied] = [line for line in lines(written) if line["event"] == "access_denied"]
    assert (denied["path"], denied["request_id"], denied["level"]) == ("/keys", "my-id", "warning")
