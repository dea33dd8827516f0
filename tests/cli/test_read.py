"""`weightpath read`: files of other programs, guessed names and axes, the text, the JSON object, and refusals."""

import json

import command_line
import numpy as np
import pytest
import scipy.io
import xarray as xr
from local_rule_paths import path

import weightpath as wp
from weightpath.store.weight_history import read_weight_history


@pytest.fixture(scope="module")
def histories():
    return path("rflo", steps=60, every=3, outputs=2, rate=0.01)


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run a command line in a directory of its own; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    for name, value in {"MPLBACKEND": "Agg", "EQX_ON_ERROR": "nan"}.items():
        monkeypatch.setenv(name, value)
    return lambda line: command_line.run(line, capsys)


def same(found, histories):
    for name, history in zip(("w_rec", "w_in", "w_out"), histories, strict=True):
        np.testing.assert_array_equal(np.asarray(getattr(found.networks, name)), history)


def test_names_and_axes_of_other_programs(tmp_path, histories):
    w_rec, w_in, w_out = histories
    steps = np.arange(len(w_rec)) * 3.0
    turned = {"w_in": np.swapaxes(w_in, 1, 2), "w_out": np.swapaxes(w_out, 1, 2)}
    files = {
        "plain": {"w_rec": w_rec, "w_in": w_in, "w_out": w_out, "time": steps},
        "torch": {"rnn.weight_hh_l0": w_rec, "rnn.weight_ih_l0": w_in, "fc.weight": w_out, "epoch": steps},
        "letters": {"W": w_rec, "B": w_in, "A": w_out, "t": steps, "bias": np.ones((len(w_rec), 12))},
        "turned": {"W_rec": w_rec, "W_in": turned["w_in"], "W_out": turned["w_out"], "step": steps},
        "last": {name: np.moveaxis(h, 0, 2) for name, h in zip(("J", "w_in", "w_out"), histories, strict=True)}
        | {"t": steps},
        "alone": {"anything": w_rec, "Win": w_in, "readout": w_out, "iterations": steps},
    }  # fmt: skip
    for name, arrays in files.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        found = read_weight_history(tmp_path / f"{name}.npz")
        same(found.trajectory, histories)
        np.testing.assert_array_equal(found.trajectory.time, steps)
    assert "turned" in "\n".join(read_weight_history(tmp_path / "turned.npz").understood)
    assert "the steps were the last axis" in "\n".join(read_weight_history(tmp_path / "last.npz").understood)
    assert "left out bias(21, 12)" in "\n".join(read_weight_history(tmp_path / "letters.npz").understood)


def test_netcdf_matlab_and_weightpath_files(tmp_path, histories):
    w_rec, w_in, w_out = histories
    dims = {"w_rec": ("step", "post", "pre"), "w_in": ("step", "post", "in"), "w_out": ("step", "out", "pre")}
    data = {name: (axes, h) for (name, axes), h in zip(dims.items(), histories, strict=True)}
    xr.Dataset(data).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    scipy.io.savemat(tmp_path / "a.mat", {"W": w_rec, "w_in": w_in, "w_out": w_out, "t": np.arange(len(w_rec))})
    wp.save(wp.Trajectory.from_arrays(w_rec, w_in, w_out), tmp_path / "a.npz")
    for name in ("a.nc", "a.mat", "a.npz"):
        same(read_weight_history(tmp_path / name).trajectory, histories)
    wp.save(wp.Trajectory.from_arrays(w_rec), tmp_path / "b.nc")
    found = read_weight_history(tmp_path / "b.nc")
    np.testing.assert_array_equal(found.trajectory.w_rec, w_rec)
    assert found.trajectory.networks.w_in.shape == (21, 12, 0)


def test_matlab_73_has_its_axes_in_reverse(tmp_path, histories):
    import h5py

    with h5py.File(tmp_path / "new.mat", "w") as file:
        for name, history in zip(("W", "w_in", "w_out"), histories, strict=True):
            file[name] = history.T
    same(read_weight_history(tmp_path / "new.mat").trajectory, histories)


def test_zarr_is_read_or_the_missing_package_is_named(tmp_path, histories):
    try:
        import zarr
    except ImportError:
        with pytest.raises(ValueError, match=r"package zarr is not installed.*pip install zarr"):
            read_weight_history(tmp_path / "a.zarr")
        return
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    for name, history in zip(("w_rec", "w_in", "w_out"), histories, strict=True):
        group.create_array(name, data=history)
    same(read_weight_history(tmp_path / "a.zarr").trajectory, histories)


def test_one_channel_fixed_weights_and_times_that_do_not_fit(tmp_path):
    w_rec, w_in, w_out = path("bptt", steps=8, inputs=1)
    arrays = {"w_rec": w_rec, "w_in": w_in[:, :, 0], "w_out": w_out[0], "time": np.arange(4.0)}
    np.savez(tmp_path / "a.npz", **arrays)
    found = read_weight_history(tmp_path / "a.npz")
    assert found.trajectory.networks.w_in.shape == (9, 12, 1)
    np.testing.assert_array_equal(found.trajectory.networks.w_out, np.repeat(w_out[:1], 9, axis=0))
    said = "\n".join(found.understood)
    assert "one channel" in said and "taken as fixed" in said and "has 4 entries for 9 steps" in said
    np.testing.assert_array_equal(found.trajectory.time, np.arange(9))


