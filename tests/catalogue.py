"""One example of every member of every abstract class; the contract tests run over these lists.

Adding a network, task, rule or theory means adding a line here: `test_catalogue.py` fails while one is missing.
"""

import jax
import jax.numpy as jnp
import numpy as np

from weightpath import (
    BPTT,
    KFRTRL,
    RFLO,
    RTRL,
    UORO,
    ContinuousLinearRNN,
    DampedOscillator,
    DelayedMatch,
    EProp,
    EquilibriumPropagation,
    EuclideanFixedPoint,
    EvidenceIntegration,
    FiniteTrials,
    FlipFlop,
    ForceFieldReach,
    GivenTrials,
    Integrator,
    LinearRNN,
    MeanMetric,
    PhantomGradient,
    RateRNN,
    RationalFilter,
    Reparameterised,
    Setup,
    SineGeneration,
    SnAp0,
    StaticTargets,
    TeacherRNN,
    TruncatedBPTT,
    WhiteNoise,
)
from weightpath.networks.factored import FactoredRNN
from weightpath.networks.fock import infinite
from weightpath.networks.init import gaussian
from weightpath.tasks.base import Batch
from weightpath.tasks.drawn import DrawnBatches
from weightpath.theory import ConjugatePair, FiniteOutlier, Modes, Outlier, RankBound, RecurrentOnly, Reservoir


def _normal(index: int, *shape: int):
    # Drawn by NumPy: every worker reads this file, and JAX would compile a program for each shape.
    return jax.device_put(0.4 * np.random.default_rng([7, index]).standard_normal(shape))


NOISE = WhiteNoise(duration=2.0, dt=0.1, trials=3)

NETWORKS = [
    ContinuousLinearRNN(_normal(0, 4, 4), _normal(1, 4, 1), _normal(2, 1, 4), dt=0.1),
    ContinuousLinearRNN(_normal(0, 4, 4), _normal(1, 4, 1), _normal(2, 1, 4), dt=0.1, scheme="zoh"),
    LinearRNN(_normal(0, 4, 4), _normal(1, 4, 1), _normal(2, 1, 4)),
    RateRNN(_normal(0, 4, 4), _normal(1, 4, 1), _normal(2, 1, 4), bias=_normal(3, 4), leak=0.1),
    RateRNN(_normal(0, 4, 4), _normal(1, 4, 1), _normal(2, 1, 4), leak=0.1, form="current", activation="softplus"),
    FactoredRNN(
        _normal(0, 4, 2), _normal(1, 4, 2), jnp.ones(2), jnp.ones(2), _normal(2, 1, 4), jnp.zeros(1), jnp.asarray(4.0)
    ),
]

ONES = jnp.ones((3, 20))
TASKS = [
    Integrator(0.3, noise=NOISE),
    Integrator(0.3, dt=0.1, noise=NOISE),
    RationalFilter([[-0.3, -1.0], [1.0, -0.3]], [1.0, 0.0], [1.0, 0.0], noise=NOISE),
    FiniteTrials(Integrator(0.3, noise=NOISE)),
    DampedOscillator(0.3, 1.0, 0.8, -0.5, noise=NOISE),
    DampedOscillator(0.3, 1.0, dt=0.1, noise=NOISE),
    GivenTrials(_normal(4, 3, 20, 2), _normal(5, 2, 3, 20, 1), phase_steps=2),
    ForceFieldReach(trials=3, preparation=9, movement=10),
    TeacherRNN(LinearRNN(_normal(0, 4, 4), _normal(1, 4, 1), _normal(2, 1, 4)), horizon=20, trials=3),
    DelayedMatch(trials=3),
    FlipFlop(trials=3, bins=20),
    EvidenceIntegration(trials=3),
    SineGeneration(trials=3, bins=20),
    DrawnBatches(
        jax.tree.map(
            lambda leaf: jax.device_put(np.stack([leaf] * 4)), Batch(_normal(4, 3, 20, 2), _normal(5, 3, 20, 1), ONES)
        )
    ),
    StaticTargets(_normal(4, 6, 1), _normal(5, 6, 1)),
]

RULES = [
    BPTT(),
    TruncatedBPTT(3),
    RTRL(),
    RFLO(_normal(6, 1, 4), trace_decay=0.5),
    EProp(_normal(6, 1, 4)),
    SnAp0(_normal(6, 1, 4)),
    UORO(),
    KFRTRL(),
    EuclideanFixedPoint(),
    Reparameterised(),
    MeanMetric(),
    PhantomGradient(),
    EquilibriumPropagation(),
]

THEORIES = [
    (
        Outlier(),
        Setup(
            gaussian(jax.random.key(0), 5, gain=0.0, read_in_norm=1.0, readout="zero"),
            Integrator(0.3),
            BPTT(),
            train=("w_rec", "w_out"),
        ),
    ),
    (
        ConjugatePair(),
        Setup(
            ContinuousLinearRNN(jnp.zeros((5, 5)), jnp.eye(5)[0], 0.1 * jnp.eye(5)[1]),
            DampedOscillator(0.3, 1.0),
            BPTT(),
            train=("w_rec", "w_out"),
        ),
    ),
    (
        FiniteOutlier(),
        Setup(
            gaussian(jax.random.key(0), 5, gain=0.0, read_in_norm=1.0, readout="zero", dt=0.1),
            FiniteTrials(Integrator(0.3, noise=NOISE)),
            BPTT(),
            train=("w_rec", "w_out"),
        ),
    ),
    (
        Reservoir(),
        Setup(
            infinite(0.5, 3, read_in_norm=1.3, readout="aligned", readout_norm=0.4),
            Integrator(0.6),
            BPTT(),
            train=("w_out",),
        ),
    ),
    (
        RecurrentOnly(),
        Setup(
            ContinuousLinearRNN(jnp.zeros((5, 5)), jnp.eye(5)[0], 0.6 * jnp.eye(5)[0] + 0.8 * jnp.eye(5)[1]),
            Integrator(0.3),
            BPTT(),
            train=("w_rec",),
        ),
    ),
    (
        RankBound(),
        Setup(
            ContinuousLinearRNN(jnp.zeros((5, 5)), jnp.eye(5)[:, :2], 0.5 * jnp.eye(5)[2:3], dt=0.1),
            GivenTrials(_normal(4, 3, 20, 2), _normal(5, 3, 20, 1)),
            BPTT(),
            train=("w_rec",),
        ),
    ),
    (
        Modes(),
        Setup(
            LinearRNN([[0.1]], [[0.2]], [[0.3]]),
            TeacherRNN(LinearRNN([[0.7]], [[0.9]], [[1.2]])),
            RFLO([[0.7]], trace_decay=0.5),
            train=("w_rec", "w_in", "w_out"),
        ),
    ),
]
