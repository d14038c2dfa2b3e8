"""Grids of states and what is drawn over them."""

from __future__ import annotations

import numpy as np
import torch

from sfbc_core.experiments.action_maps import action_map, state_grid


def test_a_grid_and_its_map_agree_on_rows_and_columns():
    class Position:
        def act(self, observations, generator=None):
            return observations[:, :1] + 100 * observations[:, 1:]

    x, y = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0])
    assert state_grid(x, y).tolist() == [[1, 0], [2, 0], [3, 0], [1, 1], [2, 1], [3, 1]]
    np.testing.assert_array_equal(action_map(Position(), x, y, torch.Generator()), [[1, 2, 3], [101, 102, 103]])
