"""Networks of excitatory and inhibitory units: every unit sends weights of one sign only (Dale's law)."""

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float
from weightpath.networks.rate import RateRNN

#: Weights E<-E, E<-I, I<-E and I<-I of the supralinear ring of 180 pairs, before their sign [1/(spike/s)].
COUPLING = ((0.044, 0.023), (0.042, 0.018))


def dale_signs(excitatory: int, inhibitory: int) -> Float[np.ndarray, " pre"]:
    """Signs of the columns of `w_rec`: +1 for the excitatory units, which come first, and -1 for the inhibitory ones.

    **Raises:** ValueError when a count is not whole or below 0, or when there are no units.
    """
    for name, value in {"excitatory": excitatory, "inhibitory": inhibitory}.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name} must be a whole number of units, at least 0; got {value}.")
    if excitatory + inhibitory < 1:
        raise ValueError("a network needs at least one unit; got 0 excitatory and 0 inhibitory ones.")
    return np.concatenate([np.ones(excitatory), -np.ones(inhibitory)])


def column_signs(w_rec: Float[Array, "post pre"] | Float[np.ndarray, "post pre"]) -> Float[np.ndarray, " pre"]:
    """The sign of every column of `w_rec`: +1, -1, or 0 for a column of both signs (or of none)."""
    weights = np.asarray(w_rec)
    return np.all(weights >= 0, axis=0) * 1.0 - np.all(weights <= 0, axis=0)


def balanced(
    key: Key,
    excitatory: int,
    inhibitory: int,
    inputs: int,
    outputs: int,
    *,
    radius: float,
    read_in_gain: float = 1.0,
    readout_gain: float = 1.0,
    bias: bool = False,
    **fields,
) -> RateRNN:
    r"""A rate network under Dale's law with random weights in which excitation and inhibition cancel on average.

    $W_{ij} = c\, s_j\, a_j |\xi_{ij}|$ with $\xi \sim N(0, 1)$, signs $s_j$ of `dale_signs`, $a_j = 1$ for excitatory
    and (number excitatory)/(number inhibitory) for inhibitory columns, so that $E \sum_j W_{ij} = 0$, and $c$ such that
    the largest modulus of an eigenvalue is `radius`. Read-in $\sim N(0, \mathrm{read\_in\_gain}^2/\mathrm{inputs})$;
    read-out $\sim N(0, \mathrm{readout\_gain}^2/N)$, of excitatory units alone, since they are the ones that project.
    `bias`: zero biases that can be trained, or none. Further `fields` go to the network: `leak` (required),
    `activation`, `form`. To keep the signs while learning, see `weightpath.learn.dale.keep_signs`.

    **Raises:** ValueError for counts that are not whole numbers of at least 1, a radius that is not positive, or a
    negative gain.
    Source: signed initialisation with balanced rows, Song, Yang and Wang (PLoS Comput Biol 2016); half-normal
    magnitudes are a choice made here.
    """
    counts = {"excitatory": excitatory, "inhibitory": inhibitory, "inputs": inputs, "outputs": outputs}
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1; got {value}.")
    if not (np.isfinite(radius) and radius > 0):
        raise ValueError(f"radius (largest modulus of an eigenvalue of w_rec) must be positive; got {radius}.")
    for name, value in {"read_in_gain": read_in_gain, "readout_gain": readout_gain}.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative; got {value}.")
    units, signs = excitatory + inhibitory, dale_signs(excitatory, inhibitory)
    recurrent_key, in_key, out_key = jax.random.split(key, 3)
    strengths = np.where(signs > 0, 1.0, excitatory / inhibitory)
    weights = jnp.abs(jax.random.normal(recurrent_key, (units, units))) * (signs * strengths)
    largest = np.max(np.abs(np.linalg.eigvals(np.asarray(weights))))
    readout = readout_gain * jax.random.normal(out_key, (outputs, units)) / jnp.sqrt(units)
    return RateRNN(
        (radius / largest) * weights,
        read_in_gain * jax.random.normal(in_key, (units, inputs)) / jnp.sqrt(inputs),
        readout * (signs > 0),
        bias=jnp.zeros(units) if bias else None,
        readout_bias=jnp.zeros(outputs) if bias else None,
        **fields,
    )


