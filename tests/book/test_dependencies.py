"""What a chapter depends on: every file that its code imports, and no other."""

import importlib
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def execute():
    """The scripts in book/ import each other by name, as they do when they are run."""
    sys.path.insert(0, str(ROOT / "book"))
    yield importlib.import_module("execute")
    sys.path.remove(str(ROOT / "book"))


@pytest.fixture
def files_of(execute):
    """(notebook, root) -> the names of the files that the notebook's code uses."""
    chapter_dependencies = importlib.import_module("dependencies").chapter_dependencies
    return lambda notebook, root=ROOT: {
        path.relative_to(root).as_posix() for path in chapter_dependencies(notebook, root).files
    }


@pytest.fixture
def chapter(tmp_path):
    """Write a notebook of the given code cells; give its path."""

    def write(*cells):
        notebook = new_notebook(cells=[new_markdown_cell("from shop import clock"), *map(new_code_cell, cells)])
        nbformat.write(notebook, tmp_path / "chapter.ipynb")
        return tmp_path / "chapter.ipynb"

    return write


PACKAGE = {
    "shop/__init__.py": (
        '"""A shop."""\nfrom shop.drinks import Tea\nfrom .bread import Roll as Bun\n\n__all__ = ["Bun", "Tea"]\n'
    ),
    "shop/drinks.py": "import math\nfrom shop import water\nclass Tea: ...\n",
    "shop/water.py": "def boil():\n    from shop.kettle import Kettle\n    return Kettle()\n",
    "shop/kettle.py": "from shop.drinks import Tea\nclass Kettle: ...\n",  # back to where it came from: a circle
    "shop/bread.py": "from . import oven\nfrom .flour.wheat import Wheat\nclass Roll: ...\n",
    "shop/oven.py": "",
    "shop/flour/__init__.py": "KINDS = {'wheat': 'shop.flour.wheat', 'rye': 'shop.flour.rye:Rye'}\n",
    "shop/flour/wheat.py": "class Wheat: ...\n",
    "shop/flour/rye.py": "class Rye: ...\n",
    "shop/flour/prices.json": "{}",
    "shop/flour/mills/north.csv": "1",
    "shop/menu/__init__.py": "from shop.menu.dish import dish\nfrom shop.menu.soup import soup\n",
    "shop/menu/dish.py": "def dish(name):\n    return import_module(f'shop.sauces.{name}')\n",
    "shop/menu/soup.py": "def soup(): ...\n",
    "shop/sauces/__init__.py": "",
    "shop/sauces/mint.py": "",
    "shop/broken.py": "def (",
    "book/results/record.json": "{}",
}
TEA = {"shop/drinks.py", "shop/water.py", "shop/kettle.py"}
FLOUR = {f"shop/flour/{name}" for name in ("__init__.py", "wheat.py", "rye.py", "prices.json", "mills/north.csv")}
BREAD = {"shop/bread.py", "shop/oven.py", *FLOUR}
DISH = {"shop/menu/dish.py", "shop/sauces/__init__.py", "shop/sauces/mint.py"}


@pytest.fixture
def shop(tmp_path):
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("cell", "files"),
    [
        ("from shop import Tea", TEA),  # a name that the package passes on leads to the file that defines it
        ("from shop.drinks import Tea", TEA),
        ("from shop import Bun", BREAD),  # by another name, and imported relatively
        ("from shop import Tea as Chai, Bun", TEA | BREAD),
        ("from shop import oven", {"shop/oven.py"}),  # a module, not a name
        ("import shop.oven as heat", {"shop/oven.py"}),
        ("import shop.oven", TEA | BREAD | {"shop/__init__.py"}),  # `shop.Tea` may follow
        ("from shop import *", TEA | BREAD | {"shop/__init__.py"}),
        ("from shop.flour.wheat import Wheat", FLOUR),  # the __init__ above does more than pass on names
        ("from shop.menu import soup", {"shop/menu/soup.py"}),
        ("from shop.menu import dish", DISH),  # any of the sauces
        ("name = 'shop.oven'", {"shop/oven.py"}),
        ("def brew():\n    from shop import Tea", TEA),
        ("%matplotlib inline\nfrom shop.oven import heat", {"shop/oven.py"}),
        ("import numpy as np\nfrom shop.cellar import wine\nfrom shop import salt.fish", set()),  # no Python at all
        ("from shop.cellar import wine", set()),
        ("import shop.broken as shut", {"shop/broken.py"}),
        ("from pathlib import Path\nPath('shop') / '../shop.oven'", set()),
        ("results = '../book/results'", {"book/results/record.json"}),
        ("from lab import suite_results", {"book/results/record.json"}),
        ("from lab import suite_results as read", {"book/results/record.json"}),
        ("import lab\nlab.stored_results('tea', 'quick')", {"book/results/record.json"}),
        ("results = []", set()),
    ],
)
def test_the_files_of_a_made_up_package(shop, chapter, files_of, cell, files):
    assert files_of(chapter(cell), shop) == files


