"""Episodes recorded for films, the films, and drawings of walls: in this folder because they need D4RL's simulators."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sfbc_core import evaluate, load_task
from sfbc_core.book import distances_through_maze, draw_walls, film
from sfbc_core.experiments import record_episode
from sfbc_core.tasks.d4rl.mazes import walls


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
    assert "max-width: 100%" in html and "figcaption" not in html
    assert content == shown.content and content[4:8] == b"ftyp", "the first box of an MP4 file names its type"


def test_without_opengl_there_is_a_plot_of_the_way(hop, monkeypatch):
    task, episode = hop
    monkeypatch.setenv("MUJOCO_GL", "nothing")
    shown = film(task, episode, "It falls.", caption="One hop & no more.")
    assert shown.kind == "image/png" and shown.content[:4] == b"\x89PNG"
    html = shown._repr_html_()
    assert 'alt="It falls."' in html and "max-width: 100%" in html
    below = re.search("<figcaption>.*</figcaption>", html)[0]
    assert "One hop &amp; no more. A plot in place of a film" in below and "needs OpenGL" in below


def test_the_walls_are_drawn_to_scale():
    env = load_task("maze2d-umaze-v1").make_env()
    axes = Figure().add_subplot()
    draw_walls(axes, env)
    drawn = [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in axes.patches]
    np.testing.assert_array_equal(drawn, walls(env))
    assert axes.get_aspect() == 1
    env.close()


def test_distances_go_around_the_walls():
    """In maze2d-umaze a wall with corners at (1.3, 2.3) and (2.3, 2.3) stands between (1, 1) and (3, 1): the shortest way
    touches both. Ways on the grid are up to 8 % longer, and each end moves by up to half a diagonal of a step."""
    env = load_task("maze2d-umaze-v1").make_env()
    places = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0], [3.0, 3.0], [3.0, 1.0]])
    to_corner = np.hypot(0.3, 1.3)
    exact = np.array([0, 1, 2, to_corner + np.hypot(1.7, 0.7), to_corner + 1 + np.hypot(0.7, 1.3)])
    step = 0.1
    found = distances_through_maze(env, places, np.array([1.0, 1.0]), step)
    env.close()
    assert (found > exact - 1.5 * step).all() and (found < 1.083 * exact + 1.5 * step).all()
    assert exact[4] > 1.5 * np.hypot(2, 0), "straight through the wall it would be 2"