def test_text_says_what_was_understood_and_found(call, tmp_path, histories):
    np.savez(tmp_path / "a.npz", **dict(zip(("w_rec", "w_in", "w_out"), histories, strict=True)))
    code, out, err = call("read a.npz")
    assert code == 0 and "'w_rec' as (step, post, pre) (21, 12, 12)" in err
    for words in ("numerical rank  2 of 12", "effective rank", "multilinear ranks", "columns in read-out",
                  "radius of the bulk", "learning rule: RFLO", "trace decay 0.5"):  # fmt: skip
        assert words in out, words
    assert max(map(len, (out + err).splitlines())) <= 80
    assert not (tmp_path / "results").exists()


def test_json_is_the_python_twin(call, tmp_path, histories):
    from weightpath.store.text import jsonable

    np.savez(tmp_path / "a.npz", U=histories[1], R=histories[0], V=histories[2], when=np.arange(21) / 7)
    code, out, err = call("read a.npz --w-rec R --w-in U --w-out V --time when --json --quiet")
    assert code == 0 and err == ""
    found = json.loads(out)
    assert found.pop("file") == "a.npz"
    trajectory = wp.Trajectory.from_arrays(*histories, time=np.arange(21) / 7)
    assert found == json.loads(json.dumps(jsonable(wp.analysis.read_path(trajectory, leak=1.0).to_dict())))
    assert found["rule"]["verdict"] == "RFLO" and found["change"]["numerical_rank"] == 2
    assert found["tensor"]["multilinear_rank"][1] == 2 and found["change"]["energy"]["2"] == pytest.approx(1)
    start, end = (np.abs(np.linalg.eigvals(histories[0][k])).max() for k in (0, -1))
    np.testing.assert_allclose(found["spectrum"]["radius"], [start, end], rtol=1e-12)
    moved = np.linalg.norm(histories[1][-1] - histories[1][0]) / np.linalg.norm(histories[1][0])
    assert found["movement"]["w_in"]["net_change"] == pytest.approx(moved)


def test_out_writes_figures_and_a_report(call, tmp_path, histories):
    np.savez(tmp_path / "a.npz", **dict(zip(("w_rec", "w_in", "w_out"), histories, strict=True)))
    code, out, err = call("read a.npz --out there --json")
    assert code == 0, err
    found = json.loads(out)
    assert set(found["figures"]) == {"path", "laws"}
    page = (tmp_path / "there" / "report.html").read_text()
    assert "RFLO" in page and page.count("data:image/svg+xml") == 2
    stored = wp.load(tmp_path / "there" / "results.nc")
    assert stored.attrs["verdict"] == "RFLO" and stored["eigenvalue"].dtype.kind == "c"


def test_weights_alone(call, tmp_path, histories):
    np.savez(tmp_path / "a.npz", w_rec=histories[0].astype(np.float32))
    code, out, err = call("read a.npz --out there")
    assert code == 0 and "not found: --w-in NAME names it" in err
    assert "learning rule: undecidable" in out and "numerical rank  2 of 12" in out and "laws.svg" not in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("read", "FILE"),
        ("read nothing.npz", "there is no file 'nothing.npz'"),
        ("read folder", "is a directory"),
        ("read notes.txt", "expected .npz, .nc (netCDF), .zarr or .mat"),
        ("read one.npy", "save it with numpy.savez"),
        ("read text.npz", "cannot be read as arrays of NumPy"),
        ("read text.nc", "cannot be read as netCDF"),
        ("read text.mat", "cannot be read as a MATLAB file"),
        ("read single.npz", "'w_rec' is a single matrix (4, 4); a weight history has one for every step"),
        ("read flat.npz", "must be (step, post, pre) with post = pre; got (3, 4, 5)"),
        ("read none.npz", "it holds x(3,)"),
        ("read two.npz", "several arrays may be (x, y)"),
        ("read still.npz", "do not change over 3 records"),
        ("read nan.npz", "NaN or infinite"),
        ("read some.npz --w-in Q", "has no array 'Q'; it holds w_rec(3, 4, 4)"),
        ("read some.npz --w-in z", "'z' must be (step, post, in) for 3 steps and 4 units; got (3, 5, 5)"),
        ("read some.npz --leak 2", "--leak: Input should be less than or equal to 1"),
        ("read some.npz --out notes.txt", "notes.txt is a file; give a directory"),
    ],
)
def test_unusable_input_is_one_message_and_exit_code_2(call, tmp_path, line, message):
    weights = np.random.default_rng(0).normal(size=(3, 4, 4))
    arrays = {
        "some": {"w_rec": weights, "z": np.ones((3, 5, 5))}, "single": {"w_rec": weights[0]},
        "flat": {"w_rec": np.ones((3, 4, 5))}, "none": {"x": np.ones(3)}, "two": {"x": weights, "y": weights},
        "still": {"w_rec": np.ones((3, 4, 4))}, "nan": {"w_rec": weights * np.nan},
    }  # fmt: skip
    for name, held in arrays.items():
        np.savez(tmp_path / f"{name}.npz", **held)
    np.save(tmp_path / "one.npy", weights)
    (tmp_path / "folder").mkdir()
    for name in ("notes.txt", "text.npz", "text.nc", "text.mat"):
        (tmp_path / name).write_text("not arrays")
    code, out, err = call(line)
    assert code == 2 and out == "" and "Traceback" not in err and message in " ".join(err.split()), err
