"""Both ensembles as one ONNX graph on one input.

All trees go into one TreeEnsembleRegressor with one target per class and one for the chance to buy, so that the input is
passed once; softmax, arg max and sigmoid are ordinary nodes. Written here and not by onnxmltools, whose converter yields
two graphs, a fixed declared shape of the label output (a warning at every call) and thresholds rounded to the nearest
float32: LightGBM compares in float64, so a threshold must be rounded down to route every float32 value the same way.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from ensembles import Ensembles

INPUT = "features"
OUTPUTS = {"label": "label", "probabilities": "probabilities", "score": "score"}


def build(ensembles: Ensembles, features: int, classes: int) -> bytes:
    trees = _Trees()
    for number, tree in enumerate(ensembles.segment.dump_model()["tree_info"]):
        trees.add(tree["tree_structure"], number % classes)
    for tree in ensembles.buys.dump_model()["tree_info"]:
        trees.add(tree["tree_structure"], classes)
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            [INPUT],
            ["raw"],
            domain="ai.onnx.ml",
            n_targets=classes + 1,
            aggregate_function="SUM",
            post_transform="NONE",
            **trees.attributes,
        ),
        helper.make_node("Split", ["raw", "sizes"], ["segment_raw", "buys_raw"], axis=1),
        helper.make_node("Softmax", ["segment_raw"], [OUTPUTS["probabilities"]], axis=1),
        helper.make_node("ArgMax", ["segment_raw"], ["label_64"], axis=1, keepdims=0),
        helper.make_node("Cast", ["label_64"], [OUTPUTS["label"]], to=TensorProto.INT32),
        helper.make_node("Squeeze", ["buys_raw", "last_axis"], ["buys_flat"]),
        helper.make_node("Sigmoid", ["buys_flat"], [OUTPUTS["score"]]),
    ]
    # The number of rows is free in the input and in every output.
    graph = helper.make_graph(
        nodes,
        "loyalty",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", features])],
        [
            helper.make_tensor_value_info(OUTPUTS["label"], TensorProto.INT32, ["rows"]),
            helper.make_tensor_value_info(OUTPUTS["probabilities"], TensorProto.FLOAT, ["rows", classes]),
            helper.make_tensor_value_info(OUTPUTS["score"], TensorProto.FLOAT, ["rows"]),
        ],
        [
            helper.make_tensor("sizes", TensorProto.INT64, [2], [classes, 1]),
            helper.make_tensor("last_axis", TensorProto.INT64, [1], [1]),
        ],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="loyalty-stream")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


class _Trees:
    """Collects the attributes of the tree node, one call of `add` per tree."""

    def __init__(self) -> None:
        node = ["treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids"]
        target = ["treeids", "nodeids", "ids", "weights"]
        self.attributes: dict[str, list] = {f"nodes_{name}": [] for name in node}
        self.attributes |= {f"target_{name}": [] for name in target}
        self._tree = 0

    def add(self, root: dict, target: int) -> None:
        self._node(root, target, [0])
        self._tree += 1

    def _node(self, node: dict, target: int, count: list[int]) -> int:
        identity = count[0]
        count[0] += 1
        row = len(self.attributes["nodes_nodeids"])
        if "leaf_value" in node:
            self._append("nodes", self._tree, identity, 0, "LEAF", 0.0, 0, 0)
            self._append("target", self._tree, identity, target, float(node["leaf_value"]))
            return identity
        if node["decision_type"] != "<=" or node["missing_type"] != "None":
            raise SystemExit(f"a node with {node['decision_type']} and missing {node['missing_type']} is not covered")
        threshold = _float32_below(node["threshold"])
        self._append("nodes", self._tree, identity, node["split_feature"], "BRANCH_LEQ", threshold, 0, 0)
        left = self._node(node["left_child"], target, count)
        right = self._node(node["right_child"], target, count)
        self.attributes["nodes_truenodeids"][row] = left
        self.attributes["nodes_falsenodeids"][row] = right
        return identity

    def _append(self, prefix: str, *values: object) -> None:
        names = [name for name in self.attributes if name.startswith(f"{prefix}_")]
        for name, value in zip(names, values, strict=True):
            self.attributes[name].append(value)


def _float32_below(threshold: float) -> float:
    """The largest float32 that is not above `threshold`."""
    nearest = np.float32(threshold)
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))
