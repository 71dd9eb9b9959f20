"""A stand-in for HashiCorp Vault that follows its published HTTP API, as far as a keystore uses it: AppRole, Transit,
KV 2.

Facts from Vault's API documentation ("HTTP API", "Transit secrets engine", "KV secrets engine - version 2", "AppRole
auth method"): paths, fields, status codes, bodies of errors, check-and-set, versions and their deletion. Storage is in
memory.
"""

import base64
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MISMATCH = "check-and-set parameter did not match the current version"
Reply = tuple[int, dict[str, Any] | None]
NOTHING: Reply = (404, {"errors": []})
DONE: Reply = (204, None)


def refusal(status: int, text: str) -> Reply:
    return status, {"errors": [text]}


@dataclass
class TransitKey:
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    deletion_allowed: bool = False
    exportable: bool = False
    allow_plaintext_backup: bool = False
    kind: str = "aes256-gcm96"


class Transit:
    """One mount of the Transit engine."""

    def __init__(self) -> None:
        self.keys: dict[str, TransitKey] = {}
        self.disable_upsert = True

    def answer(self, method: str, path: list[str], body: dict[str, Any], listing: bool) -> Reply:
        match method, path:
            case "GET", ["config", "keys"]:
                return 200, {"data": {"disable_upsert": self.disable_upsert}}
            case "GET", ["keys"] if listing:
                return (200, {"data": {"keys": sorted(self.keys)}}) if self.keys else NOTHING
            case "POST", ["keys", name]:
                options = {k: v for k, v in body.items() if k in ("exportable", "allow_plaintext_backup")}
                self.keys.setdefault(name, TransitKey(kind=body.get("type", "aes256-gcm96"), **options))
                return DONE
            case "GET", ["keys", name]:
                return self._described(name)
            case "POST", ["keys", name, "config"]:
                if name not in self.keys:
                    return refusal(400, f"no existing key named {name} could be found")
                self.keys[name].deletion_allowed = body.get("deletion_allowed", self.keys[name].deletion_allowed)
                return DONE
            case "DELETE", ["keys", name]:
                return self._delete(name)
            case "POST", ["encrypt", name]:
                if name not in self.keys and not self.disable_upsert:
                    self.keys[name] = TransitKey()
                return self._encrypt(name, body)
            case "POST", ["decrypt", name]:
                return self._decrypt(name, body)
        return refusal(405, "unsupported operation")

    def _described(self, name: str) -> Reply:
        key = self.keys.get(name)
        if key is None:
            return NOTHING
        about = {"name": name, "type": key.kind, "exportable": key.exportable, "latest_version": 1}
        return 200, {"data": about | {"deletion_allowed": key.deletion_allowed}}

    def _delete(self, name: str) -> Reply:
        if name not in self.keys:
            return refusal(400, f"error deleting policy {name}: could not delete key; not found")
        if not self.keys[name].deletion_allowed:
            return refusal(400, f"error deleting policy {name}: deletion is not allowed for this key")
        del self.keys[name]
        return DONE

    def _encrypt(self, name: str, body: dict[str, Any]) -> Reply:
        if name not in self.keys:
            return refusal(400, "encryption key not found")
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self.keys[name].secret).encrypt(nonce, base64.b64decode(body["plaintext"]), None)
        return 200, {"data": {"ciphertext": "vault:v1:" + base64.b64encode(sealed).decode(), "key_version": 1}}

    def _decrypt(self, name: str, body: dict[str, Any]) -> Reply:
        if name not in self.keys:
            return refusal(400, "encryption key not found")
        text = body.get("ciphertext", "")
        if not text.startswith("vault:v1:"):
            return refusal(400, "invalid ciphertext: no prefix")
        try:
            sealed = base64.b64decode(text.removeprefix("vault:v1:"), validate=True)
            plain = AESGCM(self.keys[name].secret).decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            return refusal(400, "cipher: message authentication failed")
        except ValueError:
            return refusal(400, "invalid ciphertext: could not decode base64")
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@dataclass
class Secret:
    current: int = 0
    versions: dict[int, dict[str, Any] | None] = field(default_factory=dict)  # None: deleted, may be undeleted


