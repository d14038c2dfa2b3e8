"""Decision Transformer: what a prediction may depend on, what is asked for at every step, and that asking works."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import TrainingConfig, Trajectories, evaluate
from sfbc_core.methods import DecisionTransformer, DecisionTransformerConfig
from sfbc_core.methods.decision_transformer import Block, CausalTransformer, Context, returns_to_go
from sfbc_core.networks import dropout, seeded_layers

OBS, ACT, LENGTH = 3, 2, 5
TINY = DecisionTransformerConfig(
    context=4,
    embedding=8,
    layers=2,
    heads=2,
    max_steps=12,
    training=TrainingConfig(gradient_steps=30, batch_size=16, learning_rate=1e-2, checkpoint_every=10, log_every=7),
    seed=3,
)


def network(**options) -> CausalTransformer:
    with seeded_layers(0):
        return CausalTransformer(OBS, ACT, replace(TINY, context=LENGTH, **options))


def context(generator, length=LENGTH, batch=2, first=0) -> Context:
    """Stretches without padding, whose first step has that number in its episode."""
    return Context(
        torch.randn(batch, length, generator=generator),
        torch.randn(batch, length, OBS, generator=generator),
        torch.rand(batch, length, ACT, generator=generator) * 2 - 1,
        (torch.arange(length) + first).expand(batch, length),
        torch.ones(batch, length, dtype=torch.bool),
    )


def changed(original: Context, name: str, step: int) -> Context:
    """The same but for one token."""
    values = getattr(original, name).clone()
    values[:, step] += 1.5
    return replace(original, **{name: values})


# What a prediction depends on


@pytest.mark.parametrize("name", ["returns", "states", "actions"])
@torch.no_grad()
def test_a_token_changes_what_follows_it_and_nothing_before(generator, name):
    """a_t is predicted from R̂_1, s_1, a_1, …, R̂_t, s_t: not from itself."""
    transformer, original = network(), context(generator)
    before = transformer(original)
    for step in range(LENGTH):
        difference = (transformer(changed(original, name, step)) - before).abs().amax(2)  # (B, L)
        first = step + 1 if name == "actions" else step
        assert (difference[:, :first] < 1e-6).all()
        assert (difference[:, first:] > 1e-5).all()


@pytest.mark.parametrize("horizon", [None, 7])
@pytest.mark.parametrize("length", [1, 2, 4])
@torch.no_grad()
def test_padding_changes_no_prediction(generator, length, horizon):
    """Whatever stands in it, and also where the number of the step matters."""
    transformer, short, junk = network(horizon=horizon), context(generator, length), context(generator)
    padding = LENGTH - length
    padded = Context(
        *(
            torch.cat([getattr(junk, name)[:, :padding], getattr(short, name)], 1)
            for name in ("returns", "states", "actions", "steps")
        ),
        torch.tensor([False] * padding + [True] * length).expand(2, LENGTH),
    )
    torch.testing.assert_close(transformer(padded)[:, padding:], transformer(short), atol=1e-6, rtol=0)
    assert torch.isfinite(transformer(padded)).all()  # a padded step counts for nothing, but NaN · 0 is NaN


@torch.no_grad()
def test_steps_are_counted_in_the_episode_or_with_a_horizon_in_the_context(generator):
    early, late = (context(generator.manual_seed(0), first=first) for first in (0, 5))
    assert (network()(early) - network()(late)).abs().max() > 1e-5
    in_stream = network(horizon=7)
    assert torch.equal(in_stream(early), in_stream(late))
    # Yet there is an order: a single layer would not notice that two steps changed places but for their numbers.
    shallow, swapped = network(horizon=7, layers=1), [1, 0, *range(2, LENGTH)]
    other = replace(early, **{name: getattr(early, name)[:, swapped] for name in ("returns", "states", "actions")})
    assert ((shallow(early) - shallow(other))[:, -1].abs() > 1e-5).all()


@torch.no_grad()
def test_steps_beyond_the_last_embedding_share_it(generator):
    transformer = network()
    values = context(generator)
    far, further = (replace(values, steps=values.steps + first) for first in (20, 500))
    assert torch.equal(transformer(far), transformer(further))


@torch.no_grad()
def test_a_layer_adds_to_what_it_reads_and_may_lose_what_it_adds(generator):
    block, x = Block(8, 2), torch.randn(2, 6, 8, generator=generator)
    allowed = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    assert torch.equal(block(x, allowed, torch.zeros_like), x)
    assert not torch.equal(block(x, allowed, lambda added: added), x)


@torch.no_grad()
def test_embeddings_are_dropped_too(generator):
    transformer, values = network(dropout=0.5), context(generator)
    for block in transformer.blocks:
        block.forward = lambda x, allowed, drop: x
    assert not torch.equal(transformer(values, generator), transformer(values))


# Returns-to-go


def rewarded(rewards, terminals, timeouts) -> Trajectories:
    n = len(rewards)
    return Trajectories(torch.zeros(n, 1), torch.zeros(n, 1), rewards, terminals, timeouts)


def test_returns_to_go_by_hand():
    """Three steps to a terminal, then two to a timeout: the reward after each is all that counts, and it stops at both."""
    data = rewarded([1.0, 2.0, 4.0, 8.0, 16.0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1])
    assert returns_to_go(data).tolist() == [7, 6, 4, 24, 16]
    assert returns_to_go(data, 1).tolist() == [1, 2, 4, 8, 16]
    assert returns_to_go(data, 2).tolist() == [3, 6, 4, 24, 16]
    assert torch.equal(returns_to_go(data, 100), returns_to_go(data))


def test_small_returns_survive_a_long_stream():
    """After ten million, float32 counts in ones."""
    n = 200
    data = rewarded([1e7] + [0.125] * (n - 1), [0] * n, [0] * (n - 1) + [1])
    assert returns_to_go(data, 4)[1 : n - 4].tolist() == [0.5] * (n - 5)


@given(
    st.lists(st.lists(st.integers(-8, 8), min_size=1, max_size=6), min_size=1, max_size=5),
    st.none() | st.integers(1, 8),
    st.booleans(),
)
def test_returns_to_go_are_those_of_a_plain_loop(episodes, horizon, terminal):
    last = [step == len(episode) - 1 for episode in episodes for step in range(len(episode))]
    none = [False] * len(last)
    data = rewarded([float(r) for e in episodes for r in e], *((last, none) if terminal else (none, last)))
    expected = []
    for episode in episodes:
        for step in range(len(episode)):
            end = len(episode) if horizon is None else min(len(episode), step + horizon)
            expected.append(sum(episode[step:end]))
    assert returns_to_go(data, horizon).tolist() == expected


# Learning


def test_the_loss_is_the_error_over_the_steps_that_are_there(walk, generator):
    agent = DecisionTransformer(TINY).fit(walk)
    batch = agent.rows(walk)[torch.tensor([1, 14, 100])]  # 2, 3 and 4 steps of 4: see the episodes of 12
    assert batch.mask.sum(1).tolist() == [2, 3, 4]
    with torch.no_grad():
        predicted = agent.nets["transformer"](batch)
        errors = []
        for row, column in batch.mask.nonzero().tolist():
            errors += [
                (float(p) - float(a)) ** 2
                for p, a in zip(predicted[row, column], batch.actions[row, column], strict=True)
            ]
        agent.config = replace(TINY, dropout=0.0)
        agent.nets["transformer"].config = agent.config
        loss = agent.losses(batch, 0, generator)["transformer"]
    assert len(errors) == 9 * walk.action_dim
    assert float(loss) == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_dropout_zeroes_its_share_keeps_the_mean_and_draws_from_its_generator_alone(generator):
    x = torch.ones(100_000)
    state = torch.get_rng_state()
    dropped = dropout(x, 0.1, generator)
    # 5 standard errors: sqrt(0.1 · 0.9 / 100,000) = 0.00095
    assert float((dropped == 0).float().mean()) == pytest.approx(0.1, abs=0.005)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.9])
    assert torch.equal(dropped, dropout(x, 0.1, torch.Generator().manual_seed(7)))
    assert not torch.equal(dropped, dropout(x, 0.1, generator))
    assert torch.equal(torch.get_rng_state(), state)
    assert dropout(x, 0.1, None) is x and dropout(x, 0.0, generator) is x


@torch.no_grad()
def test_a_network_drops_out_only_with_a_generator(generator):
    transformer, values = network(dropout=0.5), context(generator)
    assert torch.equal(transformer(values), transformer(values))
    assert not torch.equal(transformer(values, generator), transformer(values, generator))


def test_the_scale_of_the_returns_and_the_best_of_them_are_kept_with_the_weights(walk, tmp_path):
    agent = DecisionTransformer(TINY).fit(walk)
    agent.save(tmp_path)
    for each in (agent, DecisionTransformer.load(tmp_path)):
        transformer = each.nets["transformer"]
        assert float(transformer.best) == pytest.approx(float(walk.episode_returns.max()), rel=1e-6)
        assert float(transformer.scale.mean) == pytest.approx(float(returns_to_go(walk).mean()), rel=1e-5)
        assert torch.equal(each.start(2).asked, transformer.best.repeat(2))
    horizon = DecisionTransformer(replace(TINY, horizon=3)).fit(walk)
    # With a horizon an episode can start anywhere.
    assert float(horizon.nets["transformer"].best) == pytest.approx(float(returns_to_go(walk, 3).max()))


def test_the_best_of_whole_episodes_is_asked_for():
    """Late in the first, more is left than any episode earned."""
    data = rewarded([-5.0, 1.0, -6.0], [0, 1, 1], [0, 0, 0])
    assert DecisionTransformer(TINY).fit(data).start(1).asked.tolist() == [-4]
    assert DecisionTransformer(replace(TINY, horizon=5)).fit(data).start(1).asked.tolist() == [1]


def test_episodes_longer_than_there_are_numbers_need_a_horizon(walk):
    with pytest.raises(ValueError, match="max_steps = 11 steps, got one of 12: raise max_steps, or set a horizon"):
        DecisionTransformer(replace(TINY, max_steps=11)).fit(walk)
    DecisionTransformer(replace(TINY, max_steps=11, horizon=5)).fit(walk)


# Acting


class Recorder:
    """What a transformer is asked, call by call."""

    def __init__(self, agent):
        self.contexts = []
        self.hook = agent.nets["transformer"].register_forward_pre_hook(
            lambda _, inputs: self.contexts.append(inputs[0])
        )


class Scripted(gymnasium.Env):
    """Episode n shows n and the number of the step, pays n + 1 + step, and ends after 3 + 4n steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (OBS,))
    action_space = spaces.Box(-1, 1, (ACT,))
    max_episode_steps = 11

    def __init__(self, number):
        self.number = number

    def reset(self, *, seed=None, options=None):
        self.taken = 0
        return self._seen(), {}

    def _seen(self):
        return np.array([self.number, self.taken, 0], dtype=np.float32)

    def step(self, action):
        reward, self.taken = float(self.number + 1 + self.taken), self.taken + 1
        return self._seen(), reward, self.taken == 3 + 4 * self.number, False, {}


