"""The memory that VEM and AWR learn from: when it is made, and with which V."""

import pytest
import torch
from hand_made import built, first_row, three_steps

from sfbc_core.methods import AWR, VEM, AWRConfig, VEMConfig
from sfbc_core.networks import CHUNK_ROWS


@pytest.fixture(params=["VEM", "AWR"])
def agent(request):
    """Of two gradient steps between memories, γ = 1/2; a step is followed by V of the next state."""
    if request.param == "VEM":
        return built(VEM(VEMConfig(hidden=(8, 8), discount=0.5, plan_every=2)))
    return built(AWR(AWRConfig(hidden=(8, 8), discount=0.5, trace=0.0, evaluate_every=2)))


def raise_values(agent, by):
    with torch.no_grad():
        for member in agent.nets["v"]:
            member[-1].bias.fill_(by)


def test_it_stays_until_its_time_has_come_and_then_knows_the_new_v(agent):
    first_row(agent, three_steps())
    before = agent.memory
    raise_values(agent, 100.0)
    agent.after_step(0)
    assert agent.memory is before and before[0][0] < 5.0
    agent.after_step(1)
    assert agent.memory is None
    # The first step earns 0.25, and the next state is worth about 100.
    assert agent.fresh_memory(three_steps())[0][0] == pytest.approx(0.25 + 0.5 * 100.0, abs=2.0)


def test_it_is_asked_by_rows(agent):
    data = three_steps()
    rows = agent.rows(data)
    every = agent.fresh_memory(data)
    for column, of_two in zip(every, agent.remembered(rows[torch.tensor([2, 0])]), strict=True):
        assert torch.equal(of_two, column[[2, 0]])


def test_parts_of_the_data_make_no_difference(agent, monkeypatch):
    whole = agent.fresh_memory(three_steps())
    monkeypatch.setitem(CHUNK_ROWS, "cpu", 2)
    for one, other in zip(whole, agent.fresh_memory(three_steps()), strict=True):
        assert torch.allclose(one, other)
