"""What is changed, one place at a time: the lines that compare, verify or blame.

A mutant is named by its place in words (function, the source text before and after, which of several alike), never by
a line number: it keeps its name while other code moves.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
# Calls whose answer is a verdict, and calls made for what they raise.
_VERDICTS = re.compile(r"(compare_digest|verify\w*|equals|all_reduced|_is_multiple|_recovers|described)$")
_RAISERS = re.compile(r"(conclude|check_\w+|_check\w*|decode|verify\w*|about|blaming|raise_\w+)$")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change of one function. `function` is its qualified name, `tree` the whole module with the change in it."""

    module: str
    function: str
    change: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return f"{self.module}:{self.function}: {self.change}"


def mutants(module: str, source: str) -> list[Mutant]:
    """All of a module, in the order of its lines."""
    tree = ast.parse(source)
    found, seen = [], Counter[tuple[str, str]]()
    for function, node, field, index, replacement in _places(tree):
        before = getattr(node, field) if index is None else getattr(node, field)[index]
        change = f"{_text(before)} → {_text(replacement)}"
        seen[function, change] += 1
        if (number := seen[function, change]) > 1:
            change += f" (#{number})"
        found.append(Mutant(module, function, change, _with(tree, node, field, index, replacement)))
    return found


def _text(node: ast.AST) -> str:
    """Its source in one line; of a statement with a body, its head."""
    return ast.unparse(node).partition("\n")[0]


def _with(tree: ast.Module, node: ast.AST, field: str, index: int | None, replacement: ast.AST) -> ast.Module:
    """A copy of the tree in which one child is another."""
    old = getattr(node, field)
    if index is None:
        setattr(node, field, replacement)
    else:
        setattr(node, field, [*old[:index], replacement, *old[index + 1 :]])
    changed = ast.fix_missing_locations(copy.deepcopy(tree))
    setattr(node, field, old)
    return changed


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.AST, str, int | None, ast.AST]]:
    """(outermost function, parent, its field, index in it, what stands there instead)."""

    def walk(
        node: ast.AST, names: tuple[str, ...], inside: bool
    ) -> Iterator[tuple[str, ast.AST, str, int | None, ast.AST]]:
        for field, value in ast.iter_fields(node):
            children = value if isinstance(value, list) else [value]
            for index, child in enumerate(children):
                if not isinstance(child, ast.AST) or field in ("decorator_list", "annotation", "returns", "args_"):
                    continue
                if inside:
                    for replacement in _replacements(child, node, field):
                        place = index if isinstance(value, list) else None
                        yield ".".join(names), node, field, place, ast.copy_location(replacement, child)
                opens = isinstance(child, (ast.ClassDef, *_FUNCTIONS)) and not inside
                deeper = (*names, child.name) if opens else names  # type: ignore[attr-defined]
                yield from walk(child, deeper, inside or isinstance(child, _FUNCTIONS))

    yield from walk(tree, (), False)


def _replacements(node: ast.AST, parent: ast.AST, field: str) -> Iterator[ast.AST]:
    condition = field == "test"
    match node:
        case ast.Compare(left, [operator], [right]):
            for other in _SWAPS[type(operator)]:
                yield ast.Compare(left, [other()], [right])
            yield from (ast.Compare(left, [operator], [c]) for c in _off_by_one(right))
        case ast.Compare(left, operators, comparators):
            for i, operator in enumerate(operators):
                for other in _SWAPS[type(operator)]:
                    yield ast.Compare(left, [*operators[:i], other(), *operators[i + 1 :]], comparators)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            for i in range(len(values)):
                rest = [*values[:i], *values[i + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)
        case ast.UnaryOp(ast.Not(), operand) if condition:
            yield operand
        case ast.Call(ast.Name("all" | "any" as name), arguments):
            yield ast.Call(ast.Name("any" if name == "all" else "all", ast.Load()), arguments, [])
        case ast.Call(function) if _VERDICTS.search(ast.unparse(function)) and not isinstance(parent, ast.Expr):
            if not isinstance(parent, (ast.Assign, ast.keyword)):
                yield ast.Constant(True)
        case ast.Raise() if isinstance(parent, (ast.If, ast.ExceptHandler)):
            yield ast.Pass()
        case ast.Expr(ast.Call(function)) if _RAISERS.search(ast.unparse(function)):
            yield ast.Pass()
        case ast.keyword("ban", ast.Constant(bool() as value)):
            yield ast.keyword("ban", ast.Constant(not value))
        case ast.Return(ast.Constant(None | False)) if isinstance(parent, ast.If):
            yield ast.Pass()
        case ast.Name() | ast.Attribute() | ast.NamedExpr() if condition:
            yield ast.UnaryOp(ast.Not(), node)


def _off_by_one(node: ast.AST) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