class ScriptedTask:
    def __init__(self, first=0):
        self.number = first - 1

    def make_env(self):
        self.number += 1
        return Scripted(self.number)


def test_what_is_asked_for_is_the_target_minus_the_rewards_so_far(walk):
    agent = DecisionTransformer(TINY).fit(walk).acting(target_return=100.0)
    recorder = Recorder(agent)
    results = evaluate(agent, ScriptedTask(), 3, 0)
    assert results.lengths.tolist() == [3, 7, 11]
    assert len(recorder.contexts) == 11
    for t, seen in enumerate(recorder.contexts):
        running = [n for n in range(3) if t < 3 + 4 * n]
        assert seen.returns.shape == (len(running), TINY.context)  # never more steps, and no finished episode
        for row, n in enumerate(running):
            steps = list(range(max(0, t - TINY.context + 1), t + 1))
            there = seen.mask[row]
            assert there.tolist() == [False] * (TINY.context - len(steps)) + [True] * len(steps)
            assert seen.steps[row][there].tolist() == steps
            asked = [100 - sum(n + 1 + k for k in range(step)) for step in steps]
            assert seen.returns[row][there].tolist() == asked
            states = agent.nets.states(torch.tensor([[float(n), float(step), 0.0] for step in steps]))
            torch.testing.assert_close(seen.states[row][there], states)


