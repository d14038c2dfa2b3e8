"""The arrows between the parts of the package, read off the import statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "sfbc_core"

# A part, and what it imports nothing of; a part is a module or a folder directly in the package.
ALGORITHMS = ("behavior", "critic", "planning", "selection", "methods")
LOW = (
    *("arrays", "paths", "files", "configuration", "ranges", "randomness", "progress", "environments"),
    *("trajectories", "transitions", "support", "networks", "scalars", "loss_log", "checkpoints", "training", "run"),
)
FORBIDDEN = {
    "tasks": (*ALGORITHMS, "experiments", "book"),
    **dict.fromkeys((*ALGORITHMS, "evaluation"), ("tasks", "experiments", "book")),
    **dict.fromkeys(LOW, (*ALGORITHMS, "evaluation", "tasks", "experiments", "book")),
}
# These import nothing else of the package, or only what is named; configs are checked in one way everywhere.
CLOSED = {"diffusion": ("configuration", "ranges"), "tabular": (), "configuration": (), "ranges": ()}
ABOVE = {"experiments": ("experiments", "book"), "book": ("book",)}  # a part, and the only ones that may import it


def imports(file: Path, package: Path) -> Iterator[str]:
    """The dotted names that a file imports from the package, wherever in the file."""
    here = (package.name, *file.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = ".".join([*here[: len(here) - node.level + 1], *module.split(".")]).rstrip(".")
            # `from sfbc_core import critic` names a part; `from sfbc_core import QCritic` the package as a whole.
            names = [f"{module}.{alias.name}" for alias in node.names] if module == package.name else [module]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == package.name)


def wrong_arrows(package: Path) -> list[tuple[str, str]]:
    """(file, name) of every import that the rules above forbid."""
    parts = {path.stem for path in package.iterdir()} - {"__init__"}
    wrong = []
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        own = path.with_suffix("").parts[0]
        for name in imports(file, package):
            other = name.split(".")[1] if "." in name else ""
            if other == own:
                continue
            whole = other not in parts and own != "__init__"  # the package's own names, behind which all of it stands
            if (
                (own in CLOSED and other not in CLOSED[own])
                or (own in FORBIDDEN and (whole or other in FORBIDDEN[own]))
                or (other in ABOVE and own not in ABOVE[other])
            ):
                wrong.append((path.as_posix(), name))
    return wrong


def test_the_arrows_of_the_package():
    assert wrong_arrows(PACKAGE) == []


def test_the_rules_name_parts_that_are_there():
    parts = {path.stem for path in PACKAGE.iterdir()}
    assert {*CLOSED, *FORBIDDEN, *ABOVE} <= parts


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("diffusion/solvers.py", "from sfbc_core.randomness import make_generator", "sfbc_core.randomness"),
        ("diffusion/solvers.py", "from sfbc_core import critic", "sfbc_core.critic"),
        ("diffusion/solvers.py", "import sfbc_core", "sfbc_core"),
        ("diffusion/solvers.py", "from sfbc_core.diffusion.schedule import VPSchedule", None),
        ("diffusion/solvers.py", "from .schedule import VPSchedule", None),
        ("diffusion/schedule.py", "from sfbc_core.configuration import config_dataclass", None),
        ("tabular/mdp.py", "from sfbc_core.configuration import config_dataclass", "sfbc_core.configuration"),
        ("configuration.py", "from sfbc_core.arrays import as_tensor", "sfbc_core.arrays"),
        ("diffusion/solvers.py", "from ..critic import QCritic", "sfbc_core.critic"),
        ("tabular/mdp.py", "import numpy", None),
        ("tabular/mdp.py", "import sfbc_core.planning", "sfbc_core.planning"),
        ("tasks/registry.py", "from sfbc_core.trajectories import Trajectories", None),
        ("tasks/registry.py", "from sfbc_core.critic import QCritic", "sfbc_core.critic"),
        ("tasks/registry.py", "from sfbc_core import Trajectories", "sfbc_core.Trajectories"),
        ("tasks/d4rl/task.py", "def f():\n    from ...experiments import trial", "sfbc_core.experiments"),
        ("experiments/trial.py", "from sfbc_core.tasks import load_task", None),
        ("experiments/trial.py", "import numpy, sfbc_core.book.style", "sfbc_core.book.style"),
        ("experiments/trial.py", "from .. import book", "sfbc_core.book"),
        ("critic.py", "from sfbc_core.experiments import trial", "sfbc_core.experiments"),
        ("__init__.py", "from sfbc_core.critic import QCritic", None),
        ("__init__.py", "from sfbc_core.book import COLORS", "sfbc_core.book"),
        ("book/films.py", "from sfbc_core.experiments import record_episode", None),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path, file, line, found):
    package = tmp_path / "sfbc_core"
    for part in ("diffusion", "tabular", "tasks/d4rl", "experiments", "book"):
        (package / part).mkdir(parents=True)
    for module in ("critic.py", "trajectories.py", "configuration.py"):
        (package / module).touch()
    (package / file).write_text(line, encoding="utf-8")
    assert wrong_arrows(package) == ([(file, found)] if found else [])
