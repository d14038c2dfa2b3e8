"""The modules of the tasks import each other in one direction, also where an import hides in a function."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import sfbc_core.tasks

FOLDER = Path(sfbc_core.tasks.__file__).parent


def module_name(path: Path) -> str:
    parts = ("sfbc_core", "tasks", *path.relative_to(FOLDER).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_modules_import_each_other_in_a_circle():
    files = {module_name(path): path for path in FOLDER.rglob("*.py")}
    imports: dict[str, set[str]] = {}
    for name, path in files.items():
        found = imports.setdefault(name, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found |= {
                    module if (module := f"{node.module}.{alias.name}") in files else node.module
                    for alias in node.names
                }
    assert "sfbc_core.tasks.d4rl.datasets" in imports["sfbc_core.tasks.d4rl.task"]
    TopologicalSorter(imports).prepare()  # raises a CycleError that lists the circle
