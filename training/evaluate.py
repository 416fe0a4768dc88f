"""Metrics of the hold-out, per class, beside two baselines."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import (
    brier_score_loss,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from dataset import Dataset
from ensembles import Ensembles, fit


def report(train: Dataset, test: Dataset, model: Ensembles, recency: str) -> dict:
    """Both ensembles on `test`, beside the majority of `train` and the same ensembles on the recency alone."""
    narrow_train, narrow_test = _only(train, recency), _only(test, recency)
    narrow = fit(narrow_train)
    classes = len(train.segments)
    prior = np.bincount(train.segment, minlength=classes) / len(train)
    rate = float(train.buys.mean())
    return {
        "segment": {
            "model": _segment(test, model.probabilities(test.x)),
            "recency_only": _segment(test, narrow.probabilities(narrow_test.x)),
            "majority": _segment(test, np.tile(prior, (len(test), 1))),
        },
        "buys": {
            "model": _buys(test.buys, model.chance(test.x)),
            "recency_only": _buys(test.buys, narrow.chance(narrow_test.x)),
            "majority": _buys(test.buys, np.full(len(test), rate)),
        },
    }


def _only(data: Dataset, feature: str) -> Dataset:
    column = data.features.index(feature)
    x = np.ascontiguousarray(data.x[:, [column]])
    return Dataset([feature], data.segments, data.as_of, x, data.segment, data.buys)


def _segment(test: Dataset, probabilities: np.ndarray) -> dict:
    names = test.segments
    predicted = probabilities.argmax(axis=1)
    # `new`, and `sleeping` against `at_risk`, follow from the features; champions and loyal are what buyers turned out to be.
    outcomes = [names.index("champions"), names.index("loyal")]
    return {
        "macro_f1": _round(_macro(test.segment, predicted, list(range(len(names))))),
        "macro_f1_buyers_outcomes": _round(_macro(test.segment, predicted, outcomes)),
        "accuracy": _round(np.mean(predicted == test.segment)),
        "log_loss": _round(log_loss(test.segment, probabilities, labels=list(range(len(names))))),
        "classes": _per_class(test.segment, predicted, names),
    }


def _buys(truth: np.ndarray, chance: np.ndarray) -> dict:
    predicted = (chance >= 0.5).astype(int)
    return {
        "auc": _round(roc_auc_score(truth, chance)),
        "log_loss": _round(log_loss(truth, chance, labels=[0, 1])),
        "brier": _round(brier_score_loss(truth, chance)),
        "mean_predicted": _round(chance.mean()),
        "mean_observed": _round(truth.mean()),
        "macro_f1": _round(_macro(truth, predicted, [0, 1])),
        "classes": _per_class(truth, predicted, ["does_not_buy", "buys"]),
    }


def _macro(truth: np.ndarray, predicted: np.ndarray, labels: list[int]) -> float:
    return f1_score(truth, predicted, labels=labels, average="macro", zero_division=0)


def _per_class(truth: np.ndarray, predicted: np.ndarray, names: list[str]) -> dict:
    labels = list(range(len(names)))
    rows = zip(names, *precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0), strict=True)
    return {
        name: {"precision": _round(p), "recall": _round(r), "f1": _round(f), "support": int(n)} for name, p, r, f, n in rows
    }


def _round(value: float) -> float:
    return round(float(value), 4)
