"""Weights along learning: one network per step, from a simulation, a fit to a recording, or made elsewhere."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS, outcome_name
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.lift import Lift
from weightpath.networks.linear import LinearRNN
from weightpath.setup import Setup

#: `Trajectory.w_rec` refuses to build more than this many bytes.
MAX_BYTES = 2**30


@jax.jit
def _at(arrays, step):
    """One step of all arrays by one program, where indexing would need two for every shape."""
    return jax.tree.map(lambda leaf: leaf[step], arrays)


class Trajectory(eqx.Module):
    """The path of the weights: `networks` holds every array of a network with a leading `step` axis.

    Fields named in `shared` are the same at every step and carry no such axis (the factors of a low-tensor-rank fit).
    With a `lift` the networks are small projections of a large one; `network(step, lifted=True)` gives the large one.
    """

    time: Float[Array, " step"]
    """Learning time (learning rate times steps); for fits to recordings the trial number."""
    networks: AbstractNetwork
    loss: Float[Array, " step"]
    setup: Setup | None = None
    result: RESULTS = eqx.field(default_factory=lambda: RESULTS.successful)
    lift: Lift | None = None
    shared: tuple[str, ...] = eqx.field(default=(), static=True)
    statistics: dict[str, Array] = eqx.field(default_factory=dict)
    """Named quantities recorded on the way, each with a leading step axis."""
    follows_velocity: bool = eqx.field(default=True, static=True)
    """Whether the weights moved along the rule's velocity (a flow, or plain gradient steps); False for optimisers that
    rescale or remember gradients (Adam, momentum), for which no reduced theory holds."""
    only_last: bool = eqx.field(default=False, static=True)
    """The run recorded statistics; `networks` holds the last network alone, with a step axis of length 1."""

    def __len__(self) -> int:
        return self.time.shape[0]

    def network(self, step: int, *, lifted: bool = False) -> AbstractNetwork:
        """The network at `step` (an index, negative from the end); `lifted` gives the large one of a projected run.

        **Raises:** IndexError when there is no such step.
        """
        if not -len(self) <= step < len(self):
            raise IndexError(f"step {step} is outside the trajectory, which has {len(self)} steps.")
        if self.only_last:
            self._check_kept(step)
            step = 0
        moving, fixed = self._parts()
        network = eqx.combine(_at(moving, step % len(self)), fixed)
        return self.lift.network(network) if lifted and self.lift is not None else network

    def _parts(self) -> tuple[AbstractNetwork, AbstractNetwork]:
        """The networks split into the arrays with a step axis and the shared ones, each with None for the other."""
        moves = jax.tree_util.tree_map_with_path(lambda path, leaf: not self._is_shared(path), self.networks)
        return eqx.partition(self.networks, moves)

    def map(self, fn: Callable[[AbstractNetwork], Array]) -> Array:
        """`fn` of every network, stacked along `step`; a small projection is passed as it is.

        **Raises:** ValueError when the run kept statistics and the last network only.
        """
        if self.only_last:
            self._check_kept(0)
        moving, fixed = self._parts()
        return jax.lax.map(lambda part: fn(eqx.combine(part, fixed)), moving)

    @property
    def w_rec(self) -> Float[Array, "step post pre"]:
        """Recurrent weights (step, post, pre), built on demand, lifted when the run was projected.

        **Raises:** ValueError above 1 GB; use `network(step)` or `map` then.
        """
        small = jax.eval_shape(lambda: self.network(0).w_rec)
        units = small.shape[0] if self.lift is None else self.lift.basis.shape[0]
        size = len(self) * units**2 * small.dtype.itemsize
        if size > MAX_BYTES:
            raise ValueError(
                f"w_rec of {len(self)} steps and {units} units would take {size / 2**30:.1f} GB (limit 1 GB); "
                "use trajectory.network(step) or trajectory.map(fn), or record fewer steps."
            )
        lift = self.lift
        return self.map(lambda network: (network if lift is None else lift.network(network)).w_rec)

    @classmethod
    def from_arrays(cls, w_rec, w_in=None, w_out=None, time=None) -> "Trajectory":
        """A trajectory from a weight history made elsewhere.

        Arguments: `w_rec` (step, post, pre); `w_in` (step, post, in) or None; `w_out` (step, out, pre) or None;
        `time` (step,), default the step number. What is left out has no channels. There is no loss and no setup.

        **Raises:** ValueError when the shapes do not fit one another or an entry is not finite.
        """
        w_rec = np.asarray(w_rec, dtype=float)
        if w_rec.ndim != 3 or w_rec.shape[1] != w_rec.shape[2] or 0 in w_rec.shape:
            raise ValueError(f"w_rec must be (step, post, pre) with post = pre; got shape {w_rec.shape}.")
        steps, units, _ = w_rec.shape
        w_in = np.zeros((steps, units, 0)) if w_in is None else np.asarray(w_in, dtype=float)
        w_out = np.zeros((steps, 0, units)) if w_out is None else np.asarray(w_out, dtype=float)
        time = np.arange(steps, dtype=float) if time is None else np.asarray(time, dtype=float)
        if w_in.ndim != 3 or w_in.shape[:2] != (steps, units):
            raise ValueError(f"w_in must be (step, post, in) = ({steps}, {units}, in); got {w_in.shape}.")
        if w_out.ndim != 3 or (w_out.shape[0], w_out.shape[2]) != (steps, units):
            raise ValueError(f"w_out must be (step, out, pre) = ({steps}, out, {units}); got {w_out.shape}.")
        if time.shape != (steps,):
            raise ValueError(f"time must have one entry a step, ({steps},); got {time.shape}.")
        for name, array in (("w_rec", w_rec), ("w_in", w_in), ("w_out", w_out), ("time", time)):
            if not np.all(np.isfinite(array)):
                raise ValueError(f"{name} holds NaN or infinite entries; drop those steps or repair them.")
        networks = jax.vmap(LinearRNN)(jnp.asarray(w_rec), jnp.asarray(w_in), jnp.asarray(w_out))
        return cls(time=jnp.asarray(time), networks=networks, loss=jnp.full(steps, jnp.nan))

    def to_dataset(self):
        """An `xarray.Dataset` with dims (step, post, pre, in, out) and coordinate `learning_time` on `step`.

        Of a projected run it holds the small recurrent weights, `projected_w_rec` (step, word, word_pre), and the
        `basis` (unit, word) that places them: the change of the large ones is `basis @ (projected_w_rec[step] -
        projected_w_rec[0]) @ basis.T`, and nothing of size unit x unit is written.
        """
        import xarray as xr

        data: dict[str, Any] = {"loss": ("step", np.asarray(self.loss))}
        if not self.only_last and self.lift is not None:
            data["projected_w_rec"] = (("step", "word", "word_pre"), np.asarray(self.networks.w_rec))
            data["basis"] = (("unit", "word"), np.asarray(self.lift.basis))
        elif not self.only_last:
            data["w_rec"] = (("step", "post", "pre"), np.asarray(self.w_rec))
        for name, array in self.statistics.items():
            data[name] = (("step", *(f"{name}_{axis}" for axis in range(1, array.ndim))), np.asarray(array))
        attrs = {"result": outcome_name(self.result), "convention": "w_rec[step, post, pre] acts as w_rec[step] @ h"}
        return xr.Dataset(data, {"learning_time": ("step", np.asarray(self.time))}, attrs)

    def _check_kept(self, step: int) -> None:
        if step not in (-1, len(self) - 1):
            raise ValueError(
                "this run recorded statistics and kept only its last network; use trajectory.statistics, "
                'trajectory.network(-1), or record with wp.Record(every=..., what="networks").'
            )

    def _is_shared(self, path) -> bool:
        return path[0].name in self.shared
