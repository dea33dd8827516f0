"""Training on static stimuli: reference paths with guards off, failures by name, warm starts, batches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fixed_point_cases import FAST, eight_units
from fixed_point_program import learned, loss, ten_units
from fixed_point_runs import EVERY, LINEAR, PLAIN, X, run, ten_linear_units

import weightpath as wp


@pytest.fixture(scope="module")
def ten():
    return ten_linear_units()


#: Losses after 1, 10 and 100 updates, spectral abscissa and norm of the change after 100.
TEN = [
    pytest.param(
        *("dW1", 0.3, (0.3753545684, 0.07183052799, 2.295774821e-3), 0.339205, 1.702093), marks=pytest.mark.slow
    ),
    ("dW2", 0.3, (0.4757663667, 0.06529956744, 7.230245825e-7), 0.418675, 1.874888),
    ("dW3", 0.3, (0.4697255681, 0.06398479311, 7.082293323e-7), 0.418678, 1.874904),
    pytest.param(
        *("lookahead", 0.3, (0.4951887790, 0.08123638441, 1.484453588e-6), 0.418645, 1.874552), marks=pytest.mark.slow
    ),
    ("dW2", 3.0, (0.1672265139, 1.261719223e-3, 3.568e-23), 0.418739, 1.875599),
]


@pytest.mark.parametrize(("rule", "rate", "losses", "abscissa", "change"), TEN)
def test_reference_paths_of_a_linear_network(ten, rule, rate, losses, abscissa, change):
    network, task, (w, x, t) = ten
    path = run(network, task, LINEAR[rule], rate, 100)
    assert path.result == wp.RESULTS.successful and np.all(path.statistics["stable"] == 1)
    np.testing.assert_allclose(path.loss[0], 0.623065059854, rtol=1e-11)
    for step, wanted, rtol in zip((1, 10, 100), losses, (1e-8, 1e-6, 1e-2 if rate == 3.0 else 1e-4), strict=True):
        np.testing.assert_allclose(path.loss[step], wanted, rtol=rtol)
    last = np.asarray(path.w_rec[-1])
    assert abs(np.linalg.eigvals(last).real.max() - abscissa) < 1e-6
    assert abs(np.linalg.norm(last - w) - change) < 1e-6
    if rule == "dW2":  # the learning curve of linear regression, whatever the weights are
        residual = np.linalg.solve(np.eye(10) - w, x) - t
        shrink = np.eye(4) - rate * 2 / 4 * x.T @ x
        curve = [np.sum((residual @ np.linalg.matrix_power(shrink, n)) ** 2) / 4 for n in range(101)]
        np.testing.assert_allclose(np.sqrt(path.loss), np.sqrt(curve), rtol=1e-9, atol=1e-15)  # rounding of residuals
    else:  # weights of the other program, with its explicit inverses
        others = learned(rule, w, x, t, rate, 20)
        np.testing.assert_allclose(path.w_rec[20], others[-1], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_the_gradient_does_not_descend_at_a_large_rate(ten):
    network, task, _ = ten
    gradient = run(network, task, LINEAR["dW1"], 3.0, 100)
    np.testing.assert_allclose(gradient.loss[1], 0.6897816521, rtol=1e-8)
    np.testing.assert_allclose(gradient.loss[10], 0.5171995760, rtol=1e-6)
    assert gradient.result == wp.RESULTS.successful and gradient.loss[-1] > 0.5


def test_the_linearised_rule_runs_away_by_name(ten):
    """At ten times the rate; the last good weights are kept."""
    network, task, _ = ten
    away = run(network, task, LINEAR["dW3"], 3.0, 100)
    np.testing.assert_allclose(away.loss[1], 5931.476697, rtol=1e-8)
    assert away.result == wp.RESULTS.diverged and len(away) <= 14 and np.all(np.isfinite(away.w_rec))
    setup = wp.Setup(network, task, LINEAR["dW3"], train=("w_rec",), rates={"w_rec": 3.0})
    advice = r'Where steps are too large, guards="halve" and max_rel_step=0.1 keep them in bounds'
    with pytest.raises(RuntimeError, match=rf"stopped after step \d+ of 100 \(diverged\).*\. {advice}"):
        wp.train(setup, PLAIN, 100, record=EVERY)


#: Start, then rule: weights after 1, 2, ... updates.
SCALAR = {
    0.0: {"dW1": (0.1875, 0.4059797451), "dW2": (0.1578947368, 0.2536443149), "dW3": (0.1875, 0.2827148438)},
    0.9: {"dW1": (-149.1, -149.0999834), "dW2": (0.8823529412, 0.8626609442), "dW3": (0.885, 0.868396875)},
    1.5: {"dW1": (4.5, 4.534985423), "dW2": (1.8, 2.56097561, 7.872483221), "dW3": (1.6875, 1.993652344)},
}


@pytest.mark.parametrize(
    "rule", ["dW2", pytest.param("dW1", marks=pytest.mark.slow), pytest.param("dW3", marks=pytest.mark.slow)]
)
def test_one_unit_from_either_side_of_the_pole(rule):
    task = wp.StaticTargets(X[:, None], 2 * X[:, None])
    ends = {}
    for start, wanted in SCALAR.items():
        path = run(wp.LinearRNN([[start]], [[1.0]], [[1.0]]), task, LINEAR[rule], 0.05, 200)
        np.testing.assert_allclose(path.w_rec[1 : 1 + len(wanted[rule]), 0, 0], wanted[rule], atol=1e-8)
        ends[start] = path
    if rule == "dW1":
        assert 0.005 <= ends[0.0].loss[50] <= 0.2
        np.testing.assert_allclose(ends[0.9].loss[50], 7.45012, rtol=1e-5)  # stuck
        np.testing.assert_allclose(ends[1.5].loss[200], 8.67731, rtol=1e-5)
        return
    np.testing.assert_allclose(ends[0.0].loss[50], {"dW2": 1.80027e-9, "dW3": 1.27755e-9}[rule], rtol=1e-5)
    np.testing.assert_allclose(ends[0.9].loss[50], {"dW2": 1.15217e-7, "dW3": 2.32625e-7}[rule], rtol=1e-5)
    if rule == "dW2":  # through infinite weights to the other side
        assert ends[1.5].w_rec[:, 0, 0].min() < -1 and ends[1.5].loss[-1] < 1e-29
        assert abs(ends[1.5].w_rec[-1, 0, 0] - 0.5) < 1e-12
        stable = np.asarray(ends[1.5].statistics["stable"])
        assert stable[0] == 0 and stable[-1] == 1  # the start is an unstable fixed point, and that is told
    else:
        assert ends[1.5].result == wp.RESULTS.diverged and len(ends[1.5]) <= 11


#: Losses after 1, 10 and 50 updates, of the three problems of `eight_units`.
PROBLEMS = [("tanh", "cross_entropy"), ("tanh", "half_squared"), ("softplus", "half_squared")]

EIGHT = {
    "dW1": (
        wp.EuclideanFixedPoint(),
        (1.498092248, 1.115023928, 0.743683774),
        (1.071545975, 0.6505441115, 0.3882066227),
        (0.7739084052, 0.6833958889, 0.4751096243),
    ),
    "K": (
        wp.Reparameterised("K"),
        (1.523288047, 1.191649722, 0.5881641952),
        (1.121788525, 0.5969583069, 0.2584287982),
        (0.7745898141, 0.6809151079, 0.5099483337),
    ),
    "dW4": (
        wp.Reparameterised("dW4"),
        (1.515725450, 1.137331408, 0.6102802662),
        (1.103089286, 0.5223521004, 0.2552730155),
        (0.7650920330, 0.6040527206, 0.3587211832),
    ),
    "exact K": (
        wp.Reparameterised("K", exact=True),
        (1.524108157, 1.192734276, 0.5742009159),
        (1.122553977, 0.5858940888, 0.2532319005),
        (0.7739769560, 0.6783076277, 0.5082607529),
    ),
    "A": (
        wp.Reparameterised("A"),
        (1.552416223, 1.448818295, 1.356539596),
        (1.199497949, 1.026592016, 0.8541814192),
        None,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", EIGHT)
@pytest.mark.parametrize("problem", PROBLEMS, ids="-".join)
def test_reference_paths_of_nonlinear_batches(rule, problem):
    made, *tables = EIGHT[rule]
    wanted = tables[PROBLEMS.index(problem)]
    if wanted is None:  # the mean of updates that climbs
        path = run(*eight_units(*problem), made, 0.01, 50)
        np.testing.assert_allclose(path.loss[1], 0.8401152097, rtol=1e-6)
        assert path.result != wp.RESULTS.successful and len(path) <= 11
        return
    last = 30 if rule == "dW4" and problem[0] == "softplus" else 50
    path = run(*eight_units(*problem), made, 0.001 if rule == "A" else 0.1, last)
    for step, value, rtol in zip((1, 10, last), wanted, (1e-6, 1e-5, 1e-3), strict=True):
        np.testing.assert_allclose(path.loss[step], value, rtol=rtol)
    assert np.all(path.statistics["unsolved"] == 0) and np.all(path.statistics["stable"] == 1)


@pytest.mark.slow
@pytest.mark.parametrize(("parameter", "rate", "most"), [("A", 0.003, 50), ("K", 0.3, 51)])
def test_failures_of_nonlinear_batches_have_names(parameter, rate, most):
    network, task = eight_units("tanh", "cross_entropy")
    path = run(network, task, wp.Reparameterised(parameter), rate, 50)
    assert np.all(np.isfinite(path.loss)) and np.all(np.isfinite(path.w_rec)) and len(path) <= most
    names = (
        ("diverged", "singular_gain", "no_fixed_point")
        if parameter == "A"
        else ("successful", "no_fixed_point", "max_steps", "diverged")
    )
    assert wp.outcome_name(path.result) in names
    guarded = run(network, task, wp.Reparameterised(parameter), rate, 50, guards="halve", max_rel_step=0.2)
    assert np.all(np.diff(guarded.loss) <= 1e-9)


def test_a_nonlinear_batch_and_its_failure():
    """Quick twin: the exact rule's first ten updates; too large a rate ends by name at the last good weights."""
    network, task = eight_units("tanh", "cross_entropy")
    rule = wp.Reparameterised("K", exact=True, solver=FAST)
    path = run(network, task, rule, 0.1, 10)
    np.testing.assert_allclose(path.loss[jnp.array([1, 10])], (1.524108157, 1.192734276), rtol=1e-5)
    assert path.follows_velocity and np.all(path.statistics["unsolved"] == 0)
    failed = run(network, task, rule, 30.0, 50)
    assert failed.result != wp.RESULTS.successful and np.all(np.isfinite(failed.w_rec)) and len(failed) < 50


