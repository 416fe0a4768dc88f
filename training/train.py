"""Trains the default model: features file in; model.onnx, card.json and test vectors out. See README.md."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import onnxruntime

import evaluate
import onnx_graph
from dataset import Dataset, read
from ensembles import BUYS_ROUNDS, PARAMETERS, SEGMENT_ROUNDS, Ensembles, fit

SEGMENTS = ["champions", "loyal", "at_risk", "new", "sleeping"]
RECENCY = "recency_days"
# Python and the graph may differ by this much in a probability.
TOLERANCE = 1e-5


def main() -> None:
    args = arguments()
    data = read(args.features, SEGMENTS).without_constants()
    first = data.cuts()[0]

    train = data.between(first, args.train_until)
    test = data.between(args.test, args.test)
    check_no_overlap(train, test, args.horizon)
    held_out = evaluate.report(train, test, fit(train), RECENCY)
    print_report(held_out)

    final = data.between(first, args.refit_until)
    ensembles = fit(final)
    graph = onnx_graph.build(ensembles, len(data.features), len(SEGMENTS))
    worst = compare(graph, ensembles, data)
    print(f"largest difference between LightGBM and ONNX over {len(data)} rows: {worst:.1e}")
    if worst > TOLERANCE:
        raise SystemExit("the graph does not compute what LightGBM computes")

    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "model.onnx").write_bytes(graph)
    card = model_card(args, data, train, test, final, graph, held_out)
    write_json(args.out / "card.json", card)
    if args.vectors:
        write_json(args.vectors, vectors(ensembles, data, card), indent=None)
    print(f"{args.out}: {len(graph)} bytes, sha256 {card['sha256']}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, help="CSV (also .gz) written by `loyalty features export`")
    parser.add_argument("--out", type=Path, required=True, help="models/<id>/<version>")
    parser.add_argument("--train-until", default="2011-06-11", help="last as-of date of the hold-out fit")
    parser.add_argument("--test", default="2011-09-10", help="as-of date of the hold-out")
    parser.add_argument("--refit-until", default="2011-09-10", help="last as-of date of the model that is written")
    parser.add_argument("--horizon", type=int, default=90, help="days the labels look ahead")
    parser.add_argument("--dataset", default="UCI Online Retail (Chen, Sain, Guo 2012), CC BY 4.0")
    parser.add_argument("--currency", default="GBP", help="currency of the features in money")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="date on the card")
    parser.add_argument("--vectors", type=Path, help="also write rows with LightGBM's answers, for tests")
    return parser.parse_args()


def check_no_overlap(train: Dataset, test: Dataset, horizon: int) -> None:
    end = datetime.date.fromisoformat(train.cuts()[-1]) + datetime.timedelta(days=horizon)
    if end >= datetime.date.fromisoformat(test.cuts()[0]):
        raise SystemExit(f"labels of the training rows reach {end}, into the features of the hold-out")


def compare(graph: bytes, ensembles: Ensembles, data: Dataset) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options)
    label, probabilities, score = session.run(["label", "probabilities", "score"], {onnx_graph.INPUT: data.x})
    expected = ensembles.probabilities(data.x)
    ties = np.sort(expected, axis=1)
    clear = ties[:, -1] - ties[:, -2] > TOLERANCE
    if (label != expected.argmax(axis=1))[clear].any():
        raise SystemExit("the graph's labels are not those of LightGBM")
    return float(max(abs(probabilities - expected).max(), abs(score - ensembles.chance(data.x)).max()))


def model_card(
    args: argparse.Namespace,
    data: Dataset,
    train: Dataset,
    test: Dataset,
    final: Dataset,
    graph: bytes,
    held_out: dict,
) -> dict:
    return {
        "id": args.out.parent.name,
        "version": args.out.name,
        "description": "Loyalty segment, and the chance to buy within the horizon as the loyalty score, from RFM features",
        "sha256": hashlib.sha256(graph).hexdigest(),
        "date": args.date,
        "input": onnx_graph.INPUT,
        "features": data.features,
        "segments": SEGMENTS,
        "outputs": onnx_graph.OUTPUTS,
        "training": {
            "dataset": args.dataset,
            "currency": args.currency,
            "features_sha256": hashlib.sha256(args.features.read_bytes()).hexdigest(),
            "horizon_days": args.horizon,
            "cuts": final.cuts(),
            "rows": len(final),
            "algorithm": "LightGBM: one multi-class and one binary ensemble",
            "parameters": {**PARAMETERS, "segment_rounds": SEGMENT_ROUNDS, "buys_rounds": BUYS_ROUNDS},
            "libraries": {name: importlib.metadata.version(name) for name in ("lightgbm", "numpy", "onnx")},
        },
        "metrics": {
            "note": "Of a fit on the training cuts of the hold-out; the model itself was refitted on all cuts afterwards.",
            "holdout": {
                "train_cuts": train.cuts(),
                "train_rows": len(train),
                "test_cuts": test.cuts(),
                "test_rows": len(test),
            },
            **held_out,
        },
    }


def vectors(ensembles: Ensembles, data: Dataset, card: dict) -> dict:
    """A seeded sample, a row of zeros and a row of large values, with LightGBM's answers."""
    rows = np.random.default_rng(1).choice(len(data), size=62, replace=False)
    width = len(data.features)
    edges = np.stack([np.zeros(width, np.float32), np.full(width, 1e9, np.float32)])
    x = np.concatenate([data.x[np.sort(rows)], edges])
    return {
        "sha256": card["sha256"],
        "features": data.features,
        "rows": x.astype(float).tolist(),
        "probabilities": np.round(ensembles.probabilities(x), 9).tolist(),
        "score": np.round(ensembles.chance(x), 9).tolist(),
    }


def print_report(held_out: dict) -> None:
    for ensemble, results in held_out.items():
        for name, result in results.items():
            classes = "  ".join(f"{label} {row['f1']:.3f}" for label, row in result["classes"].items())
            numbers = "  ".join(f"{key} {value}" for key, value in result.items() if key != "classes")
            print(f"{ensemble:8} {name:13} {numbers}\n{'':22} F1: {classes}")


def write_json(path: Path, value: dict, indent: int | None = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
