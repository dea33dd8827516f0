"""Rules that carry the influence of every weight on every state, exactly or as an unbiased estimate."""

import jax
import jax.numpy as jnp
from equinox import AbstractVar

from weightpath._types import Array, Float, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.backprop import BPTT
from weightpath.rules.base import Info
from weightpath.rules.credit import Credit
from weightpath.rules.feedback import linear_credit
from weightpath.rules.forward import AbstractForwardRule
from weightpath.rules.population import NoExactForm

NOISES = ("signs", "normal")


class AbstractInfluenceRule(AbstractForwardRule):
    """Errors come back through the present read-out; with weights that stand still the mean is the gradient."""

    def source(self, network: AbstractNetwork) -> Float[Array, "post out"]:
        """The transposed read-out."""
        return network.w_out.T

    def credit(self, network: AbstractNetwork) -> Credit:
        r"""$P_k = (W^\top)^k V^\top$. **Raises:** NoExactForm (a ValueError) for networks that are not linear."""
        return linear_credit(network, network.w_rec.T, network.w_out.T)

    def population(self, network: AbstractNetwork, target) -> tuple[PyTree, Info]:
        """The mean over trials, and over what the rule draws itself: the gradient, as of `BPTT`.

        **Raises:** NoExactForm (a ValueError) naming rule, network and target where there is none.
        """
        try:
            return BPTT().population(network, target)
        except NoExactForm as reason:
            raise NoExactForm(str(reason).replace("BPTT", type(self).__name__, 1)) from None


class AbstractEstimate(AbstractInfluenceRule):
    """RTRL with the influence replaced by a random product whose mean it is."""

    noise: AbstractVar[str]

    def __check_init__(self):
        if self.noise not in NOISES:
            raise ValueError(f'noise must be "signs" or "normal"; got {self.noise!r}.')

    def draw(self, key: PyTree, network: AbstractNetwork, *shape: int) -> Array:
        """Independent numbers of mean 0 and variance 1, `noise_shape` of them for each step of the given shape."""
        law = jax.random.rademacher if self.noise == "signs" else jax.random.normal
        return law(key, (*shape, *(self.noise_shape(network) or ())), network.w_rec.dtype)


def balance(first: Array, second: Array) -> Array:
    """The factor that makes two terms equally large, sqrt(first / second); 1 where one of them vanishes."""
    usable = (first > 0) & (second > 0)
    return jnp.where(usable, jnp.sqrt(first / jnp.where(usable, second, 1.0)), 1.0)
