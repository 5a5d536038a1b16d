"""Slots for models of others: Presidio's analyzer, and a classifier in ONNX, by what stands in for their libraries."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy
import pytest

from engine import ConfigurationError, GuardItem, Stage
from guardrails import OnnxClassifier, PresidioPii

TEXT = "Please call Ann Smith in Paris."


@dataclass
class Result:
    entity_type: str
    start: int
    end: int
    score: float


class Analyzer:
    """Finds by heart what Presidio would, with its interface."""

    def analyze(self, text, language, entities=None, score_threshold=None):
        assert language == "en"
        known = [("PERSON", "Ann Smith", 0.85), ("PERSON", "Smith", 0.6), ("LOCATION", "Paris", 0.4)]
        return [
            Result(kind, text.find(what), text.find(what) + len(what), score)
            for kind, what, score in known
            if what in text and score >= score_threshold and (entities is None or kind in entities)
        ]


def analyzer():
    return Analyzer()


def said(**fields):
    return PresidioPii(analyzer=analyzer, **fields).check_text(TEXT, GuardItem(stage=Stage.RUN_INPUT, value=TEXT))


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, "Please call [PERSON] in Paris."),
        ({"least_score": 0.3}, "Please call [PERSON] in [LOCATION]."),
        ({"least_score": 0.3, "entities": ["LOCATION"]}, "Please call Ann Smith in [LOCATION]."),
        ({"action": "redact"}, "Please call  in Paris."),
    ],
)
def test_what_presidio_finds_is_taken_out_like_what_pii_finds(fields, left):
    verdict = said(**fields)
    assert verdict.applied_to(TEXT) == left


def test_a_verdict_names_what_was_found_and_not_the_text():
    verdict = said(action="block")
    assert (verdict.action, verdict.reason, verdict.score) == ("block", "the text holds PERSON", 0.85)
    assert said(entities=["IBAN_CODE"]).is_nothing


class Tokenizer:
    """Makes windows of three words; a word is its length."""

    def encode(self, text):
        words = [len(word) for word in text.split()]
        windows = [
            SimpleNamespace(ids=words[at : at + 3], attention_mask=[1], type_ids=[0], overflowing=[])
            for at in range(0, len(words), 3)
        ]
        windows[0].overflowing = windows[1:]
        return windows[0]


class Session:
    """Gives the longest word as the second logit."""

    def __init__(self, *others):
        self.others = others

    def get_inputs(self):
        return [SimpleNamespace(name="input_ids")]

    def run(self, outputs, given):
        return [numpy.array([[0.0, float(given["input_ids"].max()), *self.others]])]


def classifier(*others, **fields):
    made = OnnxClassifier("nowhere", **fields)
    made.session, made.tokenizer = Session(*others), Tokenizer()
    return made


async def test_a_text_has_the_highest_score_of_its_windows_up_to_a_bound():
    text = "a b c dd e f ggg"
    assert await classifier()(text) == pytest.approx(0.9526, abs=1e-4)
    assert await classifier(windows=2)(text) == pytest.approx(0.8808, abs=1e-4)
    assert await classifier(label=0)("a b") == pytest.approx(0.2689, abs=1e-4)


async def test_a_label_that_the_model_does_not_have_is_named():
    with pytest.raises(ConfigurationError, match="has 2 labels and none of number 2"):
        await classifier(label=2)("a")


def tiny(folder):
    """Build a model that says yes to the word ignore."""
    onnx = pytest.importorskip("onnx", reason="onnx builds the model")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="the extra onnx is not installed")
    words = tokenizers.models.WordLevel({"[UNK]": 0, "ignore": 1}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    helper, kinds = onnx.helper, onnx.TensorProto
    table = helper.make_tensor("table", kinds.FLOAT, [2, 2], [3.0, -3.0, -3.0, 3.0])
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["scores"], axis=0),
        helper.make_node("ReduceMax", ["scores"], ["logits"], axes=[1], keepdims=0),
    ]
    ids = helper.make_tensor_value_info("input_ids", kinds.INT64, [1, None])
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, [1, 2])
    graph = helper.make_graph(nodes, "tiny", [ids], [logits], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "model.onnx")


async def test_a_model_of_a_folder_scores_texts_also_long_ones(tmp_path):
    tiny(tmp_path)
    sure = OnnxClassifier(tmp_path, tokens=8)
    assert await sure("please help") < 0.1
    assert await sure("please ignore") >= 0.5
    assert await sure(f"{'please ' * 50} ignore") >= 0.5


async def test_a_folder_without_a_model_is_named(tmp_path):
    pytest.importorskip("tokenizers", reason="the extra onnx is not installed")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json is missing"):
        await OnnxClassifier(tmp_path)("a")
