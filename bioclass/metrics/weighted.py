"""Every metric as a function of how often each independent unit counts.

The bootstrap asks for the same metrics under thousands of weightings. Everything that it needs is a sum over
units, so each metric is written once, from sums that a sparse matrix product gives for many weightings at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from bioclass.metrics.inputs import IntArray, Predictions

FloatArray = npt.NDArray[np.float64]

N_BINS = 15


class WeightedStatistics:
    """The metrics of one set of predictions, for any weights of its U units (groups, or single samples)."""

    def __init__(self, predictions: Predictions) -> None:
        self._n_classes = len(predictions.classes)
        self._n_units = predictions.n_units
        self._units = predictions.units
        self._cells = self._sums(predictions.labels * self._n_classes + predictions.predicted, self._n_classes**2)
        self._losses: sparse.csr_matrix | None = None
        self._gaps: sparse.csr_matrix | None = None
        self._rankings: list[sparse.csr_matrix] = []
        if predictions.probabilities is not None:
            self._prepare_probabilities(predictions, predictions.probabilities)

    def __call__(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return each metric for each column of weights.

        Args:
            weights: (U, R) how often each unit counts in each of R resamples.

        Returns:
            By name, (R,) for a metric of the whole and (R, K) for one of each class; NaN where undefined. Without
            probabilities log_loss, ece and auc are missing.
        """
        confusion = self.confusion(weights)
        found = confusion_metrics(confusion)
        if self._losses is not None and self._gaps is not None:
            size = confusion.sum(axis=(1, 2))
            found["log_loss"] = (self._losses @ weights)[0] / size
            found["ece"] = np.abs(self._gaps @ weights).sum(axis=0) / size
            found["auc"] = np.stack([_auc(ranking @ weights) for ranking in self._rankings], axis=1)
        return found

    def confusion(self, weights: FloatArray) -> FloatArray:
        """Return (R, K, K) confusion matrices, rows the truth, for (U, R) weights."""
        counts: FloatArray = (self._cells @ weights).T.reshape(-1, self._n_classes, self._n_classes)
        return counts

    def _prepare_probabilities(self, predictions: Predictions, probabilities: FloatArray) -> None:
        rows = np.arange(predictions.n)
        tiny = np.finfo(np.float64).eps  # the clipping of sklearn.metrics.log_loss
        losses = -np.log(np.clip(probabilities[rows, predictions.labels], tiny, 1 - tiny))
        self._losses = self._sums(np.zeros(predictions.n, dtype=np.int64), 1, losses)

        confidence = probabilities[rows, predictions.predicted]
        bins = confidence_bins(confidence)
        correct = predictions.predicted == predictions.labels
        self._gaps = self._sums(bins, N_BINS, correct - confidence)

        for k in range(self._n_classes):
            positive = predictions.labels == k
            blocks, n_blocks = rank_blocks(probabilities[:, k], positive)
            self._rankings.append(self._sums(blocks + n_blocks * positive, 2 * n_blocks))

    def _sums(self, rows: IntArray, n_rows: int, values: FloatArray | None = None) -> sparse.csr_matrix:
        """Return the (n_rows, U) matrix whose product with weights sums values (or ones) by row."""
        data = np.ones(len(rows)) if values is None else values
        return sparse.csr_matrix((data, (rows, self._units)), shape=(n_rows, self._n_units))


def confidence_bins(confidence: FloatArray) -> IntArray:
    """Return the bin (N,) of each confidence: bin m is (m/15, (m+1)/15], as in Guo et al.; zero joins the first."""
    bins: IntArray = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    return bins


def confusion_metrics(confusion: FloatArray) -> dict[str, FloatArray]:
    """Return the metrics that follow from (R, K, K) confusion matrices, rows the truth.

    MCC is Gorodkin's (2004) for K classes, 0 where its denominator is; kappa is Cohen's (1960).
    """
    hits = np.diagonal(confusion, axis1=1, axis2=2)  # (R, K)
    truth, called = confusion.sum(axis=2), confusion.sum(axis=1)  # (R, K)
    n = truth.sum(axis=1)  # (R,)
    recall = _divide(hits, truth)
    f1 = _divide(2 * hits, truth + called)
    others = n[:, None] - truth
    right, chance = n * hits.sum(axis=1), (truth * called).sum(axis=1)
    spread = (n**2 - (truth**2).sum(axis=1)) * (n**2 - (called**2).sum(axis=1))
    return {
        "accuracy": hits.sum(axis=1) / n,
        "balanced_accuracy": _mean_of_defined(recall),
        "macro_f1": _mean_of_defined(f1),
        "mcc": np.nan_to_num(_divide(right - chance, np.sqrt(spread)), nan=0.0),
        "cohen_kappa": _divide(right - chance, n**2 - chance),
        "precision": _divide(hits, called),
        "recall": recall,
        "specificity": _divide(others - (called - hits), others),
        "f1": f1,
    }


def rank_blocks(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> tuple[IntArray, int]:
    """Number the samples by rank of their score, as coarsely as the AUC allows.

    Equal scores share a block. Neighbouring blocks that hold only positives, or only negatives, become one:
    their order among themselves does not change how many positives lie above how many negatives.

    Args:
        scores: (N,) the score of the class.
        positive: (N,) whether the sample is of the class.

    Returns:
        (N,) block indices, ascending with the score, and their number.
    """
    _, tied = np.unique(scores, return_inverse=True)
    size, positives = np.bincount(tied), np.bincount(tied, weights=positive)
    kind = np.where(positives == 0, 0, np.where(positives == size, 1, 2))  # negative, positive, mixed
    starts = (kind[1:] != kind[:-1]) | (kind[1:] == 2)
    run = np.concatenate([[0], np.cumsum(starts)])
    return run[tied], int(run[-1]) + 1


def _auc(counts: FloatArray) -> FloatArray:
    """Return (R,) areas under the ROC curve from (2B, R) counts: B blocks of negatives, then B of positives."""
    negatives, positives = np.split(counts, 2)
    below = np.cumsum(negatives, axis=0) - negatives / 2  # a tie counts half (Mann-Whitney)
    return _divide(np.einsum("br,br->r", positives, below), positives.sum(axis=0) * negatives.sum(axis=0))


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    undefined = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    quotient: FloatArray = np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return quotient


def _mean_of_defined(per_class: FloatArray) -> FloatArray:
    """Return the (R,) means over the classes of (R, K) that are not NaN; at least one always is defined."""
    mean: FloatArray = np.nanmean(per_class, axis=1)
    return mean
