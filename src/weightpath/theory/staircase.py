"""Learning pole by pole: the plateaus of the loss, their poles, and how long each lasts."""

import equinox as eqx
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._types import ArrayLike, Complex, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.theory.escape_rates import Rates, checked_target, network_filter, rates_of, unstable_unit
from weightpath.theory.h2 import Filter, energy, filter_of, gramians_of, loss_of, restored
from weightpath.theory.heteroclinic import Path, departed, settled, slowest_rate

#: A start is small when the gain of W and the norms of the other trained weights are below this.
SMALL = 0.1
#: Below this fraction of the loss of a silent network the target is learned.
LEARNED = 1e-10
#: Growth times after which a departure has led nowhere.
PATIENCE = 1e5
MODES = (("w_rec", "w_out"), ("w_rec", "w_in"), ("w_rec", "w_in", "w_out"))


class Stair(eqx.Module):
    """A saddle of learning, or its end: the network has `order` poles and the rest of its units are silent."""

    order: int = eqx.field(static=True)
    loss: float
    poles: Complex[np.ndarray, " k"]
    """Eigenvalues of the recurrent weights that are not silent; a continuous-time pole decays at rate 1 - pole."""
    network: AbstractNetwork
    """The realisation that learning reaches, of `order` units (one silent unit for order 0)."""
    rate: float
    """Rate at which the next pole grows; 0 at the end of learning."""
    slowest: float
    """Slowest rate at which anything grows or dies out around the plateau, to first order: its curvature."""
    settling: float
    """Slowest rate at which deviations of the filter die out within the order; infinite for order 0."""
    path_time: Float[np.ndarray, " time"]
    """Learning time along the way from the plateau before."""
    path_poles: Complex[np.ndarray, "time k"]


class Staircase(eqx.Module):
    """The sequence of plateaus that learning from small weights visits, and how it ended."""

    plateaus: tuple[Stair, ...]
    start_loss: float
    """Loss of a silent network."""
    result: RESULTS
    """`successful` when the target is learned; `not_converged` when a path led nowhere; `no_fixed_point` when the
    network rests on a plateau that it cannot leave; `max_steps` when no more plateaus were asked for."""
    reason: str = eqx.field(static=True)
    """Why the prediction does not hold for the start of the setup; empty where it does."""

    def __len__(self) -> int:
        return len(self.plateaus)

    def __getitem__(self, index: int) -> Stair:
        return self.plateaus[index]

    @property
    def loss(self) -> Float[np.ndarray, " plateau"]:
        """Loss on every plateau, ending with that of the learned target."""
        return np.array([plateau.loss for plateau in self.plateaus])

    @property
    def rates(self) -> Float[np.ndarray, " plateau"]:
        """Escape rate of every plateau; 0 at the end."""
        return np.array([plateau.rate for plateau in self.plateaus])

    def delays(self, factor: ArrayLike) -> Float[np.ndarray, " plateau"]:
        r"""How much later every plateau is left for a start `factor` times smaller: $\sum_{j\le k}\ln F/\gamma_j$.

        Exact as the start becomes small for one input and output, where one direction of every silent unit grows on
        each plateau: plateau j lasts longer by $\ln F/\gamma_j$. With several channels slower directions grow beside
        the fastest, so that later plateaus start further away from their saddle: an upper bound then. Infinite at the
        end of learning.
        """
        rates = self.rates
        return np.log(float(np.asarray(factor))) * np.cumsum(1 / np.where(rates > 0, rates, 1e-300))


def staircase(setup: Setup, *, most: int | None = None) -> Staircase:
    r"""The plateaus of learning from small random weights, with their poles and escape rates, without free parameter.

    Learning adds one pole at a time. On plateau k the network is a best approximation of its order (a stationary point
    of `best_approximation`); its silent units grow at `escape_rates`, the fastest wins, and the flow of one size more
    leads to the next plateau. The chain of flows from saddle to saddle is followed numerically from zero weights, which
    settles which stationary point, and which of its realisations, is reached. With every weight trained the conserved
    $(WW^T - W^TW)/\eta_w + UU^T/\eta_u - V^TV/\eta_v = 0$ alone fixes the realisation; with one input, frozen, it
    leaves k - 1 numbers open, which only the path decides.

    Exact as the start becomes small, of random direction, for as many units as the target has poles. Stair k lasts
    $\ln(1/\epsilon)/\gamma_k$ plus a constant that the direction of the start decides (`Staircase.delays`). Starts with
    W = 0 and a small read-out lie in two dimensions and stop at two poles. With several inputs and a frozen read-in the
    first plateau has as many poles as inputs; with every weight trained the silent network is itself the first plateau.
    Rates, loss, target and the frozen weights are those of `setup`; `reason` says when its start is not small.

    `most` ends the prediction after that many plateaus (`result` is then `max_steps`).

    Source: derived. **Raises:** ValueError for a rule other than BPTT, training without the recurrent weights or with
    them alone, a setup without exact form, frozen weights of zero, or in 32-bit mode.
    """
    require_x64("theory.staircase")
    target, rates = filter_of(_checked(setup, most)), rates_of(setup)
    kind = ContinuousLinearRNN if target.continuous else LinearRNN
    whole, point = energy(target), _first(setup)
    plateaus, result = [], RESULTS.not_converged
    if rates.w_in > 0 and rates.w_out > 0:
        plateaus.append(_stair(point, target, rates, kind, None))
    else:
        path, _ = settled(point, target, rates, PATIENCE, 1e-3)
        plateaus.append(_stair(path.end, target, rates, kind, path))
        point = path.end if path.arrived else None
    while point is not None and plateaus[-1].loss > LEARNED * whole:
        if len(plateaus) == most:
            result = RESULTS.max_steps
            break
        if plateaus[-1].rate < 1e-9 or point.order > target.order + 1:
            result = RESULTS.no_fixed_point
            break
        start, growth = departed(point, target, rates)
        path, _ = settled(start, target, rates, PATIENCE / growth, 0.9)
        if not path.arrived:
            break
        point = path.end
        plateaus.append(_stair(point, target, rates, kind, path))
    else:
        result = RESULTS.successful if point is not None else RESULTS.not_converged
    return Staircase(tuple(plateaus), whole, result, _not_small(setup))


