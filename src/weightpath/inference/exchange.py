"""A recording as an xarray dataset, and back."""

import numpy as np


def to_dataset(recording):
    """Dataset with `activity` (trial, time, neuron) in the recording's units, labels as coordinates on `trial`."""
    import xarray as xr

    labels = {
        "condition": ("trial", np.asarray(recording.conditions)[recording.condition]),
        "epoch": ("trial", np.asarray(recording.epochs)[recording.epoch]),
        "trial": recording.trial_id,
        "time": ("time", recording.time, {"units": recording.time_unit}),
        "neuron": recording.neuron,
    }
    variables = {
        "activity": (("trial", "time", "neuron"), recording.values),
        "centre": ("neuron", recording.centre),
        "scale": ("neuron", recording.scale),
    }
    for key, value in recording.covariates.items():
        rest = tuple("time" if n == recording.shape[1] else f"{key}_{i}" for i, n in enumerate(value.shape[1:]))
        rest = rest if len(set(rest)) == len(rest) else tuple(f"{key}_{i}" for i in range(len(rest)))
        variables[f"covariate_{key}"] = (("trial", *rest), value)
    attrs = {"name": recording.name, "notes": "; ".join(recording.notes)}
    if recording.counts is not None:
        attrs["values"] = "counts" if recording.counts else "rates"
    return xr.Dataset(variables, coords=labels, attrs=attrs)


def from_dataset(cls, dataset):
    """The recording that `to_dataset` wrote; `cls` is the class to build."""
    if "activity" not in dataset or set(dataset["activity"].dims) != {"trial", "time", "neuron"}:
        raise ValueError(
            "the dataset has no variable activity(trial, time, neuron); "
            f"it holds {', '.join(f'{k}{tuple(v.dims)}' for k, v in dataset.data_vars.items()) or 'nothing'}."
        )
    seconds = dataset["time"].attrs.get("units", "s") == "s" if "time" in dataset.coords else False
    recording = cls(
        dataset["activity"].drop_vars([n for n in ("time",) if not seconds and n in dataset.coords]),
        covariates={
            key.removeprefix("covariate_"): value.values
            for key, value in dataset.data_vars.items()
            if key.startswith("covariate_")
        },
        name=dataset.attrs.get("name"),
        counts={"counts": True, "rates": False}.get(dataset.attrs.get("values", "")),
    )
    kept = {key: dataset[key].values[recording.source_neuron] for key in ("centre", "scale") if key in dataset}
    return recording._with(**kept)
