"""Settings of the solver of steady states, and the names of the rungs of its ladder."""

import equinox as eqx
import jax.numpy as jnp

from weightpath.networks.checks import as_number

#: How a sample's steady state was found, by the number in `SteadyState.rung`: not at all, by the chord method, by the
#: iteration with the first damping, by one with a later damping, by Newton's method, by a stiff flow from the start, by
#: one linear solve.
RUNGS = ("none", "chord", "picard", "damped", "newton", "flow", "direct")


def _as_damping(value) -> tuple[float, ...]:
    return tuple(float(entry) for entry in (value if hasattr(value, "__iter__") else (value,)))


class SteadySolver(eqx.Module):
    r"""How $r = f(W r + x)$ is solved: iteration, then stronger damping, then Newton's method, then a stiff flow.

    The iteration $r \leftarrow r + d\,(f(Wr + x) - r)$ runs on the whole batch together until the largest residual
    $|f(Wr + x) - r|_\infty$ passes. A sample whose residual no longer falls starts again with the next damping d; one
    that falls until `max_steps`, or for which no damping is left, goes on to Newton's method with backtracking, from
    the best point so far. What Newton's method does not find, or finds unstable, is looked for by a linearly implicit
    flow from the start. Linear networks are solved by one LU factorisation for all samples.

    Arguments:
    - `tolerance`: largest residual, absolute. None: near rounding, 1e-13 (float64) or 1e-6 (float32) times
      $\max(1, |W|_\infty) \max(1, |r|_\infty)$.
    - `max_steps`: iterations with one damping at most.
    - `damping`: values of d in (0, 1], in the order in which they are tried; a number is one.
    - `newton`: whether Newton's method and the stiff flow follow.
    - `chord`: whether the chord method precedes the iterations: Newton's method with one linear system for the whole
      batch, made of its mean slopes. Only where the largest eigenvalue of $(W + W^\top)/2$ is below $1/\max f'$, so
      that each input has one fixed point and that a stable one of the flow; then the answer is the same, sooner. The
      adjoint uses the same system, whatever the eigenvalue. None: with `newton`, from 33 units on and with at least as
      many samples as units.
    - `adjoint`: how errors go back through the steady state. "iterate": $v \leftarrow e + W^\top (g \odot v)$, which
      converges where the spectral radius of $GW$ is below 1, and is NaN where it has not (with `chord`, the same in the
      form $v \leftarrow e + M^\top (\bar g \odot e + (g - \bar g) \odot v)$, $M = W (1 - \bar G W)^{-1}$, with the
      mean slopes of the batch); "lu": one factorisation per sample; "auto": the iteration, and "lu" for the samples
      that it does not settle quickly.
    - `adjoint_tolerance`: the iteration of the adjoint ends when it moves by less than this fraction of its largest
      entry. None: near rounding.
    - `keep_unsolved`: with True a sample without solution keeps its last iterate, which rules then use as it is; with
      False it is reported at its best iterate and rules end.
    - `accept_unstable`: with True an unstable fixed point counts as success; its `stable` remains False.

    **Raises:** ValueError for a value outside its range.
    """

    tolerance: float | None = eqx.field(default=None, static=True, converter=as_number)
    max_steps: int = eqx.field(default=1000, static=True)
    damping: tuple[float, ...] = eqx.field(
        default=(1.0, 0.5, 0.25, 0.1, 0.05, 0.025), static=True, converter=_as_damping
    )
    newton: bool = eqx.field(default=True, static=True)
    adjoint: str = eqx.field(default="auto", static=True)
    keep_unsolved: bool = eqx.field(default=False, static=True)
    accept_unstable: bool = eqx.field(default=False, static=True)
    adjoint_tolerance: float | None = eqx.field(default=None, static=True, converter=as_number)
    chord: bool | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        for name in ("tolerance", "adjoint_tolerance"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be positive, or None for rounding; got {value}.")
        if isinstance(self.max_steps, bool) or not isinstance(self.max_steps, int) or self.max_steps < 1:
            raise ValueError(f"max_steps must be a positive integer; got {self.max_steps!r}.")
        if not self.damping or not all(0 < value <= 1 for value in self.damping):
            raise ValueError(f"damping must hold one or more values in (0, 1]; got {self.damping}.")
        if self.adjoint not in ("auto", "iterate", "lu"):
            raise ValueError(f'adjoint must be "auto", "iterate" or "lu"; got {self.adjoint!r}.')
        for name in ("newton", "keep_unsolved", "accept_unstable"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False; got {getattr(self, name)!r}.")
        if self.chord not in (True, False, None):
            raise ValueError(f"chord must be True, False or None; got {self.chord!r}.")

    def check_precision(self, dtype) -> None:
        """**Raises:** ValueError for a tolerance that numbers of this type cannot reach, for rates of order one."""
        rounding = float(jnp.finfo(dtype).eps) / 2
        for name in ("tolerance", "adjoint_tolerance"):
            value = getattr(self, name)
            if value is not None and value < rounding:
                raise ValueError(
                    f"{name}={value:g} is below the rounding of {jnp.dtype(dtype).name}, {rounding:.1e}; raise it, "
                    "give None for the least that can be reached, or use 64-bit numbers."
                )

    def allowed(self, w_rec, rates):
        """Largest residual per sample that counts as solved, (trial,), for rates (trial, unit)."""
        if self.tolerance is not None:
            return jnp.full(rates.shape[:-1], self.tolerance, rates.dtype)
        rounding = 1e-13 if rates.dtype == jnp.float64 else 1e-6
        weight = jnp.maximum(1.0, jnp.max(jnp.sum(jnp.abs(w_rec), axis=-1)))
        largest = jnp.max(jnp.abs(rates), axis=-1)
        # Infinite rates would allow any residual.
        return jnp.where(jnp.isfinite(largest), rounding * weight * jnp.maximum(1.0, largest), 0.0)
