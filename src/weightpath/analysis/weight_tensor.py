"""The weights of a path as one tensor (step, post, pre), kept small where the path is known by factors."""

import numpy as np

from weightpath._types import Numeric
from weightpath.networks.factored import FactoredRNN
from weightpath.trajectory import Trajectory

RELATIVE = ("start", "mean", None)


def weight_tensor(
    learned: Trajectory | Numeric, relative_to: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Learning time, the tensor, and orthonormal bases (unit, direction) of its last two axes; None for the units.

    Weights with factors that all steps share, and those of a projected run, change inside a known subspace: the tensor
    is then given in a basis of it, with the same singular values and the same terms.

    **Raises:** ValueError for anything that is not (step, post, pre), not finite, or does not change.
    """
    if relative_to not in RELATIVE:
        raise ValueError(f'relative_to must be "start", "mean" or None; got {relative_to!r}.')
    post = pre = None
    if not isinstance(learned, Trajectory):
        tensor = np.asarray(learned, dtype=float)
        if tensor.ndim != 3 or 0 in tensor.shape:
            raise ValueError(
                f"the weights must be an array (step, post, pre) or a trajectory; got shape {tensor.shape}."
            )
        time = np.arange(len(tensor), dtype=float)
    else:
        time = np.asarray(learned.time, dtype=float)
        tensor, post, pre = _of_trajectory(learned, relative_to)
    if not np.all(np.isfinite(tensor)):
        raise ValueError("the weights hold NaN or infinite entries; drop those steps or repair them.")
    if relative_to is not None:
        tensor = tensor - (tensor[0] if relative_to == "start" else tensor.mean(axis=0))
    if not np.any(tensor):
        raise ValueError(
            f"the weights do not change over the {len(tensor)} steps: there is nothing to decompose. "
            "Give a path with more than one step, or relative_to=None for the weights themselves."
        )
    return time, tensor, post, pre


def _of_trajectory(learned: Trajectory, relative_to: str | None):
    networks = learned.networks
    alike = not learned.only_last and {"post_factor", "pre_factor"} <= set(learned.shared)
    if isinstance(networks, FactoredRNN) and alike:
        post, left = np.linalg.qr(np.asarray(networks.post_factor, dtype=float))
        pre, right = np.linalg.qr(np.asarray(networks.pre_factor, dtype=float))
        mixing = np.asarray(networks.trial_factor, dtype=float)
        if not networks.core:
            mixing = mixing[:, :, None] * np.eye(mixing.shape[1])
        return left @ mixing @ right.T, post, pre
    if learned.lift is not None and relative_to is not None and not learned.only_last:
        basis = np.asarray(learned.lift.basis, dtype=float)
        return np.asarray(networks.w_rec, dtype=float), basis, basis
    return np.asarray(learned.w_rec, dtype=float), None, None
