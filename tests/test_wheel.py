"""The wheel holds what chapters need, stored results and JavaScript too, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from sfbc_core.experiments import suite_results
from sfbc_core.experiments.results import INSTALLED

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
FOLDERS = ("book", "notebooks", "sfbc_core", "tests")  # more than a wheel should hold
RESULTS = {
    path.relative_to(ROOT / "book" / "results").as_posix()
    for pattern in ("*.jsonl", "measurements/*.json")
    for path in (ROOT / "book" / "results").glob(pattern)
} - {"faults.jsonl"}


def run(*command, cwd):
    done = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(source, folder):
    """Built with what is installed, so that no network is needed."""
    run("-m", "pip", "wheel", source, "--no-deps", "--no-build-isolation", "-w", folder, cwd=folder.parent)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the repository: a build leaves a folder behind, and what is in that goes into the next wheel."""
    folder = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", ".*", "_build")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def sdist(tree):
    run("-c", "from setuptools.build_meta import build_sdist; build_sdist('dist')", cwd=tree)
    (archive,) = (tree / "dist").glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    return wheel_of(tree, tmp_path_factory.mktemp("wheel"))


def test_its_version_is_that_of_the_citation_and_of_the_newest_changes(wheel):
    (version,) = re.findall(r"^Version: (.*)$", metadata(wheel), re.M)
    assert re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M) == [version]
    assert re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[0] == version


def metadata(wheel):
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name).decode("utf-8")


def names(wheel):
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_the_package_its_scripts_and_its_results(wheel):
    of_package = {
        path.relative_to(ROOT).as_posix()
        for suffix in ("py", "js", "json")
        for path in (ROOT / "sfbc_core").rglob(f"*.{suffix}")
    }
    stored = {f"sfbc_core/{INSTALLED}/{name}" for name in RESULTS}
    assert sum(name.endswith(".js") for name in of_package) == 5
    assert len(stored) > 200 and f"sfbc_core/{INSTALLED}/beyond.jsonl" in stored
    assert {name for name in names(wheel) if ".dist-info/" not in name} == of_package | stored
    assert wheel.stat().st_size < 8e6, "more than a few megabytes: is everything that is stored read by a chapter?"


def test_one_built_from_a_source_distribution_is_the_same(sdist, wheel, tmp_path):
    (tmp_path / "wheel").mkdir()
    assert names(wheel_of(sdist, tmp_path / "wheel")) == names(wheel)
    with tarfile.open(sdist) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if name.count("/") > 1}
    assert folders == {"book", "sfbc_core", "sfbc_core.egg-info"}


def test_it_is_not_built_without_results(tree, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(tree, bare, ignore=shutil.ignore_patterns("results", "build", "dist", "*.egg-info"))
    with pytest.raises(AssertionError, match="no stored results in"):
        wheel_of(bare, bare)


LINES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import sfbc_core
from sfbc_core.book.widgets import ActionExplorer
from sfbc_core.experiments import suite_results
stored = suite_results("beyond", "quick")
print(json.dumps([sfbc_core.__file__, len(stored.frame()), len(stored.missing), "render" in ActionExplorer._esm]))
"""


def test_what_it_installs_finds_its_results_in_an_empty_folder(wheel, tmp_path):
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    with ZipFile(wheel) as archive:
        archive.extractall(installed)
    package, rows, missing, script = json.loads(run("-I", "-c", LINES, installed, cwd=empty))
    assert Path(package).is_relative_to(installed)
    here = suite_results("beyond", "quick")
    assert [rows, missing] == [len(here.frame()), len(here.missing)] and rows > 0 and script
