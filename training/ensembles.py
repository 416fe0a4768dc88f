"""The two LightGBM ensembles: segment (multi-class) and buys within the horizon (binary)."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np

from dataset import Dataset

# Shallow trees: the model must not be the bottleneck of the stream (README, "Size").
SEGMENT_ROUNDS = 20
BUYS_ROUNDS = 20
PARAMETERS = {
    "num_leaves": 8,
    "max_depth": 3,
    "learning_rate": 0.15,
    "min_data_in_leaf": 200,
    # Features are never missing, so a tree needs no way for missing values.
    "use_missing": False,
    # Same file, same bytes.
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Ensembles:
    segment: lightgbm.Booster
    buys: lightgbm.Booster

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        return self.segment.predict(x, num_threads=1)

    def chance(self, x: np.ndarray) -> np.ndarray:
        return self.buys.predict(x, num_threads=1)


def fit(data: Dataset) -> Ensembles:
    def train(parameters: dict, target: np.ndarray, rounds: int) -> lightgbm.Booster:
        return lightgbm.train(
            {**PARAMETERS, **parameters}, lightgbm.Dataset(data.x, target, feature_name=data.features), rounds
        )

    return Ensembles(
        train({"objective": "multiclass", "num_class": len(data.segments)}, data.segment, SEGMENT_ROUNDS),
        train({"objective": "binary"}, data.buys, BUYS_ROUNDS),
    )
