"""Which files of the project a chapter's code uses, found by reading the code and not by running it.

Imports are followed from the chapter into the package and on from file to file, also those inside functions. For
``from package import Name``, an ``__init__`` that only passes names on leads to the file which defines `Name`, and to no
other: a new method in the package does not concern a chapter that never names it. An ``__init__`` that does more counts
like any other file. A string that is the dotted name of a module ("sfbc_core.tasks.toy_maze") counts as an import of that
module, since this is how the package names modules that it imports on demand. In doubt a file counts: a chapter that runs
once too often costs minutes, one that does not run shows old numbers.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

RESULTS = "book/results"  # records of trainings that are too long for a build
READERS = {"stored_results", "suite_results"}  # what reads them, without a path in the chapter


@dataclass(frozen=True)
class Dependencies:
    """What a piece of code uses of the project."""

    files: frozenset[Path]
    names: frozenset[str]  # which name of a package is which name of a module: "shop.Tea is shop.drinks.Tea"


def chapter_dependencies(notebook: Path, root: Path) -> Dependencies:
    """All that a notebook's code cells use of the project in the folder `root`."""
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    trees = [parse(TransformerManager().transform_cell(source)) for source in cells]  # magics become calls
    walk = _Walk(root)
    for tree in trees:
        walk.follow(tree, package="")
    files = set(walk.files)
    if any(_reads_results(tree) for tree in trees):
        files |= {path for path in (root / RESULTS).rglob("*") if path.is_file()}
    return Dependencies(frozenset(files), frozenset(walk.names))


@cache
def parse(source: str) -> ast.Module:
    """The syntax tree; an empty one of code that is no Python, which cannot import anything either."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


class _Walk:
    """Collects files and names while it follows imports through the modules in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: set[Path] = set()
        self.names: set[str] = set()
        self._seen: set[tuple[str, str]] = (
            set()
        )  # (module, name), the name "*" for all of it: imports can go in circles

    def find(self, module: str) -> Path | None:
        """The file of a module of the project; None for all others."""
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        path = self.root.joinpath(*parts)
        candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def follow(self, tree: ast.Module, package: str) -> None:
        """Everything that code imports; relative imports count from `package`."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    # `import a.b` lets the code say a.anything, `import a.b as b` only b.anything
                    parents = [] if alias.asname else _parents(alias.name)
                    for module in (*parents, alias.name):
                        self.add_module(module)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.add_name(_source(node, package), alias.name)
            elif isinstance(node, ast.JoinedStr):
                self._add_family(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
                module = node.value.partition(":")[0]  # "module:Name", as entry points have it
                if self.find(module):
                    self.add_module(module)
                    self.add_module(f"{module}.__main__")  # as after `python -m`

    def add_module(self, module: str) -> None:
        """A module, its data files, and all that it imports."""
        path = self.find(module)
        if path is None or (module, "*") in self._seen:
            return
        self._seen.add((module, "*"))
        self.files |= {path, *_data_beside(path)}
        self._add_parents(module)
        is_package = path.name == "__init__.py"
        self.follow(_tree(path), package=module if is_package else module.rpartition(".")[0])

    def add_name(self, module: str, name: str) -> None:
        """What `from module import name` needs."""
        path = self.find(module)
        if path is None or (module, name) in self._seen:
            return
        if name == "*":
            self.add_module(module)
            return
        self._seen.add((module, name))
        passed_on = _passed_on(path, module)
        if passed_on is None:
            self.add_module(module)
            self.add_module(f"{module}.{name}")  # if there is such a module
        elif name in passed_on:
            source, original = passed_on[name]
            self.names.add(f"{module}.{name} is {source}.{original}")
            self._add_parents(module)
            self.add_name(source, original)
            self.add_module(f"{source}.{original}")
        else:
            self.add_module(f"{module}.{name}" if self.find(f"{module}.{name}") else module)

    def _add_parents(self, module: str) -> None:
        """The packages around a module: Python runs their __init__ first. One that only passes names on does nothing."""
        for parent in _parents(module):
            path = self.find(parent)
            if path is not None and _passed_on(path, parent) is None:
                self.add_module(parent)

    def _add_family(self, text: ast.JoinedStr) -> None:
        """All modules of a package, if a string like f"package.{name}" could name any of them."""
        start = text.values[0] if text.values else None
        if isinstance(start, ast.Constant) and str(start.value).endswith("."):
            package = str(start.value)[:-1]
            path = self.find(package)
            if path is not None and path.name == "__init__.py":
                for member in path.parent.iterdir():
                    self.add_module(f"{package}.{member.stem}")


def _tree(path: Path) -> ast.Module:
    return parse(path.read_text(encoding="utf-8"))


def _parents(module: str) -> list[str]:
    """The packages around a module, from the outermost in."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _source(node: ast.ImportFrom, package: str) -> str:
    """The full name of the module in `from … import`."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _passed_on(path: Path, package: str) -> dict[str, tuple[str, str]] | None:
    """Name -> (module, its name there), for a package that does nothing but pass names on; None for all other files."""
    if path.name != "__init__.py":
        return None
    names = {}
    for statement in _tree(path).body:
        if isinstance(statement, ast.ImportFrom) and all(alias.name != "*" for alias in statement.names):
            source = _source(statement, package)
            names |= {alias.asname or alias.name: (source, alias.name) for alias in statement.names}
        elif not (_is_docstring(statement) or _is_list_of_names(statement)):
            return None
    return names


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_list_of_names(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == ["__all__"]


def _data_beside(path: Path) -> set[Path]:
    """The files of other kinds in a module's folder, and in folders there that are not packages."""
    found = set()
    for neighbor in path.parent.iterdir():
        if neighbor.name.startswith((".", "__")) or neighbor.suffix == ".py":
            continue
        if neighbor.is_file():
            found.add(neighbor)
        elif not any(neighbor.glob("*.py")):
            found |= {file for file in neighbor.rglob("*") if file.is_file()}
    return found


def _reads_results(tree: ast.Module) -> bool:
    """Whether the code names a function that reads the results, or a path that leads to a folder `results`."""
    nodes = list(ast.walk(tree))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    fields = ("id", "attr", "name")  # of a name, of `.name`, of an import
    names = {getattr(node, field, None) for node in nodes for field in fields}
    return not READERS.isdisjoint(names) or any("results" in PurePosixPath(text).parts for text in strings)
