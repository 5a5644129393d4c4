"""Magika's neural network: what a file is, judged by its bytes alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np


class ContentType:
    """An actor: loads the network once, then labels batches of files.

    The network reads 1024 byte values from the start of a file and 1024 from its end, after
    white space was stripped from both, padded with 256 to that length.
    """

    def __init__(self, folder: str) -> None:
        """Loads the network and its labels."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(Path(folder, "model.onnx"), options)
        self.config = json.loads(Path(folder, "config.min.json").read_text())
        self.labels = np.array(self.config["target_labels_space"])

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Labels each file, those without a byte "empty"; keeps path and size, drops the bytes."""
        tokens = np.stack([self._tokens(content) for content in batch["bytes"]])
        (scores,) = self.session.run(None, {"bytes": tokens})
        best = scores.argmax(axis=1)
        sizes = np.array([len(content) for content in batch["bytes"]])
        return {
            "path": batch["path"],
            "size": sizes,
            "label": np.where(sizes == 0, "empty", self.labels[best]),
            "score": scores[np.arange(len(best)), best].astype(np.float64),
        }

    def _tokens(self, content: bytes) -> np.ndarray:
        head_size, tail_size = self.config["beg_size"], self.config["end_size"]
        block = self.config["block_size"]
        tokens = np.full(head_size + tail_size, self.config["padding_token"], dtype=np.int32)
        head = np.frombuffer(content[:block].lstrip()[:head_size], dtype=np.uint8)
        tail = np.frombuffer(content[-block:].rstrip()[-tail_size:], dtype=np.uint8)
        tokens[: len(head)] = head
        tokens[len(tokens) - len(tail) :] = tail
        return tokens
