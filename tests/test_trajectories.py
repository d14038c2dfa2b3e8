"""Trajectories: what they refuse, how episodes end, and that nothing is lost on the way."""

from __future__ import annotations

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import CriticConfig, GaussianConfig, QCritic, TrainingConfig, Trajectories
from sfbc_core.behavior import GaussianBehavior
from sfbc_core.trajectories import ROWS_CHECKED_AT_ONCE


def columns(n: int = 4, **changes):
    """Valid columns of one episode, with some replaced."""
    terminals = np.zeros(n, dtype=bool)
    terminals[-1:] = True
    values = {
        "observations": np.arange(2.0 * n).reshape(n, 2),
        "actions": np.zeros((n, 1)),
        "rewards": np.ones(n),
        "terminals": terminals,
        "timeouts": np.zeros(n, dtype=bool),
    }
    return values | changes


def test_everything_becomes_contiguous_float32_and_bool():
    strided = np.arange(16.0).reshape(4, 4)[:, ::2]
    data = Trajectories(**columns(observations=strided, rewards=[1, 2, 3, 4], terminals=[0, 0, 0, 1]))
    for name in ("observations", "actions", "rewards"):
        tensor = getattr(data, name)
        assert tensor.dtype is torch.float32 and tensor.is_contiguous()
    assert data.terminals.dtype is torch.bool and data.timeouts.dtype is torch.bool
    assert data.observations.tolist() == strided.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.ones(3)}, r"same length, got .*'rewards': 3"),
        ({"observations": np.ones(4)}, r"observations must have 2 dimension\(s\), got shape \(4,\)"),
        ({"rewards": np.ones((4, 1))}, r"rewards must have 1 dimension\(s\), got shape \(4, 1\)"),
        (
            {"observations": np.array([[0, 0], [0, np.nan], [0, 0], [0, 0.0]])},
            "observations must be finite.*transition 1",
        ),
        ({"rewards": np.array([0, 0, np.inf, 0])}, "rewards must be finite.*transition 2"),
        ({"actions": np.array([[0.0], [0.0], [1.5], [-2.0]])}, r"within \[-1, 1\], got values from -2 to 1.5"),
        ({"terminals": np.array([0, 0, 2, 1])}, "terminals must hold flags"),
        ({"action_low": 1.0}, "action_low must be below action_high, got 1 and 1"),
    ],
)
def test_bad_columns_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Trajectories(**columns(**changes))


def test_the_first_bad_transition_is_named_also_beyond_the_first_block():
    n = 2 * ROWS_CHECKED_AT_ONCE + 3
    rewards = np.zeros(n)
    rewards[[ROWS_CHECKED_AT_ONCE + 5, n - 1]] = np.nan
    with pytest.raises(ValueError, match=f"rewards must be finite.* {ROWS_CHECKED_AT_ONCE + 5}$"):
        Trajectories(**columns(n, rewards=rewards))


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="empty data set"):
        Trajectories(**columns(0))


def test_declared_bounds_are_used():
    wide = Trajectories(**columns(actions=np.full((4, 1), 2.0), action_low=-2.0, action_high=2.0))
    assert wide.actions.max() == 2
    with pytest.raises(ValueError, match="got values from 2 to 2"):
        Trajectories(**columns(actions=np.full((4, 1), 2.0), action_low=-1.5, action_high=1.5))


EQUAL_BOUNDS = [
    (-2.0, 2.0),
    (-2, 2),
    (np.float32(-2), np.int64(2)),
    (np.array(-2.0), torch.tensor(2)),
    ([-2, -2], (2.0, 2.0)),
    (gymnasium.spaces.Box(-2, 2, (2,)).low, gymnasium.spaces.Box(-2, 2, (2,), dtype=np.float64).high),
]


@pytest.mark.parametrize(("low", "high"), EQUAL_BOUNDS)
def test_bounds_may_be_numbers_or_arrays_and_equal_ones_have_one_fingerprint(low, high):
    data = Trajectories(**columns(actions=np.full((4, 2), 2.0), action_low=low, action_high=high))
    assert data.action_low.dtype is torch.float32 and data.action_low.tolist() == [-2, -2]
    assert data.action_high.tolist() == [2, 2]
    first = Trajectories(**columns(actions=np.full((4, 2), 2.0), action_low=-2.0, action_high=2.0))
    assert data.fingerprint() == first.fingerprint()
    other = Trajectories(**columns(actions=np.full((4, 2), 2.0), action_low=-2.0, action_high=[2.0, 3.0]))
    assert other.fingerprint() != first.fingerprint()


