"""`wp.citation`: the right papers for each kind of object, entries that are whole, and no source without an entry."""

import re
from pathlib import Path

import numpy as np
import pytest
from catalogue import NETWORKS, RULES, TASKS, THEORIES

import weightpath as wp
from weightpath._citation import names_paper, references

PACKAGE = Path(wp.__file__).parent


def keys(text: str) -> list[str]:
    return re.findall(r"@\w+\{(\w+),", text)


def test_entries_are_whole():
    """Braces match, and each has an author, a title, a year, and where it can be found."""
    every = references()
    assert len({key for entry in every for key in keys(entry)}) == len(every) > 10
    for entry in [*every, wp.citation()]:
        assert entry.count("{") == entry.count("}") and entry.endswith("}")
        assert "author = {" in entry and "title = {" in entry
    for entry in every:
        assert re.search(r"year = \{\d{4}\}", entry) and ("eprint" in entry or "journal" in entry)


def test_every_number_in_the_source_has_an_entry():
    numbers = {n for path in PACKAGE.rglob("*.py") for n in re.findall(r"arXiv[: ]*(\d{4}\.\d{5})", path.read_text())}
    listed = {number for entry in references() for number in re.findall(r"eprint = \{(.*?)\}", entry)}
    assert numbers <= listed


def test_authors_and_years_tell_papers_apart():
    """Three first authors are called Williams."""
    found = [
        entry for entry in references() if names_paper("after Williams and Peng (Neural Computation, 1990)", entry)
    ]
    assert keys("".join(found)) == ["williams1990"]
    assert not any(names_paper("Williams 1991; Hennig et al. 2020", entry) for entry in references())


def test_papers_of_each_kind_of_object():
    network = wp.LinearRNN(0.1 * np.eye(2), np.ones((2, 1)), np.ones((1, 2)))
    assert keys(wp.citation()) == ["weightpath"]
    assert keys(wp.citation(wp.theory.Outlier())) == ["bordelon2025", "weightpath"]
    assert "pellegrino2023" in keys(wp.citation(wp.theory.RankBound))
    assert "murray2019" in keys(wp.citation(wp.RFLO(np.ones((1, 2)))))
    assert "pellegrino2023" in keys(wp.citation(wp.LowTensorRankRNN(2))) and "kolda2009" in keys(
        wp.citation(wp.analysis.tensor_rank)
    )
    setup = wp.Setup(network, wp.Integrator(0.1), wp.EProp(), train=("w_rec",))
    assert {"bordelon2025", "bellec2020"} <= set(keys(wp.citation(setup)))
    study = wp.studies.STUDIES["recorded-bci-learning"]
    assert {"pellegrino2023", "hennig2021"} <= set(keys(wp.citation(study)))
    recording = wp.Recording(np.random.default_rng(0).random((3, 2, 2)), name="bci_learning_hennig2021")
    assert keys(wp.citation(recording)) == ["hennig2021", "weightpath"]


def test_any_final_class_can_be_asked():
    for one in (*NETWORKS, *TASKS, *RULES, *(theory for theory, _ in THEORIES)):
        assert keys(wp.citation(one))[-1] == "weightpath"


def test_what_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="citation knows what is of weightpath.*got int 3"):
        wp.citation(3)
