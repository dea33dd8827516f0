r"""Networks of infinitely many units: Gaussian weights as operators on words over two letters.

As the number of units grows, a matrix of independent Gaussian entries acts on a fixed vector like `gain` times a
circular element: on the space whose orthonormal basis are the words over the letters 1 and 2,
$W_0 = \sigma(l_1 + l_2^*)$ and $W_0^T = \sigma(l_1^* + l_2)$, where $l_a$ puts letter a before a word and $l_a^*$
takes it away (zero if the word begins otherwise), and the read-in is $\kappa$ times the empty word. Cut at words of
length K this is a small network, deterministic, without sampling; what the cut leaves out is seen by comparing K with
K - 1.
"""

import itertools
from functools import cache

import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import ArrayLike, Float
from weightpath.networks.init import READOUTS
from weightpath.networks.linear import ContinuousLinearRNN

#: Longest words for which the operator is built: 2^13 - 1 of them.
LONGEST = 12


def infinite(
    gain: ArrayLike, depth: int, *, read_in_norm: ArrayLike, readout: str, readout_norm: ArrayLike = 0.0
) -> ContinuousLinearRNN:
    r"""The network of `gaussian` for infinitely many units, cut at words of length `depth`.

    A network of $2^{K+1} - 1$ units with K = `depth`, twice as many for a "random" read-out: an independent direction
    needs a second copy of the words. It goes through `wp.flow` like any other, and its loss, its filter and the norm
    of the change of its weights are the limits of those of networks of N units, which scatter about them by
    $1/\sqrt N$. Its eigenvalues are not the bulk of a large network; that fills the disk of radius `gain`.

    Arguments: `gain` $\sigma$, the spread of the initial weights times $\sqrt N$; `read_in_norm` $\kappa$; `readout`
    "zero", "aligned" (parallel to the read-in) or "random", with norm `readout_norm`. Only `depth` and `readout` fix
    the shape: the numbers may be traced, so that `jax.vmap` sweeps over them.

    The cut is exact at gain 0 (depth 0 is the single outlier's own system); its error, about tenfold smaller with each
    level at gain 0.3, is read off by comparing depth K with K - 1 and needs K >= 7 at gain 0.7.

    Source: derived (free probability of circular elements; Bordelon et al. 2025, arXiv 2503.18754, reach the same limit
    with dynamical mean-field theory).
    **Raises:** ValueError for a depth that is negative or above 12, a gain outside [0, 1), a negative norm, an unknown
    `readout` or a norm that does not fit it.
    """
    _check(gain, depth, read_in_norm, readout, readout_norm)
    operator = jnp.asarray(_circular(depth))
    vacuum = jnp.zeros(operator.shape[0]).at[0].set(1.0)
    copies = 2 if readout == "random" else 1
    if copies == 2:
        operator = jnp.kron(jnp.eye(2), operator)
        first, second = jnp.concatenate([vacuum, 0 * vacuum]), jnp.concatenate([0 * vacuum, vacuum])
    else:
        first = second = vacuum
    return ContinuousLinearRNN(gain * operator, read_in_norm * first, readout_norm * second)


@cache
def _circular(depth: int) -> Float[np.ndarray, "word word"]:
    """$l_1 + l_2^*$ on words of length up to `depth`, the empty word first."""
    words = [word for length in range(depth + 1) for word in itertools.product((1, 2), repeat=length)]
    number = {word: index for index, word in enumerate(words)}
    matrix = np.zeros((len(words), len(words)))
    for word, column in number.items():
        if len(word) < depth:
            matrix[number[(1, *word)], column] = 1.0
        if word[:1] == (2,):
            matrix[number[word[1:]], column] = 1.0
    matrix.flags.writeable = False
    return matrix


def _check(gain, depth: int, read_in_norm, readout: str, readout_norm) -> None:
    if not isinstance(depth, int | np.integer) or not 0 <= depth <= LONGEST:
        raise ValueError(f"depth (length of the longest word) must be a whole number from 0 to {LONGEST}; got {depth}.")
    if readout not in READOUTS:
        raise ValueError(f"readout must be one of {', '.join(READOUTS)}; got {readout!r}.")
    if not is_traced(gain) and not 0 <= float(np.asarray(gain)) < 1:
        raise ValueError(
            f"gain must be in [0, 1); got {gain}. From 1 on the bulk of the spectrum is unstable and the stationary "
            "loss infinite."
        )
    for name, norm in (("read_in_norm", read_in_norm), ("readout_norm", readout_norm)):
        if not is_traced(norm) and not float(np.asarray(norm)) >= 0:
            raise ValueError(f"{name} must not be negative; got {norm}.")
    if not is_traced(readout_norm) and (readout == "zero") != (float(np.asarray(readout_norm)) == 0):
        raise ValueError(f'readout="{readout}" does not fit readout_norm={readout_norm}: zero has norm 0, others not.')