def test_every_coordinate_has_its_own_bounds():
    actions = np.array([[-1.0, 0.0], [1.0, 100.0], [0.0, 50.0], [0.0, 7.0]])
    bounds = {"action_low": [-1.0, 0.0], "action_high": np.array([1.0, 100.0])}
    data = Trajectories(**columns(actions=actions, **bounds))
    for same in (data.to("cpu"), data.replace(rewards=torch.zeros(4)), data.select_episodes(torch.tensor([True]))):
        assert same.action_low.tolist() == [-1, 0] and same.action_high.tolist() == [1, 100]
    with pytest.raises(ValueError, match=r"within \[\(-1, 0\), \(1, 100\)\], got values from 0 to \(50, 0\)"):
        Trajectories(**columns(actions=np.array([[50.0, 0.0]] * 3 + [[0.0, 0.0]]), **bounds))


@pytest.mark.parametrize(
    ("low", "high", "error", "message"),
    [
        (-np.inf, np.inf, ValueError, "action_low must be finite, got -inf: declare the range"),
        (-1.0, [1.0, np.nan], ValueError, r"action_high must be finite, got \(1, nan\)"),
        ([-1.0, 2.0], 1.0, ValueError, r"below action_high, got \(-1, 2\) and 1"),
        ([-1.0] * 3, 1.0, ValueError, r"one number, or one for each of the 2 action coordinates, got shape \(3,\)"),
        ("-1", 1.0, TypeError, "action_low must hold real numbers, got str"),
        (None, 1.0, TypeError, "action_low must hold numbers, got None"),
    ],
)
def test_impossible_bounds_are_refused(untyped, low, high, error, message):
    with pytest.raises(error, match=message):
        Trajectories(**columns(actions=np.zeros((4, 2)), action_low=low, action_high=high))


@pytest.mark.parametrize(
    "observations",
    [
        pd.DataFrame({"x": [0.0, 2.0, 4.0, 6.0], "y": [1, 3, 5, 7]}),
        np.arange(8.0).reshape(4, 2)[::-1][::-1],  # negative strides, twice
        np.arange(8.0).reshape(4, 2).astype(object),
        np.arange(8.0).reshape(4, 2).astype(">f8"),
        np.arange(8.0).reshape(4, 2).astype(np.float16),
        np.arange(8, dtype=np.uint16).reshape(4, 2),
        torch.arange(8.0).reshape(4, 2).requires_grad_(),
        [[0, 1], [2, 3], [4, 5], [6, 7]],
    ],
    ids=["frame", "strides", "objects", "big-endian", "half", "uint16", "gradient", "lists"],
)
def test_whatever_holds_numbers_is_taken(untyped, observations):
    data = Trajectories(**columns(observations=observations))
    assert data.observations.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert not data.observations.requires_grad and data.observations.is_contiguous()


def test_backwards_rows_are_read_backwards():
    assert Trajectories(**columns(rewards=np.arange(4.0)[::-1])).rewards.tolist() == [3, 2, 1, 0]


FAR = np.array([[1e8 - 1, 0.1], [1e8, 0.1], [1e8 + 1, 0.1], [1e8, 0.1]])  # the second rests at a rounded number


def test_states_that_float32_cannot_tell_apart_are_kept_in_float64(recwarn):
    data = Trajectories(**columns(observations=FAR, next_observations=FAR + 1))
    (warning,) = recwarn
    assert (
        "kept in float64: float32 cannot tell the values of coordinate 0 apart; the first lie between 99999999"
        in str(warning.message)
    )
    assert warning.filename == __file__
    recwarn.clear()
    assert data.observations.tolist() == FAR.tolist() and data.next_observations.tolist() == (FAR + 1).tolist()
    assert data.select_episodes([True] * len(data.episode_ends)).observations.dtype is torch.float64
    resting = data.select_episodes([True])._with({name: tensor[1:2] for name, tensor in data.tensors().items()})
    again = resting.replace(rewards=[2.0], timeouts=[True])
    assert again.observations.tolist() == [[1e8, 0.1]] and again.observations.dtype is torch.float64
    assert again.next_observations.tolist() == (FAR[1:2] + 1).tolist()
    near = Trajectories(**columns(observations=FAR - [1e8, 0]))
    assert near.observations.dtype is torch.float32 and near.fingerprint() != data.fingerprint() and not recwarn


def test_what_float32_cannot_tell_apart_is_said_where_it_is_used_in_float32(recwarn):
    rewards = 1e8 + np.array([-1.0, 0.0, 1.0, 0.0])
    Trajectories(**columns(rewards=rewards))
    (warning,) = recwarn
    assert (
        "used in float32, which cannot tell the values of coordinate 0 apart: the first lie between 99999999 and"
        in str(warning.message)
    )
    assert warning.filename == __file__


def test_states_beyond_float32_are_refused_beside_such_too():
    states = np.column_stack([FAR[:, 0], [1e39, 0, 0, 0]])
    with pytest.raises(ValueError, match="observations must be finite, found NaN or infinity first at transition 0"):
        Trajectories(**columns(observations=states))


