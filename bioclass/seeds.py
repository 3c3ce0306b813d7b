"""What means over seeds are worth: two sources of chance, the images tested on and the seeds trained with.

Let c_ij be whether seed j of k gets image i of n right. The mean over both estimates the accuracy on new images
with new seeds; images and seeds are crossed random factors, and its variance is that of their two-way analysis
(Searle, Casella and McCulloch 1992, Variance components, chapter 4):

    V = v / n + a / k,    a = max(0, s^2 - w / n)

v is the variance over images of the mean over the seeds, which holds the chance flips of single images too; s is
the standard deviation of accuracy between seeds, w the variance between seeds of a single image: a is what seeds
differ by beyond such flips. s and w are pooled over the rows of a table, as in an analysis of variance, since two
or three seeds say little of their own spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.95
Correct = npt.NDArray[np.bool_] | npt.NDArray[np.float64]
Groups = npt.NDArray[np.str_] | None


@dataclass(frozen=True)
class Spread:
    """How accuracy spreads between seeds, pooled over rows.

    Attributes:
        deviation: s, the standard deviation between seeds.
        single: w, the variance between seeds of one image, on average.
        freedom: degrees of freedom of s; 0 where no row has two seeds, and then nothing is known of seeds.
    """

    deviation: float
    single: float
    freedom: int

    def seeds(self, images: int) -> float:
        """Return a, the variance between seeds beyond chance flips of single images."""
        return max(0.0, self.deviation**2 - self.single / images)


@dataclass(frozen=True)
class Difference:
    """A row minus its baseline: of accuracy, with the two-sided p-value of no difference, and its 95 % limits.

    The limits are None where there is no spread to see.
    """

    value: float
    p: float
    low: float | None
    high: float | None


def pool(rows: Sequence[Correct], units: int | None = None) -> Spread:
    """Return the spread between seeds over rows (k, N) of correct answers; k and N may differ.

    Args:
        rows: of a table.
        units: independent rows, where some share their runs (ensembles of the same members); all by default.
    """
    several = [row for row in rows if len(row) > 1]
    freedom = sum(len(row) - 1 for row in several)
    if not freedom:
        return Spread(0.0, 0.0, 0)
    squares = sum(float(((row.mean(axis=1) - row.mean()) ** 2).sum()) for row in several)
    single = sum((len(row) - 1) * float(row.var(axis=0, ddof=1).mean()) for row in several)
    share = 1.0 if units is None else units / len(rows)
    return Spread(float(np.sqrt(squares / freedom)), single / freedom, max(1, round(share * freedom)))


def interval(row: Correct, spread: Spread, groups: Groups = None) -> tuple[float, float]:
    """Return the 95 % limits of the accuracy of one row (k, N).

    Wilson's score interval, with the sample that would have the variance V in place of n (the effective sample
    size of survey statistics: Korn and Graubard 1998, Survey Methodology 24:193-201), and Student's t with
    Satterthwaite's degrees of freedom in place of the normal quantile. One seed and nothing known of others: with
    v = p (1 - p) it is Wilson's interval.

    Args:
        row: correct answers.
        spread: between seeds.
        groups: (N,) the group of each image; images of one group are not independent.
    """
    seeds, images = row.shape
    mean = float(row.mean())
    units = images if groups is None else len(np.unique(groups))
    chance = _variance_of_mean(row.mean(axis=0), groups)
    between = spread.seeds(images) / seeds
    if mean in (0.0, 1.0) or chance + between == 0:
        # No spread is seen, which is not to say that there is none: so many units were tried.
        return wilson(mean, units)
    quantile = _quantile(chance + between, spread, 1 / seeds)
    return wilson(mean, mean * (1 - mean) / (chance + between), quantile)


def difference(row: Correct, baseline: Correct, spread: Spread, groups: Groups = None) -> Difference:
    """Test a row (k, N) against its baseline (m, N) on the same images.

    d_i is the difference at image i of the means over the seeds; its mean, over the root of
    var(d) / n + a (1 / k + 1 / m), is compared with Student's t. With groups and one seed it is Obuchowski's test
    (1998, On the comparison of correlated proportions for clustered data, Statistics in Medicine 17:1495-1507).
    """
    d = row.mean(axis=0) - baseline.mean(axis=0)
    value = float(d.mean())
    seeds = 1 / len(row) + 1 / len(baseline)
    variance = _variance_of_mean(d, groups) + spread.seeds(row.shape[1]) * seeds
    if variance == 0:
        return Difference(value, 1.0 if value == 0 else 0.0, None, None)
    p = 2 * stats.t.sf(abs(value) / np.sqrt(variance), _freedom(variance, spread, seeds))
    half = _quantile(variance, spread, seeds) * float(np.sqrt(variance))
    return Difference(value, float(p), max(-1.0, value - half), min(1.0, value + half))


def wilson(share: float, size: float, quantile: float | None = None) -> tuple[float, float]:
    """Return Wilson's score interval (1927, JASA 22:209-212) of a share of ``size`` samples."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2)) if quantile is None else quantile
    scale = 1 + z**2 / size
    center = (share + z**2 / (2 * size)) / scale
    half = z * float(np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))) / scale
    return max(0.0, center - half), min(1.0, center + half)


def _quantile(variance: float, spread: Spread, seeds: float) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, _freedom(variance, spread, seeds)))


def _freedom(variance: float, spread: Spread, seeds: float) -> float:
    """Satterthwaite's (1946, Biometrics Bulletin 2:110-114): of the parts of the variance only s has few."""
    part = spread.deviation**2 * seeds
    if part == 0:
        return float(np.inf)
    return spread.freedom * max(1.0, variance / part) ** 2


def _variance_of_mean(values: npt.NDArray[np.float64], groups: Groups) -> float:
    """The variance of the mean of (N,) values, independent by image or by group."""
    off = values - values.mean()
    if groups is None:
        return float((off**2).sum() / len(values) ** 2)
    _, of = np.unique(groups, return_inverse=True)
    sums = np.bincount(of, weights=off)
    correction = len(sums) / (len(sums) - 1) if len(sums) > 1 else 1.0
    return float(correction * (sums**2).sum() / len(values) ** 2)