def test_a_name_that_the_package_does_not_have_counts_as_all_of_it(shop, chapter, files_of):
    assert files_of(chapter("from shop import Coffee"), shop) == TEA | BREAD | {"shop/__init__.py"}


@pytest.mark.parametrize(
    ("changed", "new"),
    [
        ("shop/drinks.py", True),
        ("shop/kettle.py", True),  # imported by a function of what is imported
        ("shop/oven.py", False),
        ("shop/salt.py", False),
        ("book/results/record.json", False),
    ],
)
def test_a_change_counts_for_the_chapters_that_import_the_file(shop, chapter, execute, changed, new):
    notebook = chapter("from shop import Tea")
    before = execute.fingerprint(notebook, "quick", shop)
    (shop / changed).write_text("# another text\n")
    assert (execute.fingerprint(notebook, "quick", shop) != before) == new


def test_a_name_that_is_passed_on_from_elsewhere_counts_as_a_change(shop, chapter, execute):
    notebook = chapter("from shop import Tea, Bun")
    before = execute.fingerprint(notebook, "quick", shop)
    text = PACKAGE["shop/__init__.py"]
    (shop / "shop/__init__.py").write_text(text + "from shop.oven import heat\n")
    assert execute.fingerprint(notebook, "quick", shop) == before  # one more name does not concern it
    (shop / "shop/__init__.py").write_text(text.replace("import Tea", "import Mint as Tea"))
    assert execute.fingerprint(notebook, "quick", shop) != before


def test_profile_and_notebook_count(shop, chapter, execute):
    one = execute.fingerprint(chapter("x = 1"), "quick", shop)
    assert execute.fingerprint(chapter("x = 1"), "smoke", shop) != one
    assert execute.fingerprint(chapter("x = 2"), "quick", shop) != one


# ---- the book's own chapters ----------------------------------------------------------------------------------------


def chapter_file(number):
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    return path


def test_a_method_is_an_input_of_the_chapters_that_use_it_only(files_of):
    regression = "sfbc_core/methods/weighted_regression.py"
    diffusion, regressing = files_of(chapter_file("02")), files_of(chapter_file("04"))
    assert "sfbc_core/diffusion/solvers.py" in diffusion and regression not in diffusion
    assert regression in regressing and "sfbc_core/methods/iql.py" not in regressing


def test_tasks_are_found_although_they_are_imported_by_name(files_of):
    of_the_car = files_of(chapter_file("08"))
    assert {"sfbc_core/tasks/bidirectional_car.py", "sfbc_core/tasks/toy_maze.py"} <= of_the_car
    assert not any(name.startswith("book/results/") for name in files_of(chapter_file("05")))


def test_records_and_scripts_of_widgets_are_inputs_of_the_chapters_that_show_them(files_of):
    assert "sfbc_core/book/widgets/explorer.js" in files_of(chapter_file("05"))
    assert any(name.startswith("book/results/maze2d") for name in files_of(chapter_file("11")))


def test_all_chapters_that_can_be_told_where_the_results_are_read_them(files_of):
    reading = [path for path in (ROOT / "notebooks").glob("*.ipynb") if "results=results" in path.read_text("utf-8")]
    assert len(reading) >= 10
    for path in reading:
        assert any(name.startswith("book/results/") for name in files_of(path)), path.name