@pytest.mark.parametrize(
    "learn",
    [
        lambda data: GaussianBehavior(GaussianConfig(standardize_states=False, training=TrainingConfig(2))).fit(data),
        lambda data: QCritic(CriticConfig(standardize_states=False, training=TrainingConfig(2))).fit(
            data, data.rewards
        ),
    ],
    ids=["behavior", "critic"],
)
def test_states_that_are_not_standardised_are_used_in_float32_which_is_said(learn):
    with pytest.warns(UserWarning, match="are kept in float64"):
        data = Trajectories(**columns(observations=FAR))
    with pytest.warns(UserWarning, match=r"observations are used in float32, which cannot tell .* coordinate 0 apart"):
        learn(data)


def test_an_array_that_must_not_be_written_to_is_copied(recwarn):
    frozen = np.ones(4, dtype=np.float32)
    frozen.flags.writeable = False
    assert Trajectories(**columns(rewards=frozen)).rewards.tolist() == [1] * 4 and not recwarn


@pytest.mark.parametrize(
    ("rewards", "error", "message"),
    [
        (["1", "2", "3", "4"], TypeError, "rewards must hold real numbers, got list of dtype <U1"),
        (np.ones(4) * 1j, TypeError, "rewards must hold real numbers, got ndarray of dtype complex128"),
        (torch.ones(4) * 1j, TypeError, "rewards must hold real numbers, got torch.complex64"),
        (
            np.array([1, 2, 3, "four"], dtype=object),
            TypeError,
            "rewards must hold numbers, got ndarray of other things",
        ),
        (np.ma.array([1.0] * 4, mask=[0, 1, 0, 0]), TypeError, "rewards must hold a number everywhere"),
        ([[1.0], [1.0, 2.0]], ValueError, "rewards must be an array with rows of one length"),
        (None, TypeError, "rewards must hold numbers, got None"),
    ],
)
def test_what_holds_no_numbers_is_refused(untyped, rewards, error, message):
    with pytest.raises(error, match=message):
        Trajectories(**columns(rewards=rewards))


def test_no_timeouts_means_that_nothing_was_cut(untyped):
    rest = {name: value for name, value in columns().items() if name != "timeouts"}
    assert not Trajectories(**rest).timeouts.any() and not Trajectories(**rest, timeouts=None).timeouts.any()


def test_the_warning_points_at_the_line_of_the_user(untyped):
    with pytest.warns(UserWarning, match="treated as a timeout") as caught:
        Trajectories(**columns(terminals=np.zeros(4, dtype=bool)))
    assert caught[0].filename == __file__


def test_an_open_end_is_a_timeout_and_is_said_once():
    open_end = columns(terminals=np.zeros(4, dtype=bool))
    with pytest.warns(UserWarning, match="treated as a timeout") as caught:
        data = Trajectories(**open_end)
        moved = data.to("cpu").select_episodes(torch.tensor([True]))
    assert len(caught) == 1
    assert data.timeouts.tolist() == [False, False, False, True] and not data.terminals.any()
    assert moved.timeouts[-1]
    assert not open_end["timeouts"].any(), "the caller's array must stay as it was"


def test_episodes_by_hand():
    data = Trajectories(
        **columns(
            6,
            rewards=np.array([1, 2, 4, 8, 16, 32.0]),
            terminals=np.array([0, 1, 0, 0, 0, 0]),
            timeouts=np.array([0, 0, 0, 1, 0, 1]),
        )
    )
    assert data.episode_starts.tolist() == [0, 2, 4]
    assert data.episode_ends.tolist() == [1, 3, 5]
    assert data.episode_returns.tolist() == [3, 12, 48]
    kept = data.select_episodes(torch.tensor([True, False, True]))
    assert kept.rewards.tolist() == [1, 2, 16, 32]
    with pytest.raises(ValueError, match="one flag for each of the 3 episodes"):
        data.select_episodes(torch.tensor([True]))
    with pytest.raises(ValueError, match="no episode is kept"):
        data.select_episodes(torch.zeros(3, dtype=torch.bool))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_episodes_partition_the_data(flags):
    flags[-1] = (True, flags[-1][1])
    data = Trajectories(
        **columns(len(flags), terminals=np.array([f[0] for f in flags]), timeouts=np.array([f[1] for f in flags]))
    )
    assert data.episode_lengths.sum() == len(data) and (data.episode_lengths > 0).all()
    assert data.episode_starts[0] == 0
    everything = data.select_episodes(torch.ones(len(data.episode_ends), dtype=torch.bool))
    assert everything.fingerprint() == data.fingerprint()


def test_fingerprint_sees_every_column(walk):
    seen = {walk.fingerprint()}
    for name, tensor in walk.tensors().items():
        changed = tensor.clone()
        changed[1] = ~changed[1] if changed.dtype is torch.bool else changed[1] * 0.5
        seen.add(Trajectories(**(walk.tensors() | {name: changed})).fingerprint())
    assert len(seen) == 6
