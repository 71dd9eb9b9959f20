"""The mutation tool: what it changes, how it names it, and that its lists are whole."""

from pathlib import Path
from textwrap import dedent

import pytest

import mpc
from tests.mutants.__main__ import explained
from tests.mutants.modules import MODULES
from tests.mutants.operators import Mutant, mutants
from tests.mutants.runner import apply, code_of

SOURCE = dedent(
    """
    import hmac

    class Checker:
        def check(self, a, b, limit):
            if a != b or len(a) < 2:
                raise ValueError("unequal")
            if not hmac.compare_digest(a, b):
                return False
            return all(each <= limit for each in a)

    def blame(findings, party):
        findings.conclude()
        raise Blame({party}, ban=True)
    """
)
EXPECTED = {
    "Checker.check: a != b → a == b",
    "Checker.check: a != b or len(a) < 2 → a != b",
    "Checker.check: a != b or len(a) < 2 → a != b and len(a) < 2",
    "Checker.check: a != b or len(a) < 2 → len(a) < 2",
    "Checker.check: len(a) < 2 → len(a) < 1",
    "Checker.check: len(a) < 2 → len(a) < 3",
    "Checker.check: len(a) < 2 → len(a) <= 2",
    "Checker.check: len(a) < 2 → len(a) >= 2",
    "Checker.check: raise ValueError('unequal') → pass",
    "Checker.check: not hmac.compare_digest(a, b) → hmac.compare_digest(a, b)",
    "Checker.check: hmac.compare_digest(a, b) → True",
    "Checker.check: return False → pass",
    "Checker.check: all((each <= limit for each in a)) → any((each <= limit for each in a))",
    "Checker.check: each <= limit → each < limit",
    "Checker.check: each <= limit → each > limit",
    "blame: findings.conclude() → pass",
    "blame: ban=True → ban=False",
}


def test_what_is_changed() -> None:
    assert {mutant.name.removeprefix("module:") for mutant in mutants("module", SOURCE)} == EXPECTED


def test_names_do_not_depend_on_lines() -> None:
    moved = "\n\n\n# a comment\n" + SOURCE
    assert [m.name for m in mutants("module", moved)] == [m.name for m in mutants("module", SOURCE)]


def test_changes_alike_in_one_function_are_numbered() -> None:
    twice = "def f(a):\n    return a == 1 and g(a == 1)"
    names = [mutant.change for mutant in mutants("module", twice)]
    assert "a == 1 → a != 1" in names
    assert "a == 1 → a != 1 (#2)" in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("mutant", mutants("module", SOURCE), ids=lambda mutant: mutant.change)
def test_a_mutant_is_one_change_that_compiles(mutant: Mutant) -> None:
    code = code_of(compile(mutant.tree, "module", "exec"), mutant.function)
    plain = code_of(compile(SOURCE, "module", "exec"), mutant.function)
    assert code is not None
    assert plain is not None
    assert code != plain


def test_a_mutant_is_seen_by_who_imported_the_function_before() -> None:
    from mpc.sharing import ranks

    before = ranks.__code__
    mutant = next(
        m for m in mutants("mpc.sharing", Path(mpc.__path__[0], "sharing.py").read_text()) if m.function == "ranks"
    )
    try:
        apply(mutant)
        with pytest.raises(ValueError, match="twice"):
            ranks([b"a", b"b"])
    finally:
        ranks.__code__ = before
    assert ranks([b"a", b"b"]) == {b"a": 1, b"b": 2}


def test_modules_and_their_tests_exist() -> None:
    tests = Path(__file__).parents[1] / "mpc"
    for module, files in MODULES.items():
        assert Path(mpc.__path__[0]).joinpath(*module.split(".")[1:]).with_suffix(".py").exists(), module
        assert [name for name in files if not (tests / name).exists()] == []


def test_every_survivor_is_explained_once_and_of_a_listed_module() -> None:
    names = explained()
    assert all(why.strip() for why in names.values())
    assert {name.partition(":")[0] for name in names} <= MODULES.keys()
