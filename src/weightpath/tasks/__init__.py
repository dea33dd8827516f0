"""Tasks: what a network is asked to do, as sampled batches and, where one exists, as an exact population target."""

from weightpath.tasks.images import Images, digits, mnist
from weightpath.tasks.regression import LinearFixedPoints, linear_fixed_points
from weightpath.tasks.ring import OrientationRing, orientation_ring

__all__ = [
    "Images",
    "LinearFixedPoints",
    "OrientationRing",
    "digits",
    "linear_fixed_points",
    "mnist",
    "orientation_ring",
]
