"""Locomotion with D4RL's recipe: a trained policy whose actions are sampled, in D4RL's environment.

D4RL's "medium" data comes from a partly trained soft actor-critic and "expert" from a fully trained one; "medium-expert" is
one after the other. The policies behind D4RL's own files are not in its package, so the data is as good as the policies
that the user brings. "medium-replay", which is what an agent saw during its training, cannot be made from policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sfbc_core.tasks.d4rl.environments import D4RLEnv
from sfbc_core.tasks.d4rl.regeneration.policies import TanhGaussianPolicy
from sfbc_core.tasks.d4rl.regeneration.recorders import Columns, EpisodeRecorder, stacked

TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "next_observations": np.float32,
    "terminals": bool,
    "timeouts": bool,
    "infos/qpos": np.float64,
    "infos/qvel": np.float64,
}


class LocomotionRecorder(EpisodeRecorder):
    """Records episodes of hopper, halfcheetah or walker2d.

    Args:
        task: D4RL's name, such as "hopper-medium-v2".
        seed: the same seed makes the same recording, on the same kind of processor.
        steps: total number of rows.
        policies: each of them records an equal part of the rows, one after the other.
    """

    def __init__(self, task: str, seed: int, steps: int, policies: Sequence[TanhGaussianPolicy]) -> None:
        super().__init__(seed, tuple(steps * (i + 1) // len(policies) for i in range(len(policies))))
        self._env = D4RLEnv(task)
        self._policies = policies

    def episode(self, seeds: np.random.SeedSequence, part: int, longest: int) -> Columns:
        """One episode of at most `longest` rows with the policy of the given part."""
        start, actions = seeds.spawn(2)
        generator = np.random.default_rng(actions)
        policy, data = self._policies[part], self._env.d4rl_env.sim.data
        observation, _ = self._env.reset(seed=int(start.generate_state(1)[0]))
        rows: list[dict[str, Any]] = []
        over = False
        while not over and len(rows) < longest:
            action = policy.sample(observation, generator)
            row = {"observations": observation, "actions": action}
            row |= {"infos/qpos": data.qpos.copy(), "infos/qvel": data.qvel.copy()}
            # The recorded action, in double precision, so the environment computes with exactly these numbers.
            observation, reward, terminated, truncated, _ = self._env.step(action.astype(np.float64))
            row |= {"rewards": reward, "next_observations": observation}
            rows.append(row | {"terminals": terminated, "timeouts": truncated})
            over = terminated or truncated
        return stacked(rows, TYPES)