def supralinear_ring(
    pairs: int,
    *,
    w_in: Float[Array, "post in"] | Float[np.ndarray, "post in"] | None = None,
    coupling: tuple[tuple[float, float], tuple[float, float]] = COUPLING,
    width: float = 32.0,
    gain: float = 0.04,
    rate_unit: float = 1.0,
    leak: float = 0.1,
) -> RateRNN:
    r"""The stabilised supralinear network on a ring of orientations: `pairs` of one excitatory and one inhibitory unit.

    $$r = k\,[W r + h]_+^2, \qquad W^{XY}_{ij} = \pm J_{XY}\, \frac{180}{N}\, e^{-d_{ij}^2 / 2\sigma^2},$$

    with $d_{ij}$ the difference of preferred orientations on the circle of 180 degrees, preferred orientations
    $180\,i/N$ of N `pairs`, $J_{XY}$ = `coupling` ((E<-E, E<-I), (I<-E, I<-I)), $\sigma$ = `width` in degrees and
    $k$ = `gain` in (spike/s)/mV². Excitatory units come first. The factor 180/N keeps the summed input when the ring is
    sampled more coarsely than the 180 pairs of the source. Slopes grow with the rate: weak input is summed
    supralinearly, strong input sublinearly, stabilised by inhibition.

    In the library's form $r = f(W' r + U u)$ with f = "rectified_quadratic", and rates in units of `rate_unit` spike/s:
    $W' = \sqrt{k\,R}\,W$ and $U = \sqrt{k/R}$ `w_in`. `w_in` (2 pairs, in) maps input channels to units [mV];
    default: one channel for each preferred orientation, to both units of its pair. The read-out is the excitatory
    rates. `leak` $= dt/\tau$ is that of all units (the source gives inhibitory ones half the time constant, which
    leaves the fixed points as they are and makes them more stable).

    **Raises:** ValueError for a count below 1, a parameter that is not positive, a negative coupling, or a `w_in` of
    another shape.
    Source: Rubin, Van Hooser and Miller (Neuron 2015), their ring model and its parameters; Ahmadian, Rubin and Miller
    (Neural Comput 2013) for the theory.
    """
    if not isinstance(pairs, int | np.integer) or pairs < 1:
        raise ValueError(f"pairs must be a whole number, at least 1; got {pairs}.")
    for name, value in {"width": width, "gain": gain, "rate_unit": rate_unit}.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive; got {value}.")
    strengths = np.asarray(coupling, dtype=float)
    if strengths.shape != (2, 2) or not np.all(strengths >= 0):
        raise ValueError(
            "coupling must be the sizes ((E<-E, E<-I), (I<-E, I<-I)), none negative (signs are added here); "
            f"got {coupling!r}."
        )
    read_in = np.tile(np.eye(pairs), (2, 1)) if w_in is None else np.asarray(as_float(w_in))
    if read_in.ndim != 2 or read_in.shape[0] != 2 * pairs:
        raise ValueError(f"w_in must be (post, in) = ({2 * pairs}, in), excitatory units first; got {read_in.shape}.")
    fall = np.exp(-(circular_distance(pairs) ** 2) / (2 * width**2)) * 180 / pairs
    w_rec = np.kron(strengths * np.array([1.0, -1.0]), fall)
    return RateRNN(
        jnp.asarray(np.sqrt(gain * rate_unit) * w_rec),
        jnp.asarray(np.sqrt(gain / rate_unit) * read_in),
        jnp.asarray(np.eye(pairs, 2 * pairs)),
        activation="rectified_quadratic",
        leak=leak,
    )


def circular_distance(orientations: int) -> Float[np.ndarray, "post pre"]:
    """Differences, in degrees between 0 and 90, of `orientations` equally spaced preferred orientations."""
    preferred = 180 * np.arange(orientations) / orientations
    apart = np.abs(preferred[:, None] - preferred)
    return np.minimum(apart, 180 - apart)
