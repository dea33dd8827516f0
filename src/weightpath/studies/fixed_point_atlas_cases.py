"""Networks of the study `fixed-point-atlas` whose fixed points are known, and the distributions of starts."""

import numpy as np

#: Points of the shifted ramps of 2, 3 and 4 units, up to their sign and without the origin; to eight digits.
RAMP_POINTS = {
    2: ((-0.95750402, 0.95750402),),
    3: ((-0.94979571, 0.42550230, 0.87989400),),
    4: (
        (-0.77551631, 0.77551631, -0.77551631, 0.77551631),
        (-0.96289191, -0.52523523, 0.96289191, 0.52523523),
        (-0.87726314, 0.56969616, -0.33974500, 0.78964767),
        (-0.33974500, 0.78964767, -0.87726314, 0.56969616),
    ),
}
UNITS, GAIN = 30, 1.5
#: The distributions of starts that are compared, and what they are called in figures.
STARTS = {
    "normal 2": "2 N(0,1)",
    "normal 3": "3 N(0,1)",
    "courses": "courses of the network",
    "blocks": "block-constant + noise",
    "normal 1": "N(0,1)",
    "uniform": "U(-1,1)",
}
#: Those from which all points of the block network are expected.
WIDE = ("normal 2", "normal 3", "courses", "blocks")


def rate(w_rec, bias=None):
    """A tanh network without input; its map and its flow have the same fixed points."""
    import weightpath as wp

    units = len(w_rec)
    return wp.RateRNN(np.asarray(w_rec), np.zeros((units, 1)), np.zeros((1, units)), bias, leak=1.0)


def ramp(units: int) -> np.ndarray:
    """Row i of the transposed weights is -roll(linspace(-1, 1, n), -i)."""
    return np.array([-np.roll(np.linspace(-1, 1, units), -i) for i in range(units)]).T


def grid(units: int) -> np.ndarray:
    """All states of entries -1, 0 and 1."""
    return np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * units)).reshape(units, -1).T


def blocks(seed: int, noise: float) -> np.ndarray:
    """1.5 times the projector on the means of three blocks of ten units, and some noise."""
    size = UNITS // 3
    around = np.random.default_rng(seed).standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)
    return GAIN * np.kron(np.eye(3), np.ones((size, size)) / size) + noise * around


def starts(name: str, seed: int, count: int) -> np.ndarray | None:
    """`count` starts of a distribution; None for the courses of the network, which the finder makes itself."""
    rng = np.random.default_rng([seed, list(STARTS).index(name)])
    if name == "courses":
        return None
    if name == "uniform":
        return rng.uniform(-1, 1, (count, UNITS))
    if name == "blocks":
        level = rng.uniform(-1, 1, (count, 3))
        return np.repeat(level, UNITS // 3, axis=1) + 0.1 * rng.standard_normal((count, UNITS))
    return float(name.split()[1]) * rng.standard_normal((count, UNITS))


def scalar_threshold(weight: float) -> float:
    """The input up to which r = tanh(w r + x) has three solutions, w > 1."""
    critical = np.sqrt(1 - 1 / weight)
    return float(weight * critical - np.arctanh(critical))


def scalar_slow(weight: float, drive: float) -> tuple[float, float]:
    """Beyond it, where the lost pair leaves a minimum of q, and q there."""
    critical = np.sqrt(1 - 1 / weight)
    place = float((-np.arctanh(critical) - drive) / weight)
    return place, float((critical + place) ** 2 / 2)


def block_level(gain: float = GAIN) -> float:
    """The positive root of m = tanh(a m)."""
    from scipy.optimize import brentq

    return float(brentq(lambda m: m - np.tanh(gain * m), 0.1, 1))  # pyright: ignore[reportArgumentType]
