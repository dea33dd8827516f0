"""Rules side by side: known alignments, the same runs as wp.train makes, failures, costs, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

import weightpath as wp
from weightpath import EProp, FlipFlop, RateRNN
from weightpath.networks.init import rate
from weightpath.rule_comparison import Interrupted, compare_rules
from weightpath.rule_comparison.alignment import alignment
from weightpath.rule_comparison.cost import cost
from weightpath.rule_comparison.table import Found, as_dataset
from weightpath.rules.random_feedback import random_feedback

TASK = FlipFlop(bits=2, bins=8, trials=6)
NAMES = ("w_rec", "w_in", "w_out")
KEY = jax.random.key(5)
ALIGNMENT = jax.jit(lambda first, second, source: alignment(first, second, NAMES, source))
RATES = [0.2, 1e12]


def diagonal(key):
    """A network whose units do not talk to one another at first."""
    drawn = rate(key, 5, 2, 2, gain=1.0, leak=0.5, bias=False)
    return RateRNN(jnp.diag(jnp.diag(drawn.w_rec)), drawn.w_in, drawn.w_out, leak=0.5)


def without_slope(key, network):
    return wp.RFLO(random_feedback(key, network), trace_decay=0.5, trace_derivative=False)


def compared(rules, **changes):
    arguments = {"train": NAMES, "learning_rate": RATES, "steps": 5, "seeds": 3, "every": 3, "key": KEY}
    return compare_rules(rules, diagonal, TASK, **{**arguments, "progress": False, **changes})


@pytest.fixture(scope="module")
def dataset():
    return compared({"e-prop": EProp(), "RFLO": without_slope})


def test_dims_and_coordinates(dataset):
    assert dict(dataset.sizes) == {"rule": 2, "rate": 2, "seed": 3, "step": 3, "weight": 4, "eig": 5}
    assert dataset.loss.dims == ("rule", "rate", "seed", "step")
    assert dataset.cosine.dims == ("rule", "rate", "seed", "step", "weight")
    assert dataset.step.values.tolist() == [0, 3, 5] and dataset.weight.values.tolist() == [*NAMES, "all"]
    np.testing.assert_array_equal(dataset.learning_rate, [RATES] * 2)
    assert (dataset.seconds > 0).all() and dataset.attrs == {"task": "FlipFlop", "performance": "FlipFlop.performance"}


def test_eprop_is_the_gradient_where_units_do_not_talk(dataset):
    cosine = dataset.cosine.sel(rule="e-prop").isel(rate=0)
    np.testing.assert_allclose(cosine.sel(step=0), 1, rtol=1e-12)
    assert (cosine.sel(step=3, weight="w_rec") < 1 - 1e-6).all()  # after that they do


def test_feedback_confines_the_update_without_slope(dataset):
    inside = dataset.inside_feedback.sel(rule="RFLO").isel(rate=0)
    np.testing.assert_allclose(inside.sel(weight=["w_rec", "w_in", "all"]), 1, rtol=1e-12)
    assert np.isnan(inside.sel(weight="w_out")).all()
    values = dataset.singular_value.sel(rule="RFLO").isel(rate=0).values
    assert (values[:, 2:] < 1e-10 * values[:, :1]).all()  # two outputs: rank two


def test_runs_are_those_of_train(dataset):
    seed = jax.random.fold_in(KEY, 1)
    network = diagonal(jax.random.fold_in(seed, 0))
    feedback = random_feedback(jax.random.fold_in(seed, 1), network)
    rule = wp.RFLO(feedback, trace_decay=0.5, trace_derivative=False)
    path = wp.train(
        wp.Setup(network, TASK, rule, NAMES), optax.sgd(0.2), 5, record=wp.Record(every=3),
        key=jax.random.fold_in(seed, 2), progress=False,
    )  # fmt: skip
    for index, step in enumerate((0, 3, 5)):
        batch = TASK.sample(jax.random.fold_in(seed, 3), step)
        inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
        w_rec, w_in, w_out = (np.asarray(getattr(path.networks, name))[index] for name in NAMES)
        state, outputs = np.zeros((6, 5)), []
        for time in range(8):
            state = 0.5 * state + 0.5 * np.tanh(state @ w_rec.T + inputs[:, time] @ w_in.T)
            outputs.append(state @ w_out.T)
        errors = np.stack(outputs, axis=1) - targets
        here = dataset.sel(rule="RFLO", step=step).isel(rate=0, seed=1)
        np.testing.assert_allclose(here.loss, 0.5 * np.mean(np.sum(errors**2, axis=-1)), rtol=1e-10)
        np.testing.assert_allclose(here.performance, np.mean((errors + targets) * targets > 0), rtol=1e-12)
    change = np.asarray(path.w_rec[-1] - path.w_rec[0])
    singular = np.linalg.svd(change, compute_uv=False)
    here = dataset.sel(rule="RFLO").isel(rate=0, seed=1)
    np.testing.assert_allclose(here.singular_value, singular, rtol=1e-8, atol=1e-15)


def test_a_rate_that_fails_stops_no_other(dataset):
    assert (dataset.outcome.isel(rate=0) == "successful").all() and (dataset.last_step.isel(rate=0) == 5).all()
    failed = dataset.isel(rate=1)
    assert set(failed.outcome.values.ravel().tolist()) <= {"diverged", "nonfinite"}
    assert np.isfinite(failed.loss.sel(step=0)).all() and np.isnan(failed.loss.sel(step=5)).all()
    np.testing.assert_allclose(failed.loss.sel(step=0), dataset.loss.isel(rate=0).sel(step=0))


def test_an_interrupt_keeps_the_finished_rules(dataset):
    told = []

    def stop(label, done, total, **numbers):
        told.append((label, done, total))
        if label.endswith("RFLO") and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"finished rules \(e-prop\) are in `.dataset`") as caught:
        compared({"e-prop": EProp(), "RFLO": without_slope}, progress=stop)
    assert [done for label, done, _ in told if label.endswith("e-prop")] == [0, 3, 5]
    assert caught.value.dataset.rule.values.tolist() == ["e-prop"]
    np.testing.assert_array_equal(caught.value.dataset.loss, dataset.loss.sel(rule=["e-prop"]))


def test_measures_against_numpy():
    random = np.random.default_rng(0)
    shapes = {"w_rec": (5, 5), "w_in": (5, 2), "w_out": (3, 5)}
    first, second = ({name: random.standard_normal(shape) for name, shape in shapes.items()} for _ in range(2))
    second["w_in"][0] = 0.0
    source = random.standard_normal((5, 3))
    source[:, 2] = source[:, 0]  # of rank two
    networks = [RateRNN(**weights, leak=1.0) for weights in (first, second)]
    found = ALIGNMENT(*networks, jnp.asarray(source))
    itself = ALIGNMENT(networks[0], networks[0], jnp.asarray(source))
    for name in ("cosine", "along", "sign_agreement"):
        np.testing.assert_allclose(itself[name], 1, rtol=1e-14)
    basis = scipy.linalg.orth(source)
    groups = [[name] for name in NAMES] + [list(NAMES)]
    for index, group in enumerate(groups):
        v = np.concatenate([first[name].ravel() for name in group])
        r = np.concatenate([second[name].ravel() for name in group])
        assert found["cosine"][index] == pytest.approx(1 - scipy.spatial.distance.cosine(v, r))
        assert found["sign_agreement"][index] == pytest.approx(np.mean((np.sign(v) == np.sign(r))[r != 0]))
        assert found["along"][index] == pytest.approx(v @ r / np.sum(r**2))
        into = [first[name] for name in group if name != "w_out"]
        if into:
            columns = np.concatenate(into, axis=1)
            assert found["inside_feedback"][index] == pytest.approx(
                np.sum((basis.T @ columns) ** 2) / np.sum(columns**2)
            )
        else:
            assert np.isnan(found["inside_feedback"][index])


def test_costs_are_those_of_the_table():
    network = rate(jax.random.key(0), 10, 3, 1, gain=1.0, leak=0.5)
    n, m = 10, 14
    assert cost(wp.BPTT(), network, 20) == (4 * n * m, 20 * m * 8)
    assert cost(wp.TruncatedBPTT(4), network, 20) == (16 * n * m, 4 * m * 8)
    assert cost(wp.RTRL(), network, 20) == (2 * n**3 * m, n**2 * m * 8)
    assert cost(wp.RFLO(None), network, 20) == (4 * n * m, n * m * 8)
    assert cost(EProp(), network, 20)[1] == n * m * 8
    assert cost(wp.UORO(), network, 20) == (2 * n**2 + 6 * n * m, (n + n * m) * 8)
    assert cost(wp.KFRTRL(), network, 20) == (2 * n**3, (n**2 + m) * 8)


def test_one_rate_needs_no_axis():
    result = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (1, 2)), wp.RESULTS.successful)
    records = {"loss": np.ones((1, 2, 2)), "cosine": np.ones((1, 2, 2, 2))}
    change, steps = np.ones((1, 2, 3, 3)), np.ones((1, 2), int)
    found = Found([0, 1], ("w_rec", "all"), records, result, steps, change, 1e-3, (1.0, 2.0))
    single = as_dataset({"x": found}, {"x": np.array([0.3])}, False, TASK)
    assert single.loss.dims == ("rule", "seed", "step") and float(single.learning_rate.sel(rule="x")) == 0.3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rules": []}, "rules is empty; give at least one"),
        ({"rules": [EProp(), EProp()]}, "must hold rules of different classes; got EProp, EProp"),
        ({"rules": {"x": 3}}, r"rules\['x'\] must be a learning rule"),
        ({"rules": {"x": wp.BPTT}}, r"rules\['x'\] must be a learning rule"),
        ({"network": 3}, "network must be a network or a function key -> network; got 3"),
        ({"learning_rate": {"e-prop": 0.1}}, r"must name every rule once \(BPTT\); got e-prop"),
        ({"learning_rate": -0.1}, "learning rates must be positive numbers; got -0.1 for BPTT"),
        ({"rules": [wp.BPTT(), EProp()], "learning_rate": {"BPTT": [0.1], "EProp": [0.1, 0.2]}}, "same number"),
        ({"optimiser": optax.sgd(0.1)}, "must be a function of the learning rate, such as optax.sgd or optax.adam"),
        ({"optimiser": lambda speed: optax.sgd(speed)}, "optimiser must be a function of `learning_rate`"),
        ({"steps": 0}, "steps must be a whole number, at least 1; got 0"),
        ({"seeds": 0}, "seeds must be a whole number"),
        ({"every": 0}, "every must be a whole number"),
        ({"train": "w_reck", "seeds": 3}, "train must name weights of RateRNN"),
        ({"rules": [wp.RTRL(max_bytes=10.0)]}, "RTRL with 5 units and 6 trials at once needs"),
        ({"rules": {"x": wp.RFLO(np.ones((5, 2)))}}, "give its transpose"),
    ],
)
def test_bad_input_is_named(changes, words):
    arguments = {"train": NAMES, "learning_rate": RATES, "steps": 5, "seeds": 3, "every": 3, "key": KEY, **changes}
    rules, network = arguments.pop("rules", [wp.BPTT()]), arguments.pop("network", diagonal)
    with pytest.raises(ValueError, match=words):
        compare_rules(rules, network, TASK, **arguments)


def test_static_stimuli_are_compared_elsewhere():
    task = wp.StaticTargets(np.ones((2, 1)), np.ones((2, 1)))
    arguments = {"train": NAMES, "learning_rate": RATES, "steps": 5, "key": KEY}
    with pytest.raises(ValueError, match="fixed points of wp.StaticTargets run wp.train once for each rule"):
        compare_rules([wp.EuclideanFixedPoint()], diagonal, task, **arguments)
