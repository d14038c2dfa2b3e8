"""Windows: the steps before a transition, out of its own episode only."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import Trajectories


def episodes(*lengths: int, terminal: bool = True) -> Trajectories:
    """Episodes of these lengths. Row n has the observation n + 1, so that a zero is padding and nothing else."""
    n = sum(lengths)
    last = torch.zeros(n, dtype=torch.bool)
    last[torch.tensor(lengths).cumsum(0) - 1] = True
    numbers = torch.arange(1.0, n + 1)
    return Trajectories(numbers[:, None], torch.zeros(n, 1), numbers, last & terminal, last & (not terminal))


def test_windows_by_hand():
    """Rows 0, 1, 2 are an episode, 3 and 4 the next."""
    data = episodes(3, 2)
    windows = data.windows(3)
    assert len(windows) == 5
    batch = windows[torch.tensor([4, 0, 2, 3])]
    assert batch.rows.tolist() == [[0, 3, 4], [0, 0, 0], [0, 1, 2], [0, 0, 3]]
    assert batch.mask.tolist() == [[False, True, True], [False, False, True], [True] * 3, [False, False, True]]
    assert batch.steps.tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 2], [0, 0, 0]]
    assert batch.of(data.rewards).tolist() == [[0, 4, 5], [0, 0, 1], [1, 2, 3], [0, 0, 4]]
    assert torch.equal(batch.of(data.observations)[..., 0], batch.of(data.rewards))


def test_an_episode_of_one_step_has_one_step_in_its_window():
    data = episodes(1, 1, 1)
    batch = data.windows(4)[torch.arange(3)]
    assert batch.of(data.rewards).tolist() == [[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3]]
    assert batch.steps.tolist() == [[0] * 4] * 3


def test_a_window_of_one_step_is_the_transition():
    data = episodes(3, 1)
    batch = data.windows(1)[torch.arange(4)]
    assert batch.of(data.rewards)[:, 0].tolist() == [1, 2, 3, 4]
    assert batch.mask.all()


def test_a_stream_has_full_windows_after_its_start():
    data = episodes(1000, terminal=False)
    batch = data.windows(20)[torch.arange(1000)]
    assert batch.mask[19:].all() and batch.mask.sum() == 981 * 20 + sum(range(1, 20))
    assert batch.steps[-1].tolist() == list(range(980, 1000))


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(1, 9), st.booleans())
def test_windows_are_those_of_a_plain_loop(lengths, length, terminal):
    data = episodes(*lengths, terminal=terminal)
    batch = data.windows(length)[torch.arange(len(data))]
    row = 0
    for episode in lengths:
        for step in range(episode):
            numbers = [k for k in range(step - length + 1, step + 1) if k >= 0]
            padding = length - len(numbers)
            assert batch.mask[row].tolist() == [False] * padding + [True] * len(numbers)
            assert batch.steps[row].tolist() == [0] * padding + numbers
            expected = [row - step + k + 1 for k in numbers]
            assert batch.of(data.rewards)[row].tolist() == [0] * padding + expected
            row += 1


def test_a_window_without_a_step_is_refused():
    with pytest.raises(ValueError, match="windows of at least 1 step, got 0"):
        episodes(3).windows(0)
