"""weightpath follows the path of the weights: how the connectivity of a recurrent network changes while it learns.

Everything public is listed here and loaded on first use, so that `import weightpath` is quick and does not load JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

#: Public names and the module that holds each.
_NAMES = {
    "ContinuousLinearRNN": "networks.linear",
    "LinearRNN": "networks.linear",
    "RateRNN": "networks.rate",
    "LowTensorRankRNN": "networks.low_tensor_rank",
    "InputNetwork": "networks.low_tensor_rank",
    "KnownInput": "networks.low_tensor_rank",
    "SmoothOffset": "networks.low_tensor_rank",
    "Lift": "networks.lift",
    "rollout": "networks.base",
    "steady_state": "networks.steady_state",
    "SteadyState": "networks.steady_state",
    "SteadySolver": "networks.steady_solver",
    "Integrator": "tasks.filters",
    "RationalFilter": "tasks.filters",
    "DampedOscillator": "tasks.oscillator",
    "WhiteNoise": "tasks.base",
    "FiniteTrials": "tasks.finite",
    "GivenTrials": "tasks.given",
    "ForceFieldReach": "tasks.reach",
    "TeacherRNN": "tasks.teacher",
    "DelayedMatch": "tasks.match",
    "FlipFlop": "tasks.flip_flop",
    "EvidenceIntegration": "tasks.evidence",
    "SineGeneration": "tasks.sine",
    "StaticTargets": "tasks.static",
    "BPTT": "rules.backprop",
    "TruncatedBPTT": "rules.truncated",
    "RTRL": "rules.rtrl",
    "RFLO": "rules.rflo",
    "EProp": "rules.eprop",
    "SnAp0": "rules.snap",
    "UORO": "rules.uoro",
    "KFRTRL": "rules.kfrtrl",
    "EuclideanFixedPoint": "rules.euclidean",
    "Reparameterised": "rules.reparameterised",
    "MeanMetric": "rules.mean_metric",
    "PhantomGradient": "rules.phantom",
    "EquilibriumPropagation": "rules.equilibrium",
    "Setup": "setup",
    "Trajectory": "trajectory",
    "Record": "learn.record",
    "Guards": "learn.guards",
    "keep_signs": "learn.dale",
    "loss": "learn.velocity",
    "velocity": "learn.velocity",
    "flow": "learn.flow",
    "train": "learn.train",
    "phase_diagram": "learn.crossover",
    "compare": "comparison",
    "Comparison": "comparison",
    "compare_rules": "rule_comparison",
    "Recording": "inference.recording",
    "fit": "inference.fit",
    "Fit": "inference.result",
    "cross_validate": "inference.crossval",
    "simulate_recording": "inference.simulate",
    "read_nwb": "inference.read",
    "LowTensorRankRegressor": "inference.adapter",
    "run_study": "studies.running",
    "save": "store",
    "load": "store",
    "RESULTS": "_results",
    "outcome_name": "_results",
    "citation": "_citation",
}

#: Rooms that are used by name: `wp.theory.Outlier()`, `wp.analysis.spectrum(...)`.
_ROOMS = ("analysis", "inference", "networks", "plot", "rules", "scaling", "studies", "tasks", "theory")

__all__ = ["__version__", *_NAMES, *_ROOMS]


def __getattr__(name: str):
    if name in _NAMES:
        value = getattr(import_module(f"weightpath.{_NAMES[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"weightpath.{name}")
    else:
        raise AttributeError(f"module 'weightpath' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from weightpath import analysis, inference, networks, plot, rules, scaling, studies, tasks, theory
    from weightpath._citation import citation
    from weightpath._results import RESULTS, outcome_name
    from weightpath.comparison import Comparison, compare
    from weightpath.inference.adapter import LowTensorRankRegressor
    from weightpath.inference.crossval import cross_validate
    from weightpath.inference.fit import fit
    from weightpath.inference.read import read_nwb
    from weightpath.inference.recording import Recording
    from weightpath.inference.result import Fit
    from weightpath.inference.simulate import simulate_recording
    from weightpath.learn.crossover import phase_diagram
    from weightpath.learn.dale import keep_signs
    from weightpath.learn.flow import flow
    from weightpath.learn.guards import Guards
    from weightpath.learn.record import Record
    from weightpath.learn.train import train
    from weightpath.learn.velocity import loss, velocity
    from weightpath.networks.base import rollout
    from weightpath.networks.lift import Lift
    from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
    from weightpath.networks.low_tensor_rank import InputNetwork, KnownInput, LowTensorRankRNN, SmoothOffset
    from weightpath.networks.rate import RateRNN
    from weightpath.networks.steady_solver import SteadySolver
    from weightpath.networks.steady_state import SteadyState, steady_state
    from weightpath.rule_comparison import compare_rules
    from weightpath.rules.backprop import BPTT
    from weightpath.rules.eprop import EProp
    from weightpath.rules.equilibrium import EquilibriumPropagation
    from weightpath.rules.euclidean import EuclideanFixedPoint
    from weightpath.rules.kfrtrl import KFRTRL
    from weightpath.rules.mean_metric import MeanMetric
    from weightpath.rules.phantom import PhantomGradient
    from weightpath.rules.reparameterised import Reparameterised
    from weightpath.rules.rflo import RFLO
    from weightpath.rules.rtrl import RTRL
    from weightpath.rules.snap import SnAp0
    from weightpath.rules.truncated import TruncatedBPTT
    from weightpath.rules.uoro import UORO
    from weightpath.setup import Setup
    from weightpath.store import load, save
    from weightpath.studies.running import run_study
    from weightpath.tasks.base import WhiteNoise
    from weightpath.tasks.evidence import EvidenceIntegration
    from weightpath.tasks.filters import Integrator, RationalFilter
    from weightpath.tasks.finite import FiniteTrials
    from weightpath.tasks.flip_flop import FlipFlop
    from weightpath.tasks.given import GivenTrials
    from weightpath.tasks.match import DelayedMatch
    from weightpath.tasks.oscillator import DampedOscillator
    from weightpath.tasks.reach import ForceFieldReach
    from weightpath.tasks.sine import SineGeneration
    from weightpath.tasks.static import StaticTargets
    from weightpath.tasks.teacher import TeacherRNN
    from weightpath.trajectory import Trajectory
