"""What describe says of a data set, against what the data set is."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from sfbc_core import Trajectories
from sfbc_core.book import describe


@pytest.fixture(autouse=True)
def _no_window():
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def data() -> Trajectories:
    """Three episodes of 4, 2 and 2 transitions with returns 4, 0 and 1, two cut and one terminated."""
    ends = torch.tensor([0, 0, 0, 1, 0, 1, 0, 1], dtype=torch.bool)
    return Trajectories(
        torch.arange(24.0).reshape(8, 3),
        torch.zeros(8, 2),
        torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 1]),
        ends & (torch.arange(8) == 5),
        ends & (torch.arange(8) != 5),
    )


def test_the_summary_says_what_the_data_is(data):
    text = repr(describe(data))
    for words in (
        "8 transitions in 3 episodes",
        "observations  3 coordinates",
        "actions       2 coordinates in [-1, 1]",
        "ends          1 terminals, 2 timeouts",
        "length        2 to 4, median 2, mean 2.6667",
        "return        0 to 4, median 1, mean 1.6667",
        "reward        0 to 1, median 1, mean 0.625, nonzero in 62.5 % of the transitions",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_histogram_of_the_summary_counts_every_episode(walk):
    text = repr(describe(walk))
    bars = [line.split() for line in text.splitlines() if "#" in line]
    assert sum(int(bar[-1]) for bar in bars) == len(walk.episode_ends)
    assert max(bar[-2].count("#") for bar in bars) == 40


def test_a_rare_return_is_seen():
    rewards = torch.zeros(5000)
    rewards[17] = 1.0
    every = torch.ones(5000, dtype=torch.bool)
    data = Trajectories(torch.zeros(5000, 2), torch.zeros(5000, 1), rewards, every, ~every)
    assert repr(describe(data)).splitlines()[-1].split()[-2:] == ["#", "1"]


def test_a_single_episode_needs_no_histogram(data):
    whole = Trajectories(**(data.tensors() | {"terminals": [0] * 7 + [1], "timeouts": [0] * 8}))
    description = describe(whole)
    assert "#" not in repr(description) and "return        5 to 5" in repr(description)
    assert isinstance(description.plot(), Figure)


def test_the_plot_shows_returns_and_coverage(walk):
    figure = describe(walk).plot((2, 0), labels=("height", "speed"))
    returns, coverage, colorbar = figure.axes
    assert sum(patch.get_height() for patch in returns.patches) == len(walk.episode_ends)
    (cells,) = (c for c in coverage.collections if isinstance(c, PolyCollection))
    assert cells.get_array().sum() == len(walk) and cells.get_array().min() >= 1
    centres = cells.get_offsets()
    assert np.ptp(centres[:, 0]) == pytest.approx(np.ptp(walk.observations[:, 2].numpy()), rel=0.05)
    assert (coverage.get_xlabel(), coverage.get_ylabel()) == ("height", "speed")
    assert colorbar.get_ylabel() == "transitions"


def test_the_plot_leaves_the_style_as_it_was(data):
    before = dict(mpl.rcParams)
    figure = describe(data).plot()
    assert dict(mpl.rcParams) == before
    assert figure.axes[1].get_xlabel() == "observation[0]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimensions": (0, 3)}, r"dimensions must be two of 0 to 2, got \(0, 3\)"),
        ({"dimensions": (-1, 0)}, "dimensions must be two of 0 to 2"),
        ({"labels": ("x",)}, "labels must be two names"),
    ],
)
def test_what_cannot_be_plotted_is_refused(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        describe(data).plot(**arguments)


def test_one_return_stands_at_its_bar_without_an_offset(walk):
    single = Trajectories(walk.observations[:3], walk.actions[:3], [10_000.0, 900.0, 91.0], [False, False, True])
    figure = describe(single).plot()
    figure.canvas.draw()
    returns = figure.axes[0]
    assert [label.get_text() for label in returns.get_xticklabels()] == ["10991"]
    assert returns.xaxis.get_offset_text().get_text() == ""
    assert all(float(tick).is_integer() for tick in returns.get_yticks())
