"""Is Q right about the candidates of a state? Each is tried there, and what follows is earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.environments import EnvironmentSource
from sfbc_core.evaluation import Agent, episode_generator, episode_seed, observation_dtype
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods.sfbc import SfBC
from sfbc_core.randomness import make_generator
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

# By profile: moments that are looked at, candidates in each, and how often each candidate is tried.
SIZES = {"smoke": (1, 2, 2), "quick": (10, 16, 4), "full": (50, 32, 8)}
FOLLOWED = {"selection": "sample", "alpha": 20.0}  # the policy whose values Q should be: that of the plans (Eq. 13)


@dataclass(frozen=True)
class Place:
    """A moment of an episode, at which others can start: an environment with the same seed and actions comes there again."""

    env_seed: int
    actions: Float[np.ndarray, "T act"]  # that led there
    observation: Float[np.ndarray, " obs"]

    def come_again(self, env: Any) -> Float[np.ndarray, " obs"]:
        """Bring an environment of the same task there.

        Raises:
            ValueError: it comes to another place: what happens in it does not follow from its seed and the actions.
        """
        observation, _ = env.reset(seed=self.env_seed)
        for action in self.actions:
            observation, *_ = env.step(action)
        if not np.array_equal(observation, self.observation):
            raise ValueError(f"expected to come to {self.observation} again, got {observation}")
        return observation


def places(agent: Agent, task: EnvironmentSource, count: int, seed: int) -> list[Place]:
    """One moment from each of `count` episodes of an agent, drawn uniformly from its steps."""
    env, found = task.make_env(), []
    for number in range(count):
        env_seed, generator = episode_seed(seed, number), episode_generator(seed, number)
        observation, _ = env.reset(seed=env_seed)
        seen, actions, over = [], [], False
        while not over:
            seen.append(observation)
            state = torch.from_numpy(observation).to(observation_dtype(agent))[None]
            action = agent.act(state, [generator])[0].cpu().numpy()
            actions.append(action)
            observation, _, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
        moment = int(torch.randint(len(seen), (1,), generator=make_generator(seed, "moment", number)))
        before = np.stack(actions)[:moment]
        found.append(Place(env_seed, before, np.asarray(seen[moment])))
    env.close()
    return found


def earnings(
    agent: Agent, envs: list[Any], place: Place, first: Float[Tensor, "M act"], discount: float, seed: int
) -> Float[np.ndarray, "R M"]:
    """Discounted returns from a place, after each of M first actions, followed by an agent until the episode ends.

    Args:
        agent: what follows the first action.
        envs: R · M environments of the task, in which all rollouts run side by side.
        place: where they start.
        first: the first actions.
        discount: γ.
        seed: of what the agent draws; the r-th rollout draws the same after each first action.

    Returns:
        Shape (R, M): R rollouts for each first action.

    Raises:
        ValueError: a number of environments that is no multiple of M, or one that does not come to the place again.
    """
    count = len(first)
    if not envs or len(envs) % count:
        raise ValueError(f"expected a multiple of {count} environments, one for each first action, got {len(envs)}")
    for env in envs:
        place.come_again(env)
    generators = [episode_generator(seed, row // count) for row in range(len(envs))]
    actions = first.cpu().numpy()[np.arange(len(envs)) % count]
    earned, weight, running = np.zeros(len(envs)), 1.0, np.arange(len(envs))
    while len(running):
        observations, still = [], []
        for row, action in zip(running, actions, strict=True):
            observation, reward, terminated, truncated, _ = envs[row].step(action)
            earned[row] += weight * reward
            if not (terminated or truncated):
                observations.append(observation)
                still.append(row)
        weight *= discount
        running = np.array(still, dtype=np.int64)
        if still:
            states = torch.from_numpy(np.stack(observations)).to(observation_dtype(agent))
            actions = agent.act(states, [generators[row] for row in still]).cpu().numpy()
    return earned.reshape(-1, count)


def order_of_candidates(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> list[dict[str, Any]]:
    """What Q promises of candidates, and what is earned after them by the softmax policy whose values it should be.

    Returns:
        For each place its `position` (the first two coordinates), and for each candidate there the `promised` Q, the mean
        that is `earned`, and the standard `error` of this mean.
    """
    moments, tried, tries = SIZES[trial.profile]
    follower, found = agent.acting(**FOLLOWED), []
    envs = [task.make_env() for _ in range(tried * tries)]
    for number, place in enumerate(places(follower, task, moments, trial.seed)):
        generator = make_generator(trial.seed, "tried", number)
        state = torch.from_numpy(place.observation).to(observation_dtype(agent))[None]
        candidates, promised = agent.candidates(state, tried, generator)
        earned = earnings(follower, envs, place, candidates[0], agent.config.discount, trial.seed + 1 + number)
        found.append(
            {
                "position": place.observation[:2].round(2).tolist(),
                "promised": promised[0].double().cpu().numpy().round(5).tolist(),
                "earned": earned.mean(0).round(5).tolist(),
                "error": (earned.std(0, ddof=1) / np.sqrt(len(earned))).round(5).tolist(),
            }
        )
    for env in envs:
        env.close()
    return found


def summary_of_order(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What :func:`order_of_candidates` found, in a few numbers, each a mean over the places.

    Args:
        found: its answer; the places, with two candidates or more in each.

    Returns:
        `rank correlation` of promised and earned among the candidates of a place, over the places where not all earned the
        same, with its `error`; `promised gain` and `earned gain`, of the candidate with the largest Q over the mean of its
        place, the latter with its `gain error`; `not chance`, the share of the variance of what is earned in a place that
        standard errors do not explain. It is a lower bound, and can be negative: the tries of a place share their draws, so
        the errors of its candidates may have a part in common. The two errors are standard errors over places. NaN where
        there are too few places.
    """
    correlations, promised_gains, earned_gains, variances, chances = [], [], [], [], []
    for place in found:
        promised, earned = np.array(place["promised"]), np.array(place["earned"])
        if np.ptp(earned) > 0 and np.ptp(promised) > 0:
            correlations.append(pd.Series(promised).corr(pd.Series(earned), method="spearman"))
        best = int(promised.argmax())
        promised_gains.append(promised[best] - promised.mean())
        earned_gains.append(earned[best] - earned.mean())
        variances.append(earned.var(ddof=1))
        chances.append(np.square(place["error"]).mean())
    correlation, gain = pd.Series(correlations, dtype=float), pd.Series(earned_gains)
    return {
        "rank correlation": float(correlation.mean()),
        "error": float(correlation.sem()),
        "promised gain": float(np.mean(promised_gains)),
        "earned gain": float(gain.mean()),
        "gain error": float(gain.sem()),
        "not chance": float(1 - np.sum(chances) / np.sum(variances)) if np.sum(variances) > 0 else float("nan"),
    }
