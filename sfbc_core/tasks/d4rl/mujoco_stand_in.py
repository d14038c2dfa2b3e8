"""A `mujoco_py` for D4RL: the few names of it that gym 0.23 and D4RL use, on top of the official `mujoco` bindings.

`mujoco_py` is no longer maintained and needs a binary that is hard to get; the official bindings run the same physics. The
arrays of the simulation (`sim.data.qpos` …) are views, as D4RL expects: writing to them moves the robot.
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

# D4RL compares this with "1.50" to choose between two old interfaces.
VERSION = "2.1.2.14"

# Arrays that never move in memory while a simulation exists. Others, such as contacts, must be looked up each time.
_FIXED_ARRAYS = ("qpos", "qvel", "ctrl", "act", "cfrc_ext", "xpos", "site_xpos")

_POSITION = re.compile(r'\bpos="[^"]*/[^"]*"')
_FRACTION = re.compile(r"([-+.\d]+)/([-+.\d]+)")


class MujocoException(Exception):
    """The simulation gave a warning, for instance because it became unstable. Its state is meaningless from then on."""


class MjSimState(NamedTuple):
    """What `get_state` returns and `set_state` takes."""

    time: float  # seconds
    qpos: Float[np.ndarray, " nq"]
    qvel: Float[np.ndarray, " nv"]
    act: Float[np.ndarray, " na"] | None  # None without activations
    udd_state: dict[str, Any]  # user data; D4RL only passes it on


class MjModel:
    """The model's arrays and names; everything that is not defined here comes from the official model."""

    def __init__(self, ptr: mujoco.MjModel) -> None:
        self.ptr = ptr
        # gym looks in here for a camera before it asks for it.
        self._camera_name2id = {ptr.camera(i).name: i for i in range(ptr.ncam)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ptr, name)

    def body_name2id(self, name: str) -> int:
        """The index of the body with this name.

        Raises:
            KeyError: there is none. The same holds for the four methods below.
        """
        return self.ptr.body(name).id

    def camera_name2id(self, name: str) -> int:
        """The index of the camera with this name."""
        return self.ptr.camera(name).id

    def geom_name2id(self, name: str) -> int:
        """The index of the geom with this name."""
        return self.ptr.geom(name).id

    def joint_name2id(self, name: str) -> int:
        """The index of the joint with this name."""
        return self.ptr.joint(name).id

    def site_name2id(self, name: str) -> int:
        """The index of the site with this name."""
        return self.ptr.site(name).id


class MjData:
    """The simulation's arrays; everything that is not defined here comes from the official data."""

    def __init__(self, model: MjModel, ptr: mujoco.MjData) -> None:
        self.ptr = ptr
        self._model = model
        # Looked up once, because an environment reads these several times per step.
        for name in _FIXED_ARRAYS:
            setattr(self, name, getattr(ptr, name))
        self.body_xpos = ptr.xpos

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ptr, name)

    def get_body_xpos(self, name: str) -> Float[np.ndarray, "3"]:
        """A body's position in the world, in meters, as a view."""
        return self.xpos[self._model.body_name2id(name)]


class MjSim:
    """A model and its state."""

    def __init__(self, model: MjModel) -> None:
        self.model = model
        self.data = MjData(model, mujoco.MjData(model.ptr))
        self._warnings = self.data.ptr.warning.number  # a view: how often there was each warning

    def reset(self) -> None:
        """Back to the model's initial state."""
        mujoco.mj_resetData(self.model.ptr, self.data.ptr)

    def forward(self) -> None:
        """Compute everything that follows from positions and velocities, without a step in time."""
        mujoco.mj_forward(self.model.ptr, self.data.ptr)

    def step(self) -> None:
        """One time step.

        Raises:
            MujocoException: the simulation gave a warning. The official bindings would write it into a log file, reset the
                simulation and go on, in the middle of the episode.
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
        """Set the state; call `forward` before you read anything else that depends on it."""
        self.data.ptr.time = state.time
        self.data.qpos[:] = state.qpos
        self.data.qvel[:] = state.qvel
        if state.act is not None:
            self.data.act[:] = state.act


def load_model_from_path(path: str) -> MjModel:
    """The model in an MJCF file.

    Raises:
        ValueError: MuJoCo cannot read it.
    """
    text = Path(path).read_text()
    if "file=" in text:  # it includes files, which are looked for beside it
        return MjModel(mujoco.MjModel.from_xml_path(path))
    return load_model_from_xml(text)


def load_model_from_xml(text: str) -> MjModel:
    """The model in an MJCF text.

    Fractions are evaluated first: gym's hopper and walker have positions such as "0.13/2 0 0.1", which the official reader
    rejects.

    Raises:
        ValueError: MuJoCo cannot read it.
    """
    return MjModel(copy(_compiled(text)))


@lru_cache(maxsize=32)
def _compiled(text: str) -> mujoco.MjModel:
    # Cached, because an evaluation makes an environment per episode and a maze takes a third of a second to compile.
    return mujoco.MjModel.from_xml_string(_POSITION.sub(lambda match: _evaluated(match[0]), text))


def _evaluated(position: str) -> str:
    return _FRACTION.sub(lambda match: repr(float(match[1]) / float(match[2])), position)


def _no_window(*_: Any, **__: Any) -> None:
    raise NotImplementedError("D4RL's own viewers are not available; make the environment with render_mode='rgb_array'")


def install() -> ModuleType:
    """Make `import mujoco_py` import this stand-in, also where the real one is installed."""
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
