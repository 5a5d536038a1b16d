"""The embedded answerer keeps the contract of LangChain's chat models."""

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_tests.unit_tests import ChatModelUnitTests

from engine.models.extractive import Extractive

ASKED = [HumanMessage("[1] Colours (a.md)\nThe sky is blue. Grass is green.\n\nQuestion: What colour is the sky?")]


class TestExtractiveIsAChatModel(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return Extractive

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False  # objects are asked for with response_schema

    @property
    def supports_json_mode(self) -> bool:
        return False


def test_an_answer_says_why_it_ended_what_it_used_and_who_gave_it() -> None:
    message = Extractive().invoke(ASKED)
    assert message.content == "The sky is blue. [1]"
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["model_name"] == "extractive-1"
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] > message.usage_metadata["output_tokens"] > 0


def test_a_stream_adds_up_to_the_answer_and_counts_once() -> None:
    chunks = list(Extractive().stream(ASKED))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    said = Extractive().invoke(ASKED)
    assert isinstance(whole, AIMessageChunk)
    assert len(chunks) > 3
    assert whole.chunk_position == "last"
    assert (whole.content, whole.usage_metadata) == (said.content, said.usage_metadata)
    assert whole.response_metadata["finish_reason"] == "stop"
    assert all(chunk.usage_metadata is None for chunk in chunks[:-1])


async def test_it_answers_and_streams_without_blocking_too() -> None:
    said = await Extractive().ainvoke(ASKED)
    streamed = [chunk.content async for chunk in Extractive().astream(ASKED)]
    assert "".join(map(str, streamed)) == said.content


@pytest.mark.parametrize("most", [1, 3, 7, 12, 100])
def test_an_answer_never_has_more_tokens_than_it_may(most: int) -> None:
    message = Extractive().invoke(ASKED, max_tokens=most)
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] <= most
    assert message.response_metadata["finish_reason"] == ("stop" if message.content.endswith("[1]") else "length")


def test_a_stop_word_ends_the_answer() -> None:
    assert Extractive().invoke(ASKED, stop=["blue"]).content == "The sky is "


def test_equal_messages_have_equal_answers() -> None:
    assert {str(Extractive().invoke(ASKED).content) for _ in range(3)} == {"The sky is blue. [1]"}