class Kv:
    """One mount of the KV engine, version 2."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self.config = {"cas_required": True, "max_versions": 1, "delete_version_after": "0s"}

    def answer(self, method: str, path: list[str], body: dict[str, Any], listing: bool) -> Reply:
        sort, name = path[0], "/".join(path[1:])
        match method, sort:
            case "GET", "config":
                return 200, {"data": self.config}
            case "GET", "metadata" if listing:
                return self._list(name)
            case "GET", "metadata":
                secret = self.secrets.get(name)
                return (200, {"data": {"current_version": secret.current}}) if secret else NOTHING
            case "DELETE", "metadata":
                self.secrets.pop(name, None)
                return DONE
            case "GET", "data":
                return self._read(name)
            case "POST", "data":
                return self._write(name, body)
            case "DELETE", "data":
                if name in self.secrets:
                    self.secrets[name].versions[self.secrets[name].current] = None
                return DONE
        return refusal(405, "unsupported operation")

    def _list(self, folder: str) -> Reply:
        prefix = folder.rstrip("/") + "/" if folder else ""
        rest = [name.removeprefix(prefix) for name in self.secrets if name.startswith(prefix)]
        names = {part + slash for part, slash, _ in (each.partition("/") for each in rest)}
        return (200, {"data": {"keys": sorted(names)}}) if names else NOTHING

    def _read(self, name: str) -> Reply:
        secret = self.secrets.get(name)
        if secret is None:
            return NOTHING
        data = secret.versions[secret.current]
        deleted = "" if data is not None else "2026-01-01T00:00:00Z"
        metadata = {"version": secret.current, "deletion_time": deleted, "destroyed": False}
        return (200 if data is not None else 404), {"data": {"data": data, "metadata": metadata}}

    def _write(self, name: str, body: dict[str, Any]) -> Reply:
        secret = self.secrets.get(name) or Secret()
        cas = body.get("options", {}).get("cas")
        if cas is None and self.config["cas_required"]:
            return refusal(400, "check-and-set parameter required for this call")
        if cas is not None and cas != secret.current:
            return refusal(400, MISMATCH)
        secret.current += 1
        secret.versions[secret.current] = body["data"]
        for version in list(secret.versions):
            if version <= secret.current - self.config["max_versions"]:
                del secret.versions[version]
        self.secrets[name] = secret
        return 200, {"data": {"version": secret.current, "deletion_time": "", "destroyed": False}}


class Fault:
    """What happens to a request instead of an answer."""

    LOST = "lost"  # the connection ends before Vault has done anything
    UNANSWERED = "unanswered"  # Vault did it, the answer never comes
    HANGS = "hangs"  # neither an answer nor an end


class VaultServer:
    """Serves on a port of its own, each connection in a thread; requests are done one after the other."""

    def __init__(self) -> None:
        self.transit, self.kv = Transit(), Kv()
        self.tokens, self.roles = {"root"}, {("role", "secret"): "worker"}
        self.requests: list[str] = []
        self.sealed = False
        self.fault: Callable[[str], str | Reply | None] = lambda request: None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                server._serve(self)

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)
        path = parts.path.removeprefix("/v1/").split("/")
        request = f"{handler.command} {'/'.join(path)}"
        listing = parse_qs(parts.query).get("list") == ["true"]
        with self._lock:
            self.requests.append(request)
            fault = self.fault(request)
            reply: Reply = (0, None)
            if isinstance(fault, tuple):
                reply = fault
            elif fault in (None, Fault.UNANSWERED):
                reply = self._answer(handler.command, path, json.loads(raw or b"{}"), listing, handler.headers)
        if isinstance(fault, str):
            if fault == Fault.HANGS:
                self._stopping.wait(30)
            handler.close_connection = True
            return
        status, body = reply
        content = json.dumps({"request_id": "1", **body}).encode() if body is not None else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _answer(self, method: str, path: list[str], body: dict[str, Any], listing: bool, headers: Any) -> Reply:
        if self.sealed:
            return refusal(503, "Vault is sealed")
        if path == ["auth", "approle", "login"]:
            token = self.roles.get((body.get("role_id", ""), body.get("secret_id", "")))
            if token is None:
                return refusal(400, "invalid role or secret ID")
            self.tokens.add(token)
            return 200, {"auth": {"client_token": token, "lease_duration": 1200, "renewable": True}}
        if headers.get("X-Vault-Token") not in self.tokens:
            return refusal(403, "permission denied")
        if path[0] == "transit":
            return self.transit.answer(method, path[1:], body, listing)
        if path[0] == "secret":
            return self.kv.answer(method, path[1:], body, listing)
        return refusal(404, f'no handler for route "{"/".join(path)}". route entry not found.')
