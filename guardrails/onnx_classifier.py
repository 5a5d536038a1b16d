"""OnnxClassifier: a text classifier from a folder of yours, for the `classifier` of a guardrail."""

import asyncio
import importlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from engine import ConfigurationError

_LONGEST = 100_000  # characters of a text that are read


class OnnxClassifier:
    """Scores a text by one label of an ONNX model with its tokenizer; extra `onnx`, nothing is downloaded.

    A text is read in windows of `tokens` tokens that overlap by a quarter, the first `windows` of them, and has the
    highest score of any. It runs in a thread, so that the event loop goes on; the model is loaded with the first text.
    A guardrail keeps its classifier by import path, so make one at the top of a module and name that:

        injections = OnnxClassifier("models/injection", label=1)  # in myapp/models.py
        guard = Injection(classifier="myapp.models:injections")

    Args:
        folder: has `model.onnx`, whose first output is a row of logits, and `tokenizer.json`.
        label: the number of the label that is meant, in the order of the logits; a single logit needs none.
        tokens: how many the model reads at once.
        windows: how many windows of a text are read at most.
    """

    def __init__(self, folder: str | Path, *, label: int = 1, tokens: int = 512, windows: int = 16) -> None:
        self.folder, self.label, self.tokens, self.windows = Path(folder), label, tokens, windows

    async def __call__(self, text: str) -> float:
        """Give how sure the model is that the label fits, from 0 to 1.

        Raises:
            ConfigurationError: the extra or a file is missing, or the model has no such label.
        """
        return await asyncio.to_thread(self.score, text)

    def score(self, text: str) -> float:
        """Give the same in the thread of whoever calls."""
        encoding = self.tokenizer.encode(text[:_LONGEST].encode("utf-8", "replace").decode())
        windows = [encoding, *encoding.overflowing][: self.windows]
        return max(self._score(window) for window in windows)

    def _score(self, window: Any) -> float:
        numpy: Any = importlib.import_module("numpy")
        rows = {
            "input_ids": window.ids,
            "attention_mask": window.attention_mask,
            "token_type_ids": window.type_ids,
        }
        wanted = [one.name for one in self.session.get_inputs()]
        given: Mapping[str, Any] = {name: numpy.array([rows[name]], dtype="int64") for name in wanted if name in rows}
        logits = [float(one) for one in self.session.run(None, given)[0][0]]
        if len(logits) == 1:
            return 1 / (1 + math.exp(-max(-700.0, logits[0])))
        if not 0 <= self.label < len(logits):
            raise ConfigurationError(
                f"the model in {self.folder} has {len(logits)} labels and none of number {self.label}"
            )
        parts = [math.exp(one - max(logits)) for one in logits]
        return parts[self.label] / sum(parts)

    @cached_property
    def session(self) -> Any:
        """The model."""
        return _imported("onnxruntime").InferenceSession(
            str(self._file("model.onnx")), providers=["CPUExecutionProvider"]
        )

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, which cuts texts into windows."""
        tokenizer = _imported("tokenizers").Tokenizer.from_file(str(self._file("tokenizer.json")))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.tokens, stride=self.tokens // 4)
        return tokenizer

    def _file(self, name: str) -> Path:
        found = self.folder / name
        if not found.is_file():
            raise ConfigurationError(
                f"{found} is missing: OnnxClassifier reads model.onnx and tokenizer.json of a folder"
            )
        return found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError("OnnxClassifier needs the extra: pip install 'flowledger[onnx]'") from error
