"""The answer of a fixed-point search: points with their modes, and what became of every start."""

from dataclasses import dataclass, fields

import numpy as np

from weightpath._results import RESULTS, outcome_name
from weightpath._types import Bool, Complex, Float, Int
from weightpath.analysis.fixed_modes import MARGINAL

#: What can become of a start.
STATUSES = ("fixed", "slow", "minimum", "max_steps", "nonfinite")


@dataclass(frozen=True, eq=False)
class FixedPoints:
    r"""Fixed points and slow points that were found; a search from finitely many starts never proves that it found all.

    A fixed point has $q = \frac12|h|^2 \le 10^{-20}$; a slow point is a local minimum of q that is not zero. Both are
    listed, fixed points first, then by unstable dimension and coordinates; `fixed` tells them apart. All arrays are
    read-only.
    """

    points: Float[np.ndarray, "found unit"]
    fixed: Bool[np.ndarray, " found"]
    """True: a fixed point; False: a slow point."""
    q: Float[np.ndarray, " found"]
    input: Int[np.ndarray, " found"]
    """Row of `inputs` under which the point was found."""
    eigenvalues: Complex[np.ndarray, "found eig"]
    """Of the Jacobian. Flow: per time constant, largest real part first; map: per step, largest modulus first."""
    right: Complex[np.ndarray, "found unit eig"]
    """Right eigenvectors, unit columns."""
    left: Complex[np.ndarray, "found unit eig"]
    """Left eigenvectors, scaled so that the product with the right one of the same mode is one."""
    time_constants: Float[np.ndarray, "found eig"]
    r"""$-\tau/\mathrm{Re}\lambda$ (flow), $-dt/\ln|\lambda|$ (map); negative where the mode grows."""
    unstable_dimension: Int[np.ndarray, " found"]
    """Number of growing modes."""
    margin: Float[np.ndarray, " found"]
    """Flow: minus the largest real part of an eigenvalue; map: one minus the largest modulus."""
    singular: Bool[np.ndarray, " found"]
    """Whether the Jacobian of h is singular (smallest singular value below 1e-3)."""
    outlier: Bool[np.ndarray, " found"]
    """Whether the point lies much further out than the starts."""
    spread: Float[np.ndarray, " found"]
    """Largest distance of an end of a search that counts as this point."""
    reached: Int[np.ndarray, " found"]
    """Number of starts that ended here."""
    jacobian: Float[np.ndarray, "found unit unit"]
    """Of the flow, or of the map itself."""
    input_jacobian: Float[np.ndarray, "found unit in"]
    r"""$\partial h/\partial u$, G W_x of a rate network; without columns where the system takes no input."""
    inputs: Float[np.ndarray, "input in"]
    starts: Float[np.ndarray, "start unit"]
    end_state: Float[np.ndarray, "input start unit"]
    """Where each start ended, also of those that reached no point."""
    status: np.ndarray
    """(input, start): what became of each start, one of `STATUSES`."""
    reached_point: Int[np.ndarray, "input start"]
    """Number of the point that each start reached; -1 for none."""
    iterations: Int[np.ndarray, "input start"]
    dynamics: str
    result: RESULTS
    """`no_fixed_point` when no start led to one."""

    def __post_init__(self):
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __len__(self) -> int:
        return len(self.points)

    @property
    def stable(self) -> Bool[np.ndarray, " found"]:
        """By the strict sign of the margin: every mode decays."""
        return self.margin > 0

    @property
    def marginal(self) -> Bool[np.ndarray, " found"]:
        """A further flag: the margin is closer to zero than 1e-3, so that its sign may be a matter of precision."""
        return np.abs(self.margin) < MARGINAL

    @property
    def slow(self) -> Bool[np.ndarray, " found"]:
        """The points that are not fixed."""
        return ~self.fixed

    @property
    def input_response(self) -> Float[np.ndarray, "found unit in"]:
        r"""$-(\partial h/\partial x)^{-1}\,\partial h/\partial u$: how points move with the input (least squares)."""
        own = np.eye(self.points.shape[1]) if self.dynamics == "map" else 0.0
        parts = [-np.linalg.lstsq(one - own, drive, rcond=None)[0]
                 for one, drive in zip(self.jacobian, self.input_jacobian, strict=True)]  # fmt: skip
        return np.array(parts).reshape(self.input_jacobian.shape)

    def to_dataset(self):
        """An `xarray.Dataset` with dims (found, unit, eig, in, input, start); complex numbers as pairs of reals."""
        import xarray as xr

        state, square = ("found", "unit"), ("found", "unit", "eig")
        data = {
            "point": (state, self.points),
            "jacobian": (("found", "unit", "pre"), self.jacobian),
            "input_jacobian": (("found", "unit", "in"), self.input_jacobian),
            "held_input": (("input", "in"), self.inputs),
            "start_state": (("start", "unit"), self.starts),
            "end_state": (("input", "start", "unit"), self.end_state),
            "status": (("input", "start"), self.status),
            "reached_point": (("input", "start"), self.reached_point),
            "iterations": (("input", "start"), self.iterations),
            "input_number": ("found", self.input),
            "time_constant": (("found", "eig"), self.time_constants),
        }
        names = ("fixed", "q", "unstable_dimension", "margin", "stable", "marginal", "singular", "outlier", "spread",
                 "reached")  # fmt: skip
        data |= {name: ("found", getattr(self, name)) for name in names}
        for name, dims in (("eigenvalues", ("found", "eig")), ("right", square), ("left", square)):
            short = name.removesuffix("s")
            data |= {f"{short}_re": (dims, getattr(self, name).real), f"{short}_im": (dims, getattr(self, name).imag)}
        return xr.Dataset(data, attrs={"dynamics": self.dynamics, "result": outcome_name(self.result)})

    def __str__(self) -> str:
        """A table of the points, and what became of the starts."""
        counts = {name: int(np.sum(self.status == name)) for name in STATUSES}
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        stable = int(np.sum(self.fixed & self.stable))
        head = (
            f"{_counted(self.fixed, 'fixed point')} ({stable} stable) and {_counted(self.slow, 'slow point')} of the "
            f"{self.dynamics} found from {self.status.size} starts ({told}); others may exist"
        )
        unit = "step" if self.dynamics == "map" else "tau"
        lines = [head, f"   no  kind   input         q  unstable    margin  slowest [{unit}]  reached  notes"]
        lead = "largest |eigenvalue|" if self.dynamics == "map" else "largest real part"
        for one in range(len(self)):
            notes = [name for name in ("marginal", "singular", "outlier") if getattr(self, name)[one]]
            if self.singular[one]:
                notes.append(f"spread {self.spread[one]:.1g}")
            decaying = self.time_constants[one][self.time_constants[one] >= 0]
            slowest = f"{decaying.max():.4g}" if len(decaying) else "-"
            lines.append(
                f"{one:5d}  {'fixed' if self.fixed[one] else 'slow ':5s}  {self.input[one]:5d}  {self.q[one]:8.1e}"
                f"  {self.unstable_dimension[one]:8d}  {self.margin[one]:8.4f}  {slowest:>15s}  {self.reached[one]:7d}"
                f"  {', '.join(notes)}".rstrip()
            )
        lines.append(f"margin: {'1 - ' if self.dynamics == 'map' else '-'}{lead}")
        return "\n".join([*lines, *self._on_their_way()])

    def _on_their_way(self) -> list[str]:
        """What is to be said about starts that took all steps."""
        late = self.status == "max_steps"
        if not late.any():
            return []
        centre = self.starts.mean(axis=0)
        far = np.linalg.norm(self.end_state[late] - centre, axis=1).max()
        usual = np.linalg.norm(self.starts - centre, axis=1).max()
        away = f" (they are up to {far / usual:.2g} times as far out as the starts)" if far > 2 * usual > 0 else ""
        return [
            f"{_counted(late, 'start')} had not settled after {self.iterations[late].max()} steps: "
            f"more `steps` may settle them, or q falls for ever{away}"
        ]


def _counted(which: np.ndarray, word: str) -> str:
    """How many there are, in words."""
    count = int(which.sum())
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
