"""The catalogue is complete: every final member of an abstract class has an example in it."""

import importlib
import inspect
import pkgutil

import pytest
from catalogue import NETWORKS, RULES, TASKS, THEORIES

import weightpath
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.base import AbstractLearningRule
from weightpath.tasks.base import AbstractTask
from weightpath.theory.base import AbstractTheory


def members(abstract: type) -> set[type]:
    for room in ("networks", "tasks", "rules", "theory"):
        for module in pkgutil.iter_modules(importlib.import_module(f"weightpath.{room}").__path__):
            importlib.import_module(f"weightpath.{room}.{module.name}")
    found, queue = set(), [abstract]
    while queue:
        for child in queue.pop().__subclasses__():
            if child.__module__.startswith(weightpath.__name__) and child not in found:
                found.add(child)
                queue.append(child)
    return {child for child in found if not inspect.isabstract(child) and not child.__name__.startswith("Abstract")}


@pytest.mark.parametrize(
    ("abstract", "examples"),
    [
        (AbstractNetwork, NETWORKS),
        (AbstractTask, TASKS),
        (AbstractLearningRule, RULES),
        (AbstractTheory, [theory for theory, _ in THEORIES]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_member_has_an_example(abstract, examples):
    missing = {child.__name__ for child in members(abstract)} - {type(example).__name__ for example in examples}
    assert not missing, f"add an example of {', '.join(sorted(missing))} to tests/catalogue.py"


@pytest.mark.parametrize("abstract", [AbstractNetwork, AbstractTask, AbstractLearningRule, AbstractTheory])
def test_abstract_or_final(abstract):
    for child in members(abstract):
        heirs = [heir.__name__ for heir in child.__subclasses__()]
        assert not heirs, f"{child.__name__} is finished and must not be subclassed ({heirs})"
