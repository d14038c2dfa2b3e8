"""Where nothing can be written: what is only kept to be faster next time is done without, and the rest says what is wrong.

In processes of their own, with home and cache in a place where not even root can make a file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

NOWHERE = "/proc/nowhere"  # Linux makes no file there
pytestmark = pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a folder where nobody can write")


def run(program: str, **variables: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    environment = kept | {"HOME": NOWHERE, "SFBC_CACHE_DIR": NOWHERE} | variables
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=environment, check=False
    )


PLAN = """
import torch
from sfbc_core import Trajectories, discounted_returns
column = torch.zeros(3, 1)
for _ in range(2):
    returns = discounted_returns(Trajectories(column, column, [0, 0, 1], [0, 0, 1]), 0.5)
print(returns.tolist())
"""
NO_PLACE = """
import numba
from numba.core import caching
caching.CacheImpl._locator_classes = []
try:
    numba.njit(cache=True)(lambda x: x)
except RuntimeError as error:
    assert "no locator available" in str(error)
else:
    raise AssertionError("numba found a place for its cache")
"""
FULL_DISK = """
from numba.core import caching
asked = []
def save(*arguments):
    asked.append(arguments)
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = save
"""
DAMAGED = """
from numba.core import caching
asked = []
def load(*arguments):
    asked.append(arguments)
    raise EOFError("Ran out of input")
caching.IndexDataCacheFile.load = load
"""


@pytest.mark.parametrize("trouble", [NO_PLACE, FULL_DISK, DAMAGED], ids=["no place", "full disk", "damaged"])
def test_it_plans_without_numbas_cache(trouble, tmp_path):
    tried = "" if trouble is NO_PLACE else "assert asked"
    done = run(trouble + PLAN + tried, NUMBA_CACHE_DIR=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0.25, 0.5, 1.0]\n", "")


def test_numbas_cache_is_used_where_it_can_be(tmp_path):
    assert run(PLAN, NUMBA_CACHE_DIR=str(tmp_path)).returncode == 0
    assert list(tmp_path.rglob("*.nbi")), "nothing was kept"


def test_every_module_is_imported_with_nowhere_to_write():
    """But for those that need packages that are not installed. Matplotlib says on stderr that it takes another folder."""
    done = run(
        NO_PLACE
        + """
import importlib, pkgutil, sfbc_core
for module in pkgutil.walk_packages(sfbc_core.__path__, "sfbc_core."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert not error.name.startswith("sfbc_core"), error
"""
    )
    assert done.returncode == 0, done.stderr


def test_data_is_generated_and_a_warning_says_that_it_is_not_kept():
    done = run("from sfbc_core import load_task\nprint(len(load_task('toy-maze').load_trajectories(transitions=50)))")
    assert (done.returncode, done.stdout) == (0, "50\n"), done.stderr
    assert f"the data set is not cached because {NOWHERE} cannot be written to" in done.stderr


needs_d4rl = pytest.mark.skipif(
    find_spec("d4rl") is None, reason="d4rl is not installed: pip install 'sfbc-core[d4rl]'"
)


@needs_d4rl
def test_d4rls_environments_are_made():
    done = run(
        "import os\n"
        "os.environ.pop('D4RL_DATASET_DIR', None)\n"
        "from sfbc_core import load_task\n"
        "env = load_task('maze2d-umaze-v1').make_env()\n"
        "print(env.reset(seed=0)[0].shape, os.environ.get('D4RL_DATASET_DIR'))"
    )
    assert (done.returncode, done.stdout) == (0, "(4,) None\n"), done.stderr


@needs_d4rl
def test_regenerated_data_which_needs_the_disk_says_where():
    done = run("from sfbc_core import load_task\nload_task('regen/maze2d-umaze-v1').load_trajectories(transitions=50)")
    assert done.returncode == 1
    assert f"OSError: regenerated data is kept on disk, and {NOWHERE}/regen-" in done.stderr
    assert "set SFBC_CACHE_DIR" in done.stderr


def test_a_run_folder_that_cannot_be_made_is_named():
    done = run(
        "import torch\n"
        "from sfbc_core.methods import IQL\n"
        "from sfbc_core import Trajectories\n"
        "column = torch.zeros(3, 1)\n"
        f"IQL().fit(Trajectories(column, column, [0, 0, 1], [0, 0, 1]), '{NOWHERE}/run')"
    )
    assert done.returncode == 1
    assert f"No such file or directory: '{NOWHERE}" in done.stderr
