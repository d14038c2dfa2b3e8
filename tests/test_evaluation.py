"""Evaluation: episodes in lock-step give what episodes alone give."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time

import gymnasium
import numpy as np
import pytest
import torch

from sfbc_core import SfBC, evaluate, load_task
from sfbc_core.evaluation import episode_seed
from sfbc_core.randomness import standard_normal

CAR = load_task("bidirectional-car")


class Noisy:
    """Drives right with noise of its own in each row."""

    def __init__(self):
        self.calls = []

    def act(self, observations, generator=None):
        self.calls.append(len(observations))
        return (0.9 + 0.3 * standard_normal((len(observations), 1), generator)).clamp(-1, 1)


def test_results_do_not_depend_on_how_many_run_together():
    runs = [evaluate(Noisy(), CAR, 7, seed=5, at_once=at_once) for at_once in (1, 3, 7, None)]
    for other in runs[1:]:
        for name in ("returns", "lengths", "final_observations", "terminated"):
            np.testing.assert_array_equal(getattr(runs[0], name), getattr(other, name))
    first_two = evaluate(Noisy(), CAR, 2, seed=5)
    np.testing.assert_array_equal(first_two.lengths, runs[0].lengths[:2])


def test_a_learned_agent_does_not_depend_on_company_either(tiny_sfbc, walk):
    """The car's states and actions have 2 and 1 coordinates: cut the tiny data set to fit."""
    from sfbc_core import Trajectories

    data = walk.tensors()
    data["observations"], data["actions"] = data["observations"][:, :2], data["actions"][:, :1]
    agent = SfBC(tiny_sfbc).fit(Trajectories(**data))
    alone, together = (evaluate(agent, CAR, 2, seed=1, at_once=n) for n in (1, 2))
    np.testing.assert_array_equal(alone.lengths, together.lengths)
    # A matrix product may round a row differently in another batch: the last float32 digits are all that may differ.
    np.testing.assert_allclose(alone.final_observations, together.final_observations, atol=1e-4)


def test_another_seed_gives_other_episodes():
    first, second = evaluate(Noisy(), CAR, 4, seed=0), evaluate(Noisy(), CAR, 4, seed=1)
    assert not np.array_equal(first.final_observations, second.final_observations)


def test_one_call_a_step_and_finished_episodes_drop_out():
    agent = Noisy()
    results = evaluate(agent, CAR, 6, seed=2)
    assert len(agent.calls) == results.lengths.max()
    assert sum(agent.calls) == results.lengths.sum()
    assert results.terminated.all() and (results.returns == 1).all()


class CountingEnv(gymnasium.Env):
    """Reward 1, 2, 3, …; ends by itself after a drawn number of steps, or is cut after 4."""

    observation_space = gymnasium.spaces.Box(-10, 10, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.steps = int(self.np_random.integers(1, 7)), 0
        return np.array([self.left], dtype=np.float32), {}

    def step(self, action):
        self.steps += 1
        done = self.steps == self.left
        return np.array([self.steps], dtype=np.float32), float(self.steps), done, self.steps == 4 and not done, {}


class CountingTask:
    def make_env(self):
        return CountingEnv()


class Still:
    def __init__(self, action=None):
        self.action = action

    def act(self, observations, generator=None):
        return torch.zeros(len(observations), 1) if self.action is None else self.action


def test_returns_lengths_and_endings_add_up():
    results = evaluate(Still(), CountingTask(), 30, seed=0)
    assert set(results.lengths) == {1, 2, 3, 4}
    np.testing.assert_array_equal(results.returns, results.lengths * (results.lengths + 1) / 2)
    assert results.terminated[results.lengths < 4].all()
    assert not results.terminated.all(), "the draw should include episodes that were cut"


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("action", "episodes", "message"),
    [
        (torch.zeros(2, 1), 3, r"actions of shape \(3, 1\), got \(2, 1\)"),
        (torch.full((3, 1), torch.nan), 3, "NaN or infinite"),
        (None, 0, "at least 1 episode, got 0"),
    ],
)
def test_bad_agents_are_reported(action, episodes, message):
    with pytest.raises(ValueError, match=message):
        evaluate(Still(action), CountingTask(), episodes, seed=0)


