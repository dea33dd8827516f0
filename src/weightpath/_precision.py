"""The 64-bit rule: routines that need float64 ask for it, and the library never switches it on by itself."""

import jax


def require_x64(what: str) -> None:
    """Refuse to run `what` in 32-bit mode, where it would silently lose digits.

    **Raises:** ValueError with the one line that mends it.
    """
    if not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"{what} needs 64-bit numbers, and JAX is in 32-bit mode. Put "
            '`jax.config.update("jax_enable_x64", True)` at the top of the program, or set JAX_ENABLE_X64=1.'
        )
