"""Storage: what is written is what is read, whole or not at all, and the hash names the content."""

import hashlib
import json
import math
import tomllib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import weightpath as wp
from weightpath.store.provenance import command_line, content_hash, git_revision, provenance
from weightpath.store.text import read_json, read_toml, replacing, to_json, to_toml, write_text


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    spectrum = rng.normal(size=(5, 3)) + 1j * rng.normal(size=(5, 3))
    return xr.Dataset(
        {
            "spectrum": (("step", "eig"), spectrum, {"units": "1/time constant"}),
            "loss": ("step", rng.normal(size=5)),
            "kept": ("step", np.array([True, False, True, True, False])),
            "count": ("step", np.arange(5)),
            "single": ("step", np.arange(5, dtype=np.float32)),
            "pole": 0.3 - 0.2j,
        },
        {
            "learning_time": ("step", np.linspace(0, 1, 5)),
            "condition": ("step", np.array(["left", "up", "right", "é", ""])),
            "direction": ("step", np.exp(1j * np.arange(5.0))),
            "step": np.arange(5),
        },
        {"title": "spectrum along learning", "seed": 3},
    )


def test_dataset_round_trip(dataset, tmp_path):
    path = wp.save(dataset, tmp_path / "a.nc")
    xr.testing.assert_identical(wp.load(path), dataset)
    for name in dataset.variables:
        if name != "condition":
            assert wp.load(path)[name].dtype == dataset[name].dtype


def test_other_programs_read_complex_values_as_two_real_ones(dataset, tmp_path):
    with xr.open_dataset(wp.save(dataset, tmp_path / "a.nc")) as plain:
        np.testing.assert_array_equal(plain.spectrum_re + 1j * plain.spectrum_im, dataset.spectrum)
        assert "spectrum" not in plain
        assert plain.direction_re.dims == ("step",) and "direction_re" in plain.coords


def test_attributes_that_netcdf_lacks_become_json(tmp_path):
    attrs = {"config": {"a": [1, None]}, "git": None, "flag": True, "n": 3, "many": np.arange(3), "word": "x"}
    stored = wp.load(wp.save(xr.Dataset(attrs=attrs), tmp_path / "a.nc")).attrs
    assert json.loads(stored["config"]) == attrs["config"] and json.loads(stored["git"]) is None
    assert json.loads(stored["flag"]) is True and stored["n"] == 3 and stored["word"] == "x"
    np.testing.assert_array_equal(stored["many"], np.arange(3))


def test_saving_leaves_the_dataset_as_it_was(dataset, tmp_path):
    before = dataset.copy(deep=True)
    dataset.attrs["settings"] = before.attrs["settings"] = {"a": 1}
    wp.save(dataset, tmp_path / "a.nc")
    xr.testing.assert_identical(dataset, before)


def test_a_trajectory_as_netcdf_is_a_labelled_dataset(tmp_path):
    trajectory = wp.Trajectory.from_arrays(np.random.default_rng(1).normal(size=(4, 3, 3)), time=np.arange(4) / 2)
    stored = wp.load(wp.save(trajectory, tmp_path / "a.nc"))
    np.testing.assert_array_equal(stored.w_rec, trajectory.w_rec)
    assert stored.w_rec.dims == ("step", "post", "pre")
    np.testing.assert_array_equal(stored.learning_time, trajectory.time)


def same(first, second) -> bool:
    """Equality of two objects; keys compared by their data."""
    return bool(eqx.tree_equal(_plain_keys(first), _plain_keys(second), typematch=True))


def _plain_keys(tree):
    is_key = lambda leaf: isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree)


def examples():
    import catalogue

    members = [*catalogue.NETWORKS, *catalogue.TASKS, *catalogue.RULES]
    return members + [member for pair in catalogue.THEORIES for member in pair]


@pytest.mark.parametrize("index", range(len(examples())))
def test_every_member_of_the_catalogue_round_trips(index, tmp_path):
    member = examples()[index]
    loaded = wp.load(wp.save(member, tmp_path / "a.npz"))
    assert type(loaded) is type(member) and same(loaded, member)


def test_a_trajectory_round_trips_whole(tmp_path):
    rng = np.random.default_rng(2)
    trajectory = wp.Trajectory.from_arrays(rng.normal(size=(4, 3, 3)), w_in=rng.normal(size=(4, 3, 2)))
    trajectory = eqx.tree_at(lambda t: t.statistics, trajectory, {"radius": jnp.arange(4.0)})
    trajectory = eqx.tree_at(lambda t: t.loss, trajectory, jnp.arange(4.0))
    trajectory = eqx.tree_at(lambda t: t.result, trajectory, wp.RESULTS.unstable)
    loaded = wp.load(wp.save(trajectory, tmp_path / "a.npz"))
    assert wp.outcome_name(loaded.result) == "unstable"
    assert same(loaded, trajectory)
    np.testing.assert_array_equal(loaded.network(-1).w_rec, trajectory.network(-1).w_rec)


