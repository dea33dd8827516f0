"""Learning rules side by side on one task: what each learns, how well it follows the gradient, what it costs."""

from weightpath.rule_comparison.compare import Interrupted, compare_rules

__all__ = ["Interrupted", "compare_rules"]
