"""Pictures of D4RL's simulations, drawn without a screen."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import mujoco
import numpy as np

from sfbc_core.tasks.d4rl.mazes import wall_boxes

SIZE = 480  # pixels per side; MuJoCo's default frame buffer is this high
GOAL_COLOR = np.array([0.1, 0.7, 0.2, 0.6], dtype=np.float32)


class Renderer:
    """Draws one environment.

    It uses OpenGL from EGL or OSMesa, whichever works; the environment variable `MUJOCO_GL` (egl, osmesa, glfw) chooses.

    Args:
        d4rl_env: D4RL's environment below all wrappers.

    Raises:
        RuntimeError: no OpenGL works on this machine.
    """

    def __init__(self, d4rl_env: Any) -> None:
        self._env = d4rl_env
        self._model, self._data = d4rl_env.sim.model.ptr, d4rl_env.sim.data.ptr
        # Not left to the bindings, which by default take an OpenGL that needs a screen.
        self._gl = _gl_context()
        self._gl.make_current()
        self._scene = mujoco.MjvScene(self._model, maxgeom=2000)
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._camera = _camera(self._model, self._data)

    def render(self) -> np.ndarray:
        """The present state, (480, 480, 3) bytes."""
        self._gl.make_current()
        if hasattr(self._env, "set_marker"):  # maze2d puts its mark on the goal at every step, but not at a reset
            self._env.set_marker()
        all_kinds = mujoco.mjtCatBit.mjCAT_ALL  # of geoms
        mujoco.mjv_updateScene(self._model, self._data, mujoco.MjvOption(), None, self._camera, all_kinds, self._scene)
        if (goal := getattr(self._env, "target_goal", None)) is not None:  # antmaze does not draw its goal
            self._add_sphere(np.array([*goal, 0.5]))
        whole = mujoco.MjrRect(0, 0, SIZE, SIZE)
        picture = np.empty((SIZE, SIZE, 3), dtype=np.uint8)
        mujoco.mjr_render(whole, self._scene, self._context)
        mujoco.mjr_readPixels(picture, None, whole, self._context)
        return picture[::-1].copy()  # OpenGL starts with the bottom row

    def _add_sphere(self, position: np.ndarray) -> None:
        size = np.full(3, 0.5)  # the distance within which the goal counts as reached
        sphere = mujoco.mjtGeom.mjGEOM_SPHERE
        mujoco.mjv_initGeom(self._scene.geoms[self._scene.ngeom], sphere, size, position, np.eye(3).ravel(), GOAL_COLOR)
        self._scene.ngeom += 1

    def close(self) -> None:
        """Free the OpenGL context."""
        self._context.free()
        self._gl.free()


def _gl_context() -> Any:
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    # On other systems than Linux, glfw gives access to the system's OpenGL, which needs no screen.
    kinds = [chosen] if chosen else ["egl", "osmesa"] if sys.platform == "linux" else ["glfw"]
    failures = []
    for kind in kinds:
        try:
            if kind not in ("egl", "osmesa", "glfw"):
                raise ValueError("expected egl, osmesa or glfw")
            return import_module(f"mujoco.{kind}").GLContext(SIZE, SIZE)
        except Exception as error:  # each fails in its own way: ImportError, AttributeError, RuntimeError …
            failures.append(f"{kind}: {error!r}")
    raise RuntimeError(
        "rendering needs OpenGL, and none works here. Install EGL (Debian: libegl1) or OSMesa (libosmesa6), or choose one "
        f"that is there with the environment variable MUJOCO_GL. Tried {'; '.join(failures)}"
    )


def _camera(model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
    """A maze seen from above, a running robot from the model's own camera, or the kitchen as D4RL shows it."""
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