def test_the_actions_remembered_are_those_that_were_taken(walk):
    agent = DecisionTransformer(TINY).fit(walk)
    recorder, policy, taken = Recorder(agent), agent.start(1), []
    for step in range(6):
        seen = torch.full((1, OBS), float(step))
        taken.append(policy.step(np.arange(1), seen, torch.ones(1), [torch.Generator()])[0])
    last = recorder.contexts[-1]
    torch.testing.assert_close(last.actions[0, :-1], torch.stack(taken[2:5]))
    assert len(policy.memory[0]) == TINY.context


def test_an_episode_does_not_notice_the_others(walk):
    """To the last digits of a batched matrix product: 1e-5."""
    agent = DecisionTransformer(TINY).fit(walk)
    generator = torch.Generator().manual_seed(1)
    observations, rewards = torch.randn(9, 4, OBS, generator=generator), torch.rand(9, 4, generator=generator)
    ends = [9, 3, 6, 1]

    def drive(episodes):
        policy, actions = agent.start(len(episodes)), {number: [] for number in episodes}
        for step in range(9):
            rows = [row for row, number in enumerate(episodes) if step < ends[number]]
            if not rows:
                break
            numbers = [episodes[row] for row in rows]
            chosen = policy.step(
                np.array(rows), observations[step, numbers], rewards[step, numbers], [torch.Generator()] * len(rows)
            )
            for number, action in zip(numbers, chosen, strict=True):
                actions[number].append(action)
        return {number: torch.stack(taken) for number, taken in actions.items()}

    together = drive([0, 1, 2, 3])
    for number in range(4):
        assert len(together[number]) == ends[number]
        torch.testing.assert_close(drive([number])[number], together[number], atol=1e-5, rtol=0)


