"""How the package is built, in numbers: modules a package, import circles, complex functions, documented parameters.

    python -m benchmarks.structure [FOLDER]

:data:`FOLDER` is a checkout; by default this one. Nothing of it is imported, only read.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "airflow_cd"
COMPLEX = 15
"""Decisions (McCabe's count) above which a function is hard to follow."""

_DECISIONS = (ast.If, ast.For, ast.While, ast.AsyncFor, ast.IfExp, ast.ExceptHandler, ast.With, ast.Assert)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main(folder: Path) -> None:
    """Print the figures of a checkout."""
    trees = {_name(path, folder): ast.parse(path.read_text("utf-8")) for path in _sources(folder)}
    packages = Counter(name.rpartition(".")[0] or PACKAGE for name in trees)
    print("modules in the largest packages:", ", ".join(f"{name} {count}" for name, count in packages.most_common(6)))
    imports = _imports(trees)
    _print_circles("modules", imports)
    _print_circles("packages", _between_packages(imports))
    functions = [(name, function) for name, tree in trees.items() for function in _functions(tree)]
    hard = sorted(((_complexity(function), f"{name}.{function.name}") for name, function in functions), reverse=True)
    over = [(count, name) for count, name in hard if count > COMPLEX]
    print(f"functions over {COMPLEX}: {len(over)}{''.join(f'{chr(10)}  {count} {name}' for count, name in over)}")
    named, of = _documented(trees)
    print(f"parameters of public functions that a docstring names: {named} of {of} ({named / of:.0%})")


def _sources(folder: Path) -> list[Path]:
    return sorted((folder / PACKAGE).rglob("*.py"))


def _name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _print_circles(what: str, imports: dict[str, set[str]]) -> None:
    circles = [sorted(circle) for circle in _circles(imports) if len(circle) > 1]
    print(f"import circles of {what}: {len(circles)}{''.join(f'{chr(10)}  {circle}' for circle in circles)}")


def _between_packages(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows between the packages and modules right below the root."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, others in imports.items():
        mine = _room(name)
        found[mine].update(_room(other) for other in others if _room(other) not in (mine, PACKAGE))
    found.pop(PACKAGE, None)
    return found


def _room(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _imports(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Which module imports which, inside functions too; imports for type checkers alone do not count."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, tree in trees.items():
        for node in _imports_in(tree):
            targets = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [one if one in trees else node.module for one in inner]
            found[name].update(one for one in targets if one in trees and one != name)
    return found


def _imports_in(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield from _imports_in(node)


def _circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected modules (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in imports.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            start = stack.index(name)
            found.append(set(stack[start:]))
            del stack[start:]

    for name in list(imports):
        if name not in index:
            visit(name)
    return found


def _functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def _complexity(function: Function) -> int:
    count = 1
    for node in ast.walk(function):
        count += isinstance(node, _DECISIONS) and not isinstance(node, ast.With)
        count += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        count += 1 + len(node.ifs) if isinstance(node, ast.comprehension) else 0
    return count


def _documented(trees: dict[str, ast.Module]) -> tuple[int, int]:
    """Parameters that a docstring names with ``:param``, and all; of public functions, methods and classes."""
    named = of = 0
    for tree in trees.values():
        for owner, function in _public(tree):
            text = (ast.get_docstring(function) or "") + (ast.get_docstring(owner) or "" if owner else "")
            arguments = function.args
            for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
                if argument.arg not in ("self", "cls"):
                    of += 1
                    named += f":param {argument.arg}:" in text
    return named, of


def _public(tree: ast.Module) -> Iterator[tuple[ast.ClassDef | None, Function]]:
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield None, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if isinstance(member, Function) and (member.name == "__init__" or not member.name.startswith("_")):
                    yield (node if member.name == "__init__" else None), member


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
