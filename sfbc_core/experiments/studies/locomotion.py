"""The study of locomotion: a hopper from medium and expert recordings, and how its actions are selected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfbc_core.critic import QCritic
from sfbc_core.experiments.playback import record_episode
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.studies.common import (
    cpu_agent,
    mean_score,
    rounded,
    selection_scores,
    smoke_agent,
    stand_in_data,
)
from sfbc_core.experiments.study import Study
from sfbc_core.experiments.trial import TrialConfig
from sfbc_core.methods.sfbc import SfBC, SfBCConfig
from sfbc_core.tasks import load_task
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

TASK = "hopper-medium-expert-v2"
MEAN_OF = 12  # candidates that the agent averages below "full"; the paper's four are among the other ways
# Other ways to act with the same models. With α = 0 the candidate is drawn without a look at Q: the behavior model alone.
SELECTIONS = {
    "any candidate": {"selection": "sample", "alpha": 0.0},
    "softmax, α = 20": {"selection": "sample", "alpha": 20.0},
    "best of 32": {"selection": "greedy"},
    "mean of the best 4": {"selection": "mean_of_best", "averaged": 4},
}


def agent_config(profile: str, seed: int) -> SfBCConfig:
    """SfBC at the size of a profile; the paper's at "full"."""
    paper = load_task(TASK).config
    shared = {"planning_iterations": paper.planning_iterations, "selection": "mean_of_best", "seed": seed}
    if profile == "full":
        return SfBCConfig(averaged=paper.actions_averaged, **shared)
    # More than half of the expert's episodes end in a timeout. What that does to the first critic is shown in chapter 11.
    shared |= {"averaged": MEAN_OF, "unknown_share": 0.1}
    if profile == "smoke":
        return smoke_agent(num_candidates=16, **shared)
    return cpu_agent(
        widths=(256, 128, 64), behavior_steps=8_000, critic_steps=4_000, behavior_rate=2e-3, value_every=10, **shared
    )


def trials(profile: str) -> Sequence[TrialConfig]:
    """The mixture with every seed."""
    return [
        TrialConfig(
            f"regen/{TASK}",
            agent_config(profile, seed),
            episodes=choose(profile, smoke=2, quick=20, full=20),
            profile=profile,
            every_iteration=True,
        )
        for seed in range(choose(profile, smoke=2, quick=3, full=4))
    ]


def look(config: TrialConfig, agent: SfBC, task: Task, trajectories: Trajectories) -> dict[str, Any]:
    """Scores of other selections after each iteration and of a critic of all returns, and episodes."""
    return {
        "selections": [
            selection_scores(agent.acting(iteration=k), SELECTIONS, task, config.episodes)
            for k in range(1, config.agent.planning_iterations + 1)
        ],
        "all_returns": score_with_all_returns(config, agent, task, trajectories),
        "episode_scores": rounded(task.normalized_score(trajectories.episode_returns.numpy()), 2),
        "episode_lengths": trajectories.episode_lengths.tolist(),
        "episodes": {"last": record_episode(agent, task, config.agent.seed)},
    }


def score_with_all_returns(
    config: TrialConfig, agent: SfBC, task: Task, trajectories: Trajectories
) -> dict[str, float]:
    """The first iteration with a critic that learned from every return, those that a timeout cut among them.

    Returns:
        `score`, the mean score; `residual`, the root mean squared error of this critic over all returns; `known`, that of
        the agent's own critic over the returns that it learned from; both in units of reward.
    """
    other = agent.acting(iteration=1)
    own = other.critic
    if config.agent.unknown_share < 1:  # or else its own critic is the one of all returns
        critic = QCritic(config.agent.critic, config.agent.seed, agent.device)
        other.critics = [critic.fit(trajectories, agent.targets[0])]
    return {
        "score": mean_score(other, task, config.episodes),
        "residual": residual(other.critic),
        "known": residual(own),
    }


def residual(critic: QCritic) -> float:
    """Root mean squared error of a critic's network over the last ten entries of its history, in units of reward."""
    return float(np.sqrt(np.mean(critic.history[-10:])) * critic.scale)


def small_data(folder: Path) -> None:
    """Data by two hoppers that have learned nothing."""
    stand_in_data(folder, TASK, observation_dim=11, action_dim=3, policies=2, steps=600)


STUDY = Study("locomotion", trials, look, small_data)