# ---- worker processes ------------------------------------------------------------------------------------------------


def assert_same(one, other):
    for name in ("returns", "lengths", "final_observations", "terminated"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.slow
def test_results_are_the_same_for_any_number_of_workers():
    """And so are the batches that the agent sees: one call a step, without the episodes that are over."""
    here = Noisy()
    expected = evaluate(here, CAR, 7, seed=5)
    for workers, at_once in ((1, None), (3, None), (2, 3)):
        agent = Noisy()
        assert_same(evaluate(agent, CAR, 7, seed=5, workers=workers, at_once=at_once), expected)
        assert at_once or agent.calls == here.calls
    assert not multiprocessing.active_children()


def dying_task(how, seed=0):
    """A task, defined where only its code can be sent to a worker; its episode 3 goes wrong at the second step."""

    class Env(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-10, 10, (1,))
        action_space = gymnasium.spaces.Box(-1, 1, (1,))

        def reset(self, *, seed=None, options=None):
            self.seed, self.steps = seed, 0
            return np.zeros(1, dtype=np.float32), {}

        def step(self, action):
            self.steps += 1
            if self.seed == fatal and self.steps == 2:
                if how == "exit":
                    os._exit(7)
                raise ValueError("the floor is missing")
            return np.zeros(1, dtype=np.float32), 1.0, self.steps == 4, False, {}

    class DyingTask:
        name = "dying"

        def make_env(self):
            return Env()

    fatal = episode_seed(seed, 3)
    return DyingTask()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", r"died with exit code 7; the last it touched was episode 3 \(seed {}\) of task 'dying'"),
        ("raise", r"(?s)episode 3 \(seed {}\) of task 'dying' failed in its worker.*the floor is missing"),
    ],
)
def test_a_worker_that_fails_is_reported_with_its_episode(how, message):
    with pytest.raises(RuntimeError, match=message.format(episode_seed(0, 3))):
        evaluate(Still(), dying_task(how), 5, seed=0, workers=2)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_killed_worker_is_reported():
    class Killer(Still):
        def act(self, observations, generator=None):
            multiprocessing.active_children()[0].kill()
            return super().act(observations)

    with pytest.raises(RuntimeError, match=r"died with exit code -9; .* episode \d \(seed \d+\) of task 'toy-maze'"):
        evaluate(Killer(torch.zeros(4, 2)), load_task("toy-maze"), 4, seed=0, workers=2)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_an_agent_that_fails_leaves_no_workers_behind():
    with pytest.raises(ValueError, match="NaN or infinite"):
        evaluate(Still(torch.full((3, 1), torch.nan)), CAR, 3, seed=0, workers=2)
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="looks for processes as on Linux and macOS")
def test_workers_end_with_their_parent():
    """Also when the parent is killed and cannot clean up."""
    program = (
        "import multiprocessing, os, torch\n"
        "from sfbc_core import evaluate, load_task\n"
        "class Agent:\n"
        "    def act(self, observations, generator=None):\n"
        "        print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "        os.kill(os.getpid(), 9)\n"
        "if __name__ == '__main__':\n"
        "    evaluate(Agent(), load_task('toy-maze'), 2, seed=0, workers=2)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    workers = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -9 and len(workers) == 2
    deadline = time.monotonic() + 30
    while (alive := [pid for pid in workers if _is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended, but whose new parent has not asked about it, still has a number.
    stat = f"/proc/{pid}/stat"
    return not os.path.exists(stat) or open(stat).read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("workers", [0, -1])
def test_the_number_of_workers_is_checked(workers):
    with pytest.raises(ValueError, match=rf"at least 1 worker, or None to use this process, got {workers}"):
        evaluate(Still(), CountingTask(), 2, seed=0, workers=workers)