def test_an_order_says_what_every_update_sees(ten):
    network, _, (w, x, t) = ten
    task = wp.StaticTargets(x.T, t.T, order=[[2, 0], [1, 3]])
    path = run(network, task, LINEAR["dW3"], 0.1, 2)
    expected = w
    for step, row in enumerate([[2, 0], [1, 3]]):
        np.testing.assert_allclose(path.loss[step], loss(expected, x[:, row], t[:, row]), rtol=1e-10)
        expected = learned("dW3", expected, x[:, row], t[:, row], 0.1, 1)[1]
        np.testing.assert_allclose(path.w_rec[step + 1], expected, atol=1e-13)
    np.testing.assert_array_equal(path.statistics["batch_loss"], path.loss)


def test_every_batch_is_solved_once(monkeypatch):
    """Recorded at every update: one solve for each, which serves update and record, and one for the last record."""
    from weightpath.learn import static

    solves, plain = [], static.at_rest

    def counted(*arguments):
        jax.debug.callback(lambda: solves.append(1))
        return plain(*arguments)

    monkeypatch.setattr(static, "at_rest", counted)
    network = wp.LinearRNN(0.1 * np.eye(3), np.eye(3), np.eye(3))
    task = wp.StaticTargets(np.eye(3), 2 * np.eye(3), order=[[0, 1], [1, 2], [2, 0], [0, 1]])
    path = run(network, task, LINEAR["dW3"], 0.1, 4)
    jax.effects_barrier()
    assert len(path) == 5 and len(solves) == 5


