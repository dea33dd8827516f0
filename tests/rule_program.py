"""Learning rules step by step in NumPy, from their definitions: an independent program to compare the rules with."""

import numpy as np

ACTIVATIONS = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "softplus": (lambda x: np.logaddexp(x, 0), lambda x: 1 / (1 + np.exp(-x))),
    "linear": (lambda x: x, np.ones_like),
}


class Program:
    """One trial of a leaky network in rate or current form."""

    def __init__(self, w_rec, w_in, w_out, *, bias=None, readout_bias=None, leak=1.0, activation="linear", form="rate"):
        self.w, self.u, self.v = (np.asarray(array) for array in (w_rec, w_in, w_out))
        self.b = None if bias is None else np.asarray(bias)
        self.c = np.zeros(len(self.v)) if readout_bias is None else np.asarray(readout_bias)
        self.leak, self.form = leak, form
        self.f, self.df = ACTIVATIONS[activation]

    def run(self, inputs):
        """Per step: state, what is read out, output, gain, z, Jacobian, slope at the read-out."""
        n, h, steps = len(self.w), np.zeros(len(self.w)), []
        weights = np.concatenate([self.w, self.u] + ([] if self.b is None else [self.b[:, None]]), axis=1)
        for x in inputs:
            seen = h if self.form == "rate" else self.f(h)
            z = np.concatenate([seen, x] + ([] if self.b is None else [[1.0]]))
            a = weights @ z
            if self.form == "rate":
                g = self.leak * self.df(a)
                jacobian = (1 - self.leak) * np.eye(n) + np.diag(g) @ self.w
                h = (1 - self.leak) * h + self.leak * self.f(a)
                rates, out_slope = h, np.ones(n)
            else:
                g = np.full(n, self.leak)
                jacobian = (1 - self.leak) * np.eye(n) + self.leak * self.w @ np.diag(self.df(h))
                h = (1 - self.leak) * h + self.leak * a
                rates, out_slope = self.f(h), self.df(h)
            steps.append((h, rates, self.v @ rates + self.c, g, z, jacobian, out_slope))
        return steps

    def gradient(self, inputs, errors, rule, *, feedback=None, decay=None, slope=True, horizon=None):
        """(weights (post, pre), w_out, readout_bias) of one trial whose outputs have the given errors."""
        steps, back = self.run(inputs), self.v if feedback is None else np.asarray(feedback)
        n, size = len(self.w), len(steps[0][4])
        total, influence, trace = np.zeros((n, size)), np.zeros((n, n, size)), np.zeros((n, size))
        for t, ((_, _, _, g, z, jacobian, out_slope), e) in enumerate(zip(steps, errors, strict=True)):
            q = out_slope * (back.T @ e)
            g = g if slope else np.full(n, self.leak)
            if rule == "rtrl":
                influence = np.einsum("kl,lij->kij", jacobian, influence)
                for i in range(n):
                    influence[i, i] += g[i] * z
                total += np.einsum("k,kij->ij", q, influence)
            elif rule == "truncated":
                for back_by in range(min(horizon, t + 1)):
                    _, _, _, then_g, then_z, then_jacobian, _ = steps[t - back_by]
                    total += np.outer(q * then_g, then_z)
                    q = then_jacobian.T @ q
            else:
                keep = {"rflo": (1 - self.leak) if decay is None else decay, "snap": 0.0}.get(rule)
                keep = np.diag(jacobian)[:, None] if rule == "eprop" else keep
                trace = keep * trace + g[:, None] * z
                total += q[:, None] * trace
        rates = np.array([step[1] for step in steps])
        return total, np.asarray(errors).T @ rates, np.asarray(errors).sum(axis=0)

    def learn(self, inputs, targets, rule, rate, *, feedback=None, decay=None, horizon=None):
        """Change the weights after every time step of one trial, from rest, in rate form; the losses of the steps."""
        n, size, losses = len(self.w), len(self.w) + self.u.shape[1], []
        self.w, self.u, self.v = self.w.copy(), self.u.copy(), self.v.copy()
        h, influence, trace, past = np.zeros(n), np.zeros((n, n, size)), np.zeros((n, size)), []
        for x, target in zip(inputs, targets, strict=True):
            z = np.concatenate([h, x])
            a = self.w @ h + self.u @ x
            g = self.leak * self.df(a)
            jacobian = (1 - self.leak) * np.eye(n) + np.diag(g) @ self.w
            h = (1 - self.leak) * h + self.leak * self.f(a)
            e = self.v @ h + self.c - target
            q = (self.v if feedback is None else feedback).T @ e
            if rule == "rtrl":
                influence = np.einsum("kl,lij->kij", jacobian, influence)
                for i in range(n):
                    influence[i, i] += g[i] * z
                change = np.einsum("k,kij->ij", q, influence)
            elif rule == "truncated":
                past, change = [(g, z), *past][:horizon], np.zeros((n, size))
                for then_g, then_z in past:
                    change += np.outer(q * then_g, then_z)
                    q = (1 - self.leak) * q + self.w.T @ (then_g * q)
            else:
                keep = np.diag(jacobian)[:, None] if rule == "eprop" else decay
                trace = keep * trace + g[:, None] * z
                change = q[:, None] * trace
            self.w -= rate * change[:, :n]
            self.u -= rate * change[:, n:]
            self.v -= rate * np.outer(e, h)
            losses.append(0.5 * e @ e)
        return np.array(losses)
