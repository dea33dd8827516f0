"""The networks of the study of reaching: pretrained, adapted by two optimisers, and watched one trial a step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weightpath.studies.force_field_reach import ForceFieldStudy
    from weightpath.tasks.reach import ForceFieldReach
    from weightpath.trajectory import Trajectory
else:
    ForceFieldReach = ForceFieldStudy = Trajectory = Any

#: How the recurrent weights learn: name, optimiser of optax, learning rate.
WAYS = {"SGD": ("sgd", 0.3), "Adam": ("adam", 1e-3)}
#: Learning steps of the phases.
BASELINE, PERTURBATION, STEPS = 50, 100, 250


@cache
def _optimiser(name: str, rate: float) -> Any:
    import optax

    return getattr(optax, name)(rate)


@dataclass(frozen=True)
class Adapted:
    """One network before and during adaptation."""

    task: ForceFieldReach
    path: Trajectory
    """Weights before each step, and after the last."""
    key: Any
    pretraining_loss: float

    @property
    def weights(self) -> Any:
        """Recurrent weights before each step (step, post, pre)."""
        import numpy as np

        return np.asarray(self.path.w_rec)[:-1]

    @property
    def loss(self) -> Any:
        """Loss on the batch of each step, before learning from it (step,)."""
        import numpy as np

        return np.asarray(self.path.loss)[:-1]


def task_of(config: ForceFieldStudy) -> ForceFieldReach:
    """The task of adaptation."""
    import weightpath as wp

    return wp.ForceFieldReach(config.field, baseline=BASELINE, perturbation=PERTURBATION, trials=config.trials)


def pretrained(config: ForceFieldStudy) -> tuple[Any, float]:
    """A network that reaches without a field, trained in all weights, and its last loss."""
    import jax

    import weightpath as wp

    first, second = jax.random.split(jax.random.key(config.seed))
    task = wp.ForceFieldReach(0.0, baseline=0, perturbation=0, trials=32)
    network = task.network(first, config.units)
    setup = wp.Setup(network, task, wp.BPTT(), ("w_rec", "w_in", "w_out"))
    steps = config.pretraining
    path = wp.train(setup, _optimiser("adam", 3e-3), steps, record=wp.Record(every=steps), key=second, progress=False)
    return path.network(-1), float(path.loss[-1])


def adapted(config: ForceFieldStudy, network: Any, loss: float, way: str) -> Adapted:
    """The recurrent weights of a pretrained network through baseline, perturbation and washout."""
    import jax

    import weightpath as wp

    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    setup = wp.Setup(network, task_of(config), wp.BPTT(), ("w_rec",))
    path = wp.train(setup, _optimiser(*WAYS[way]), STEPS, record=wp.Record(every=1), key=key, progress=False)
    return Adapted(task_of(config), path, key, loss)


def recording(run: Adapted, straight: bool = False) -> Any:
    """Rates tanh(x) of the first reach of every step's batch, as an experimenter would have recorded them.

    `straight`: the reach goes to the target itself, without its scatter around it.
    """
    import equinox as eqx
    import jax.numpy as jnp
    import numpy as np

    import weightpath as wp

    @eqx.filter_jit
    def one(network, step, share):
        direction, angle = _first_reach(run, step)
        towards = 2 * jnp.pi * direction / run.task.directions
        batch = run.task.batch(direction[None], (towards + share * (angle - towards))[None], run.task.strength(step))
        states, _ = wp.rollout(network, batch.inputs[0])
        return jnp.tanh(states[1:]), direction

    share = jnp.asarray(0.0 if straight else 1.0)
    found = [one(run.path.network(step), jnp.asarray(step), share) for step in range(STEPS)]
    rates, direction = (np.stack([np.asarray(pair[part]) for pair in found]) for part in (0, 1))
    time = (np.arange(rates.shape[1]) + 1 - run.task.preparation) * run.task.dt
    epochs = [run.task.epoch(step) for step in range(STEPS)]
    return wp.Recording(rates, condition=direction, epoch=epochs, time=time, name="reaching network")


def _first_reach(run: Adapted, step: Any) -> tuple[Any, Any]:
    batch = run.task.sample(run.key, step)
    return batch.direction[0], batch.angle[0]


def hands(run: Adapted, steps: tuple[int, ...]) -> tuple[Any, Any]:
    """Hand paths (step, direction, time, axis) to the targets themselves, and the path wanted."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    import weightpath as wp

    direction = jnp.arange(run.task.directions)
    angle = 2 * jnp.pi * direction / run.task.directions

    @eqx.filter_jit
    def paths(network, step):
        batch = run.task.batch(direction, angle, run.task.strength(step))
        outputs = jax.vmap(lambda inputs: wp.rollout(network, inputs)[1])(batch.inputs)
        return batch.hand(outputs)[:, run.task.go - 1 :]

    found = np.stack([np.asarray(paths(run.path.network(step), jnp.asarray(step))) for step in steps])
    return found, np.asarray(run.task.batch(direction, angle, 0.0).targets)[:, run.task.go - 1 :]
