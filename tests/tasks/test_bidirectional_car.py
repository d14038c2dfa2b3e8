"""The car's physics by hand, its data against its description, and gymnasium's rules."""

from __future__ import annotations

import math
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from sfbc_core import load_task, task_names
from sfbc_core.files import save_tensors
from sfbc_core.tasks.bidirectional_car import STEPS, BidirectionalCarEnv, generate, single_side
from sfbc_core.tasks.cache import cache_dir, cached_trajectories

TASK = load_task("bidirectional-car")
DATA = generate(40_000, seed=1)


def test_it_is_registered_with_gymnasium():
    env = gymnasium.make("sfbc_core:sfbc/BidirectionalCar-v0")
    assert env.spec.max_episode_steps == STEPS
    check_env(env.unwrapped, skip_render_check=True)
    observation, _ = env.reset(seed=3)
    assert -1 <= observation[0] <= 1 and observation[1] == 0


def test_three_steps_by_hand():
    env = BidirectionalCarEnv()
    env.reset(options={"position": 1.0})
    #  x moves by a v / 10 with the speed before the step; then v grows by .05 |a|.
    expected = [(1.0, 0.05), (1.0 - 0.5 * 0.05 / 10, 0.075), (0.9975 + 0.075 / 10, 0.125)]
    for throttle, (position, speed) in zip((1.0, -0.5, 1.0), expected, strict=True):
        observation, reward, terminated, truncated, _ = env.step(np.array([throttle]))
        np.testing.assert_allclose(observation, [position, speed], rtol=1e-6)
        assert reward == 0 and not terminated and not truncated


@pytest.mark.parametrize(("position", "throttle"), [(9.9, 1.0), (-9.9, -1.0)])
def test_passing_either_end_pays_one_and_ends(position, throttle):
    env = BidirectionalCarEnv()
    env.reset(options={"position": position, "speed": 4.99})
    _, reward, terminated, _, _ = env.step(np.array([throttle]))
    assert reward == 1.0 and terminated


def test_a_car_that_stands_still_is_truncated_after_100_steps():
    env = TASK.make_env()
    env.reset(seed=0)
    for step in range(STEPS):
        _, reward, terminated, truncated, _ = env.step(np.zeros(1))
        assert not terminated and reward == 0
        assert truncated == (step == STEPS - 1)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.integers(0, 100))
def test_states_stay_within_the_observation_space(throttles, seed):
    env = BidirectionalCarEnv()
    env.reset(seed=seed)
    for throttle in throttles:
        observation, *_ = env.step(np.array([throttle]))
        assert env.observation_space.contains(observation)


def test_full_throttle_arrives_in_time_and_both_ways_alike():
    #  From rest, x after n steps is ±.005 n (n-1) / 2: 10 is passed at n = 64 from x = 0.
    arrivals = []
    for throttle in (1.0, -1.0):
        env = TASK.make_env()
        env.reset(options={"position": 0.0})
        steps = 1
        while not env.step(np.array([throttle]))[2]:
            steps += 1
        arrivals.append(steps)
    assert arrivals == [64, 64]


def test_the_picture_shows_where_the_car_is():
    env = TASK.make_env(render_mode="rgb_array")
    pictures = []
    for position in (-6.0, 6.0):
        env.reset(options={"position": position})
        pictures.append(env.render())
    for picture in pictures:
        assert picture.shape == (120, 480, 3) and picture.dtype == np.uint8

    def blue_column(picture):
        blue = (picture[:, :, 2].astype(int) - picture[:, :, 0] > 80).nonzero()[1]
        return blue.mean()

    assert blue_column(pictures[0]) == pytest.approx(120, abs=3)  # -6 of -12…12 on 480 columns
    assert blue_column(pictures[1]) == pytest.approx(360, abs=3)
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        BidirectionalCarEnv(render_mode="human")


@pytest.mark.parametrize("throttle", [1.2, -3.0, math.nan])
def test_a_throttle_out_of_bounds_is_refused(throttle):
    env = BidirectionalCarEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="throttle must lie in"):
        env.step(np.array([throttle]))


