"""An episode of an agent in one of D4RL's simulations, recorded so that it can be played back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sfbc_core.evaluation import Agent, episode_generator, episode_seed, observation_dtype, start_policy
from sfbc_core.tasks.registry import Task

DIGITS = 3  # of recorded positions: millimetres, where a maze's cell is a metre or four


def record_episode(agent: Agent, task: Task, seed: int, number: int = 0) -> dict[str, Any]:
    """An episode with the start, goal and draws of episode `number` of an evaluation, and all that a film needs.

    It may part from the evaluated one: that ran beside others, and the last digits of a batched matrix product can decide
    between candidates of nearly equal Q.

    Args:
        agent: see :class:`~sfbc_core.evaluation.Agent`.
        task: one of D4RL's tasks.
        seed, number: of the evaluation and the episode.

    Returns:
        `qpos`, the simulator's coordinates before every step, rounded, as lists; `return`, `length`, and `env_seed`, the
        seed with which the environment was reset.
    """
    env = task.make_env()
    env_seed = episode_seed(seed, number)
    observation, _ = env.reset(seed=env_seed)
    generators, policy, row = [episode_generator(seed, number)], start_policy(agent, 1), np.zeros(1, dtype=np.int64)
    dtype = observation_dtype(agent)
    positions, total, reward, over = [], 0.0, 0.0, False
    while not over:
        positions.append(env.d4rl_env.sim.data.qpos.round(DIGITS).tolist())
        observations, rewards = torch.from_numpy(observation).to(dtype)[None], torch.tensor([float(reward)])
        action = policy.step(row, observations, rewards, generators)[0].numpy()
        observation, reward, terminated, truncated, _ = env.step(action)
        total += reward
        over = terminated or truncated
    env.close()
    return {"qpos": positions, "return": total, "length": len(positions), "env_seed": env_seed}
