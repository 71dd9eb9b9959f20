"""A checkout with next to nothing in it, for tests of the launcher itself: each process notes what it was given."""

import json
from pathlib import Path

FILES = {
    "manage.py": """
import json, os, signal, sys
import psycopg, redis

def note(name, value):
    with open(os.environ.get("VERTEX_NOTES", os.devnull), "a") as file:
        file.write(json.dumps([os.environ.get("VERTEX_NAME"), name, value]) + "\\n")

command = sys.argv[1]
if command == "migrate":
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE migrated ()")
        connection.execute(f"GRANT SELECT ON migrated TO {os.environ['VERTEX_APP_ROLE']}")
elif command == "ensure_operators":
    note("operators", json.load(sys.stdin))
elif command == "listen":
    note("listen", dict(os.environ))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.sigwait({signal.SIGTERM})
    # Vertices are stopped first: both servers must still be there.
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT * FROM migrated").fetchall()
    note("stopped", [redis.Redis.from_url(os.environ["REDIS_URL"]).ping(), rows])
""",
    "vertex/__init__.py": "",
    "vertex/serving.py": "",
    "vertex/wsgi.py": """
import os

def application(environ, start_response):
    start_response("200 OK", [])
    return [os.environ["VERTEX_NAME"].encode()]
""",
    "vertex/celery.py": """
import json, os
from celery import Celery
app = Celery("vertex", broker=os.environ["REDIS_URL"])
with open(os.environ["VERTEX_NOTES"], "a") as file:
    file.write(json.dumps([os.environ["VERTEX_NAME"], "worker", dict(os.environ)]) + "\\n")
""",
    "relay/asgi.py": """
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
""",
}


def write(checkout: Path) -> Path:
    """Writes the checkout; returns the file in which its processes note things, as VERTEX_NOTES tells them."""
    for name, text in FILES.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return checkout / "notes"


def notes(path: Path, name: str) -> dict[str, object]:
    """What the processes of each vertex noted under `name`, the last note of each."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {vertex: value for vertex, noted, value in map(json.loads, lines) if noted == name}