def episodes_of(data, part):
    """(starts, throttles) of the episodes of one of the four parts."""
    quarter = len(data) // 4
    for start, end in zip(data.episode_starts.tolist(), data.episode_ends.tolist(), strict=True):
        if part * quarter <= start < (part + 1) * quarter:
            yield data.observations[start], data.actions[start : end + 1, 0]


def test_the_four_parts_are_equal_and_as_described():
    assert len(DATA) == 40_000
    quarter = len(DATA) // 4
    for part, width in enumerate((5.0, 1.0, 2.5, 9.0)):
        assert bool(DATA.terminals[(part + 1) * quarter - 1] | DATA.timeouts[(part + 1) * quarter - 1])
        starts = torch.stack([start for start, _ in episodes_of(DATA, part)])
        assert starts[:, 0].abs().max() <= width and starts[:, 0].abs().max() > 0.8 * width
        assert (starts[:, 1] == 0).all()
    held = [throttle for _, throttle in episodes_of(DATA, 0)]
    assert all((throttle == throttle[0]).all() for throttle in held)
    sizes = torch.stack([throttle[0].abs() for throttle in held])
    assert sizes.min() >= 0.9 and sizes.max() <= 1.0
    uniform = torch.cat([throttle for _, throttle in episodes_of(DATA, 1)])
    # U(-1, 1): mean 0, variance 1/3; 5 standard errors (the kurtosis gives Var(x²) = 4/45).
    assert abs(uniform.mean()) < 5 * math.sqrt(1 / 3 / quarter)
    assert abs(uniform.square().mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / quarter)
    persistent = [throttle for _, throttle in episodes_of(DATA, 2)]
    assert min(throttle.abs().min() for throttle in persistent) >= 0.7 - 1e-6
    kept = torch.cat([(throttle[1:] * throttle[:-1] > 0).float() for throttle in persistent])
    assert abs(kept.mean() - 0.9) < 5 * math.sqrt(0.9 * 0.1 / len(kept))
    walk_steps = torch.cat([throttle.diff()[(throttle[1:].abs() < 1)] for _, throttle in episodes_of(DATA, 3)])
    assert walk_steps.std() < 0.5, "clipping can only shorten the steps of deviation 0.5"


def test_transitions_obey_the_environment():
    env = BidirectionalCarEnv()
    ends = set(DATA.episode_ends.tolist())
    for n in range(0, 40_000, 97):
        x, v = DATA.observations[n].tolist()
        env.reset(options={"position": x, "speed": v})
        observation, reward, terminated, _, _ = env.step(DATA.actions[n].numpy())
        if (
            abs(abs(x + DATA.actions[n, 0].item() * v / 10) - 10) > 1e-4
        ):  # in float32, closer ones could be on either side
            assert reward == DATA.rewards[n] and terminated == DATA.terminals[n]
        if n not in ends:
            np.testing.assert_allclose(observation, DATA.observations[n + 1], atol=2e-5)


def test_both_endpoints_occur_about_equally_often():
    final = DATA.observations[DATA.episode_ends][DATA.terminals[DATA.episode_ends], 0]
    share, n = (final > 0).double().mean().item(), len(final)
    assert n > 100
    assert abs(share - 0.5) < 5 * math.sqrt(0.25 / n)  # 5 standard errors


def test_single_side_drops_what_ends_on_the_left_and_nothing_else():
    kept = single_side(DATA)
    ends = kept.episode_ends
    final = kept.observations[ends, 0] + kept.actions[ends, 0] * kept.observations[ends, 1] / 10
    assert not (kept.terminals[ends] & (final < 0)).any()
    assert kept.terminals[ends].any() and kept.timeouts[ends].any()
    dropped = len(DATA.episode_ends) - len(ends)
    all_final = DATA.observations[DATA.episode_ends, 0]
    assert dropped == (DATA.terminals[DATA.episode_ends] & (all_final < 0)).sum()


def test_episodes_end_after_at_most_100_steps_and_timeouts_are_not_terminals():
    lengths = DATA.episode_lengths
    assert lengths.max() == STEPS
    assert not (DATA.terminals & DATA.timeouts).any()
    assert torch.equal(DATA.rewards == 1, DATA.terminals)


