"""Environments in lock-step. What they return is checked before anyone believes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
from jaxtyping import Bool, Float, Int

from sfbc_core.arrays import whole_number

NUMBERS = "fiub"  # the kinds of numpy's dtypes that an observation or a reward may have
OLD_API = "for an environment with the old API of gym there is shimmy's GymV21CompatibilityV0"


@runtime_checkable
class EnvironmentSource(Protocol):
    """Whatever makes fresh environments, such as a task."""

    def make_env(self) -> gymnasium.Env:
        """A new environment with the gymnasium API; another one at every call."""


def step_limit(env: gymnasium.Env) -> int | None:
    """After how many steps `env` says that an episode is cut off; None where it does not say so.

    It is ``env.spec.max_episode_steps``, else the attribute `max_episode_steps` or `_max_episode_steps` of the outermost
    wrapper that has one, or of the environment inside.
    """
    found = [getattr(getattr(env, "spec", None), "max_episode_steps", None)]
    # Layer by layer: `get_wrapper_attr` would find one name deep inside before the other name on a TimeLimit around it.
    while env is not None:
        found += [getattr(env, "max_episode_steps", None), getattr(env, "_max_episode_steps", None)]
        env = env.env if isinstance(env, gymnasium.Wrapper) else None
    limits = (whole_number(value) for value in found)
    return next((limit for limit in limits if limit is not None and limit >= 1), None)


class Environments:
    """One environment for each of E episodes, all at the same step; closed at the end of a ``with`` block.

    Args:
        task: makes the environments.
        episodes: the numbers of the episodes, for messages.
        dtype: of the observations.
        max_steps: after how many steps an episode is truncated; by default each environment's own limit.

    Raises:
        TypeError: `task` has no method make_env.
    """

    def __init__(
        self, task: EnvironmentSource, episodes: Sequence[int], dtype: type = np.float32, max_steps: int | None = None
    ) -> None:
        if not callable(getattr(task, "make_env", None)):
            raise TypeError(
                f"expected a task, whose make_env() makes a new environment for each episode, got {_described(task)}: "
                "load_task(name) gives one, and types.SimpleNamespace(make_env=MyEnv) is one for a class of your own"
            )
        self._task, self._episodes, self._dtype, self._max_steps = task, episodes, dtype, max_steps
        self._envs: list[gymnasium.Env] = []
        self._steps = 0

    def __enter__(self) -> Environments:
        return self

    def __exit__(self, *error: object) -> None:
        for env in self._envs:
            env.close()

    def reset(self, seeds: Sequence[int]) -> Float[np.ndarray, "E obs"]:
        """Make all environments and start their episodes, each with its own seed; once only.

        Raises:
            TypeError: no environment came from the task, or one whose `reset` takes no seed.
            ValueError: one environment for two episodes, none that says its limit, or a wrong or infinite observation.
        """
        limits, first, cores = [], [], {}
        for episode, seed in zip(self._episodes, seeds, strict=True):
            env = _checked_environment(self._task.make_env())
            core = id(getattr(env, "unwrapped", env))
            if core in cores:
                raise ValueError(
                    f"make_env gave episodes {cores[core]} and {episode}, which run side by side, one and the same "
                    "environment: it must return a new one at every call (or evaluate with side_by_side=1)"
                )
            cores[core] = episode
            self._envs.append(env)
            limits.append(step_limit(env) if self._max_steps is None else self._max_steps)
            if limits[-1] is None:
                raise ValueError(
                    f"{_described(env)} says nowhere after how many steps an episode is cut off (spec.max_episode_steps, "
                    "max_episode_steps or _max_episode_steps), so that one might never end: give evaluate max_steps=…"
                )
            shape = first[0].shape if first else None
            first.append(_first_observation(env, seed, shape, f"episode {episode}, reset"))
        self._limits, self._shortest = np.array(limits), min(limits)
        self._shape = first[0].shape
        return self._finite(np.stack(first), range(len(first)))

    @property
    def action_shape(self) -> tuple[int, ...]:
        """The shape of an action."""
        return self._envs[0].action_space.shape

    def step(
        self, rows: Int[np.ndarray, " R"], actions: np.ndarray
    ) -> tuple[Float[np.ndarray, "R obs"], Float[np.ndarray, " R"], Bool[np.ndarray, " R"], Bool[np.ndarray, " R"]]:
        """One step of those of the E episodes that still run: observations, rewards, terminated and truncated.

        Raises:
            ValueError: an environment returned something else; the message names the episode and the step.
        """
        results = [self._envs[row].step(action) for row, action in zip(rows, actions, strict=True)]
        self._steps += 1
        values = _all_at_once(results, self._shape)
        if values is None:  # something is unusual: find out what, with time for it
            ones = [
                _one_by_one(result, self._shape, self._place(row)) for row, result in zip(rows, results, strict=True)
            ]
            values = tuple(np.array(column) for column in zip(*ones, strict=True))
        observations, rewards, terminated, truncated = values
        observations = self._finite(observations, rows)
        if not np.isfinite(rewards).all():
            wrong = int(np.argmin(np.isfinite(rewards)))
            raise ValueError(f"{self._place(rows[wrong])}: expected a finite reward, got {rewards[wrong]}")
        if self._steps >= self._shortest:
            truncated = truncated | (self._steps >= self._limits[rows])
        return observations, rewards, terminated, truncated

    def _place(self, row: int) -> str:
        return f"episode {self._episodes[row]}, {f'step {self._steps}' if self._steps else 'reset'}"

    def _finite(self, observations: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        if observations.dtype != self._dtype:
            with np.errstate(over="ignore"):  # what is too large for the dtype is infinite in it, and reported as such
                observations = observations.astype(self._dtype)
        finite = np.isfinite(observations)
        if not finite.all():
            row, coordinate = np.argwhere(~finite)[0]
            raise ValueError(
                f"{self._place(rows[row])}: expected a finite observation, got {observations[row, coordinate]} in its "
                f"coordinate {coordinate}, as {observations.dtype}"
            )
        return observations


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"the environment {value}" if isinstance(value, gymnasium.Env) else f"a {type(value).__name__}"


def _checked_environment(env: Any) -> gymnasium.Env:
    missing = [name for name in ("reset", "step", "close", "action_space") if not hasattr(env, name)]
    if isinstance(env, type) or missing:
        without = f" without {', '.join(missing)}" if missing else ""
        raise TypeError(f"make_env must return an environment with gymnasium's API, got {_described(env)}{without}")
    return env


def _first_observation(env: gymnasium.Env, seed: int, shape: tuple[int, ...] | None, place: str) -> np.ndarray:
    try:
        result = env.reset(seed=seed)
    except TypeError as error:
        if "unexpected keyword argument 'seed'" not in str(error):
            raise
        raise TypeError(f"{place}: reset must take the keyword seed, as gymnasium's does; {OLD_API}") from error
    if not isinstance(result, tuple | list) or len(result) != 2 or not isinstance(result[1], Mapping):
        raise ValueError(f"{place}: expected (observation, info) from reset, got {_shown(result)}; {OLD_API}")
    return _observation(result[0], shape, place)


def _all_at_once(results: list[Any], shape: tuple[int, ...]) -> tuple[np.ndarray, ...] | None:
    """Observations, rewards, terminated and truncated of many steps; None unless all are just what they should be."""
    try:
        *columns, _ = zip(*results, strict=True)
        observations, rewards, terminated, truncated = (np.array(column) for column in columns)
    except (TypeError, ValueError, RuntimeError):  # another number of values, ragged shapes, what is no array
        return None
    if observations.shape != (len(results), *shape) or observations.dtype.kind not in NUMBERS:
        return None
    if rewards.dtype.kind not in NUMBERS or terminated.dtype != bool or truncated.dtype != bool:
        return None
    shapes = ((len(results),), (len(results), 1))
    if rewards.shape not in shapes or terminated.shape not in shapes or truncated.shape not in shapes:
        return None
    return observations, rewards.astype(np.float64).ravel(), terminated.ravel(), truncated.ravel()


def _one_by_one(result: Any, shape: tuple[int, ...], place: str) -> tuple[np.ndarray, float, bool, bool]:
    """What one step returned, or an error that says what is wrong with it."""
    if not isinstance(result, tuple | list) or len(result) != 5:
        expected = "(observation, reward, terminated, truncated, info)"
        raise ValueError(f"{place}: expected {expected} from step, got {_shown(result)}; {OLD_API}")
    observation = _observation(result[0], shape, place)
    reward = _number(result[1])
    if reward is None:
        raise ValueError(f"{place}: expected one number as the reward, got {_shown(result[1])}")
    flags = [_number(value, "biu") for value in result[2:4]]
    for name, flag, value in zip(("terminated", "truncated"), flags, result[2:4], strict=True):
        if flag is None or flag not in (0, 1):
            raise ValueError(f"{place}: expected True or False for {name}, got {_shown(value)}")
    return observation, float(reward), bool(flags[0]), bool(flags[1])


def _observation(value: Any, shape: tuple[int, ...] | None, place: str) -> np.ndarray:
    array = None if isinstance(value, Mapping) else _array(value)
    if array is None or array.ndim != 1:
        raise ValueError(
            f"{place}: expected a 1-D array of numbers as the observation, got {_shown(value)}; "
            "gymnasium.wrappers.FlattenObservation makes one of a dict, a tuple, a picture or a discrete state"
        )
    if shape is not None and array.shape != shape:
        raise ValueError(f"{place}: expected an observation of shape {shape}, as at the first reset, got {array.shape}")
    return array


def _number(value: Any, kinds: str = NUMBERS) -> Any:
    array = _array(value, kinds)
    return array.item() if array is not None and array.shape in ((), (1,)) else None


def _array(value: Any, kinds: str = NUMBERS) -> np.ndarray | None:
    """`value` as an array of these kinds of numbers, or None where it is none."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return array if array.dtype.kind in kinds else None


def _shown(value: Any) -> str:
    """`value` in a few words: what it is, how many or of which shape, and a short one itself."""
    if isinstance(value, tuple | list | Mapping):
        inside = list(value) if isinstance(value, Mapping) else [type(each).__name__ for each in value]
        return f"a {type(value).__name__} of {len(value)} values ({', '.join(map(str, inside[:6]))})"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)} and dtype {value.dtype}"
    return f"{str(value)[:40]!r} ({type(value).__name__})" if isinstance(value, str) else f"{str(value)[:40]}"
