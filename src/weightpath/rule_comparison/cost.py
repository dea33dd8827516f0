"""What a rule costs online, by counting: operations of a time step and numbers that it has to keep."""

import math

import jax

from weightpath.networks.base import AbstractNetwork
from weightpath.rules.backprop import BPTT
from weightpath.rules.base import AbstractLearningRule
from weightpath.rules.eprop import EProp
from weightpath.rules.forward import AbstractForwardRule
from weightpath.rules.kfrtrl import KFRTRL
from weightpath.rules.local_step import seen_size
from weightpath.rules.rflo import RFLO
from weightpath.rules.rtrl import RTRL
from weightpath.rules.snap import SnAp0
from weightpath.rules.truncated import TruncatedBPTT
from weightpath.rules.uoro import UORO


def cost(rule: AbstractLearningRule, network: AbstractNetwork, bins: int) -> tuple[float, float]:
    r"""Operations per time step and bytes kept, of one trial, for learning all weights into the units.

    Operations: leading term, a multiplication and an addition counted as two, without the run of the network itself
    (which is $2nM$), for $n$ units and $M$ = units + inputs + bias:
    BPTT $4nM$; truncated over $\tau$ steps $4\tau nM$ (each error sent back by itself); RTRL $2n^3M$; RFLO and e-prop
    $4nM$; SnAp-0 $2nM$; UORO $2n^2 + 6nM$; KF-RTRL $2n^3$. Bytes: the trace of the rules that go forward, which is
    counted exactly; $M$ numbers of every step that back-propagation must remember. NaN for rules that are not known.

    Source: Marschall, Cho, Savin 2020 (arXiv 1907.02649) for the orders; the factors are counted here.
    """
    n, size = network.w_rec.shape[0], seen_size(network)
    number = network.w_rec.dtype.itemsize
    if isinstance(rule, BPTT):
        return 4.0 * n * size, float(bins * size * number)
    if isinstance(rule, TruncatedBPTT):
        steps = min(rule.horizon, bins)
        return 4.0 * steps * n * size, float(steps * size * number)
    if not isinstance(rule, AbstractForwardRule):
        return math.nan, math.nan
    trace = jax.eval_shape(lambda network: rule.first_trace(network, rule.check(network)), network)
    kept = float(sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(trace)))
    operations = {
        RTRL: 2.0 * n**3 * size, RFLO: 4.0 * n * size, EProp: 4.0 * n * size, SnAp0: 2.0 * n * size,
        UORO: 2.0 * n**2 + 6.0 * n * size, KFRTRL: 2.0 * n**3,
    }  # fmt: skip
    return operations.get(type(rule), math.nan), kept