def test_data_is_deterministic_in_the_seed():
    assert generate(400, 5).fingerprint() == generate(400, 5).fingerprint()
    assert generate(400, 5).fingerprint() != generate(400, 6).fingerprint()
    with pytest.raises(ValueError, match="positive multiple of 4 transitions, got 401"):
        generate(401)


def test_the_cache_is_used_and_a_damaged_file_is_generated_again():
    first = TASK.load_trajectories(transitions=800, seed=3)
    (path,) = cache_dir().glob("bidirectional-car-800-3-*.safetensors")
    other = generate(400, 9)
    save_tensors(path, other.tensors())
    assert TASK.load_trajectories(transitions=800, seed=3).fingerprint() == other.fingerprint(), (
        "the cache was not used"
    )
    path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="is damaged and is generated again"):
        again = TASK.load_trajectories(transitions=800, seed=3)
    assert again.fingerprint() == first.fingerprint()


def test_a_cached_file_that_was_edited_is_generated_again(monkeypatch, tmp_path):
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path))
    first = TASK.load_trajectories(transitions=400)
    (path,) = tmp_path.glob("*.safetensors")
    tensors, good = load_file(path), path.read_bytes()
    edits = [
        {**tensors, "observations": tensors["observations"][:, :1].contiguous()},
        {name: tensor for name, tensor in tensors.items() if name != "timeouts"},
        {**tensors, "more": torch.zeros(400)},
    ]
    flipped = bytearray(good)
    flipped[-1] ^= 1
    for edited in (*edits, bytes(flipped), good[:-1]):
        path.write_bytes(edited) if isinstance(edited, bytes) else save_file(edited, path)
        with pytest.warns(UserWarning, match=rf"{path.name} is damaged and is generated again"):
            assert TASK.load_trajectories(transitions=400).fingerprint() == first.fingerprint()
        assert load_file(path).keys() == tensors.keys(), "and is in the cache again"


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("name", ["bidirectional-car", "toy-maze"])
def test_sizes_and_seeds_that_are_no_numbers_are_refused(name):
    task = load_task(name)
    for options, message in (
        ({"transitions": "400"}, r"transitions must be a whole number, got '400' \(str\)"),
        ({"transitions": 400.5}, "transitions must be a whole number, got 400.5"),
        ({"seed": "1"}, r"seed must be a whole number, got '1' \(str\)"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            task.load_trajectories(**{"transitions": 400, **options})


def test_data_of_another_recipe_is_not_taken_for_this_one(tmp_path, monkeypatch):
    """A generator in another source file gets a file of its own, even under the same name."""
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path))
    first = cached_trajectories("some-data", partial(generate, 400, 1))
    second = cached_trajectories("some-data", lambda: generate(400, 2))
    assert first.fingerprint() != second.fingerprint() and len(list(tmp_path.iterdir())) == 2


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("SFBC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "sfbc"


@pytest.mark.parametrize("error", [PermissionError("Permission denied: '/home'"), RuntimeError("no home directory")])
def test_data_is_still_generated_where_the_cache_cannot_be_looked_into(monkeypatch, error):
    def closed():
        raise error

    monkeypatch.setattr("sfbc_core.tasks.cache.cache_dir", closed)
    with pytest.warns(UserWarning, match=f"not cached, because the cache cannot be read: {error}"):
        data = cached_trajectories("some-data", partial(generate, 400, 1))
    assert data.fingerprint() == generate(400, 1).fingerprint()


def test_data_is_still_generated_where_the_cache_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path / "file" / "below"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert len(TASK.load_trajectories(transitions=400)) == 400


def test_tasks_by_name():
    assert "bidirectional-car" in task_names()
    with pytest.raises(ValueError, match="unknown task 'car'; expected one of"):
        load_task("car")
    single = load_task("bidirectional-car-single-side")
    assert len(single.load_trajectories(transitions=4000)) < 4000
    assert TASK.normalized_score(1.0) == 100 and TASK.normalized_score(np.array([0.0, 0.5])).tolist() == [0, 50]
