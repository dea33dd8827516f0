"""One iteration of a fit against the same loss with dense weights and an adaptive solver, written in PyTorch.

The reference builds every trial's weights as a square matrix, integrates all units by Euler steps with step doubling
(relative tolerance 1e-5, absolute 1e-4), takes its inputs from the same networks (one per condition), decodes with a
semi-orthogonal matrix and lets autograd go back through every step. Both run on one core in this process.

./run python benchmarks/dense_reference.py          (needs PyTorch; says so and stops without it)
"""

from harness import table  # isort: skip  (limits threads before JAX loads)

import math
import time
import warnings

import numpy as np

import weightpath as wp
from weightpath.inference.optimise import CHUNK

try:
    import torch
except ImportError:
    torch = None

PREPARATION, EXECUTION, DURATION = 20, 60, 2.0
#: Bins per time constant: the execution lasts two of them.
TAU = (EXECUTION - 1) / DURATION
HIDDEN, RATE = 150, 1e-3
RELATIVE, ABSOLUTE, FIRST_STEP, GROWTH = 1e-5, 1e-4, 1e-3, 1.4


def recording(trials: int, neurons: int, conditions: int) -> wp.Recording:
    rng = np.random.default_rng(0)
    condition = np.arange(trials) % conditions
    phase = np.arange(PREPARATION + EXECUTION)[:, None] / 10 + rng.uniform(0, 6, neurons)
    clean = np.sin(phase[None] + condition[:, None, None] + np.arange(trials)[:, None, None] / trials)
    values = clean + 0.1 * rng.normal(size=clean.shape)
    time_of_bin = np.arange(PREPARATION + EXECUTION) - float(PREPARATION)
    return wp.Recording(values, condition=condition, time=time_of_bin).standardised("neuron")


def ours(given: wp.Recording, units: int, rank: int) -> tuple[float, list[float]]:
    """Processor seconds per iteration, and the loss in units of the variance before each iteration."""
    model = wp.LowTensorRankRNN(
        rank, units=units, decoder="orthogonal", inputs="ode", initial_state="shared", solver="heun", time_constant=TAU,
    )  # fmt: skip
    stamps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hundred iterations do not converge, and need not
        fit = wp.fit(
            model, given, iterations=4 * CHUNK, learning_rate=RATE,
            progress=lambda label, done, total, **numbers: stamps.append(time.process_time()),
        )  # fmt: skip
    spans = [(later - sooner) / CHUNK for sooner, later in zip(stamps[1:], stamps[2:], strict=False)]
    return min(spans), (1 - fit.history["r2"]).tolist()


