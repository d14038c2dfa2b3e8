"""The stand-in for mujoco_py on a pendulum whose numbers are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest

PENDULUM = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body name="arm" pos="0.5/2 0 -3/4">
      <joint name="hinge" type="hinge" axis="0 1 0"/>
      <geom name="bob" type="sphere" size="0.1" pos="0 0 -1"/>
      <site name="tip" pos="0 0 -1"/>
      <camera name="track" pos="0 -3 0"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge" ctrlrange="-1 1" ctrllimited="true"/></actuator>
</mujoco>
"""


@pytest.fixture
def stand_in():
    from sfbc_core.tasks.d4rl import mujoco_stand_in

    return mujoco_stand_in


@pytest.fixture
def sim(stand_in):
    return stand_in.MjSim(stand_in.load_model_from_xml(PENDULUM))


def test_fractions_in_positions_are_evaluated(sim):
    sim.forward()
    np.testing.assert_array_equal(sim.data.get_body_xpos("arm"), [0.25, 0, -0.75])


def test_names_and_arrays(sim):
    model = sim.model
    assert (model.nq, model.nv, model.nu) == (1, 1, 1) and model.opt.timestep == 0.01
    assert model.body_name2id("arm") == 1 and "track" in model._camera_name2id
    for kind, name in (("camera", "track"), ("geom", "bob"), ("joint", "hinge"), ("site", "tip")):
        assert getattr(model, f"{kind}_name2id")(name) == 0
    with pytest.raises(KeyError, match="nobody"):
        model.body_name2id("nobody")


def test_arrays_are_views_and_states_are_copies(sim):
    before = sim.get_state()
    sim.data.qpos[:] = 0.5
    sim.forward()
    # The bob hangs at (0.25, 0, -0.75) + (-sin, 0, -cos) of the angle.
    np.testing.assert_allclose(sim.data.site_xpos[0], [0.25 - np.sin(0.5), 0, -0.75 - np.cos(0.5)])
    sim.step()
    after = sim.get_state()
    assert before.qpos == 0 and before.time == 0 and after.time == 0.01 and after.qvel != 0
    sim.set_state(before)
    assert sim.data.qpos == 0 and sim.data.qvel == 0 and sim.data.time == 0
    sim.set_state(after)
    assert sim.data.qpos == after.qpos and sim.data.time == 0.01
    sim.reset()
    assert sim.data.qpos == 0 and sim.data.time == 0


def test_simulations_of_one_text_do_not_share_their_model(stand_in, sim):
    other = stand_in.MjSim(stand_in.load_model_from_xml(PENDULUM))
    other.model.opt.timestep = 0.5
    assert sim.model.opt.timestep == 0.01
    assert stand_in.load_model_from_xml(PENDULUM).opt.timestep == 0.01


def test_included_files_are_found_next_to_the_model(stand_in, tmp_path):
    (tmp_path / "part.xml").write_text(PENDULUM.replace("0.5/2", "0.25").replace("-3/4", "-0.75"))
    (tmp_path / "whole.xml").write_text('<mujoco><include file="part.xml"/></mujoco>')
    assert stand_in.load_model_from_path(str(tmp_path / "whole.xml")).nq == 1


def test_d4rl_imports_the_stand_in(stand_in):
    from sfbc_core.tasks.d4rl.installation import import_d4rl

    import_d4rl()
    assert sys.modules["mujoco_py"].MjSim is stand_in.MjSim
    assert sys.modules["mujoco_py.builder"].MujocoException is stand_in.MujocoException
    assert sys.modules["gym.envs.mujoco.mujoco_env"].mujoco_py is sys.modules["mujoco_py"]
    with pytest.raises(NotImplementedError, match="render_mode='rgb_array'"):
        sys.modules["mujoco_py"].MjViewer(None)
