"""Make scores.json: what torchmetrics says of the two pictures of tests/unit/test_evaluate.py.

Run where torchmetrics is installed: python tests/golden/make_scores.py
"""

import json
from pathlib import Path

import torch
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassJaccardIndex,
)

TRUTH = [[0, 0, 1, 1, 2, 255], [0, 3, 1, 1, 2, 2], [0, 3, 3, 1, 255, 2], [0, 0, 3, 3, 2, 2]]
FOUND = [[0, 1, 1, 1, 2, 0], [0, 3, 1, 0, 2, 2], [3, 3, 3, 1, 1, 2], [0, 0, 3, 2, 2, 0]]

truth, found = torch.tensor(TRUTH), torch.tensor(FOUND)


def value(kind: type, **options: object) -> object:
    """The metric of the two pictures."""
    return kind(4, ignore_index=255, **options)(found, truth).tolist()


scores = {
    "iou": value(MulticlassJaccardIndex, average="none"),
    "miou": value(MulticlassJaccardIndex, average="macro"),
    "weighted_iou": value(MulticlassJaccardIndex, average="weighted"),
    "f1": value(MulticlassF1Score, average="none"),
    "accuracy": value(MulticlassAccuracy, average="micro"),
    "confusion": value(MulticlassConfusionMatrix),
}
Path(__file__).with_name("scores.json").write_text(json.dumps(scores, indent=1) + "\n")
