"""D4RL's environments, unmodified, behind the gymnasium API."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from sfbc_core.tasks.d4rl.installation import import_d4rl, maze_files_removed


@contextmanager
def numpy_randomness(own: np.random.RandomState) -> Iterator[None]:
    """Inside, numpy's global randomness is `own`, which moves on; outside it is as if nothing had been drawn.

    D4RL draws from it in its ant mazes and in its waypoint controllers. The global state belongs to all threads: two that
    do this at once can disturb each other.
    """
    outside = np.random.get_state()  # noqa: NPY002 the legacy global state is what D4RL uses
    np.random.set_state(own.get_state())  # noqa: NPY002
    try:
        yield
    finally:
        own.set_state(np.random.get_state())  # noqa: NPY002
        np.random.set_state(outside)  # noqa: NPY002


class D4RLEnv(gymnasium.Env):
    """One of D4RL's environments: its physics, rewards, starts, goals, endings and time limit.

    Observations and actions are vectors; actions in [-1, 1] (D4RL clips what lies outside). Where D4RL ends an episode it is
    terminated; where its time limit does, truncated. ``reset(seed=s)`` decides all that follows, to the bit, and nothing
    here reads or moves numpy's global random state.

    Attributes:
        max_episode_steps: D4RL's time limit.
        d4rl_env: the environment below all wrappers, with `sim`, `set_state` and, in mazes, the goal.

    Args:
        name: D4RL's name, such as "hopper-medium-v2". The data set in it is of no consequence here.
        render_mode: None, or "rgb_array" for :meth:`render`, which needs OpenGL but no screen.

    Raises:
        ImportError: D4RL is not installed.
        ValueError: an unknown name or render mode.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, name: str, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.name, self.render_mode = name, render_mode
        self._numpy_random = np.random.RandomState()
        self._env = self._make(name)
        self.max_episode_steps: int = self._env.spec.max_episode_steps
        core = self._env.unwrapped
        while "_wrapped_env" in vars(core):  # D4RL's own kind of wrapper, through which gym does not look
            core = core._wrapped_env
        self.d4rl_env = core
        # D4RL declares single precision in places; what comes is double precision everywhere.
        declared = self._env.observation_space
        self.observation_space = spaces.Box(
            declared.low.astype(np.float64), declared.high.astype(np.float64), dtype=np.float64
        )
        self.action_space = spaces.Box(-1.0, 1.0, self._env.action_space.shape, np.float32)
        self.metadata = {**self.metadata, "render_fps": round(1 / core.dt)}
        self._renderer = None

    def _make(self, name: str) -> Any:
        import_d4rl()
        import gym

        if name not in gym.envs.registry.env_specs:
            raise ValueError(f"D4RL has no environment {name!r}")
        # An ant maze draws its first goal when it is made; the kitchen makes numpy warn a hundred times.
        with numpy_randomness(self._numpy_random), maze_files_removed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gym.make(name)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, " obs"], dict[str, Any]]:
        """Start an episode, with the starts and goals that follow from the last seed given.

        Args:
            seed: any integer >= 0; None goes on with the present randomness.
            options: D4RL has none: None or empty.

        Returns:
            The observation, shape (obs,), and an empty dict.

        Raises:
            ValueError: there are options.
        """
        if options:
            raise ValueError(f"D4RL's environments take no options, got {options}")
        super().reset(seed=seed)
        if seed is not None:
            # At the core: the wrapper of the ant mazes would keep the seed to itself.
            self.d4rl_env.seed(int(seed))
            self._numpy_random.seed(int(seed) % 2**32)
        with numpy_randomness(self._numpy_random):
            observation = self._env.reset()
        return np.asarray(observation, dtype=np.float64), {}

    def step(
        self, action: Float[np.ndarray, " act"]
    ) -> tuple[Float[np.ndarray, " obs"], float, bool, bool, dict[str, Any]]:
        """One step of D4RL's environment.

        Args:
            action: shape (act,).

        Returns:
            Observation (obs,), reward, terminated, truncated and D4RL's info.

        Raises:
            ValueError: an action of another shape, or NaN or infinite: the simulator would start over without a word.
            MujocoException: the simulation became unstable; the kitchen, which dm_control simulates, does not tell. The
                exception is that of :mod:`sfbc_core.tasks.d4rl.mujoco_stand_in`.
        """
        action = np.asarray(action)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"expected {self.action_space.shape[0]} finite numbers as an action, got {action}")
        observation, reward, done, info = self._env.step(action)
        # gym's TimeLimit sets this where it, and not the environment, ended the episode.
        truncated = bool(info.pop("TimeLimit.truncated", False))
        return np.asarray(observation, dtype=np.float64), float(reward), bool(done) and not truncated, truncated, info

    def render(self) -> np.ndarray | None:
        """A picture of the present state, (480, 480, 3) bytes; None without a render mode.

        Raises:
            RuntimeError: there is no OpenGL to draw with.
        """
        if self.render_mode is None:
            return None
        if self._renderer is None:
            from sfbc_core.tasks.d4rl.rendering import Renderer

            self._renderer = Renderer(self.d4rl_env)
        return self._renderer.render()

    def close(self) -> None:
        """Free the simulation's and the renderer's memory."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        self._env.close()


def make_d4rl_env(name: str, render_mode: str | None = None) -> gymnasium.Env:
    """D4RL's environment `name` with the gymnasium API; arguments and errors as of :class:`D4RLEnv`."""
    return D4RLEnv(name, render_mode)
