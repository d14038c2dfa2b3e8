"""The paper's settings and numbers, against Appendix B.1 and Table 1."""

from __future__ import annotations

import pytest

from sfbc_core import task_names
from sfbc_core.experiments import paper_config, paper_settings, reported
from sfbc_core.experiments.paper import ReportedScore, public_score, reported_numbers

D4RL = [name for name in task_names() if name.endswith(("-v0", "-v1", "-v2")) and "/" not in name]


def test_hyper_parameters_are_the_papers():
    """Appendix B.1, and Section 6.1 for the actions averaged in locomotion."""
    assert len(D4RL) == 21
    for name in D4RL:
        paper, locomotion, ant = paper_settings(name), name.endswith("-v2") and "ant" not in name, "antmaze" in name
        assert paper.averaged == (4 if locomotion else 1), name
        assert paper.critic_hidden == ((512, 256, 256) if ant and "large" in name else (256, 256)), name
        assert paper.evaluation_episodes == (100 if ant else 20), name
        assert paper.trials == (4 if ant or locomotion else 3), name
        if locomotion or "kitchen" in name:
            assert paper.planning_iterations == 2, name
        else:
            assert paper.planning_iterations == (4 if "umaze" in name else 5), name
    assert paper_settings("regen/antmaze-umaze-v2") == paper_settings("antmaze-umaze-v2")
    with pytest.raises(ValueError, match="unknown task 'chess'"):
        paper_settings("chess")


def test_the_papers_config_of_a_task():
    hopper, ant = paper_config("hopper-medium-v2", seed=2), paper_config("antmaze-large-play-v2")
    assert (hopper.selection, hopper.averaged, hopper.seed) == ("mean_of_best", 4, 2)
    assert (ant.selection, ant.critic.hidden, ant.planning_iterations) == ("greedy", (512, 256, 256), 5)
    assert hopper.behavior.training.gradient_steps == 586_000 and hopper.critic.training.epochs == 100
    assert paper_config("hopper-medium-v2", planning_iterations=1).planning_iterations == 1


def test_reported_scores_come_with_their_deviations_or_not_at_all():
    assert reported("halfcheetah-medium-expert-v2").mean == 92.6
    assert reported("regen/halfcheetah-medium-expert-v2", "DT").mean == 86.8
    assert reported("halfcheetah-medium-expert-v2", "VEM") is None, "not available is not zero"
    assert reported("halfcheetah-medium-expert-v2", "gaussian", table=4).deviation == 1.4
    assert reported("toy-maze") is None
    with pytest.raises(ValueError, match="table must be 1 or 4, got 3"):
        reported("hopper-medium-v2", table=3)
    assert set(D4RL) < set(reported_numbers()["table_1"])


def test_public_scores_by_task_and_method():
    assert public_score("regen/maze2d-umaze-v1", "TD3+BC") == ReportedScore(29.41, 12.31)
    assert public_score("hopper-medium-expert-v2", "DT").mean == 110.44
    assert public_score("hopper-medium-expert-v2", "SfBC") is None
    assert public_score("toy-maze", "BC") is None
