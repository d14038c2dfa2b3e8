"""Windows: the steps before a transition or from it on, out of its own episode only; and numbered steps."""

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


# ---- single transitions with next states -----------------------------------------------------------------------------


def rows_of(transitions):
    """(s, a, r, s', terminal) of every row, as lists; all but the last are scalars here."""
    columns = (transitions.observations, transitions.actions, transitions.rewards, transitions.next_observations)
    return list(zip(*(column.reshape(-1).tolist() for column in columns), transitions.terminals.tolist(), strict=True))


def test_next_states_by_hand():
    """Rows 0-2 end in a terminal, 3-4 were cut, 5 is an episode of one step that ends, 6 one that was cut."""
    terminals = torch.tensor([0, 0, 1, 0, 0, 1, 0]).bool()
    timeouts = torch.tensor([0, 0, 0, 0, 1, 0, 1]).bool()
    numbers = torch.arange(1.0, 8)
    data = Trajectories(numbers[:, None], numbers[:, None] / 10, 10 * numbers, terminals, timeouts)
    found = data.transitions()
    assert found.observations[:, 0].tolist() == [1, 2, 3, 4, 6], "rows 4 and 6 have no next state in the data"
    assert found.next_observations[:, 0].tolist() == [2, 3, 3, 5, 6], "after a terminal nothing counts"
    assert found.terminals.tolist() == [False, False, True, False, True]
    assert found.rewards.tolist() == [10, 20, 30, 40, 60] and len(found) == 5
    recorded = data.replace(next_observations=torch.tensor([2.0, 3, -1, 5, 50, -1, 70])[:, None]).transitions()
    assert recorded.next_observations[:, 0].tolist() == [2, 3, 3, 5, 50, 6, 70], "now the cuts have one"
    assert rows_of(recorded[torch.tensor([4, 0])]) == [(5, 0.5, 50, 50, False), (1, pytest.approx(0.1), 10, 2, False)]


def test_a_transition_that_is_cut_and_terminal_is_terminal():
    both = torch.tensor([True])
    found = Trajectories(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(1), both, both).transitions()
    assert found.terminals.tolist() == [True]


def test_one_stream_loses_its_last_row_alone():
    data = episodes(1000, terminal=False)
    found = data.transitions()
    assert len(found) == 999 and torch.equal(found.next_observations, data.observations[1:])


def test_data_without_a_next_state_are_refused():
    with pytest.raises(ValueError, match="no transition has a next state: every one was cut by a timeout"):
        episodes(1, 1, terminal=False).transitions()
    with pytest.raises(
        ValueError, match=r"next_observations must have the shape of observations, \(3, 1\), got \(3, 2\)"
    ):
        episodes(3).replace(next_observations=torch.zeros(3, 2))
    with pytest.raises(
        ValueError, match="next_observations must be finite, found NaN or infinity first at transition 1"
    ):
        episodes(3).replace(next_observations=torch.tensor([[0.0], [torch.nan], [0.0]]))


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), min_size=1, max_size=6), st.booleans())
def test_transitions_are_those_of_a_plain_loop(parts, recorded):
    """Episodes of a length that end in a terminal, a timeout or both (then it is a terminal)."""
    terminals, timeouts = [], []
    for length, terminal, timeout in parts:
        inner = [False] * (length - 1)
        terminals += [*inner, terminal]
        timeouts += [*inner, timeout or not terminal]
    n = len(terminals)
    numbers = torch.arange(1.0, n + 1)
    seen = (100 + numbers)[:, None] if recorded else None
    data = Trajectories(
        numbers[:, None],
        torch.zeros(n, 1),
        numbers,
        torch.tensor(terminals),
        torch.tensor(timeouts),
        next_observations=seen,
    )
    expected = []
    for i in range(n):
        if terminals[i]:
            expected.append((i + 1.0, 0.0, i + 1.0, i + 1.0, True))
        elif not timeouts[i]:
            expected.append((i + 1.0, 0.0, i + 1.0, i + 2.0, False))
        elif recorded:
            expected.append((i + 1.0, 0.0, i + 1.0, 101.0 + i, False))
    if not expected:
        with pytest.raises(ValueError, match="no transition has a next state"):
            data.transitions()
    else:
        assert rows_of(data.transitions()) == expected


def test_next_observations_go_wherever_the_data_go(tmp_path):
    data = episodes(2, 3, terminal=False)
    data = data.replace(next_observations=data.observations + 1)
    kept = data.select_episodes(torch.tensor([False, True]))
    assert kept.next_observations[:, 0].tolist() == [4, 5, 6] and data.to("cpu").next_observations is not None
    assert data.fingerprint() != episodes(2, 3, terminal=False).fingerprint()
    assert torch.equal(Trajectories(**data.tensors()).next_observations, data.next_observations)


def test_replaced_columns_are_checked_and_the_rest_stays():
    data = Trajectories(torch.ones(3, 1), torch.zeros(3, 1), torch.ones(3), [0, 0, 1], [0, 0, 0], -2.0, 2.0)
    other = data.replace(rewards=[1.0, 2.0, 3.0])
    assert other.rewards.tolist() == [1, 2, 3] and other.action_high == 2.0 and data.rewards.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"actions must lie within \[-2, 2\]"):
        data.replace(actions=torch.full((3, 1), 3.0))
    for wrong in ({"costs": torch.zeros(3)}, {"action_low": [-3.0]}):
        with pytest.raises(TypeError, match=f"expected some of .*got \\['{next(iter(wrong))}'\\]"):
            data.replace(**wrong)
    seen = data.replace(next_observations=torch.ones(3, 1))
    with pytest.raises(ValueError, match="observations and next_observations belong together"):
        seen.replace(observations=torch.zeros(3, 1))


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6), length=st.integers(1, 8))
def test_forward_windows_are_a_plain_loop(lengths, length):
    data = episodes(*lengths)
    batch = data.windows(length, forward=True)[torch.arange(len(data))]
    row = 0
    for steps in lengths:
        for step in range(steps):
            expected = [row - step + min(step + ahead, steps - 1) for ahead in range(length)]
            assert batch.rows[row].tolist() == expected
            assert batch.mask[row].tolist() == [step + ahead < steps for ahead in range(length)]
            assert batch.steps[row].tolist() == [min(step + ahead, steps - 1) for ahead in range(length)]
            row += 1


def test_numbered_steps_know_their_rows():
    data = episodes(3, 2)
    index = torch.tensor([4, 1, 1])
    batch = data.steps()[index]
    assert len(data.steps()) == 5 and torch.equal(batch.rows, index)
    assert torch.equal(batch.observations, data.observations[index])
    assert torch.equal(batch.actions, data.actions[index])
