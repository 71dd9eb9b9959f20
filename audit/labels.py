"""How states and identifiers look in the console: badges, and long values shortened with the whole at hand."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

# Tones are those of the style sheet: what lives is good, what waits is a warning, what is gone is grey.
TONES = {
    "active": "good",
    "stored": "good",
    "done": "good",
    "delivered": "good",
    "confirmed": "busy",
    "running": "busy",
    "settling": "busy",
    "retiring": "warn",
    "quarantined": "warn",
    "pending": "warn",
    "waiting": "warn",
    "ready": "warn",
    "failed": "bad",
    "aborted": "bad",
    "revoked": "bad",
    "denied": "bad",
    "banned": "bad",
    "suspended": "bad",
    "exported whole": "warn",
    "approved": "good",
    "leaving": "bad",
    "departing": "bad",
    "exists": "warn",
    "joining": "busy",
    "open": "good",
}
_HEAD, _TAIL = 10, 6


def badge(text: str, tone: str = "") -> SafeString:
    """A state as a coloured label; the tone follows from the text where none is given."""
    return format_html('<span class="vx-badge vx-{}">{}</span>', tone or TONES.get(text, "gone"), text)


def short(value: str) -> SafeString:
    """A long identifier, shortened, with the whole of it on hover and copied by a click."""
    if len(value) <= _HEAD + _TAIL + 3:
        return format_html('<code class="vx-id">{}</code>', value)
    return format_html(
        '<button type="button" class="vx-id" title="{} (click to copy)" data-copy="{}">{}…{}</button>',
        value,
        value,
        value[:_HEAD],
        value[-_TAIL:],
    )
