"""Papers' results as programs: each study has settings, a run, checks against stated numbers, and figures."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from weightpath.studies.base import Check, CheckResult, Settings, Study

__all__ = ["STUDIES", "Check", "CheckResult", "Settings", "Study"]


class Catalogue(Mapping[str, Study]):
    """Study name -> study. A study's module is imported when the study is asked for, not when it is listed."""

    def __init__(self, places: Mapping[str, str]):
        self._places = dict(places)

    def __getitem__(self, name: str) -> Study:
        module, attribute = self._places[name].split(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"STUDIES({', '.join(self._places)})"


STUDIES = Catalogue(
    {
        "integrate-white-noise": "weightpath.studies.integrate_white_noise:STUDY",
        "lazy-learning": "weightpath.studies.lazy_learning:STUDY",
        "pole-by-pole": "weightpath.studies.pole_by_pole:STUDY",
        "damped-oscillator": "weightpath.studies.damped_oscillator:STUDY",
        "low-tensor-rank-recovery": "weightpath.studies.low_tensor_rank_recovery:STUDY",
        "force-field-reach": "weightpath.studies.force_field_reach:STUDY",
        "rank-bounds": "weightpath.studies.rank_bounds:STUDY",
        "mode-dynamics": "weightpath.studies.mode_dynamics:STUDY",
        "local-rules": "weightpath.studies.local_rules:STUDY",
        "rules-on-tasks": "weightpath.studies.rules_on_tasks:STUDY",
        "fixed-point-regression": "weightpath.studies.fixed_point_regression:STUDY",
        "fixed-point-images": "weightpath.studies.fixed_point_images:STUDY",
        "ring-responses": "weightpath.studies.ring_responses:STUDY",
        "fixed-point-atlas": "weightpath.studies.fixed_point_atlas:STUDY",
        "recorded-bci-learning": "weightpath.studies.recorded_bci_learning:STUDY",
    }
)
