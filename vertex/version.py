"""The version of this software, in one place; pyproject.toml repeats it for builds."""

VERSION = "0.1.0"
