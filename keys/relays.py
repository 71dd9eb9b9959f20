"""The relays that this vertex may use, and its inbox there."""

from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from mpc.hashing import TH
from relay.client import Relay
from vertex.errors import ApiError


def resolve(address: str | None) -> str:
    """URL of the relay that a request names as ``host[:port]`` or URL; refuses hosts that the settings don't allow."""
    default: str = settings.VERTEX_RELAY_URL.rstrip("/")
    if address is None:
        return default
    url = (address if "://" in address else f"{urlsplit(default).scheme}://{address}").rstrip("/")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    allowed = settings.VERTEX_RELAY_ALLOWED or [urlsplit(default).netloc]
    plain = parts.scheme in ("http", "https") and not (parts.path or parts.query or parts.fragment)
    if not plain or parts.netloc not in allowed:
        raise ApiError("bad_request_params", "relay_address is not on this vertex's list of relays")
    return url


@lru_cache(maxsize=16)
def relay(url: str) -> Relay:
    """The client of one relay, with its kept connections; one per process and relay."""
    return Relay(url, settings.VERTEX_RELAY_API_KEY)


@lru_cache(maxsize=1)
def inbox() -> str:
    """This vertex's inbox (hex): the same in all its processes, unguessable for others."""
    return TH("inbox", settings.VERTEX_NAME.encode(), settings.SECRET_KEY.encode()).hex()
