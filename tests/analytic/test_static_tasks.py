"""Tasks of fixed points: regression data, images and their epochs, the ring of orientations; what they refuse."""

import gzip
import struct
from math import erf

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import weightpath as wp
from weightpath.tasks.idx import read_idx
from weightpath.tasks.ring import orientation_tuning, size_tuning, summation, suppression_index


def test_regression_data_of_the_stated_stream():
    """The legacy stream 2023 gives the loss that the authors print, 0.0199163815053748, and an exact interpolator."""
    data = wp.tasks.linear_fixed_points(np.random.RandomState(2023), 200, 100)
    identity = np.eye(200)

    def loss(w_rec):
        return np.sum((np.linalg.solve(identity - w_rec, data.inputs.T) - data.targets.T) ** 2) / 100

    assert loss(data.w_rec) == pytest.approx(0.0199163815053748, rel=1e-13)
    assert loss(data.interpolating) < 1e-28 and np.linalg.matrix_rank(data.interpolating) == 100
    batch = data.task.everything()
    outputs = np.linalg.solve(identity - data.w_rec, data.inputs.T).T
    assert float(batch.criterion(jnp.asarray(outputs))) == pytest.approx(loss(data.w_rec), rel=1e-12)
    assert data.task.loss == "squared" and data.network(data.w_rec).w_rec.shape == (200, 200)


def test_regression_goes_on_along_a_stream_and_repeats_with_a_key():
    stream, same = (np.random.default_rng(3) for _ in range(2))
    wp.tasks.linear_fixed_points(stream, 5, 4)
    same.standard_normal(5 * 4 + 5 * 5 + 5 * 4)
    assert stream.standard_normal() == same.standard_normal()
    first, again = (wp.tasks.linear_fixed_points(jax.random.key(1), 5, 4, noise=0.0) for _ in range(2))
    np.testing.assert_array_equal(first.targets, again.targets)
    exact = np.linalg.solve(np.eye(5) - first.w_rec, first.inputs.T).T
    np.testing.assert_allclose(first.targets, exact, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(units=0), "units must be a whole number, at least 1"),
        (dict(gain=1.0), "gain must lie in"),
        (dict(noise=-1.0), "must not be negative"),
        (dict(random=3), "come from a JAX key"),
    ],
)
def test_regression_refuses(arguments, message):
    given = dict(random=np.random.default_rng(0), units=3, samples=2) | arguments
    with pytest.raises(ValueError, match=message):
        wp.tasks.linear_fixed_points(**given)


@pytest.fixture(scope="module")
def small():
    return wp.tasks.digits(np.random.RandomState(0))


def test_digits_are_split_as_the_stream_says(small):
    from sklearn.datasets import load_digits

    whole, order = load_digits(), np.random.RandomState(0).permutation(1797)
    np.testing.assert_array_equal(small.inputs, whole.data[order[:1437]] / 16)
    np.testing.assert_array_equal(small.labels, whole.target[order[:1437]])
    np.testing.assert_array_equal(small.held_out.labels, whole.target[order[1437:]])
    assert small.held_out.samples == 360 and small.task().loss == "cross_entropy"


def test_epochs_visit_every_image_once_and_drop_what_is_left(small):
    order = small.epochs(np.random.RandomState(5), 128, 25)
    stream = np.random.RandomState(5)
    epochs = [stream.permutation(1437) for _ in range(3)]
    expected = [epoch[128 * batch : 128 * (batch + 1)] for epoch in epochs for batch in range(11)]
    np.testing.assert_array_equal(order, expected[:25])
    assert np.unique(order[:11]).size == 11 * 128
    task = small.task(order=order)
    batch = task.sample(None, 12)
    np.testing.assert_array_equal(batch.labels, small.labels[order[12]])


def test_too_large_batches_and_splits_are_refused(small):
    with pytest.raises(ValueError, match="batch of 1500 is larger than the 1437"):
        small.epochs(np.random.RandomState(0), 1500, 3)
    with pytest.raises(ValueError, match="leaves none of the 1797 images"):
        wp.tasks.digits(np.random.RandomState(0), held_out=1797)


def write_idx(path, array, packed=True):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)


def test_images_from_idx_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 2))
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", pixels)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.arange(7), packed=False)
    found = wp.tasks.mnist(tmp_path, np.random.RandomState(1), held_out=2, dtype="float32")
    order = np.random.RandomState(1).permutation(7)
    np.testing.assert_array_equal(found.labels, order[:5])
    np.testing.assert_allclose(found.inputs, pixels.reshape(7, 6)[order[:5]] / 255, rtol=1e-6)
    assert found.inputs.dtype == found.held_out.inputs.dtype == np.float32


