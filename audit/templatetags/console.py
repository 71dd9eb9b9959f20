"""``{% load console %}``: badges and shortened identifiers in templates."""

from django import template

from audit.labels import badge, short

register = template.Library()
register.filter("badge", badge)
register.filter("short", short)
