"""Responses of visual cortex as target fixed points: a ring of preferred orientations with surround suppression."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from weightpath._types import Float
from weightpath.tasks.measures import check_whole
from weightpath.tasks.static import StaticTargets


def orientation_tuning(difference, concentration: float) -> Float[np.ndarray, "..."]:
    r"""Von Mises tuning to orientation, $e^{\kappa(\cos 2\delta - 1)}$: 1 at $\delta = 0$, of period 180 degrees.

    `difference` $\delta$ in degrees; `concentration` $\kappa$, 0 for no tuning. Half its height is reached at
    $\delta = \tfrac12\arccos(1 - \ln 2/\kappa)$.
    """
    turned = np.cos(2 * np.deg2rad(np.asarray(difference, dtype=float)))
    return np.asarray(np.exp(concentration * (turned - 1)))


def summation(size, width: float) -> Float[np.ndarray, "..."]:
    r"""Drive of a grating of diameter `size` to a Gaussian field, $L(s) = \mathrm{erf}(s/w)^2$, between 0 and 1."""
    return np.asarray(erf(np.asarray(size, dtype=float) / width) ** 2)


def size_tuning(size, centre: float, surround: float, suppression: float) -> Float[np.ndarray, "..."]:
    r"""Response to a grating of diameter `size`, by the ratio of Gaussians $L_c(s)/(1 + k\,L_s(s))$.

    The drive of the `centre` is divided by that of a wider `surround`, of strength $k$ = `suppression`.

    Source: Cavanaugh, Bair and Movshon (J Neurophysiol 2002).
    """
    return np.asarray(summation(size, centre) / (1 + suppression * summation(size, surround)))


def suppression_index(responses) -> Float[np.ndarray, "..."]:
    r"""Surround suppression $1 - R(s_{\max})/\max_s R(s)$ of `responses` whose last axis are growing sizes."""
    responses = np.asarray(responses, dtype=float)
    return np.asarray(1 - responses[..., -1] / responses.max(axis=-1))


@dataclass(frozen=True)
class OrientationRing:
    """The task, the same at orientations between those that are learned, and what was shown. Samples run over
    orientations, for each of which over sizes.
    """

    task: StaticTargets
    held_out: StaticTargets
    preferred: Float[np.ndarray, " unit"]
    """Preferred orientations of the ring [degrees]."""
    orientations: Float[np.ndarray, " orientation"]
    """Orientations of the task [degrees]."""
    held_out_orientations: Float[np.ndarray, " orientation"]
    sizes: Float[np.ndarray, " size"]
    """Diameters of the gratings, growing [degrees of visual angle]."""

    def arranged(self, values) -> Float[np.ndarray, "orientation size unit"]:
        """Values of every sample (sample, unit), by orientation and size."""
        values = np.asarray(values)
        return values.reshape(-1, self.sizes.size, values.shape[-1])


def orientation_ring(
    units: int = 16,
    orientations: int = 12,
    sizes: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    *,
    amplitude: float = 0.8,
    concentration: float = 3.0,
    input_concentration: float = 1.0,
    surround_concentration: float = 0.5,
    centre: float = 1.0,
    surround: float = 2.5,
    suppression: float = 1.5,
) -> OrientationRing:
    r"""Gratings of many orientations and sizes, and sharply tuned, surround-suppressed responses as targets.

    Unit $i$ of the ring prefers $\theta_i = 180\,i/$`units` degrees. A grating of orientation $\theta$ and diameter $s$
    drives two sets of input channels, one channel each for every preferred orientation, centres first:

    $$u^c_i = e^{\kappa_u(\cos 2(\theta - \theta_i) - 1)}\,L_c(s), \qquad
      u^s_i = e^{\kappa_s(\cos 2(\theta - \theta_i) - 1)}\,L_s(s),$$

    broadly tuned and only growing with $s$ ($L(s) = \mathrm{erf}(s/w)^2$). The target of unit $i$ is

    $$t_i = A\, e^{\kappa(\cos 2(\theta - \theta_i) - 1)}\, \frac{S(s)}{\max_{s'} S(s')}, \qquad
      S(s) = \frac{L_c(s)}{1 + k\,L_s(s)},$$

    the maximum over the `sizes` shown, so that $A$ = `amplitude` is the largest response: tuning is sharpened and large
    gratings are suppressed by divisive normalisation, both left to the recurrent weights. Half width at half height of
    the default tuning is 20 degrees, of its input 36; suppression index .34. `orientations` are equally spaced; those
    held out lie halfway between. Networks need 2 x `units` inputs and `units` outputs.

    **Raises:** ValueError for counts below 1, sizes that do not grow from above 0, or a parameter out of its range.
    Source: the ring of orientations: Ben-Yishai, Bar-Or and Sompolinsky (PNAS 1995); size tuning: Cavanaugh, Bair and
    Movshon (J Neurophysiol 2002); suppression by a recurrent ring: Rubin, Van Hooser and Miller (Neuron 2015). The
    numbers are choices made here.
    """
    check_whole(units=(units, 2), orientations=(orientations, 1))
    shown = np.asarray(sizes, dtype=float)
    grow = shown.ndim == 1 and shown.size > 0 and shown[0] > 0 and np.isfinite(shown[-1]) and np.all(np.diff(shown) > 0)
    if not grow:
        raise ValueError(f"sizes must be diameters that grow from above 0 [degrees]; got {sizes!r}.")
    positive = {"amplitude": amplitude, "centre": centre, "surround": surround}
    for name, value in positive.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive; got {value}.")
    kappas = {
        "concentration": concentration,
        "input_concentration": input_concentration,
        "surround_concentration": surround_concentration,
        "suppression": suppression,
    }
    for name, value in kappas.items():
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must not be negative; got {value}.")
    preferred = 180 * np.arange(units) / units
    seen = 180 * np.arange(orientations) / orientations
    between = seen + 90 / orientations
    size = size_tuning(shown, centre, surround, suppression)

    def samples(angles):
        difference = angles[:, None, None] - preferred
        parts = [
            orientation_tuning(difference, input_concentration) * summation(shown, centre)[:, None],
            orientation_tuning(difference, surround_concentration) * summation(shown, surround)[:, None],
        ]
        wanted = amplitude * orientation_tuning(difference, concentration) * (size / size.max())[:, None]
        return StaticTargets(np.concatenate(parts, axis=2).reshape(-1, 2 * units), wanted.reshape(-1, units))

    return OrientationRing(samples(seen), samples(between), preferred, seen, between, shown)
