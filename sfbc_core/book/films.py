"""Short films of an agent in one of D4RL's simulations, drawn from the recorded states of an episode."""

from __future__ import annotations

import base64
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from sfbc_core.book.style import COLORS
from sfbc_core.tasks.registry import Task

FRAMES_PER_SECOND = 20
WIDTH = 360  # in pixels


def film(task: Task, episode: Mapping[str, Any], alt: str, *, every: int = 4, caption: str = "") -> Film:
    """A film of a recorded episode, drawn in D4RL's simulation; without OpenGL, a plot of the way instead.

    Args:
        task: the task of the episode.
        episode: what :func:`~sfbc_core.experiments.playback.record_episode` gave.
        alt: what is to be seen, for those who cannot see it.
        every: every how many steps there is a frame.
        caption: what stands below it, for everybody.
    """
    qpos = np.array(episode["qpos"])
    env = task.make_env(render_mode="rgb_array")
    try:
        env.reset(seed=episode["env_seed"])
        resting = np.zeros_like(env.d4rl_env.sim.data.qvel)
        frames = []
        for position in qpos[::every]:
            env.d4rl_env.set_state(position, resting)
            frames.append(env.render())
    except RuntimeError as error:  # no OpenGL here
        note = f"A plot in place of a film: {str(error).split('.')[0]}."
        return Film("image/png", _plot_way(qpos), alt, note, caption)
    finally:
        env.close()
    return Film("video/mp4", _encode(np.stack(frames)), alt, caption=caption)


@dataclass(frozen=True)
class Film:
    """A film, or a picture in its place, that a page shows without any other file.

    Attributes:
        kind: "video/mp4" or "image/png".
        content: the file.
        alt: what is to be seen.
        note: what else to say below it.
        caption: what stands below it, before the note.
    """

    kind: str
    content: bytes
    alt: str
    note: str = ""
    caption: str = ""

    def _repr_html_(self) -> str:
        source = f"data:{escape(self.kind)};base64,{base64.b64encode(self.content).decode()}"
        alt = escape(self.alt, quote=True)
        fits = f'width="{WIDTH}" style="max-width: 100%; height: auto"'  # a narrow page shows it smaller
        if self.kind == "video/mp4":
            shown = f'<video controls loop muted playsinline {fits} aria-label="{alt}" src="{source}"></video>'
        else:
            shown = f'<img {fits} alt="{alt}" src="{source}">'
        below = escape(" ".join(filter(None, (self.caption, self.note))))
        caption = f'<figcaption><span class="caption-text">{below}</span></figcaption>' if below else ""
        return f'<figure style="margin: 0">{shown}{caption}</figure>'

    def __repr__(self) -> str:
        return f"{self.kind}, {len(self.content):,} bytes: {self.alt}"


def _encode(frames: UInt8[np.ndarray, "F height width 3"]) -> bytes:
    """H.264, which every browser plays."""
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "film.mp4")
        writer = imageio_ffmpeg.write_frames(
            path,
            frames.shape[2:0:-1],
            fps=FRAMES_PER_SECOND,
            codec="libx264",
            quality=None,
            output_params=["-crf", "30", "-vf", f"scale={WIDTH}:-2", "-movflags", "+faststart"],
        )
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
        writer.close()
        return Path(path).read_bytes()


def _plot_way(qpos: Float[np.ndarray, "T Q"]) -> bytes:
    """The first two coordinates, from the open circle to the dot: x and y in a maze, forward and up for a runner."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(qpos[:, 0], qpos[:, 1], color=COLORS["diffusion"])
    axes.plot(*qpos[0, :2], "o", mfc="white", color=COLORS["diffusion"])
    axes.plot(*qpos[-1, :2], "o", color=COLORS["diffusion"])
    axes.set(xlabel="qpos[0]", ylabel="qpos[1]")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=180)  # twice the pixels of the 360 at which it is shown
    return content.getvalue()
