r"""How a rule carries an error back in time: the operators $P_k$ of a linear network, in one form for all rules.

An error $e$ at some time changes the weights into unit i at a step $k$ steps earlier in proportion to $(P_k e)_i$, with
$P_k = D^k S$. Rules differ in $D$ (the transposed recurrent weights, their diagonal, or a scalar), in $S$ (the
transposed read-out, or fixed feedback) and in how many terms they keep.

Source: Williams, Payeur, Lajoie 2026 (arXiv 2606.00243) for the rules; the common form is derived here.
"""

import equinox as eqx

from weightpath._types import Array, Float


class Credit(eqx.Module):
    r"""$P_k = D^k S$ for k = 0 .. terms - 1.

    `carry` is $D$: a scalar (), a diagonal (post,), or a matrix (post, post). `source` is $S$ (post, out). `terms` is
    the number of operators kept; None keeps all up to the horizon.
    """

    carry: Float[Array, "*any"]
    source: Float[Array, "post out"]
    terms: int | None = eqx.field(default=None, static=True)
