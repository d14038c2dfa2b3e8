"""Tasks by name, and lazy imports: D4RL is needed only for its own tasks."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest

from sfbc_core import load_task, task_names

D4RL_PACKAGES = ("d4rl", "gym", "mujoco", "mujoco_py", "dm_control", "h5py")
with_d4rl = pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is not installed: pip install 'sfbc-core[d4rl]'")


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_no_simulator():
    program = f"import sys, sfbc_core; sfbc_core.task_names(); print([n for n in {D4RL_PACKAGES} if n in sys.modules])"
    assert run(program).strip() == "[]"


def test_without_its_packages_a_d4rl_task_says_what_it_needs_and_others_work():
    program = f"""
import sys
from importlib.abc import MetaPathFinder

class Nowhere(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {D4RL_PACKAGES}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Nowhere())

from sfbc_core import load_task
for name in ("hopper-medium-v2", "antmaze-umaze-v2", "maze2d-umaze-v1", "kitchen-mixed-v0", "regen/maze2d-umaze-v1"):
    try:
        load_task(name)
    except ImportError as error:
        print(error)
load_task("bidirectional-car").make_env().reset(seed=0)
load_task("toy-maze").load_trajectories(transitions=10)
"""
    lines = run(program).splitlines()
    assert len(lines) == 5
    for line in lines:
        assert "need Python 3.10 or 3.11 and pip install 'sfbc-core[d4rl]'" in line
        assert "without d4rl, gym, mujoco, dm_control, h5py" in line


@with_d4rl
def test_a_broken_installation_says_so_too():
    """For example with numpy 2 or gym 0.24, with which importing d4rl fails, each time differently."""
    program = """
import sys
import sfbc_core
sys.modules["gym.envs.mujoco"] = None
try:
    sfbc_core.load_task("hopper-medium-v2")
except ImportError as error:
    print(error, "|", repr(error.__cause__))
"""
    message, _, cause = run(program).partition(" | ")
    assert "pip install 'sfbc-core[d4rl]'" in message and "importing d4rl fails with" in message
    assert "gym.envs.mujoco" in cause


def test_unknown_names_are_refused_and_the_message_lists_those_there_are():
    assert len(task_names()) == 25 + 18, "4 of our own, 21 of D4RL, 18 regenerated"
    for name in ("hopper-random-v2", "hopper-medium-v0", "maze2d-umaze-dense-v1"):
        with pytest.raises(ValueError, match=r"unknown task .*; expected one of \['antmaze-large-diverse-v2'"):
            load_task(name)


@with_d4rl
def test_an_import_of_d4rl_that_failed_before_does_no_harm():
    """Without the binary of mujoco_py it fails, and leaves some of its modules behind."""
    program = """
try:
    import d4rl
except Exception as error:
    print("failed")
from sfbc_core import load_task
print(load_task("maze2d-umaze-v1").make_env().reset(seed=0)[0].shape)
"""
    assert run(program).splitlines()[-1] == "(4,)"


@with_d4rl
def test_a_d4rl_task_loads_the_data_of_its_name(monkeypatch, walk, tmp_path):
    calls = []
    module = ModuleType("sfbc_core.tasks.d4rl.datasets")
    module.load_d4rl = lambda name, **options: calls.append((name, options)) or walk
    monkeypatch.setitem(sys.modules, module.__name__, module)
    task = load_task("kitchen-mixed-v0")
    assert task.load_trajectories() is walk and task.load_trajectories(folder=tmp_path, download=False) is walk
    assert calls == [
        ("kitchen-mixed-v0", {"folder": None, "download": True}),
        ("kitchen-mixed-v0", {"folder": tmp_path, "download": False}),
    ]