class Dense:
    """The loss with K x N x N weights."""

    def __init__(self, given: wp.Recording, units: int, rank: int):
        torch.manual_seed(0)
        trials, _, neurons = given.shape
        conditions, normal = len(given.conditions), torch.randn
        self.data = torch.tensor(given.values, dtype=torch.float32)
        self.condition = torch.tensor(given.condition)
        a = normal(units, rank) / math.sqrt(units)
        sizes = [(HIDDEN, HIDDEN)] * 3
        self.parameters = dict(
            a=a, b=a.clone(), beta=torch.ones(rank), zeta=normal(trials, rank),
            start=math.sqrt(units) * 0.2 * (2 * torch.rand(rank) - 1) / math.sqrt(rank),
            decoder=normal(neurons, units) / math.sqrt(neurons), offset=torch.zeros(neurons), gain=torch.ones(()),
            hidden=2 * torch.rand(conditions, HIDDEN) - 1, read=normal(rank, HIDDEN) / math.sqrt(HIDDEN),
            push=torch.full((rank,), math.sqrt(units / rank)),
            **{f"weight{i}": normal(conditions, *size) / math.sqrt(size[1]) for i, size in enumerate(sizes)},
            **{f"bias{i}": normal(conditions, size[0]) / math.sqrt(size[1]) for i, size in enumerate(sizes)},
        )  # fmt: skip
        for one in self.parameters.values():
            one.requires_grad_(True)
        distance = (torch.arange(trials)[:, None] - torch.arange(trials)[None, :]) / 15.0
        covariance = 0.01 / (1 + distance**2 / 2) + 0.01 * torch.eye(trials)
        self.root = torch.linalg.cholesky(covariance)
        self.evaluations = 0

    def drift(self, weights, inputs_on: bool):
        p = self.parameters
        read = p["read"] / p["read"].norm(dim=1, keepdim=True)

        def flow(x, h):
            self.evaluations += 1
            dx = -x + torch.einsum("kij,kj->ki", weights, torch.tanh(x))
            if not inputs_on:
                return dx, torch.zeros_like(h)
            signal = h
            for i in range(3):
                signal = torch.einsum("coi,ci->co", p[f"weight{i}"], signal) + p[f"bias{i}"]
                signal = torch.relu(signal) if i < 2 else signal
            u = torch.tanh(h @ read.T) * p["push"]
            return dx + (u @ p["a"].T)[self.condition], (-h + torch.relu(5 * signal)) / 2

        return flow

    def integrate(self, flow, x, h, times):
        """States at `times`, linearly between accepted steps; one full step against two half ones decides."""
        now, step, states, index = times[0], FIRST_STEP, [x], 1
        while index < len(times):
            step = min(step, times[-1] - now)
            dx, dh = flow(x, h)
            middle = x + step / 2 * dx, h + step / 2 * dh
            mx, mh = flow(*middle)
            new_x, new_h = middle[0] + step / 2 * mx, middle[1] + step / 2 * mh
            with torch.no_grad():
                scale = ABSOLUTE + RELATIVE * torch.maximum(x.abs(), new_x.abs())
                error = float((((x + step * dx - new_x) / scale) ** 2).mean().sqrt())
            if error <= 1 or step < 1e-6:
                later = now + step
                while index < len(times) and times[index] <= later + 1e-9:
                    share = (times[index] - now) / step
                    states.append(x + share * (new_x - x))
                    index += 1
                x, h, now = new_x, new_h, later
            step *= min(GROWTH, max(0.2, 0.9 * max(error, 1e-9) ** -0.5))
        return states, x, h

    def loss(self):
        p = self.parameters
        a, b = (p[name] / p[name].norm(dim=0) for name in "ab")
        c = p["beta"] + self.root @ p["zeta"]
        weights = torch.einsum("ir,kr,jr->kij", a, c, b)
        bin_size = 1 / TAU
        x = (p["a"] @ p["start"]).expand(len(self.data), -1)
        before = (bin_size * torch.arange(PREPARATION + 1)).tolist()
        states, x, h = self.integrate(self.drift(weights, True), x, p["hidden"], before)
        after = (bin_size * torch.arange(EXECUTION)).tolist()
        later, _, _ = self.integrate(self.drift(weights, False), x, h, after)
        rates = torch.tanh(torch.stack(states[:-1] + later, dim=1))
        wide = p["decoder"].shape[0] < p["decoder"].shape[1]
        q = torch.linalg.qr(p["decoder"].T if wide else p["decoder"])[0]
        predicted = p["gain"] * rates @ (q if wide else q.T) + p["offset"]
        error = torch.mean((predicted - self.data) ** 2)
        return error + 1e-4 * torch.mean(p["zeta"] ** 2), float(error.detach()) / float(self.data.var())


def dense(given: wp.Recording, units: int, rank: int, iterations: int) -> tuple[float, list[float], float]:
    """Processor seconds per iteration, the course of the loss, and evaluations of the drift per iteration."""
    problem, spans, losses = Dense(given, units, rank), [], []
    optimiser = torch.optim.Adam(problem.parameters.values(), lr=RATE)
    for _ in range(iterations):
        begin = time.process_time()
        optimiser.zero_grad()
        loss, error = problem.loss()
        loss.backward()
        optimiser.step()
        spans.append(time.process_time() - begin)
        losses.append(error)
    return min(spans), losses, problem.evaluations / iterations


def main() -> None:
    if torch is None:
        print("PyTorch is not installed; nothing to compare with (pip install torch)")
        return
    torch.set_num_threads(1)
    rows = []
    for trials, units, rank, conditions, iterations, aim in ((100, 60, 3, 4, 51, 10), (250, 200, 5, 8, 3, 30)):
        given = recording(trials, units, conditions)
        theirs, losses, evaluations = dense(given, units, rank, iterations)
        mine, course = ours(given, units, rank)
        size = f"K={trials}, N=M={units}, R={rank}, C={conditions}"
        rows.append((f"{size}: reference ({evaluations:.0f} drifts)", f"{1e3 * theirs:.0f} ms", ""))
        rows.append((f"{size}: weightpath", f"{1e3 * mine:.1f} ms", ""))
        rows.append((f"{size}: ratio", f"{theirs / mine:.0f} x", f">= {aim} x"))
        for at in (0, 20, 50):
            if at < len(losses):
                what = f"{size}: loss / variance after {at} iterations, both"
                rows.append((what, f"{losses[at]:.3f} {course[at]:.3f}", ""))
    table("One iteration of a fit with input networks (processor time on one core, float32)", rows)


if __name__ == "__main__":
    main()
