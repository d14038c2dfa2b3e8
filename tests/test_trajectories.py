"""Trajectories: what they refuse, how episodes end, and that nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import Trajectories
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
        ({"actions": np.array([[0.0], [0.0], [1.5], [-2.0]])}, r"within \[-1.0, 1.0\], got values from -2 to 1.5"),
        ({"terminals": np.array([0, 0, 2, 1])}, "terminals must hold flags"),
        ({"action_low": 1.0}, "action_low must be below action_high, got 1.0 and 1.0"),
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