def test_what_is_no_idx_file_is_refused(tmp_path):
    images, labels = tmp_path / "t10k-images-idx3-ubyte.gz", tmp_path / "t10k-labels-idx1-ubyte.gz"
    stream = np.random.RandomState(0)
    with pytest.raises(ValueError, match="no folder .*absent with the MNIST files.*t10k-images"):
        wp.tasks.mnist(tmp_path / "absent", stream)
    with pytest.raises(ValueError, match="no file .*t10k-images"):
        wp.tasks.mnist(tmp_path, stream)
    write_idx(images, np.zeros((4, 2, 2)))
    whole = images.read_bytes()
    for content, message in (
        (b"\x89PNG\r\n", "no idx file: it begins with 89504e47"),
        (whole[:-9], "no whole gzip file"),
        (gzip.compress(gzip.decompress(whole)[:-1]), "no whole idx file: 31 bytes for an array of shape"),
        (gzip.compress(b"\0\0\x08\x03\0"), "no whole idx file"),
        (b"", "no idx file"),
    ):
        images.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_idx(images)
    images.write_bytes(whole)
    write_idx(labels, np.zeros(3))
    with pytest.raises(ValueError, match=r"as many labels; got shapes \(4, 2, 2\) and \(3,\)"):
        wp.tasks.mnist(tmp_path, stream)
    with pytest.raises(ValueError, match='dtype must be "float32" or "float64"'):
        wp.tasks.mnist(tmp_path, stream, dtype="int8")


def test_the_mnist_test_set(shared_data):
    """The counts of the ten digits in MNIST's test set."""
    found = wp.tasks.mnist(shared_data / "mnist_t10k", np.random.RandomState(0))
    assert found.inputs.shape == (8000, 784) and found.held_out.inputs.shape == (2000, 784)
    counts = np.bincount(np.concatenate([found.labels, np.asarray(found.held_out.labels)]))
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.inputs.min() == 0 and found.inputs.max() == 1


def test_tuning_functions_are_what_they_say():
    kappa = 3.0
    half = 0.5 * np.rad2deg(np.arccos(1 - np.log(2) / kappa))
    assert half == pytest.approx(20, abs=0.2)
    np.testing.assert_allclose(orientation_tuning([0, half, -half, 180 + half], kappa), [1, 0.5, 0.5, 0.5], atol=1e-12)
    # erf(s/w) is the share of a Gaussian field of width w within s on either side.
    inside = quad(lambda y: 2 / np.sqrt(np.pi) * np.exp(-(y**2)), 0, 0.7)[0]
    assert summation(1.4, 2.0) == pytest.approx(inside**2, abs=1e-12)
    assert size_tuning(50.0, 1.0, 2.5, 1.5) == pytest.approx(1 / 2.5)
    np.testing.assert_allclose(suppression_index([[1, 4, 2], [1, 2, 4]]), [0.5, 0])


def test_ring_of_orientations():
    """Rotating a grating by one preferred orientation shifts inputs and targets along the ring; large ones suppress."""
    ring = wp.tasks.orientation_ring(units=12, orientations=12)
    wanted = ring.arranged(ring.task.targets)
    centre, surround = np.split(ring.arranged(ring.task.inputs), 2, axis=2)
    for values in (wanted, centre, surround):
        for shift in range(12):
            np.testing.assert_allclose(values[shift], np.roll(values[0], shift, axis=1), atol=1e-14)
    assert wanted.max() == pytest.approx(0.8)
    at_best = wanted[np.arange(12), :, np.arange(12)]
    ratio = [erf(s) ** 2 / (1 + 1.5 * erf(s / 2.5) ** 2) for s in ring.sizes]
    np.testing.assert_allclose(suppression_index(at_best), 1 - ratio[-1] / max(ratio), atol=1e-14)
    assert suppression_index(at_best)[0] == pytest.approx(0.34, abs=0.005)
    assert np.all(np.diff(centre, axis=1) >= 0) and np.all(np.diff(surround, axis=1) >= 0)
    assert ring.held_out.samples == ring.task.samples == 12 * 8
    np.testing.assert_allclose(ring.held_out_orientations - ring.orientations, 7.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(sizes=(1.0, 0.5)), "sizes must be diameters that grow"),
        (dict(sizes=(0.0, 0.5)), "sizes must be diameters that grow"),
        (dict(sizes=(1.0, np.inf)), "sizes must be diameters that grow"),
        (dict(units=1), "units must be a whole number, at least 2"),
        (dict(centre=0.0), "centre must be positive"),
        (dict(suppression=-1.0), "suppression must not be negative"),
    ],
)
def test_ring_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        wp.tasks.orientation_ring(**arguments)