def test_plain_values_round_trip(tmp_path):
    value = {
        "numbers": (1, 2.5, float("nan"), -math.inf, 3 + 4j, True, None, "é"),
        "arrays": [np.arange(3, dtype=np.int8), jnp.ones((2, 0)), np.float32(2.0), np.array(["a", "bc"])],
        "key": jax.random.key(3),
        "empty": {"list": [], "tuple": ()},
    }
    loaded = wp.load(wp.save(value, tmp_path / "a.npz"))
    assert repr(loaded["numbers"]) == repr(value["numbers"]) and loaded["empty"] == value["empty"]
    for got, wanted in zip(loaded["arrays"], value["arrays"], strict=True):
        assert type(got) is type(wanted) or isinstance(wanted, jax.Array)
        assert got.dtype == wanted.dtype and np.array_equal(got, wanted)
    assert jnp.array_equal(jax.random.key_data(loaded["key"]), jax.random.key_data(value["key"]))


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot save obj\['f'\]\[0\]: a function"):
        wp.save({"f": [lambda: 0]}, tmp_path / "a.npz")
    with pytest.raises(ValueError, match="no labelled form"):
        wp.save(3, tmp_path / "a.nc")
    with pytest.raises(ValueError, match=r"\.nc .* and \.npz"):
        wp.save(3, tmp_path / "a.pickle")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_loaded_is_explained(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        wp.load(tmp_path / "nothing.nc")
    np.savez(tmp_path / "plain.npz", x=np.ones(2))
    with pytest.raises(ValueError, match="plain arrays"):
        wp.load(tmp_path / "plain.npz")
    for name in ("broken.npz", "broken.nc"):
        (tmp_path / name).write_text("not this")
        with pytest.raises(ValueError, match="not a readable"):
            wp.load(tmp_path / name)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match="load reads"):
        wp.load(tmp_path / "a.txt")


def test_a_file_cannot_import_code(tmp_path):
    header = {"format": "weightpath object", "schema_version": 1, "object": {"class": "antigravity:X", "fields": {}}}
    np.savez(tmp_path / "a.npz", structure=np.frombuffer(json.dumps(header).encode(), np.uint8))
    with pytest.raises(ValueError, match="import antigravity before"):
        wp.load(tmp_path / "a.npz")
    header["object"]["class"] = "weightpath.store.text:os.system"
    np.savez(tmp_path / "a.npz", structure=np.frombuffer(json.dumps(header).encode(), np.uint8))
    with pytest.raises(ValueError, match="no data class"):
        wp.load(tmp_path / "a.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_text("old", tmp_path / "a.txt")
    with pytest.raises(KeyboardInterrupt), replacing(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_json_is_strict():
    value = {"nan": math.nan, "inf": -math.inf, "array": np.arange(2), "number": jnp.asarray(0.5), "c": 1j, "s": {1}}
    read = json.loads(to_json(value), parse_constant=pytest.fail)
    assert read == {
        "nan": None, "inf": "-inf", "array": [0, 1], "number": 0.5, "c": {"re": 0.0, "im": 1.0}, "s": [1],
    }  # fmt: skip
    with pytest.raises(ValueError, match="cannot write a object"):
        to_json(object())


def test_toml_is_read_back(tmp_path):
    settings = {
        "text": 'a "quoted" \\ line\nand another é', "n": 3, "x": 0.1, "tiny": 1e-12, "flag": True, "none": None,
        "list": [1, 2], "words": ["a", "b"], "big": math.inf, "empty": [], "table": {"deep": 1.0},
    }  # fmt: skip
    path = write_text(to_toml(settings, comment="one\ntwo"), tmp_path / "a.toml")
    assert read_toml(path) == settings
    assert tomllib.loads(path.read_text())["none"] == "None"


@pytest.mark.parametrize("text", ["decay = ", "= 3", "\xff\xfe"])
def test_a_broken_toml_file_is_named(text, tmp_path):
    (tmp_path / "a.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="a.toml is not a TOML file"):
        read_toml(tmp_path / "a.toml")


def test_a_broken_json_file_is_named(tmp_path):
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ValueError, match="summary.json is not a JSON file"):
        read_json(tmp_path / "summary.json")


def test_the_hash_names_the_content(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("data")
    second.write_text("data")
    base = content_hash("s", {"a": 1, "b": 2}, [first])
    assert len(base) == 12 and int(base, 16) >= 0
    assert base == content_hash("s", {"b": 2, "a": 1}, [second])  # neither order nor place of a file
    second.write_text("other")
    others = [
        content_hash("t", {"a": 1, "b": 2}, [first]),
        content_hash("s", {"a": 1, "b": 3}, [first]),
        content_hash("s", {"a": 1, "b": 2}, [second]),
        content_hash("s", {"a": 1, "b": 2}),
    ]
    assert len({base, *others}) == 5


def test_the_hash_is_of_the_stated_quantities(monkeypatch):
    monkeypatch.setattr("weightpath.store.provenance.metadata.version", lambda name: "9.9")
    identity = '{"data": [], "schema_version": 1, "settings": {"a": 1}, "study": "s", "version": "9.9"}'
    assert content_hash("s", {"a": 1}) == hashlib.sha256(identity.encode()).hexdigest()[:12]


def test_provenance_is_complete_and_names_no_directory(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/home/me/bin/weightpath", "run", "x", "--out=/secret/a", "/secret/b", "c/d"])
    assert command_line() == ["weightpath", "run", "x", "--out=a", "b", "c/d"]
    origin = provenance(1.23456)
    assert origin["dtype"] == "float64" and origin["seconds"] == 1.235
    assert origin["versions"]["jax"] == jax.__version__ and origin["created"].endswith("+00:00")
    assert "/secret" not in to_json(origin) and "/home" not in to_json(origin)
    revision = git_revision()
    assert revision is None or (len(revision["revision"]) >= 40 and isinstance(revision["dirty"], bool))


def test_loading_64_bit_arrays_in_32_bit_mode_is_refused(tmp_path):
    path = wp.save({"x": jnp.ones(2)}, tmp_path / "a.npz")
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match="64-bit"):
            wp.load(path)
    finally:
        jax.config.update("jax_enable_x64", True)
