"""Reference numbers of the study of single modes, found by a program that shares no code with this one."""

from __future__ import annotations

from dataclasses import dataclass

#: E3: slow rates at the teacher (1, 1, .8), at these positions s of the optimal manifold.
RATE_POSITIONS = (0.25, 0.5, 1.0, 2.0, 4.0)
RATES = {
    "BPTT": (14.69615, 6.20996, 3.17245, 6.20996, 14.69615),
    "TruncatedBPTT(1)": (2.4922, 1.91026, 1.55228, 3.81529, 7.61587),
    "RFLO(1, 0.5)": (14.85365, 4.96204, 2.38006, 2.55182, 2.66808),
    "RFLO(1, 0)": (7.35345, 2.87316, 1.55228, 1.84335, 1.83727),
    "EProp(1)": (23.91376, 7.07602, 3.17245, 3.25632, 3.69130),
}
#: E3: the slow eigenvalue of RFLO(.016, .5) at s = -4 (re, im), and the difference of one-step BPTT at weak recurrence.
SMALL_FEEDBACK = (-0.001579, 0.01123)
ONE_STEP_DIFFERENCE = {0.05: 0.0025, 0.1: 0.0099, 0.2: 0.0384}

#: E2: learning time to half the first loss from (scale, scale, 0).
PLATEAU_SCALES = (1e-2, 1e-3, 1e-4)
PLATEAU_TIMES = {
    "BPTT": (4.5952, 6.8976, 9.2002),
    "TruncatedBPTT(1)": (4.7503, 7.0527, 9.3553),
    "RFLO(1, 0.5)": (0.6682, 0.6743, 0.6749),
    "EProp(1)": (0.9397, 0.9485, 0.9494),
}

#: E4: from (1, 1, .6): path length to time 60, time to 1e-4 of the largest useful loss, first and largest loss.
DETOUR_START = (1.0, 1.0, 0.6)
DETOUR = {
    "RFLO(-0.5, 0.5)": (4.56479, 4.62493, 0.247062, 2.24287),
    "BPTT": (0.23279, 0.64877, 0.247062, 0.247062),
}
DETOUR_PEAK_TIME = 3.084
DETOUR_END = {"RFLO(-0.5, 0.5)": (-0.626638, -1.595819, 0.8), "RFLO(1, 0.5)": (1.02030094, 0.98010299, 0.8)}

#: E12: learning time to 1 % of the first loss from (.1, .1, 0), kappa = sqrt(1 - w*^2), w* = .9, .99, .999.
INTEGRATOR_RECURRENT = (0.9, 0.99, 0.999)
INTEGRATOR_TIMES = {
    "BPTT": (6.6446, 27.018, 186.41),
    "TruncatedBPTT(1)": (9.3880, 42.799, 344.20),
    "RFLO(1, 0)": (4.2540, 14.958, 77.242),
    "RFLO(1, 0.9)": (0.6813, 0.7449, 2.5702),
    "RFLO(1, 0.99)": (0.4772, 0.1424, 0.2606),
}

#: E9: largest difference of the paths under the two losses over 60 Euler steps, on trials of T = 60 and 120.
SEQUENCE_HORIZONS = (60, 120)
SEQUENCE_GAPS = {
    "BPTT": (0.020176, 0.010113),
    "TruncatedBPTT(1)": (0.010737, 0.005356),
    "RFLO(0.7, 0.5)": (0.017290, 0.008603),
    "EProp(0.7)": (0.018423, 0.009225),
}

#: E10: drift at time 20 of what case R4 conserves, under discrete updates at these learning rates.
DRIFT_RATES = (0.04, 0.02, 0.01)
DRIFTS = (0.04354, 0.02145, 0.01065)

#: Share of the grid of starts that converges, at first recurrent weight 0 and .6.
GRID_RECURRENT = (0.0, 0.6)
GRID_SHARES = {
    "RFLO(1, 0.5)": (0.701, 0.594),
    "RFLO(-1, 0.5)": (0.701, 0.594),
    "RFLO(0.2, 0.5)": (0.848, 0.794),
    "RFLO(-0.2, 0.5)": (0.848, 0.794),
}


@dataclass(frozen=True)
class WindowExample:
    """A point with feedback of the wrong sign that is stable all the same."""

    feedback: float
    position: float
    eigenvalues: tuple[float, float]
    size: float
    hopf: float


#: Teacher and trace decay at which the window is wide, and a point in it.
WINDOW_PROBLEM = ((0.3, 1.0, 0.9), 0.0)
WINDOW_EXAMPLE = WindowExample(-0.00667, 3.0, (-0.0022332, -0.0248454), 2.0010, 4.1214)
