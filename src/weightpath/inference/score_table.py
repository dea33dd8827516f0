"""The scores of a cross-validation as text and as a dataset."""

import json
import textwrap

import numpy as np

WIDTH = 80
#: What the names of controls and plain predictors stand for.
WORDS = {
    "ltr": "low-tensor-rank",
    "fixed": "nothing changes",
    "epoch": "weights change per epoch",
    "inputs_epoch": "inputs change per epoch",
    "readout_epoch": "read-out changes per epoch",
    "per_epoch": "full core of the weights per epoch",
    "per_trial": "full core of the weights per trial",
    "full": "one unconstrained matrix, nothing changes",
    "per_trial_full": "unconstrained matrix per trial",
    "low_matrix_rank": "matrix of low rank per trial",
    "inputs_only": "inputs change per trial",
    "lds": "linear dynamical system",
    "smoother + lds": "tuned smoother + linear dynamical system",
    "cp": "low-rank tensor of the data",
    "target": "mean per condition",
    "target x epoch": "mean per condition and epoch",
    "target x block": "mean per condition and 40 trials",
    "target x epoch + offset": "mean per condition and epoch + offset",
    "smoother": "smoother over trials",
    "tuned smoother": "tuned smoother over trials and time",
    "ridge on seen neurons": "tuned smoother + ridge on the trial's seen neurons",
    "persistence": "tuned smoother + fading last residual of the trial",
    "ridge on earlier bins": "tuned smoother + ridge on the trial's earlier bins",
}

HEADS = {
    True: "Whole trials held out (tests the course over learning)",
    False: "Parts of trials held out (tests prediction within partly seen trials, which is not learning)",
}

LEGEND = "R^2 on held-out entries; chosen - model: difference +- its paired standard error"
#: Shown below the models.
CEILING, POISSON = "noise ceiling (repeats)", "noise ceiling (Poisson)"
COUNTS = "bits: per spike, Poisson, against the neurons' mean rates"
BY_BITS = "; the rank is chosen by them"
REPEATS = (
    "noise ceiling (repeats): estimated lower bound of the R^2 that condition, epoch and slow drift allow on whole "
    "trials"
)


def table(scores) -> str:
    """Text of all scores: R^2 and, beside it, R^2 of the chosen model minus it with its paired standard error."""
    blocks = []
    for whole, head in HEADS.items():
        schemes = [name for name in scores.schemes if scores.masks[name].whole_trials == whole]
        if schemes:
            beside = 2 if scores.counts is None else 1
            pairs = [_lines(scores, schemes[start : start + beside]) for start in range(0, len(schemes), beside)]
            blocks.append("\n".join([*_wrapped(head, 0), *_shares(scores, schemes), *sum(pairs, [])]))
    notes = [f"note: {note}" for note in scores.notes]
    closing = [line for text in (*notes, *scores.verdict().splitlines()) for line in _wrapped(text, 0)]
    legend = [LEGEND, *([REPEATS] if scores.ceilings else []), *_counts(scores)]
    return "\n\n".join(["\n".join(sum((_wrapped(one, 0) for one in legend), [])), *blocks, "\n".join(closing)])


def _counts(scores) -> list[str]:
    """What is to be said of bits per spike, where there are any."""
    if scores.counts is None:
        return []
    return [COUNTS + (BY_BITS if scores.measure != "R^2" else "")]


def described(label: str) -> str:
    """A model's label in words: "inputs_epoch, rank 3" is "inputs change per epoch, rank 3"."""
    name, comma, rest = label.partition(", ")
    return f"{WORDS.get(name, name)}{comma}{rest}"


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * 2 * indent)


def _shares(scores, schemes: list[str]) -> list[str]:
    masks = (scores.masks[name] for name in schemes)
    texts = (
        f"{m.name}: {m.describe}; train {m.train_share:.1%}, test {m.test_share:.1%}"
        f"{f', neither {m.shell_share:.1%}' if m.shell_share > 5e-4 else ''} of entries"
        for m in masks
    )
    return [line for text in texts for line in _wrapped(text, 2)]


def _lines(scores, schemes: list[str]) -> list[str]:
    counted = scores.counts is not None
    labels = [label for label in scores.labels if any(scores.has(name, label) for name in schemes)]
    width = max(len(name) for name in (*(_shown(scores, label) for label in labels), CEILING))
    heads = (f"  {name:>7}  {'chosen - model':>15}{'    bits' if counted else ''}" for name in schemes)
    lines = [f"  {'model':{width}}{''.join(heads)}"]
    for label in labels:
        cells = (_cell(scores, name, label) + (_bits(scores, name, label) if counted else "") for name in schemes)
        lines.append(f"  {_shown(scores, label):{width}}{''.join(cells)}".rstrip())
    if any(name in scores.ceilings for name in schemes):
        cells = (_ceiling(scores.ceilings[name].r2, scores.ceilings[name].se) for name in schemes)
        lines.append(f"  {CEILING:{width}}{''.join(cells)}".rstrip())
    if counted:
        lines.append(
            f"  {POISSON:{width}}{''.join(_ceiling(scores.poisson_ceiling(name)) for name in schemes)}".rstrip()
        )
    return lines


def _ceiling(r2: float, se: float | None = None) -> str:
    if not np.isfinite(r2):
        return f"  {'-':>7}  {'':>15}"
    return f" {r2:7.4f}   {'' if se is None else f'+- {se:.3f}':>15}"


def _bits(scores, scheme: str, label: str) -> str:
    return f" {scores.bits(scheme, label):7.4f}" if scores.has(scheme, label) else ""


