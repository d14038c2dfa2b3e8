"""Pictures of D4RL's simulations, drawn without a screen."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import mujoco
import numpy as np

from sfbc_core.tasks.d4rl.mazes import wall_boxes

SIZE = 480  # pixels of a side; the height of the frame buffer that MuJoCo makes by default
GOAL_COLOR = np.array([0.1, 0.7, 0.2, 0.6], dtype=np.float32)


class Renderer:
    """Draws one environment.

    OpenGL is taken from EGL or OSMesa, whichever works; the variable `MUJOCO_GL` (egl, osmesa or glfw) chooses.

    Args:
        d4rl_env: D4RL's environment below all wrappers.

    Raises:
        RuntimeError: no OpenGL works here.
    """

    def __init__(self, d4rl_env: Any) -> None:
        self._env = d4rl_env
        self._model, self._data = d4rl_env.sim.model.ptr, d4rl_env.sim.data.ptr
        # The bindings decide on an OpenGL when they are imported, and would want a screen by default.
        self._gl = _gl_context()
        self._gl.make_current()
        self._scene = mujoco.MjvScene(self._model, maxgeom=2000)
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._camera = _camera(self._model, self._data)

    def render(self) -> np.ndarray:
        """The present state, (480, 480, 3) bytes."""
        self._gl.make_current()
        if hasattr(self._env, "set_marker"):  # maze2d moves its mark to the goal with every step, but not at a reset
            self._env.set_marker()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, self._data, mujoco.MjvOption(), None, self._camera, everything, self._scene)
        if (goal := getattr(self._env, "target_goal", None)) is not None:  # an ant maze does not show its goal
            self._add_sphere(np.array([*goal, 0.5]))
        whole = mujoco.MjrRect(0, 0, SIZE, SIZE)
        picture = np.empty((SIZE, SIZE, 3), dtype=np.uint8)
        mujoco.mjr_render(whole, self._scene, self._context)
        mujoco.mjr_readPixels(picture, None, whole, self._context)
        return picture[::-1].copy()  # OpenGL's first row is the lowest

    def _add_sphere(self, position: np.ndarray) -> None:
        radius = np.full(3, 0.5)  # how near the goal has to be
        kind = mujoco.mjtGeom.mjGEOM_SPHERE
        mujoco.mjv_initGeom(self._scene.geoms[self._scene.ngeom], kind, radius, position, np.eye(3).ravel(), GOAL_COLOR)
        self._scene.ngeom += 1

    def close(self) -> None:
        """Free the OpenGL context."""
        self._context.free()
        self._gl.free()


def _gl_context() -> Any:
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    # Elsewhere than on Linux, the system's own OpenGL needs no screen and glfw reaches it.
    kinds = [chosen] if chosen else ["egl", "osmesa"] if sys.platform == "linux" else ["glfw"]
    failures = []
    for kind in kinds:
        try:
            if kind not in ("egl", "osmesa", "glfw"):
                raise ValueError("expected egl, osmesa or glfw")
            return import_module(f"mujoco.{kind}").GLContext(SIZE, SIZE)
        except Exception as error:  # each kind fails in its own way: ImportError, AttributeError, RuntimeError …
            failures.append(f"{kind}: {error!r}")
    raise RuntimeError(
        "rendering needs OpenGL, and none works here. Install EGL (Debian: libegl1) or OSMesa (libosmesa6), or choose one "
        f"that is there with the variable MUJOCO_GL. Tried {'; '.join(failures)}"
    )


def _camera(model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
    """The model's own camera on the running robot, a view from above on a maze, or D4RL's view of the kitchen."""
    camera = mujoco.MjvCamera()
    if boxes := wall_boxes(model):
        centers, half_sizes = data.geom_xpos[boxes], model.geom_size[boxes]
        low, high = (centers - half_sizes).min(0), (centers + half_sizes).max(0)
        camera.lookat[:] = (low + high) / 2
        angle = np.radians(model.vis.global_.fovy)
        camera.distance = 1.05 * (high - low)[:2].max() / (2 * np.tan(angle / 2))
        camera.azimuth, camera.elevation = 90, -90
    elif (track := mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "track")) >= 0:
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, track
    else:
        camera.lookat[:] = (-0.2, 0.5, 2.0)
        camera.distance, camera.azimuth, camera.elevation = 2.2, 70, -35
    return camera
