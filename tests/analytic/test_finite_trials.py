"""The exact loss of trials of finite duration: explicit sums, complex-step gradients, Monte Carlo, limits, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from integrator_reference import ALL, TARGETS, gaussian

import weightpath as wp
from weightpath.rules.backprop import batch_loss
from weightpath.rules.finite import finite_velocity
from weightpath.tasks.finite import finite_target

DT, BINS = 0.1, 12


def one_pole(outlier, readout, *, duration, dt=DT, decay=0.2, scheme="euler", train=("w_rec", "w_out")):
    task = wp.FiniteTrials(wp.Integrator(decay, noise=wp.WhiteNoise(duration, dt, 3)))
    network = wp.ContinuousLinearRNN([[outlier]], [1.0], [readout], dt=dt, scheme=scheme)
    return wp.Setup(network, task, wp.BPTT(), train=train)


@eqx.filter_jit
def exact(setup):
    """Velocity and loss in one compiled program."""
    velocity, info = setup.rule.population(setup.network, setup.task.population())
    return setup.masked(velocity), info.loss


def explicit(weights, filter, scheme, bins=BINS, dt=DT):
    """Half the mean over bins of the variance of the error, as a double sum over output and input bins."""
    w_rec, w_in, w_out = weights
    units, channels = w_in.shape
    if scheme == "discrete":
        step, drive, target, bin_drive, variance = w_rec, w_in, filter.F, filter.b, 1.0
    else:
        generator = w_rec - np.eye(units)
        block = np.zeros((units + channels, units + channels), complex)
        block[:units] = np.concatenate([generator, w_in], axis=1)
        whole = scipy.linalg.expm(dt * block)
        euler = np.eye(units) + dt * generator, dt * w_in
        step, drive = euler if scheme == "euler" else (whole[:units, :units], whole[:units, units:])
        target, bin_drive, variance = scipy.linalg.expm(dt * np.asarray(filter.F)), dt * filter.b, 1 / dt
    total = 0.0
    for late in range(bins):
        for early in range(late + 1):
            lag = late - early
            ours = w_out @ np.linalg.matrix_power(step, lag) @ drive
            theirs = filter.c @ np.linalg.matrix_power(np.asarray(target), lag) @ bin_drive
            total += 0.5 * variance / bins * np.sum((ours - theirs) ** 2)
    return total


@pytest.mark.parametrize(
    ("scheme", "kind", "gain"),
    [("euler", "several", 3.0), ("zoh", "several", 0.7), ("discrete", "several", 0.7)],
)
def test_loss_and_velocity_are_those_of_the_explicit_sum(scheme, kind, gain):
    """Euler, zoh and discrete time, several inputs and outputs, and an unstable network; complex steps to rounding."""
    filter = TARGETS[kind]
    noise = wp.WhiteNoise(BINS * DT, DT, 2)
    weights = gaussian(3, 3, gain, (filter.b.shape[1], filter.c.shape[0]))
    if scheme == "discrete":
        # The sampled target of a discrete network is exp(F dt)^k, so the explicit sum is given that matrix.
        task = wp.RationalFilter(filter.F, filter.b, filter.c, dt=0.3, noise=noise)
        filter = eqx.tree_at(lambda f: f.F, filter, task.population().transition)
        network = wp.LinearRNN(*weights)
    else:
        task = wp.RationalFilter(filter.F, filter.b, filter.c, noise=noise)
        network = wp.ContinuousLinearRNN(*weights, dt=DT, scheme=scheme)
    setup = wp.Setup(network, wp.FiniteTrials(task), wp.BPTT(), train=ALL, rates={"w_in": 0.5})
    velocity, loss = exact(setup)
    np.testing.assert_allclose(loss, np.real(explicit(weights, filter, scheme)), rtol=1e-13)
    for index, (name, rate) in enumerate((("w_rec", 1.0), ("w_in", 0.5), ("w_out", 1.0))):
        slope = np.zeros(weights[index].shape)
        for entry in np.ndindex(slope.shape):
            shifted = [np.asarray(array, complex) for array in weights]
            shifted[index][entry] += 1e-30j
            slope[entry] = np.imag(explicit(shifted, filter, scheme)) / 1e-30
        np.testing.assert_allclose(getattr(velocity, name), -rate * slope, rtol=1e-11, atol=1e-12)


def test_the_reference_values_of_short_and_long_trials():
    short, long = (wp.loss(one_pole(0.3, 0.7, duration=duration)) for duration in (10.0, 40.0))
    np.testing.assert_allclose([short, long], [0.42807, 0.60419], atol=5e-6)
    endless = wp.Setup(wp.ContinuousLinearRNN([[0.3]], [1.0], [0.7]), wp.Integrator(0.2), wp.BPTT(), train="w_rec")
    np.testing.assert_allclose(wp.loss(endless), 0.64722, atol=5e-6)


@pytest.mark.parametrize("case", ["discrete, two channels", pytest.param("zoh", marks=pytest.mark.slow)])
def test_batches_have_this_loss_on_average(case):
    """Monte Carlo through the step-by-step run of the network: within 4 standard errors, known to 2 percent."""
    noise = wp.WhiteNoise(6.0, 0.2, 4000)
    if case == "zoh":
        task, weights = wp.Integrator(0.3, noise=noise), gaussian(5, 3, 0.6)
        network = wp.ContinuousLinearRNN(*weights, dt=0.2, scheme="zoh")
    else:
        several = TARGETS["several"]
        task = wp.RationalFilter(several.F, several.b, several.c, dt=0.4, noise=noise)
        network = wp.LinearRNN(*gaussian(5, 3, 0.6, (2, 3)))
    expected = wp.loss(wp.Setup(network, wp.FiniteTrials(task), wp.BPTT(), train="w_rec"))
    batch = task.sample(jax.random.key(5), 0)

    def of_trial(inputs, targets, mask):
        return batch_loss(network, type(batch)(inputs[None], targets[None], mask[None]))

    losses = np.asarray(jax.jit(jax.vmap(of_trial))(batch.inputs, batch.targets, batch.mask))
    error = losses.std() / np.sqrt(losses.size)
    assert error < 0.02 * expected
    assert abs(losses.mean() - expected) < 4 * error


def test_small_bins_tend_to_the_integral_over_the_trial_at_first_order():
    duration, steps = 10.0, [0.1, 0.05, 0.025]

    def density(s):
        return 0.5 * (1 - s / duration) * (0.7 * np.exp(-0.7 * s) - np.exp(-0.2 * s)) ** 2

    limit = scipy.integrate.quad(density, 0, duration, epsabs=1e-13)[0]
    errors = [abs(float(wp.loss(one_pole(0.3, 0.7, duration=duration, dt=dt))) - limit) for dt in steps]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(1, abs=0.03)


def test_long_trials_tend_to_the_stationary_loss_as_one_over_their_duration():
    weights = gaussian(7, 3, 0.5)
    durations = [400, 800, 1600]
    stationary = wp.loss(wp.Setup(wp.LinearRNN(*weights), wp.Integrator(0.2, dt=0.5), wp.BPTT(), train="w_rec"))
    errors = []
    for bins in durations:
        task = wp.Integrator(0.2, dt=0.5, noise=wp.WhiteNoise(float(bins), 1.0, 1))
        finite = wp.Setup(wp.LinearRNN(*weights), wp.FiniteTrials(task), wp.BPTT(), train="w_rec")
        errors.append(abs(float(wp.loss(finite) - stationary)))
    assert np.polyfit(np.log(durations), np.log(errors), 1)[0] == pytest.approx(-1, abs=1e-3)
    assert errors[-1] < 5e-3 * stationary


def test_euler_steps_end_beside_the_target_and_exact_steps_on_it():
    decay, dt = 0.4, 0.2
    euler = one_pole(1 - (1 - np.exp(-decay * dt)) / dt, 1.0, duration=20.0, dt=dt, decay=decay)
    held = decay * dt / (1 - np.exp(-decay * dt))
    held_input = one_pole(1 - decay, held, duration=20.0, dt=dt, decay=decay, scheme="zoh")
    for setup in (euler, held_input):
        velocity, loss = exact(setup)
        assert loss < 1e-30 and max(abs(float(leaf[0, 0])) for leaf in jax.tree.leaves(velocity)) < 1e-14
    assert 1 - float(euler.network.w_rec[0, 0]) == pytest.approx(decay - decay**2 * dt / 2, abs=decay**3 * dt**2 / 5)


def test_marginal_and_unstable_networks_have_a_finite_loss():
    setup = one_pole(1.3, 0.5, duration=5.0, decay=0.0)
    n, f = 50, 0.5 * 1.03 ** np.arange(50)
    np.testing.assert_allclose(wp.loss(setup), 0.05 * np.sum((1 - np.arange(n) / n) * (f - 1) ** 2), rtol=1e-13)
    solved = one_pole(1.0, 1.0, duration=5.0, decay=0.0)
    assert wp.loss(solved) == 0 and wp.velocity(setup).w_rec[0, 0] < 0 == wp.velocity(solved).w_rec[0, 0]
    with pytest.raises(ValueError, match="grows beyond what 64-bit numbers hold"):
        wp.loss(one_pole(1e9, 0.5, duration=5.0))


def test_gradient_descent_on_the_expected_loss_needs_no_key():
    import optax

    setup = one_pole(0.0, 0.0, duration=10.0, decay=0.5)
    run = wp.train(setup, optax.sgd(0.2), 300, record=wp.Record(every=150))
    assert np.all(np.diff(run.loss) < 0) and run.loss[-1] < 1e-8
    np.testing.assert_allclose(run.loss[-1], wp.loss(setup.with_network(run.network(-1))), rtol=1e-12)
    batch = setup.task.sample(jax.random.key(0), 0)
    assert batch.inputs.shape == (3, 100, 1)


def test_the_velocity_can_be_differentiated_again():
    """Solvers of stiff flows and sharpness need the derivative of the hand-written gradient."""
    setup = one_pole(0.4, 0.6, duration=4.0)
    target = finite_target(setup.task)

    @jax.jit
    def velocity(pair):
        network = eqx.tree_at(lambda n: (n.w_rec, n.w_out), setup.network, (pair[:1, None], pair[1:, None]))
        found = finite_velocity(network, target)[0]
        return jnp.stack([found.w_rec[0, 0], found.w_out[0, 0]])

    at, step = jnp.array([0.4, 0.6]), 1e-4
    sides = [[velocity(at + sign * step * row) for sign in (1, -1)] for row in np.eye(2)]
    slope = np.stack([(ahead - behind) / (2 * step) for ahead, behind in sides], axis=1)
    found = jax.jit(jax.jacfwd(velocity))(at)
    np.testing.assert_allclose(found, slope, rtol=1e-6)
    np.testing.assert_allclose(found, found.T, rtol=1e-12)  # minus a Hessian


def test_many_trials_cost_one_gradient():
    """BPTT of linear networks through the impulse response is the gradient through the run of every trial."""
    task = wp.RationalFilter(TARGETS["several"].F, TARGETS["several"].b, TARGETS["several"].c,
                             noise=wp.WhiteNoise(3.0, 0.1, 5))  # fmt: skip
    batch = task.sample(jax.random.key(2), 0)
    batch = type(batch)(batch.inputs, batch.targets, batch.mask.at[1, 4:9].set(0.0))
    network = wp.ContinuousLinearRNN(*gaussian(6, 4, 2.5, (2, 3)), dt=0.1)
    loss, slope = eqx.filter_jit(eqx.filter_value_and_grad(batch_loss))(network, batch)
    velocity, _, info = eqx.filter_jit(wp.BPTT().update)(network, batch, None)
    np.testing.assert_allclose(info.loss, loss, rtol=1e-12)
    for ours, theirs in zip(jax.tree.leaves(velocity), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(ours, -theirs, rtol=1e-10, atol=1e-12 * np.abs(theirs).max())


def test_what_does_not_fit_is_refused_in_words():
    noise = wp.WhiteNoise(2.0, 0.1, 3)
    with pytest.raises(ValueError, match="this Integrator has no `noise`"):
        wp.FiniteTrials(wp.Integrator(0.2))
    task = wp.FiniteTrials(wp.Integrator(0.2, noise=noise))
    one = ([[0.0]], [1.0], [1.0])
    for network, message in (
        (wp.ContinuousLinearRNN(*one, dt=0.2), "sampled at dt=0.1 and the network steps by dt=0.2"),
        (wp.ContinuousLinearRNN(*one), "the network steps by dt=None"),
        (wp.LinearRNN(*one), "discrete time and the target is continuous"),
        (wp.RateRNN(*one, leak=0.1), "the network is not linear"),
    ):
        with pytest.raises(ValueError, match=f"BPTT has no exact form for {type(network).__name__}.*{message}"):
            wp.loss(wp.Setup(network, task, wp.BPTT(), train="w_rec"))
    sampled = wp.FiniteTrials(wp.Integrator(0.2, dt=0.1, noise=noise))
    with pytest.raises(ValueError, match="leave the task's dt out"):
        wp.loss(wp.Setup(wp.ContinuousLinearRNN(*one, dt=0.1), sampled, wp.BPTT(), train="w_rec"))
