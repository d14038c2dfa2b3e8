"""A `mujoco_py` for D4RL: the few names that gym 0.23 and D4RL use of it, over the official `mujoco` bindings.

`mujoco_py` is retired and needs a binary that is hard to get; the official bindings run the same physics. Arrays of the
simulation (`sim.data.qpos` …) are views into it, as D4RL expects: writing to them moves the robot.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

# D4RL compares this text with "1.50" to choose between two old interfaces.
VERSION = "2.1.2.14"

# Arrays that stay where they are for the life of a simulation. Others, such as contacts, are looked up each time.
_FIXED_ARRAYS = ("qpos", "qvel", "ctrl", "act", "cfrc_ext", "xpos", "site_xpos")

_POSITION = re.compile(r'\bpos="[^"]*/[^"]*"')
_FRACTION = re.compile(r"([-+.\d]+)/([-+.\d]+)")


class MujocoException(Exception):
    """The simulation warned, for instance because it became unstable; its state is worth nothing from here on."""


class MjSimState(NamedTuple):
    """What `get_state` and `set_state` carry."""

    time: float  # seconds
    qpos: Float[np.ndarray, " nq"]
    qvel: Float[np.ndarray, " nv"]
    act: Float[np.ndarray, " na"] | None  # None without activations
    udd_state: dict[str, Any]  # user data, which D4RL hands back as it got it


class MjModel:
    """The model's arrays and names; whatever is not defined here is the official model's."""

    def __init__(self, ptr: mujoco.MjModel) -> None:
        self.ptr = ptr
        # gym asks whether a camera exists before it looks it up.
        self._camera_name2id = {ptr.camera(i).name: i for i in range(ptr.ncam)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ptr, name)

    def body_name2id(self, name: str) -> int:
        """The index of the body of that name; the other four likewise.

        Raises:
            KeyError: there is none.
        """
        return self.ptr.body(name).id

    def camera_name2id(self, name: str) -> int:
        """The index of the camera of that name."""
        return self.ptr.camera(name).id

    def geom_name2id(self, name: str) -> int:
        """The index of the geom of that name."""
        return self.ptr.geom(name).id

    def joint_name2id(self, name: str) -> int:
        """The index of the joint of that name."""
        return self.ptr.joint(name).id

    def site_name2id(self, name: str) -> int:
        """The index of the site of that name."""
        return self.ptr.site(name).id


class MjData:
    """The simulation's arrays; whatever is not defined here is the official data's."""

    def __init__(self, model: MjModel, ptr: mujoco.MjData) -> None:
        self.ptr = ptr
        self._model = model
        # Looked up once: an environment reads these several times a step.
        for name in _FIXED_ARRAYS:
            setattr(self, name, getattr(ptr, name))
        self.body_xpos = ptr.xpos

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ptr, name)

    def get_body_xpos(self, name: str) -> Float[np.ndarray, "3"]:
        """Where a body is: a view, in metres, of its position in the world."""
        return self.xpos[self._model.body_name2id(name)]


class MjSim:
    """A model and its state."""

    def __init__(self, model: MjModel) -> None:
        self.model = model
        self.data = MjData(model, mujoco.MjData(model.ptr))
        self._warnings = self.data.ptr.warning.number  # a view: how often each warning came up

    def reset(self) -> None:
        """Back to the model's initial state."""
        mujoco.mj_resetData(self.model.ptr, self.data.ptr)

    def forward(self) -> None:
        """Compute all that follows from positions and velocities, without moving on."""
        mujoco.mj_forward(self.model.ptr, self.data.ptr)

    def step(self) -> None:
        """One time step.

        Raises:
            MujocoException: the simulation warned. The official bindings would write a log file and go on from the initial
                state, in the middle of the episode.
        """
        mujoco.mj_step(self.model.ptr, self.data.ptr)
        if self._warnings.any():
            kinds = [mujoco.mjtWarning(i).name for i in np.flatnonzero(self._warnings)]
            raise MujocoException(f"the simulation warned of {', '.join(kinds)} at time {self.data.ptr.time:.3f}")

    def get_state(self) -> MjSimState:
        """A copy of the state."""
        data = self.data
        act = data.act.copy() if self.model.ptr.na else None
        return MjSimState(data.ptr.time, data.qpos.copy(), data.qvel.copy(), act, {})

    def set_state(self, state: MjSimState) -> None:
        """Go to a state; call `forward` before you look at anything that follows from it."""
        self.data.ptr.time = state.time
        self.data.qpos[:] = state.qpos
        self.data.qvel[:] = state.qvel
        if state.act is not None:
            self.data.act[:] = state.act


def load_model_from_path(path: str) -> MjModel:
    """The model of an MJCF file.

    Raises:
        ValueError: MuJoCo cannot read it.
    """
    text = Path(path).read_text()
    if "file=" in text:  # what it includes is found next to it
        return MjModel(mujoco.MjModel.from_xml_path(path))
    return load_model_from_xml(text)


def load_model_from_xml(text: str) -> MjModel:
    """The model of an MJCF text.

    gym's hopper and walker hold positions such as "0.13/2 0 0.1", which the official reader refuses: fractions are
    evaluated.

    Raises:
        ValueError: MuJoCo cannot read it.
    """
    return MjModel(copy(_compiled(text)))


@lru_cache(maxsize=32)
def _compiled(text: str) -> mujoco.MjModel:
    # Kept, because an evaluation makes an environment for each episode and a maze takes a third of a second to compile.
    return mujoco.MjModel.from_xml_string(_POSITION.sub(lambda match: _evaluated(match[0]), text))


def _evaluated(position: str) -> str:
    return _FRACTION.sub(lambda match: repr(float(match[1]) / float(match[2])), position)


def _no_window(*_: Any, **__: Any) -> None:
    raise NotImplementedError("D4RL's own viewers are not available; make the environment with render_mode='rgb_array'")


def install() -> ModuleType:
    """Put this stand-in where `import mujoco_py` finds it, in place of a real one."""
    names: dict[str, Callable | type] = {
        "MjSim": MjSim,
        "MjSimState": MjSimState,
        "load_model_from_path": load_model_from_path,
        "load_model_from_xml": load_model_from_xml,
        "get_version": lambda: VERSION,
        "MjViewer": _no_window,
        "MjRenderContextOffscreen": _no_window,
    }
    module = ModuleType("mujoco_py", __doc__)
    module.__dict__.update(names)
    module.builder = ModuleType("mujoco_py.builder")
    module.builder.MujocoException = MujocoException
    sys.modules["mujoco_py"], sys.modules["mujoco_py.builder"] = module, module.builder
    return module
