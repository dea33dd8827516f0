"""The study of images: its recipe against a program in NumPy, its counts on numbers made by hand, what it refuses."""

import numpy as np
import pytest
import xarray as xr

import weightpath as wp
from weightpath.studies import STUDIES
from weightpath.studies import fixed_point_images_runs as runs
from weightpath.studies.fixed_point_images import assembled_rows, digit_parts, mnist_folder

STUDY = STUDIES["fixed-point-images"]
SOLVER = wp.SteadySolver(damping=0.25, tolerance=1e-6, max_steps=400, newton=False, keep_unsolved=True)


def recipe(seed: int, rule: str, rate: float, updates: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses before each update and final weights, by the stated recipe in NumPy alone."""
    from sklearn.datasets import load_digits

    whole, stream = load_digits(), np.random.RandomState(seed)
    train = stream.permutation(1797)[:1437]
    w = 0.5 * stream.randn(100, 100) / 10
    w_in, w_out = stream.randn(100, 64) / 8, stream.randn(10, 100) / 10
    batches: list[np.ndarray] = []
    while len(batches) < updates:
        epoch = stream.permutation(train)
        batches += [epoch[128 * k : 128 * (k + 1)] for k in range(11)]
    losses, first, second = [], 0.0, 0.0
    for step, batch in enumerate(batches[:updates]):
        x, labels, r = whole.data[batch] / 16 @ w_in.T, whole.target[batch], np.zeros((128, 100))
        for _ in range(400):
            image = np.tanh(r @ w.T + x)
            if np.abs(image - r).max() <= 1e-6:
                break
            r = r + 0.25 * (image - r)
        y = np.exp(r @ w_out.T)
        y /= y.sum(1, keepdims=True)
        losses.append(-np.log(y[np.arange(128), labels]).mean())
        y[np.arange(128), labels] -= 1
        # Slopes where the network is, not at the last iterate's rates: f'(z) with z = W r + x.
        e, g = y @ w_out, 1 - np.tanh(r @ w.T + x) ** 2
        if rule == "dW3K":
            u = r - g * (r @ w.T)
            post, pre = g * e - (g * g * e) @ w.T, u - (g * u) @ w
        elif rule == "dW4":
            u = r - (g * r) @ w.T
            post, pre = e - (g * e) @ w.T, u - g * (u @ w)
        elif rule == "phantom":
            post, pre = g * e, r
        else:
            systems = np.eye(100) - w.T * g[:, None, :]
            post, pre = g * np.linalg.solve(systems, e[..., None])[..., 0], r
        update = post.T @ pre / 128
        if rule.startswith("Adam"):
            first, second = 0.9 * first + 0.1 * update, 0.999 * second + 0.001 * update**2
            update = first / (1 - 0.9 ** (step + 1)) / (np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8)
        w = w - rate * update
    return np.array(losses), w


def run(seed: int, rule: str, rate: float, updates: int):
    network, task, _ = runs.digit_problem(seed, updates)
    return runs.learned(network, task, rule, rate, SOLVER)


def test_the_recipe_is_that_of_a_program_in_numpy():
    network, losses, unsolved = run(1, "dW3K", 0.05, 6)
    expected, w = recipe(1, "dW3K", 0.05, 6)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    np.testing.assert_allclose(network.w_rec, w, atol=1e-10)
    np.testing.assert_array_equal(unsolved, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "rate"),
    [("dW3K", 0.05), ("dW1", 0.1), ("dW4", 0.05), ("phantom", 0.2), ("Adam on dW1", 1e-3)],
)
def test_every_rule_follows_the_program_in_numpy(rule, rate):
    """Over 20 updates, in which every batch converges; later, rounding changes the path of the gradient."""
    network, losses, _ = run(0, rule, rate, 20)
    expected, w = recipe(0, rule, rate, 20)
    np.testing.assert_allclose(losses, expected, rtol=1e-8)
    np.testing.assert_allclose(network.w_rec, w, atol=1e-8)


def made(**changes) -> xr.Dataset:
    """A result with known jumps: dW1 jumps twice on each of three networks, dW3K never."""
    rows = {}
    smooth, jumpy = np.linspace(2.3, 1.0, 300), np.linspace(2.3, 1.0, 300)
    jumpy[[50, 51, 120]] += 0.7
    for (name, rate), loss, accuracy in ((runs.SMOOTH, smooth, 0.9), (runs.JUMPY, jumpy, 0.3)):
        found = {
            "loss": np.stack([loss] * 3), "unsolved": np.zeros((3, 300)),
            "accuracy": np.full(3, accuracy), "abscissa": np.full(3, 0.5),
        }  # fmt: skip
        found["unsolved"][0, :40] = 3
        found |= changes.get(name, {})
        rows[f"digits {name}"] = runs.row_dataset("digits", name, rate, [0, 1, 2], found)
    return assembled_rows(rows, None)


def outcomes(dataset: xr.Dataset) -> dict[str, bool | None]:
    config = STUDY.settings("full", seeds=3, mnist="none")
    return {check.name: check.evaluate(dataset).passed for check in STUDY.checks_of(config)}


def test_jumps_and_unconverged_updates_are_counted():
    dataset = made()
    np.testing.assert_array_equal(dataset["digits_jumps"], [[0, 0, 0], [2, 2, 2]])
    np.testing.assert_array_equal(dataset["digits_unconverged"], [[40, 0, 0], [40, 0, 0]])
    np.testing.assert_array_equal(dataset["digits_updates"], 300)
    assert dataset["digits_row"].values.tolist() == ["dW3K 0.05", "dW1 0.1"]


def test_requirements_are_met_and_can_fail():
    assert False not in outcomes(made()).values()
    for change, failing in (
        ({"dW3K": {"accuracy": np.array([0.9, 0.83, 0.9])}}, "least test accuracy"),
        ({"dW3K": {"loss": np.tile(np.r_[np.ones(150), 2 * np.ones(150)], (3, 1))}}, "dW3K 0.05: jumps"),
        ({"dW1": {"loss": np.ones((3, 300))}}, "dW1 0.1: jumps"),
        ({"dW1": {"loss": np.where(np.arange(300) == 7, np.nan, np.ones((3, 300)))}}, "every run is reported"),
    ):
        failed = [name for name, passed in outcomes(made(**change)).items() if passed is False]
        assert any(failing in name for name in failed), (failing, failed)


def test_figures_and_tables_of_a_result(tmp_path):
    from weightpath.plot.style import save_figure

    dataset = made()
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
    (table,) = STUDY.tables(dataset)
    assert [row.label for row in table.rows] == ["dW3K", "dW1"]
    assert [cell.text for cell in table.rows[1].cells][3] == "2, 2, 2"
    lines = dataset.attrs["table"].splitlines()  # for the terminal
    assert lines[2].split() == ["dW1", "0.1", "3", "0.300", "6", "40"] and max(map(len, lines)) <= 80


def test_mnist_is_looked_for_where_it_is_said_to_be(tmp_path):
    assert mnist_folder(STUDY.settings("full", mnist="none")) is None
    assert mnist_folder(STUDY.settings("full", mnist=str(tmp_path))) == tmp_path
    with pytest.raises(ValueError, match="no folder .*absent with MNIST's files.*mnist=none to leave it out"):
        mnist_folder(STUDY.settings("full", mnist=str(tmp_path / "absent")))
    assert STUDY.data_files(STUDY.settings("quick")) == ()


def test_other_rows_are_left_out_when_asked():
    assert list(digit_parts(STUDY.settings("quick"))) == ["digits dW3K 0.05", "digits dW1 0.1"]
    assert len(digit_parts(STUDY.settings("full"))) == sum(map(len, runs.DIGIT_RATES.values()))


@pytest.mark.slow
def test_the_quick_run_meets_its_requirements(tmp_path):
    config = STUDY.settings("quick")
    dataset = STUDY.run(config, workspace=tmp_path)
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    assert sum(result.passed is True for result in results) == 4


@pytest.mark.slow
def test_mnist_is_learned(shared_data):
    network, task, held_out = runs.mnist_problem(shared_data / "mnist_t10k", 0, 40)
    solver = wp.SteadySolver(damping=(1.0, 0.5, 0.25), tolerance=1e-5, max_steps=200, newton=False, keep_unsolved=True)
    found = runs.run_row([(network, task, held_out)], "dW3K", 0.25, solver, 40)
    assert network.w_rec.dtype == np.float32 and found["accuracy"][0] > 0.5
    assert found["loss"][0, -1] < found["loss"][0, 0]