def _shown(scores, label: str) -> str:
    return f"{label} (chosen)" if label == scores.chosen else label


def _cell(scores, scheme: str, label: str) -> str:
    if not scores.has(scheme, label):
        return f"  {'-':>7}  {'':>15}"
    row = scores.row(scheme, label)
    mark = "" if all(row.settled) else "*"
    paired = (
        ""
        if label == scores.chosen
        else "{0.difference:+.3f} +- {0.se:.3f}".format(scores.paired(scheme, scores.chosen, label))
    )
    return f" {scores.r2(scheme, label):7.4f}{mark or ' '}  {paired:>15}"


def to_dataset(scores):
    """Dataset of the scores; `difference` is the R^2 of the chosen model minus that of each other."""
    import xarray as xr

    schemes, labels = scores.schemes, scores.labels
    shape, seeds, trials = (len(schemes), len(labels)), len(scores.seeds), scores.recording.shape[0]
    r2, settled = np.full((*shape, seeds), np.nan), np.full((*shape, seeds), np.nan)
    error, paired = np.full((*shape, trials), np.nan), np.full((*shape, 4), np.nan)
    for i, scheme in enumerate(schemes):
        for j, label in enumerate(labels):
            if scores.has(scheme, label):
                row, values = scores.row(scheme, label), scores.r2_seeds(scheme, label)
                r2[i, j, : len(values)], settled[i, j, : len(values)] = values, row.settled
                error[i, j] = row.error
                if label != scores.chosen:
                    difference = scores.paired(scheme, scores.chosen, label)
                    paired[i, j] = (difference.difference, difference.se, difference.low, difference.high)
    by_label = {row.label: row for row in scores.rows}
    masks = [scores.masks[name] for name in schemes]
    counted = scores.counts is not None
    bits = [[scores.bits(i, j) if counted and scores.has(i, j) else np.nan for j in labels] for i in schemes]
    bits_paired = np.full((*shape, 2), np.nan)
    for i, j in ((i, j) for i in range(shape[0]) for j in range(shape[1]) if np.isfinite(bits[i][j])):
        if labels[j] != scores.chosen:
            gain = scores.paired_bits(schemes[i], scores.chosen, labels[j])
            bits_paired[i, j] = gain.difference, gain.se
    ceilings = [scores.ceilings.get(name) for name in schemes]
    with np.errstate(invalid="ignore"):
        mean = np.where(np.isfinite(r2).any(-1), np.nansum(r2, -1) / np.maximum(np.isfinite(r2).sum(-1), 1), np.nan)
    pair = ("scheme", "model")
    return xr.Dataset(
        {
            "r2": ((*pair, "seed"), r2, {"long_name": "held-out R^2"}),
            "r2_mean": (pair, mean, {"long_name": "held-out R^2, mean over seeds"}),
            "settled": ((*pair, "seed"), settled, {"long_name": "1: the fit settled; 0: it did not"}),
            "error": ((*pair, "trial"), error, {"long_name": "squared error summed over the trial's test entries"}),
            "entries": (("scheme", "trial"), np.array([scores.sums[name].count for name in schemes])),
            "difference": (pair, paired[..., 0], {"long_name": "R^2 of the chosen model minus that of the model"}),
            "difference_se": (pair, paired[..., 1], {"long_name": "standard error over test trials, paired"}),
            "difference_low": (pair, paired[..., 2], {"long_name": "lower end of the 95% interval"}),
            "difference_high": (pair, paired[..., 3], {"long_name": "upper end of the 95% interval"}),
            "bits_per_spike": (pair, np.array(bits, float), {"long_name": "bits per spike, NaN without counts"}),
            "bits_difference": (
                pair,
                bits_paired[..., 0],
                {"long_name": "bits per spike of the chosen model minus it"},
            ),
            "bits_difference_se": (pair, bits_paired[..., 1], {"long_name": "standard error over test trials, paired"}),
            "ceiling": (
                "scheme",
                [np.nan if one is None else one.r2 for one in ceilings],
                {"long_name": "lower bound of the R^2 that condition, epoch and slow drift allow, whole trials only"},
            ),
            "ceiling_se": ("scheme", [np.nan if one is None else one.se for one in ceilings]),
            "ceiling_poisson": (
                "scheme",
                [scores.poisson_ceiling(name) for name in schemes],
                {"long_name": "largest R^2 of rates if counts are Poisson, NaN without counts"},
            ),
            "shell_share": ("scheme", [mask.shell_share for mask in masks]),
            "train_share": ("scheme", [mask.train_share for mask in masks]),
            "test_share": ("scheme", [mask.test_share for mask in masks]),
        },
        coords={
            "scheme": list(schemes),
            "model": list(labels),
            "seed": list(scores.seeds),
            "trial": scores.recording.trial_id,
            "rank": ("model", [by_label[label].rank for label in labels]),
            "kind": ("model", [by_label[label].kind for label in labels]),
            "described": ("model", [described(label) for label in labels]),
            "whole_trials": ("scheme", [int(mask.whole_trials) for mask in masks]),
            "held_out": ("scheme", [mask.describe for mask in masks]),
        },
        attrs={
            "chosen": scores.chosen,
            "chosen_rank": scores.chosen_rank,
            "chosen_by": scores.measure,
            "deciding_scheme": scores.deciding,
            "verdict": scores.verdict(),
            "notes": "\n".join(scores.notes),
            "models": json.dumps({label: model.describe() for label, model in scores.models.items()}),
        },
    )
