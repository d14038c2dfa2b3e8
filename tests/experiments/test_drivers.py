"""What is measured of the drivers: against an agent whose every answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sfbc_core import TrainingConfig, evaluate, load_task
from sfbc_core.experiments import Trial, drivers
from sfbc_core.methods import Method
from sfbc_core.methods.cloning import BCConfig
from sfbc_core.tasks.two_way_bandit import true_q


class Straight(Method):
    """Drives at one throttle, to the right from the middle on and to the left before it; it learns nothing."""

    config_type = BCConfig

    def __init__(self, size: float = 1.0, width: int = 2) -> None:
        super().__init__()
        self.fitted, self.size, self.width = True, size, width

    def learn(self, data, run, progress):
        raise NotImplementedError

    def decide(self, observations, generator):
        return torch.where(observations[:, :1] >= 0, self.size, -self.size)

    def models(self):
        tensors = {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}
        part = SimpleNamespace(tensors=lambda: tensors, observation_dim=self.width, observation_dtype=torch.float32)
        return {"a": part, "b": part}


TASK, DATA = load_task("bidirectional-car"), load_task("bidirectional-car").load_trajectories(transitions=400)
TRIAL = Trial(TASK.name, BCConfig(training=TrainingConfig(1)), episodes=5, transitions=20_000)


def test_the_parameters_are_counted():
    assert drivers.parameters(TRIAL, Straight(), TASK, DATA) == 30


def test_the_map_has_a_row_for_each_speed():
    rows = np.array(drivers.throttle_map(TRIAL, Straight(), TASK, DATA))
    assert rows.shape == (len(drivers.SPEEDS), len(drivers.POSITIONS))
    assert (rows == np.where(drivers.POSITIONS >= 0, 1, -1)).all()


def test_the_throttles_in_the_middle():
    rows = np.array(drivers.throttle_in_the_middle(TRIAL, Straight(), TASK, DATA))
    assert rows.shape == (len(drivers.MIDDLE), drivers.DRAWS) and (rows == 1).all()


def test_a_watched_agent_does_the_same_and_every_step_is_kept():
    watched = drivers.Watched(Straight())
    results = evaluate(watched, TASK, 5, 0)
    plain = evaluate(Straight(), TASK, 5, 0)
    assert np.array_equal(results.returns, plain.returns) and (results.returns == 1).all()
    assert sum(len(part) for part in watched.states) == results.lengths.sum() == len(torch.cat(watched.actions))
    assert (torch.cat(watched.actions).abs() == 1).all()


def test_who_drives_as_the_data_do_stays_with_them_and_who_does_not_leaves_them():
    data = TASK.load_trajectories(transitions=20_000)
    resolute = drivers.support_of_drives(TRIAL, Straight(), TASK, data)
    idle = drivers.support_of_drives(TRIAL, Straight(0.0), TASK, data)
    shares = []
    for found in (resolute, idle):
        for kind in ("any", "fast"):
            lengths = {len(column) for column in found[kind].values()}
            assert len(lengths) == 1 and 100 < lengths.pop() <= drivers.ASKED
            assert set(found[kind]["far"]) <= {0, 1}
        assert min(found["fast"]["v"]) >= drivers.FAST
        shares.append(np.mean(found["fast"]["far"]))
    assert resolute["fast"]["x"] == idle["fast"]["x"]  # the same states for every driver
    assert shares[0] < 0.3 < 0.6 < shares[1]
    assert idle["driven"]["far_pairs"] < 0.05  # it stands where others have stood


def test_the_actions_of_the_bandit():
    task = load_task("two-way-bandit")
    found = drivers.actions_of_the_bandit(TRIAL, Straight(0.0, width=1), task, task.load_trajectories(10))
    assert found["off_data"] == 1 and found["actions"] == [0.0] * drivers.PLAYED
    assert found["earn"] == pytest.approx(float(true_q(torch.zeros(1).double())))
    found = drivers.actions_of_the_bandit(TRIAL, Straight(0.6, width=1), task, task.load_trajectories(10))
    assert found["off_data"] == 0 and found["earn"] == pytest.approx(float(true_q(torch.tensor(0.6).double())))
