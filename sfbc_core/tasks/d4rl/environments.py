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
def numpy_randomness(generator: np.random.RandomState) -> Iterator[None]:
    """Let `generator` stand in for numpy's global random state, which is afterwards as it was before.

    D4RL draws from the global state in its ant mazes and in its waypoint controllers. All threads share that state, so two
    that do this at the same time can disturb each other.
    """
    before = np.random.get_state()  # noqa: NPY002 the legacy global state is what D4RL uses
    np.random.set_state(generator.get_state())  # noqa: NPY002
    try:
        yield
    finally:
        generator.set_state(np.random.get_state())  # noqa: NPY002
        np.random.set_state(before)  # noqa: NPY002


class D4RLEnv(gymnasium.Env):
    """One of D4RL's environments, with D4RL's physics, rewards, starts, goals, endings and time limit.

    Observations and actions are vectors; actions lie in [-1, 1], and D4RL clips others. An episode is truncated if D4RL's
    time limit ends it, and terminated if anything else does. ``reset(seed=s)`` decides everything that follows, to the bit.
    Nothing here depends on numpy's global random state or changes it.

    Attributes:
        max_episode_steps: D4RL's time limit.
        d4rl_env: D4RL's environment inside all of its wrappers, with `sim`, `set_state` and, in mazes, the goal.

    Args:
        name: D4RL's name, such as "hopper-medium-v2". The data set in the name makes no difference here.
        render_mode: None, or "rgb_array" for :meth:`render`, which needs OpenGL but no screen.

    Raises:
        ImportError: D4RL is not installed.
        ValueError: D4RL has no environment of that name, or the render mode is unknown.
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
        while "_wrapped_env" in vars(
            core
        ):  # a wrapper of D4RL's own kind, which gym's `unwrapped` does not see through
            core = core._wrapped_env
        self.d4rl_env = core
        # Some of D4RL's environments declare single precision, but all of them return double precision.
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
        # The ant mazes draw a first goal when they are made, and the kitchen makes numpy warn a hundred times.
        with numpy_randomness(self._numpy_random), maze_files_removed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gym.make(name)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, " obs"], dict[str, Any]]:
        """Start an episode. Its start and goal follow from the last seed, and how many episodes there were since.

        Args:
            seed: any integer >= 0; None goes on with the random numbers that follow from the last one.
            options: must be None or empty, since D4RL has no options.

        Returns:
            The observation, shape (obs,), and an empty dict.

        Raises:
            ValueError: options were given.
        """
        if options:
            raise ValueError(f"D4RL's environments take no options, got {options}")
        super().reset(seed=seed)
        if seed is not None:
            # Directly, because the wrapper of the ant mazes does not pass the seed on.
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
            The observation (obs,), the reward, terminated, truncated and D4RL's info.

        Raises:
            ValueError: the action has another shape or is not finite, at which the simulator would silently start over.
            MujocoException: the simulation became unstable. It is the class in
                :mod:`sfbc_core.tasks.d4rl.mujoco_stand_in`. The kitchen, which dm_control simulates, does not raise it.
        """
        action = np.asarray(action)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"expected {self.action_space.shape[0]} finite numbers as an action, got {action}")
        observation, reward, done, info = self._env.step(action)
        # gym's TimeLimit sets this if it ended the episode, and not the environment.
        truncated = bool(info.pop("TimeLimit.truncated", False))
        return np.asarray(observation, dtype=np.float64), float(reward), bool(done) and not truncated, truncated, info

    def render(self) -> np.ndarray | None:
        """A picture of the current state, (480, 480, 3) bytes; None without a render mode.

        Raises:
            RuntimeError: no OpenGL works on this machine.
        """
        if self.render_mode is None:
            return None
        if self._renderer is None:
            from sfbc_core.tasks.d4rl.rendering import Renderer

            self._renderer = Renderer(self.d4rl_env)
        return self._renderer.render()

    def close(self) -> None:
        """Free the memory of the simulation and of the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        self._env.close()


def make_d4rl_env(name: str, render_mode: str | None = None) -> gymnasium.Env:
    """D4RL's environment `name` with the gymnasium API; for arguments and errors, see :class:`D4RLEnv`."""
    return D4RLEnv(name, render_mode)