@pytest.mark.slow
def test_shuffled_epochs_are_the_order_they_shuffle_to(ten):
    network, _, (_, x, t) = ten
    key, shuffled = jax.random.key(3), wp.StaticTargets(x.T, t.T, trials=2)
    seen = [np.asarray(shuffled.sample(key, step).inputs) for step in range(4)]
    order = [[int(np.argmin(np.abs(x.T - row).sum(1))) for row in rows] for rows in seen]
    first = run(network, shuffled, LINEAR["dW3"], 0.1, 4, key=key)
    second = run(network, wp.StaticTargets(x.T, t.T, order=order), LINEAR["dW3"], 0.1, 4)
    np.testing.assert_allclose(first.w_rec, second.w_rec, rtol=1e-13)


def test_what_training_refuses():
    w, x, t = ten_units()
    network = wp.LinearRNN(w, np.eye(10), np.eye(10))
    task = wp.StaticTargets(x.T, t.T)
    exact = wp.Setup(network, task, LINEAR["dW2"], train=("w_rec",))
    for optimiser in (optax.adam(0.1), optax.sgd(0.1, momentum=0.9)):
        with pytest.raises(ValueError, match=r"Use optax.sgd\(rate\), or Reparameterised\(exact=False\)"):
            wp.train(exact, optimiser, 2)
    with pytest.raises(ValueError, match="the learning rate must be positive and finite; got -0.1"):
        wp.train(exact, optax.sgd(-0.1), 2)
    with pytest.raises(ValueError, match="the learning rate must be positive and finite; got nan"):
        wp.train(exact, optax.sgd(np.nan), 2)
    with pytest.raises(ValueError, match="order has the samples of 1 updates, not of 2"):
        wp.train(wp.Setup(network, wp.StaticTargets(x.T, t.T, order=[[0, 1]]), LINEAR["dW1"], "w_rec"), PLAIN, 2)
    with pytest.raises(ValueError, match=r"shuffles its samples; give wp.train a key"):
        wp.train(wp.Setup(network, wp.StaticTargets(x.T, t.T, trials=2), LINEAR["dW1"], "w_rec"), PLAIN, 2)
    with pytest.raises(ValueError, match='update="step" learns within trials in time'):
        wp.train(exact, PLAIN, 2, update="step")
    silent = eqx.tree_at(lambda value: value.network.w_out, exact, jnp.zeros((10, 10)))
    with pytest.raises(ValueError, match="no output reads the network"):
        wp.train(silent, PLAIN, 2)
    with pytest.raises(ValueError, match='fall_back is a number of halvings and goes with loss_rise="halve"'):
        wp.Guards(fall_back=2)
    with pytest.raises(ValueError, match="rise is a factor of at least 1; got 0.5"):
        wp.Guards(rise=0.5)
    with pytest.raises(ValueError, match="margin must not be negative; got -1"):
        wp.Guards(margin=-1.0)
    with pytest.raises(ValueError, match="use optax.sgd"):
        setup = wp.Setup(network, task, LINEAR["dW1"], train=("w_rec",))
        wp.train(setup, optax.adam(0.1), 2, guards=wp.Guards(loss_rise="halve", fall_back=2))
