"""Episodes recorded for films, the films, and drawings of walls: in this folder because they need D4RL's simulators."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sfbc_core import evaluate, load_task
from sfbc_core.book import draw_walls, film
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
    assert content == shown.content and content[4:8] == b"ftyp", "the first box of an MP4 file names its type"


def test_without_opengl_there_is_a_plot_of_the_way(hop, monkeypatch):
    task, episode = hop
    monkeypatch.setenv("MUJOCO_GL", "nothing")
    shown = film(task, episode, "It falls.")
    assert shown.kind == "image/png" and shown.content[:4] == b"\x89PNG"
    html = shown._repr_html_()
    assert 'alt="It falls."' in html and "needs OpenGL" in html


def test_the_walls_are_drawn_to_scale():
    env = load_task("maze2d-umaze-v1").make_env()
    axes = Figure().add_subplot()
    draw_walls(axes, env)
    drawn = [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in axes.patches]
    np.testing.assert_array_equal(drawn, walls(env))
    assert axes.get_aspect() == 1
    env.close()
