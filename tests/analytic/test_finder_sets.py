"""How ends of searches are joined to points."""

import numpy as np

from weightpath.analysis.fixed_sets import joined


def test_of_two_radii_the_smaller_counts():
    """A regular point next to a singular one, whose ends may scatter, keeps to itself."""
    ends, q = np.array([[0.0], [0.5]]), np.array([0.0, 1.0])
    assert joined(ends, q, np.array([1.0, 0.1])).member.tolist() == [0, 1]
    assert joined(ends, q, np.array([0.1, 1.0])).member.tolist() == [0, 1]
    assert joined(ends, q, 1.0).member.tolist() == [0, 0]
