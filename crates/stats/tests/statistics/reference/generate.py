"""Computes with SciPy what `reference.rs` beside this folder compares our statistics with.

    pip install scipy==1.17.1 && python3 generate.py > reference.json

Nothing of Tandem is used here. The samples are drawn with NumPy and written
into the file, so that both sides look at the same numbers.
"""

import json
import sys

import numpy as np
import scipy
from scipy import stats

PROBABILITIES = [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0]
RESAMPLES = 200_000
# Four standard errors of a level of 2.5 % that rests on 10 000 resamples.
SLACK = 4 * (0.025 * 0.975 / 10_000) ** 0.5


def draw():
    """Samples as an experiment has them: few, skewed, tied, far apart."""
    rng = np.random.default_rng(20261129)
    skewed = lambda n: 3e8 + rng.exponential(2e7, n)
    return {
        "one": [412.5],
        "two": [412.5, 398.0],
        "three": skewed(3),
        "five": skewed(5),
        "six": skewed(6),
        "ten": skewed(10),
        "ten_slow": 9e9 + rng.exponential(6e8, 10),
        "eleven": rng.lognormal(3, 1, 11),
        "thirty": rng.lognormal(20, 0.3, 30),
        "tied": rng.integers(1, 6, 20),
        "equal": [7.0] * 9,
        "two_humps": np.concatenate([rng.normal(1e3, 20, 12), rng.normal(5e3, 50, 9)]),
        "outliers": np.concatenate([rng.normal(100, 2, 18), [160.0, 30.0]]),
        "rising": np.arange(12) * 3.0 + rng.normal(0, 4, 12) + 50,
        "small_and_large": [1e-6, 2.5, 3e12, 8.64e13, 40.0, 7e3],
    }


def shuffled(values):
    """How often a random order shows a trend as strong, exactly or by draws."""
    place = np.arange(len(values))
    trend = lambda x: abs(stats.spearmanr(x, place).statistic)
    observed = stats.spearmanr(values, place).statistic
    found = stats.permutation_test(
        (values,),
        trend,
        permutation_type="pairings",
        n_resamples=50_000 if len(values) > 8 else np.inf,
        alternative="greater",
        rng=np.random.default_rng(1),
    )
    return {"rho": observed, "p": found.pvalue}


def ends(distribution):
    """Between which numbers each end of a 95 % interval must lie."""
    at = lambda level: np.quantile(distribution, [level - SLACK, level + SLACK]).tolist()
    return {"low": at(0.025), "high": at(0.975)}


def of_one(values):
    x = np.asarray(values, float)
    first, third = np.quantile(x, [0.25, 0.75])
    reach = 1.5 * stats.iqr(x)
    found = {
        "values": x.tolist(),
        "mean": np.mean(x),
        "stddev": np.std(x, ddof=1) if len(x) > 1 else None,
        "median": np.median(x),
        "quantiles": np.quantile(x, PROBABILITIES).tolist(),
        "fences": [first - reach, third + reach],
        "outliers": int(np.sum((x < first - reach) | (x > third + reach))),
    }
    if len(x) > 2:
        drawn = stats.bootstrap(
            (x,),
            np.median,
            n_resamples=RESAMPLES,
            batch=20_000,
            method="percentile",
            rng=np.random.default_rng(2),
        )
        found["interval"] = ends(drawn.bootstrap_distribution)
        if len(set(x)) > 1:
            found["drift"] = shuffled(x)
    return found


def of_two(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    ratio = lambda b, a, axis: np.median(b, axis=axis) / np.median(a, axis=axis)
    drawn = stats.bootstrap(
        (b, a),
        ratio,
        n_resamples=RESAMPLES,
        batch=20_000,
        method="percentile",
        rng=np.random.default_rng(3),
    )
    # U counts the pairs in which b is larger, ties by half.
    u = stats.mannwhitneyu(b, a).statistic
    return {
        "ratio": np.median(b) / np.median(a),
        "interval": ends(drawn.bootstrap_distribution),
        "delta": 2 * u / (len(a) * len(b)) - 1,
    }


def main():
    samples = {name: [float(f"{v:.7g}") for v in values] for name, values in draw().items()}
    pairs = [
        ("ten", "ten_slow"),
        ("ten_slow", "ten"),
        ("five", "six"),
        ("tied", "eleven"),
        ("two_humps", "outliers"),
        ("thirty", "thirty"),
        ("equal", "tied"),
    ]
    document = {
        "scipy": scipy.__version__,
        "numpy": np.__version__,
        "probabilities": PROBABILITIES,
        # 1 minus the chance that all n values fall on one side of the median.
        "coverage": [[n, 1 - 2 * stats.binom.pmf(0, n, 0.5)] for n in range(1, 31)],
        "samples": {name: of_one(values) for name, values in samples.items()},
        "pairs": [{"a": a, "b": b, **of_two(samples[a], samples[b])} for a, b in pairs],
    }
    # A line for each sample, so that a change can be read.
    text = json.dumps(document, default=float)
    text = text.replace('}, "', '},\n"').replace("}, {", "},\n{").replace('], "samples"', '],\n"samples"')
    sys.stdout.write(text + "\n")


main()
