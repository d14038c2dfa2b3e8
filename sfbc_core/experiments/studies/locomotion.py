"""The study of locomotion: a hopper from medium and expert recordings, and how its actions are selected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfbc_core.experiments.clips import record_episode
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.studies.common import cpu_agent, rounded, selection_scores, smoke_agent, stand_in_data
from sfbc_core.experiments.study import Study
from sfbc_core.experiments.trial import TrialConfig
from sfbc_core.sfbc import SfBC
from sfbc_core.sfbc_config import SfBCConfig
from sfbc_core.tasks import load_task
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

TASK = "hopper-medium-expert-v2"
# Other ways to act with the same models. With α = 0 the candidate is drawn without a look at Q: the behavior model alone.
SELECTIONS = {
    "any candidate": {"selection": "sample", "alpha": 0.0},
    "softmax, α = 5": {"selection": "sample", "alpha": 5.0},
    "softmax, α = 20": {"selection": "sample", "alpha": 20.0},
    "best of 32": {"selection": "greedy"},
}


def agent_config(profile: str, seed: int) -> SfBCConfig:
    """SfBC at the size of a profile; the paper's at "full"."""
    paper = load_task(TASK).config
    shared = {
        "planning_iterations": paper.planning_iterations,
        "selection": "mean_of_best",
        "best": paper.actions_averaged,
        "seed": seed,
    }
    if profile == "full":
        return SfBCConfig(**shared)
    if profile == "smoke":
        return smoke_agent(num_candidates=16, **shared)
    return cpu_agent(
        widths=(128, 64, 32), behavior_steps=8_000, critic_steps=5_000, behavior_rate=3e-3, value_every=10, **shared
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
        for seed in range(choose(profile, smoke=2, quick=2, full=4))
    ]


def look(config: TrialConfig, agent: SfBC, task: Task, trajectories: Trajectories) -> dict[str, Any]:
    """Scores of other selections, scores of the recorded episodes, and an episode."""
    return {
        "selections": selection_scores(agent, SELECTIONS, task, config.episodes),
        "episode_scores": rounded(task.normalized_score(trajectories.episode_returns.numpy()), 2),
        "episodes": {"last": record_episode(agent, task, config.agent.seed)},
    }


def small_data(folder: Path) -> None:
    """Data by two hoppers that have learned nothing."""
    stand_in_data(folder, TASK, observation_dim=11, action_dim=3, policies=2, steps=600)


STUDY = Study("locomotion", trials, look, small_data)
