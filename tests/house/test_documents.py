"""Documents say what is there: links lead somewhere, every route, setting and error type stands in its table."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from keys.urls import SCHEMES
from vertex.errors import ERROR_STATUS

HOUSE = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([*HOUSE.glob("*.md"), *HOUSE.glob("docs/**/*.md"), HOUSE / "client" / "README.md"])
SETTING = re.compile(r"VERTEX_[A-Z0-9_]+|DATABASE_URL|REDIS_URL")


def text(name: str) -> str:
    return (HOUSE / name).read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(HOUSE)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


CITED = re.compile(r"cryptography\.md, sections? (\d+)(?:(?:,| and| to) (\d+))*")
STEP = re.compile(r"\b[KRS][0-5]\b")


def sources() -> Iterator[tuple[Path, str]]:
    """Every module, its docstrings' lines joined."""
    for folder in ("mpc", "keys", "reshare", "relay", "audit", "vertex", "cluster", "client", "tests"):
        for path in sorted((HOUSE / folder).rglob("*.py")):
            yield path, re.sub(r"\s+(?:# )?", " ", path.read_text())


def test_code_cites_sections_that_are_there() -> None:
    sections = set(re.findall(r"^## (\d+)\. ", text("docs/cryptography.md"), re.MULTILINE))
    cited = {
        (path.name, number)
        for path, source in sources()
        for found in CITED.finditer(source)
        for number in re.findall(r"\d+", found[0])
    }
    assert len(cited) > 15
    assert [(name, number) for name, number in cited if number not in sections] == []


def test_no_code_cites_a_document_that_is_not_there() -> None:
    """By its name alone, as code does: `lifecycle.md`."""
    there = {path.name for path in DOCUMENTS}
    cited = {(path.name, name) for path, source in sources() for name in re.findall(r"[\w-]+\.md\b", source)}
    assert [(path, name) for path, name in cited if name not in there] == []


def test_code_names_steps_that_are_there() -> None:
    described = set(STEP.findall(text("docs/cryptography.md")))
    named = {step for path, source in sources() if path.is_relative_to(HOUSE / "mpc") for step in STEP.findall(source)}
    assert len(named) > 10
    assert named <= described


def test_every_setting_is_described() -> None:
    read = set(re.findall(rf'env(?:\.\w+)?\("({SETTING.pattern})"', text("vertex/settings.py")))
    described = set(SETTING.findall(text("docs/operators.md")))
    assert len(read) > 20
    assert described == read


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for each in resolver.url_patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield "/" + path
        elif not path.startswith("console/"):
            yield from routes(each, path)


def normal(route: str) -> str:
    """Without names of parameters, and with `{s}` for a scheme."""
    for scheme in SCHEMES:
        route = route.replace(f"/{scheme.value}/", "/{s}/")
    return re.sub(r"<[^>]*>|\{(?!s\})\w+\}", "{}", route)


def test_every_route_is_described() -> None:
    described = {normal(route) for route in re.findall(r"`(/[^`?]*)", text("docs/api.md"))}
    assert described == {normal(route) for route in routes(get_resolver())}


def test_error_types_are_those_of_the_table() -> None:
    section = text("docs/api.md").partition("## Error types")[2]
    described = set(re.findall(r"`([a-z_]+)`", section))
    assert len(described) > 15
    assert described <= ERROR_STATUS.keys()


def test_what_is_said_of_compatibility_is_about_routes_that_are_there() -> None:
    there = {normal(route) for route in routes(get_resolver())}
    new, _, absent = text("docs/compatibility.md").partition("## Not here")
    named = re.compile(r"`(/[^`?]*)")
    told = {normal(route) for route in named.findall(new)}
    missing = {normal(route) for row in absent.splitlines() for route in named.findall("|".join(row.split("|")[:2]))}
    assert len(told) > 8
    assert told <= there
    assert missing
    assert not missing & there, "it is here now"
    types = set(re.findall(r"`([a-z]+_[a-z_]+)`", re.search(r"^\| error types.*$", new, re.MULTILINE)[0]))  # type: ignore[index]
    assert len(types) > 5
    assert types - {"err_type"} <= ERROR_STATUS.keys()
