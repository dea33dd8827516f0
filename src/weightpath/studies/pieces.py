"""A study's result from its parts: computed one after another, each kept when it is finished, merged at the end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

Parts = Mapping[str, Callable[[], Dataset]]


def computed(
    study: str,
    parts: Parts,
    *,
    progress: Callable[..., None] | None,
    workspace: Path | None,
    pieces: dict[str, Dataset] | None = None,
) -> dict[str, Dataset]:
    """The dataset of each of `parts` (name -> function that computes it), in their order.

    Every finished part is written to `workspace`, and read from there when the same run is started again. `pieces`, if
    given, begins with what is already there and is filled on the way, so that a part can use an earlier one.
    """
    from weightpath.store.netcdf import read_dataset, write_dataset

    found = {} if pieces is None else pieces
    for done, (name, compute) in enumerate(parts.items()):
        if progress is not None:
            progress(f"{study}: {name}", done, len(parts))
        kept = None if workspace is None else workspace / f"{name.replace(' ', '-')}.nc"
        if kept is not None and kept.is_file():
            found[name] = read_dataset(kept)
            continue
        found[name] = compute()
        if kept is not None:
            write_dataset(found[name], kept)
    if progress is not None:
        progress(study, len(parts), len(parts))
    return found


def assembled(
    study: str,
    parts: Parts,
    *,
    progress: Callable[..., None] | None,
    workspace: Path | None,
    pieces: dict[str, Dataset] | None = None,
    join: Literal["exact", "outer"] = "exact",
) -> Dataset:
    """One dataset of all `parts`, see `computed`; `join` is that of `xarray.merge`."""
    import xarray as xr

    found = computed(study, parts, progress=progress, workspace=workspace, pieces=pieces)
    merged = xr.merge(list(found.values()), combine_attrs="no_conflicts", join=join)
    assert isinstance(merged, xr.Dataset)
    return merged