def _stair(point: Filter, target: Filter, rates: Rates, kind, path: Path | None) -> Stair:
    whole = energy(target)
    loss = loss_of(point, target, gramians_of(point, target), whole)
    ended, shown = loss < LEARNED * whole, point if point.order else point.padded(1)
    growth = unstable_unit(point, target, rates)[0]
    settling = slowest_rate(point, target, rates) if point.order else np.inf
    along = [] if path is None else [restored(weights, point) for weights in path.weights]
    poles = [np.sort_complex(np.linalg.eigvals(step.w_rec).astype(complex)) for step in along]
    return Stair(
        point.order,
        0.0 if ended else loss,
        np.sort_complex(np.linalg.eigvals(point.w_rec).astype(complex)) if point.order else np.zeros(0, complex),
        kind(shown.w_rec, shown.drive, shown.output),
        0.0 if ended else float(growth[0]),
        float(min([settling, *growth[growth > 1e-6 * growth[0]]])),
        settling,
        np.zeros(0) if path is None else path.time,
        np.array(poles, dtype=complex).reshape(len(poles), point.order),
    )


def _first(setup: Setup) -> Filter:
    """Zero weights but for the frozen read-in or read-out, in as few units as carry it."""
    network, frozen = network_filter(setup), [name for name in ("w_in", "w_out") if name not in setup.train]
    if not frozen:
        return network._replace(step=np.zeros((0, 0)), drive=network.drive[:0], output=network.output[:, :0])
    carried = network.drive if frozen == ["w_in"] else network.output.T
    triangle = np.linalg.qr(carried)[1]
    size = triangle.shape[0]
    step = -np.eye(size) if network.continuous else np.zeros((size, size))
    zero_in, zero_out = np.zeros((size, network.drive.shape[1])), np.zeros((network.output.shape[0], size))
    drive, output = (triangle, zero_out) if frozen == ["w_in"] else (zero_in, triangle.T)
    return network._replace(step=step, drive=drive, output=output)


def _checked(setup: Setup, most: int | None):
    if most is not None and most < 1:
        raise ValueError(f"most (number of plateaus) must be at least 1; got {most}.")
    if type(setup.rule) is not BPTT:
        raise ValueError(f"theory.staircase assumes the gradient (BPTT); the rule is {type(setup.rule).__name__}.")
    if set(setup.train) not in [set(mode) for mode in MODES]:
        modes = "; ".join(", ".join(mode) for mode in MODES)
        raise ValueError(f"theory.staircase knows train = {modes}; got {', '.join(setup.train)}.")
    target = checked_target(setup)
    for name in ("w_in", "w_out"):
        weights = np.asarray(getattr(setup.network, name))
        if name not in setup.train and np.linalg.matrix_rank(weights) < min(weights.shape):
            raise ValueError(
                f"{name} is frozen and some of its channels are zero or alike: they can never be told apart. "
                "Give it a start of full rank, or train it."
            )
    if not energy(filter_of(target)) > 0:
        raise ValueError("the target filter is zero: there is nothing to learn.")
    return target


def _not_small(setup: Setup) -> str:
    network, units = setup.network, setup.network.w_rec.shape[0]
    sizes = {"the gain of w_rec": float(np.linalg.norm(np.asarray(network.w_rec)) / np.sqrt(units))}
    sizes |= {
        f"the norm of {name}": float(np.linalg.norm(np.asarray(getattr(network, name))))
        for name in ("w_in", "w_out")
        if name in setup.train
    }
    large = [f"{name} is {size:.3g}" for name, size in sizes.items() if size > SMALL]
    return f"it assumes a small start (each below {SMALL}): {' and '.join(large)}." if large else ""
