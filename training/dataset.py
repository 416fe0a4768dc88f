"""The features file of `loyalty features export`, read and split by date."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

# Columns of the file that are no features.
KEYS = ["as_of", "client_id"]
LABELS = ["segment", "buys", "horizon_net_minor"]


@dataclass(frozen=True)
class Dataset:
    """Rows in the order of (as_of, client_id), so that the order in the file changes nothing."""

    features: list[str]
    segments: list[str]
    as_of: np.ndarray  # ISO dates
    x: np.ndarray  # float32, rows × features: what the classifier will see
    segment: np.ndarray  # class index
    buys: np.ndarray  # 0 or 1

    def between(self, first: str, last: str) -> "Dataset":
        """The rows with first <= as_of <= last."""
        keep = (self.as_of >= first) & (self.as_of <= last)
        if not keep.any():
            raise SystemExit(f"no rows between {first} and {last}")
        return Dataset(
            self.features, self.segments, self.as_of[keep], self.x[keep], self.segment[keep], self.buys[keep]
        )

    def without_constants(self) -> "Dataset":
        """Without the features that are the same in every row, which teach nothing (no bonus, a single store)."""
        varies = [i for i in range(len(self.features)) if (self.x[:, i] != self.x[0, i]).any()]
        names = [self.features[i] for i in varies]
        x = np.ascontiguousarray(self.x[:, varies])
        return Dataset(names, self.segments, self.as_of, x, self.segment, self.buys)

    def cuts(self) -> list[str]:
        return sorted(set(self.as_of.tolist()))

    def __len__(self) -> int:
        return len(self.as_of)


def read(path: Path, segments: list[str]) -> Dataset:
    table = pd.read_csv(path, dtype={"as_of": str, "client_id": str, "segment": str})
    missing = [name for name in KEYS + LABELS if name not in table.columns]
    if missing:
        raise SystemExit(f"{path} lacks the columns {', '.join(missing)}; write it with `loyalty features export`")
    unknown = sorted(set(table.segment) - set(segments))
    if unknown:
        raise SystemExit(f"{path} has the unknown segments {', '.join(unknown)}")
    table = table.sort_values(KEYS, kind="stable").reset_index(drop=True)
    if table.duplicated(KEYS).any():
        raise SystemExit(f"{path} has several rows for one client and date")
    features = [name for name in table.columns if name not in KEYS + LABELS]
    x = table[features].to_numpy(dtype=np.float32)
    if not np.isfinite(x).all():
        raise SystemExit(f"{path} has features that are no finite numbers")
    index = {name: i for i, name in enumerate(segments)}
    return Dataset(
        features,
        segments,
        table.as_of.to_numpy(dtype=str),
        np.ascontiguousarray(x),
        table.segment.map(index).to_numpy(dtype=np.int64),
        table.buys.to_numpy(dtype=np.int64),
    )