def test_act_is_the_first_step_of_new_episodes(walk):
    agent = DecisionTransformer(TINY).fit(walk)
    observations = walk.observations[:6]
    generators = [torch.Generator() for _ in range(6)]
    first = agent.start(6).step(np.arange(6), observations, torch.zeros(6), generators)
    assert torch.equal(agent.act(observations), first)
    assert torch.equal(agent.act(observations, generators), first)  # and again: nothing is remembered
    assert not torch.equal(agent.acting(target_return=-50.0).act(observations), first)


def test_an_agent_that_is_not_fitted_or_sees_another_width_says_so(walk):
    with pytest.raises(RuntimeError, match="not fitted yet"):
        DecisionTransformer(TINY).start(3)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        DecisionTransformer(TINY).act(torch.zeros(2, OBS))
    agent = DecisionTransformer(TINY).fit(walk)
    with pytest.raises(ValueError, match=r"shape \(B, 3\), got \(2, 5\)"):
        agent.start(2).step(np.arange(2), torch.zeros(2, 5), torch.zeros(2), [torch.Generator()] * 2)
    with pytest.raises(ValueError, match=r"\['target_return'\], got \['context'\]"):
        agent.acting(context=3)


class Earn(gymnasium.Env):
    """Three steps; the reward of each is its action."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Box(-1, 1, (1,))
    max_episode_steps = 3

    def make_env(self):
        return Earn()

    def reset(self, *, seed=None, options=None):
        self.taken = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action):
        self.taken += 1
        return np.zeros(1, dtype=np.float32), float(action[0]), self.taken == 3, False, {}


def test_it_earns_what_it_is_asked_for():
    """Of three actions with the sum R̂, drawn alike, each is R̂ / 3 in the mean: that is what least squares learns."""
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand(6000, 1, generator=generator) * 2 - 1
    ends = torch.arange(6000) % 3 == 2
    data = Trajectories(torch.zeros(6000, 1), actions, actions[:, 0], ends, torch.zeros_like(ends))
    config = DecisionTransformerConfig.small(600, context=3, embedding=32, layers=1, dropout=0.0)
    agent = DecisionTransformer(config).fit(data)
    for asked in (-1.5, 0.0, 1.5):
        asking = agent.acting(target_return=asked)
        assert float(asking.act(torch.zeros(1, 1))) == pytest.approx(asked / 3, abs=0.1)
        assert evaluate(asking, Earn(), 2, 0).returns == pytest.approx([asked] * 2, abs=0.2)
    assert evaluate(agent, Earn(), 1, 0).returns[0] > 2.2  # by itself it asks for the best in the data, 2.8


# Config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 0}, "context must be at least 1, got 0"),
        ({"embedding": 0}, "embedding must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"heads": 0}, "heads must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
        ({"heads": 3}, "embedding must be a multiple of heads, got 128 and 3"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"dropout": -0.1}, r"dropout must lie in \[0, 1\), got -0.1"),
        ({"target_return": float("nan")}, "target_return must be a finite float or None, got nan"),
    ],
)
def test_impossible_configs_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DecisionTransformerConfig(**options)


def test_the_defaults_are_the_papers():
    config = DecisionTransformerConfig()
    assert (config.context, config.embedding, config.layers, config.heads, config.dropout) == (20, 128, 3, 1, 0.1)
    training = config.training
    assert (training.gradient_steps, training.batch_size, training.learning_rate) == (100_000, 64, 1e-4)
    assert (training.weight_decay, training.gradient_clip) == (1e-4, 0.25)
    small = DecisionTransformerConfig.small(10, context=7, seed=5)
    assert (small.context, small.seed, small.training.gradient_steps) == (7, 5, 10)
