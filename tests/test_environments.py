"""What environments return is not believed: each wrong answer is an error in words, and each plain one is accepted."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, OrderEnforcing, TimeLimit

from sfbc_core import evaluate, load_task
from sfbc_core.arrays import whole_number
from sfbc_core.environments import step_limit

pytestmark = pytest.mark.usefixtures("untyped")  # what a user sees is our own errors


class Still:
    def act(self, observations, generator=None):
        return torch.zeros(len(observations), 1)


class Scripted(gymnasium.Env):
    """Five steps with a reward of 1, and an observation of the number of the step, twice.

    Args:
        change: (the five values of a step, the number of the step) -> what `step` returns in their place.
        start: what `reset` returns in place of (observation, info).
    """

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1, 1, (1,))
    max_episode_steps = 5

    def __init__(self, change=lambda values, step: values, start=None):
        self.change, self.start = change, start

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return (np.zeros(2), {}) if self.start is None else self.start

    def step(self, action):
        self.steps += 1
        return self.change((np.full(2, float(self.steps)), 1.0, self.steps == 5, False, {}), self.steps)


def run(make_env, episodes=3, **options):
    return evaluate(Still(), SimpleNamespace(make_env=make_env), episodes, 0, **options)


def run_with_one_wrong(change=None, start=None, wrong=1):
    """Three episodes; the environment of episode `wrong` is another."""
    made = []

    def make_env():
        made.append(None)
        return Scripted(change or (lambda values, step: values), start) if len(made) - 1 == wrong else Scripted()

    return run(make_env)


def put(place, value, at=3):
    """Put `value` into that place of what a step returns, at step `at`."""
    return lambda values, step: (*values[:place], value, *values[place + 1 :]) if step == at else values


OBSERVATION, REWARD, TERMINATED, TRUNCATED = range(4)


# Wrong answers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda values, step: values[:3] + values[4:],
            r"episode 1, step 1: expected \(observation, reward, terminated, truncated, info\) from step, got a tuple of 4 "
            r"values \(ndarray, float, bool, dict\); .* old API .* shimmy",
        ),
        (lambda values, step: values + values[-1:] if step == 2 else values, "step 2: expected .* a tuple of 6 values"),
        (lambda values, step: values[0], r"expected .* from step, got a ndarray of shape \(2,\)"),
        (lambda values, step: None, "expected .* from step, got None"),
        # The old API with a value too many: the info lies where truncated is looked for.
        (put(TRUNCATED, {}), "step 3: expected True or False for truncated, got a dict of 0 values"),
        (put(TERMINATED, None), "step 3: expected True or False for terminated, got None"),
        (put(TERMINATED, 2), "expected True or False for terminated, got 2"),
        (put(TERMINATED, 1.0), "expected True or False for terminated, got 1.0"),
        (put(REWARD, "1.0"), r"step 3: expected one number as the reward, got '1.0' \(str\)"),
        (put(REWARD, None), "expected one number as the reward, got None"),
        (put(REWARD, np.ones(2)), r"expected one number as the reward, got a ndarray of shape \(2,\)"),
        (put(REWARD, np.nan), "episode 1, step 3: expected a finite reward, got nan"),
        (put(REWARD, -np.inf), "episode 1, step 3: expected a finite reward, got -inf"),
        (put(OBSERVATION, np.ones(1)), r"step 3: expected an observation of shape \(2,\), .*, got \(1,\)"),
        (put(OBSERVATION, np.ones(3)), r"expected an observation of shape \(2,\), .*, got \(3,\)"),
        (put(OBSERVATION, np.ones((2, 1))), r"expected a 1-D array .* got a ndarray of shape \(2, 1\)"),
        (put(OBSERVATION, 1.0), "expected a 1-D array .* got 1.0; gymnasium.wrappers.FlattenObservation"),
        (put(OBSERVATION, np.array(["a", "b"])), "expected a 1-D array of numbers .* dtype <U1"),
        (put(OBSERVATION, {"x": np.ones(2)}), r"got a dict of 1 values \(x\); gymnasium.wrappers.FlattenObservation"),
        (put(OBSERVATION, (np.ones(2), np.ones(3))), "got a tuple of 2 values .*FlattenObservation"),
        (put(OBSERVATION, None), "expected a 1-D array of numbers as the observation, got None"),
        (
            put(OBSERVATION, np.array([0, np.nan])),
            "episode 1, step 3: expected a finite observation, got nan in its coordinate 1",
        ),
        (put(OBSERVATION, np.array([np.inf, 0])), "expected a finite observation, got inf in its coordinate 0"),
        # Finite, but not in the agent's precision.
        (put(OBSERVATION, np.array([0, 1e300])), "got inf in its coordinate 1, as float32"),
    ],
)
def test_a_wrong_step_is_an_error_that_says_what_came_and_when(change, message):
    with pytest.raises(ValueError, match=message):
        run_with_one_wrong(change)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            np.zeros(2),
            r"episode 1, reset: expected \(observation, info\) from reset, got a ndarray of shape \(2,\) .*shimmy",
        ),
        ((np.zeros(2), {}, {}), "from reset, got a tuple of 3 values"),
        ((1.0, 2.0), r"from reset, got a tuple of 2 values \(float, float\)"),
        (({"x": np.zeros(2)}, {}), "episode 1, reset: expected a 1-D array .* got a dict .*FlattenObservation"),
        ((np.zeros((8, 8, 3)), {}), r"got a ndarray of shape \(8, 8, 3\) and dtype float64; .*FlattenObservation"),
        ((3, {}), "expected a 1-D array of numbers as the observation, got 3; .*FlattenObservation"),
        ((np.zeros(3), {}), r"expected an observation of shape \(2,\), as at the first reset, got \(3,\)"),
        ((np.array([np.nan, 0]), {}), "episode 1, reset: expected a finite observation, got nan in its coordinate 0"),
    ],
)
def test_a_wrong_reset_is_an_error(start, message):
    with pytest.raises(ValueError, match=message):
        run_with_one_wrong(start=start)


def test_a_wrong_episode_is_named_by_its_number_in_the_whole_evaluation():
    def make_env():
        made.append(None)
        return Scripted(put(REWARD, np.nan, at=2)) if len(made) == 6 else Scripted()

    made: list[None] = []
    with pytest.raises(ValueError, match="episode 5, step 2: expected a finite reward"):
        run(make_env, episodes=8, side_by_side=2)


def test_a_reset_without_a_seed_is_that_of_the_old_api():
    class Old(Scripted):
        def reset(self):
            return np.zeros(2)

    with pytest.raises(TypeError, match=r"episode 0, reset: reset must take the keyword seed, .* old API of gym"):
        run(Old)


def test_an_error_of_the_environment_itself_is_left_as_it_is():
    class Broken(Scripted):
        def reset(self, *, seed=None, options=None):
            raise TypeError("a mistake in here")

    with pytest.raises(TypeError, match=r"^a mistake in here$"):
        run(Broken)


def test_the_named_wrapper_makes_a_dict_fit():
    class Dict(Scripted):
        observation_space = spaces.Dict(position=spaces.Box(-9, 9, (1,)), speed=spaces.Box(-9, 9, (2,)))

        def reset(self, *, seed=None, options=None):
            super().reset()
            return self.seen(), {}

        def seen(self):
            return {"position": np.ones(1, dtype=np.float32), "speed": np.zeros(2, dtype=np.float32)}

        def step(self, action):
            return self.seen(), *super().step(action)[1:]

    with pytest.raises(ValueError, match=r"got a dict of 2 values \(position, speed\); .*FlattenObservation"):
        run(Dict)
    assert run(lambda: FlattenObservation(Dict())).final_observations.tolist() == [[1, 0, 0]] * 3


# One environment for several episodes


def test_one_environment_for_all_episodes_is_refused():
    env = Scripted()
    message = "make_env gave episodes 0 and 1, which run side by side, one and the same environment: .* side_by_side=1"
    for make_env in (lambda: env, lambda: TimeLimit(env, 5), lambda: OrderEnforcing(TimeLimit(env, 3))):
        with pytest.raises(ValueError, match=message):
            run(make_env)
    # One after the other, they do not disturb each other.
    assert run(lambda: env, side_by_side=1).lengths.tolist() == [5, 5, 5]


# What is passed as a task


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            Scripted(),
            "expected a task, whose make_env.. makes a new .*, got the environment <Scripted instance>: load_task",
        ),
        (Scripted, r"got the class Scripted: .*types.SimpleNamespace\(make_env=MyEnv\)"),
        ("toy-maze", r"got a str: load_task\(name\)"),
    ],
)
def test_what_is_no_task_is_refused(task, message):
    with pytest.raises(TypeError, match=message):
        evaluate(Still(), task, 3, 0)


@pytest.mark.parametrize(
    ("make_env", "message"),
    [
        (lambda: None, "make_env must return an environment with gymnasium's API, got a NoneType without reset, step"),
        (lambda: Scripted, "got the class Scripted"),
    ],
)
def test_what_is_no_environment_is_refused(make_env, message):
    with pytest.raises(TypeError, match=message):
        run(make_env)


def test_environments_are_closed_also_after_an_error():
    closed = []

    class Closing(Scripted):
        def close(self):
            closed.append(self)

    run(Closing)
    assert len(closed) == 3
    with pytest.raises(ValueError, match="finite reward"):
        run(lambda: Closing(put(REWARD, np.nan)))
    assert len(closed) == 6


# What is accepted


@pytest.mark.parametrize(
    "change",
    [
        lambda o, r, e, c, i: (o, np.array([r]), e, c, i),
        lambda o, r, e, c, i: (o, np.array(r, dtype=np.float32), e, c, i),
        lambda o, r, e, c, i: (o, int(r), np.bool_(e), np.array(c), i),
        lambda o, r, e, c, i: (o, np.float64(r), int(e), np.array([c]), i),
        lambda o, r, e, c, i: (o, torch.tensor(r), torch.tensor(e), c, i),
        lambda o, r, e, c, i: (o.tolist(), r, e, c, i),
        lambda o, r, e, c, i: [o.astype(int), r, e, c, i],
        lambda o, r, e, c, i: (torch.tensor(o), r, e, c, i),
    ],
)
@pytest.mark.parametrize("everywhere", [True, False])
def test_what_plainly_means_the_same_gives_the_same(change, everywhere):
    def changed(values, step):
        return change(*values)

    expected = run(Scripted)
    results = run(lambda: Scripted(changed)) if everywhere else run_with_one_wrong(changed)
    for name in ("returns", "lengths", "final_observations", "terminated"):
        np.testing.assert_array_equal(getattr(results, name), getattr(expected, name))
        assert getattr(results, name).dtype == getattr(expected, name).dtype


# Limits


class Endless(Scripted):
    """It never ends by itself, and says nothing of a limit."""

    max_episode_steps = None

    def __init__(self):
        super().__init__(lambda values, step: (*values[:2], False, False, {}))


def test_an_environment_without_a_limit_asks_for_one():
    with pytest.raises(ValueError, match=r"<Endless instance> says nowhere .* give evaluate max_steps=…"):
        run(Endless)
    results = run(Endless, max_steps=7)
    assert results.lengths.tolist() == [7, 7, 7] and not results.terminated.any()


def test_max_steps_truncates_and_an_end_at_that_step_is_still_an_end():
    for max_steps, length, terminated in ((3, 3, False), (5, 5, True), (9, 5, True), (None, 5, True)):
        results = run(Scripted, max_steps=max_steps)
        assert results.lengths.tolist() == [length] * 3 and (results.terminated == terminated).all()
        assert (results.returns == length).all() and (results.final_observations == length).all()


def test_each_environment_has_its_own_limit():
    limits = iter((4, 2, 6))

    def make_env():
        env = Endless()
        env.max_episode_steps = next(limits)
        return env

    assert run(make_env).lengths.tolist() == [4, 2, 6]


def test_where_a_limit_is_looked_for():
    class Private(Endless):
        _max_episode_steps = 8

    class Nonsense(Endless):
        max_episode_steps = np.inf
        _max_episode_steps = "many"

    assert step_limit(Endless()) is None and step_limit(Nonsense()) is None
    assert step_limit(Scripted()) == step_limit(OrderEnforcing(Scripted())) == 5
    assert step_limit(Private()) == step_limit(OrderEnforcing(OrderEnforcing(Private()))) == 8
    assert step_limit(TimeLimit(Endless(), 6)) == 6
    # The wrapper's, not that of what it wraps; the environment's spec first, with what the wrapper made of it.
    assert step_limit(OrderEnforcing(TimeLimit(Scripted(), 9))) == 9
    assert step_limit(gymnasium.make("sfbc/ToyMaze-v0", max_episode_steps=70)) == 70
    assert step_limit(TimeLimit(gymnasium.make("sfbc/ToyMaze-v0"), 60)) == 60


@pytest.mark.parametrize("name", ["bidirectional-car", "bidirectional-car-single-side", "toy-maze"])
def test_our_own_environments_say_their_limit(name):
    env = load_task(name).make_env()
    assert env.get_wrapper_attr("max_episode_steps") == env.spec.max_episode_steps == step_limit(env) == 100
    assert step_limit(env.unwrapped) == 100, "also without gymnasium's TimeLimit"


# Counts


@pytest.mark.parametrize("name", ["episodes", "side_by_side", "max_steps"])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("20", r"must be a whole number, got '20' \(str\)"),
        (2.5, r"must be a whole number, got 2.5 \(float\)"),
        (np.nan, "must be a whole number, got nan"),
        (True, "must be a whole number, got True"),
        ([3], r"must be a whole number, got \[3\]"),
        (0, "must be at least 1, got 0"),
        (-2.0, "must be at least 1, got -2"),
    ],
)
def test_what_is_no_count_is_refused(name, number, message):
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        run(Scripted, **{name: number})


def test_whole_numbers_of_any_type_are_counts():
    assert [whole_number(number) for number in (20, 20.0, np.int64(20), np.float32(20))] == [20] * 4
    for number in (3.0, np.int64(3), np.uint8(3), np.float32(3)):
        results = run(Scripted, episodes=number, side_by_side=number, max_steps=number)
        assert results.lengths.tolist() == [3, 3, 3]


# Precision


class Precise(Still):
    """Notes what it sees."""

    def __init__(self, dtype=None):
        self.seen = []
        if dtype is not None:
            self.observation_dtype = dtype

    def act(self, observations, generator=None):
        self.seen.append(observations)
        return super().act(observations)


@pytest.mark.parametrize(
    ("dtype", "kept_as"),
    [(None, np.float32), (torch.float32, np.float32), (torch.float64, np.float64), (torch.bfloat16, np.float32)],
)
def test_an_agent_sees_observations_in_the_precision_that_it_asks_for(dtype, kept_as):
    def shown(step):
        return np.full(2, step + 1 / 3)  # a number in no binary precision

    agent = Precise(dtype)
    task = SimpleNamespace(
        make_env=lambda: Scripted(lambda values, step: (shown(step), *values[1:]), start=(shown(0), {}))
    )
    results = evaluate(agent, task, 1, 0)
    assert len(agent.seen) == 5
    for step, seen in enumerate(agent.seen):
        assert torch.equal(seen[0], torch.from_numpy(shown(step)).to(dtype or torch.float32))
    assert results.final_observations.dtype == kept_as
    np.testing.assert_array_equal(results.final_observations[0], shown(5).astype(kept_as))


@pytest.mark.parametrize("dtype", [torch.int64, "float64", np.float64, None])
def test_another_observation_dtype_is_refused(dtype):
    agent = Precise()
    agent.observation_dtype = dtype
    with pytest.raises(TypeError, match=r"observation_dtype must be one such as torch.float64, got "):
        evaluate(agent, SimpleNamespace(make_env=Scripted), 2, 0)
