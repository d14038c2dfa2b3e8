"""Episodes recorded for films, the films, and the walls behind plots; here, since they need D4RL's simulators."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sfbc_core import evaluate, load_task
from sfbc_core.book import draw_walls, film
from sfbc_core.book.mazes import walls
from sfbc_core.experiments import record_episode


class Pusher:
    """Draws its actions from the generators it is given."""

    def __init__(self, width: int) -> None:
        self.width = width

    def act(self, observations, generator=None):
        return torch.stack([torch.rand(self.width, generator=one) * 2 - 1 for one in generator])


@pytest.fixture(scope="module")
def hop():
    task = load_task("hopper-medium-v2")
    return task, record_episode(Pusher(3), task, seed=3, number=1)


def test_the_recorded_episode_is_that_of_the_evaluation(hop):
    task, episode = hop
    results = evaluate(Pusher(3), task, 2, 3)
    assert episode["return"] == pytest.approx(results.returns[1])
    assert episode["length"] == results.lengths[1] == len(episode["qpos"])


def test_a_film_is_a_video_with_controls_and_a_description(hop):
    task, episode = hop
    shown = film(task, episode, 'It "falls" & lies.', every=5)
    if shown.kind != "video/mp4":
        pytest.skip(shown.note)
    html = shown._repr_html_()
    assert 'aria-label="It &quot;falls&quot; &amp; lies."' in html and "controls" in html
    content = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])
    assert content == shown.content and content[4:8] == b"ftyp", "the first box of an MP4 file names its type"


def test_without_opengl_there_is_a_plot_of_the_way(hop, monkeypatch):
    task, episode = hop
    monkeypatch.setenv("MUJOCO_GL", "nothing")
    shown = film(task, episode, "It falls.")
    assert shown.kind == "image/png" and shown.content[:4] == b"\x89PNG"
    html = shown._repr_html_()
    assert 'alt="It falls."' in html and "needs OpenGL" in html


@pytest.mark.parametrize("name", ["maze2d-medium-v1", "antmaze-umaze-v2"])
def test_walls_stand_where_no_start_is_and_stop_what_runs_into_them(name):
    env = load_task(name).make_env()
    boxes = walls(env)

    def inside(place):
        return ((boxes[:, :2] <= place) & (place <= boxes[:, :2] + boxes[:, 2:])).all(1).any()

    starts = [env.reset(seed=seed)[0][:2] for seed in range(20)]
    assert not any(inside(start) for start in starts)
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    for start in starts:
        # A straight line out of the maze runs into a wall on every side.
        for direction in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            line = start + np.linspace(0, (high - low).max(), 200)[:, None] * np.array(direction)
            assert any(inside(place) for place in line)
    axes = Figure().add_subplot()
    draw_walls(axes, env)
    assert len(axes.patches) == len(boxes)
    env.close()


def test_a_ball_stops_at_the_wall_that_is_drawn():
    env = load_task("maze2d-umaze-v1").make_env()
    env.reset(seed=0)
    env.d4rl_env.set_state(np.array([1.0, 1.0]), np.zeros(2))
    for _ in range(100):
        observation = env.step(np.array([-1.0, 0.0]))[0]
    boxes = walls(env)
    beside = boxes[(boxes[:, 1] <= 1) & (1 <= boxes[:, 1] + boxes[:, 3])]
    right_edges = beside[:, 0] + beside[:, 2]
    edge = right_edges[right_edges < 1].max()
    radius = 0.1  # of D4RL's ball
    assert observation[0] == pytest.approx(edge + radius, abs=0.02)


def test_what_has_no_walls_is_refused():
    with pytest.raises(ValueError, match="expected an environment of maze2d or antmaze, got 'hopper-medium-v2'"):
        walls(load_task("hopper-medium-v2").make_env())
