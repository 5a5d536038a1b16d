"""Prompts: placeholders, parts, versions, and values that are never read as templates."""

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from engine.definition.prompt import Prompt
from engine.errors import DefinitionError


def test_values_are_put_in_once_and_never_read_as_templates():
    prompt = Prompt(text="{question} and {secret}")
    (message,) = prompt.messages({"question": "{secret} {0.__class__}", "secret": "s"})
    assert message.content == "{secret} {0.__class__} and s"


def test_double_braces_are_braces_and_json_needs_none():
    prompt = Prompt(text='{{question}} {"a": 1} {question}')
    assert prompt.placeholders == ("question",)
    assert prompt.messages({"question": "q"})[0].content == '{question} {"a": 1} q'


def test_passages_are_shown_as_numbered_blocks():
    passages = [{"text": "One.", "title": "First", "source": "a.md"}, {"text": "Two.", "id": "b"}]
    (message,) = Prompt(text="{passages}").messages({"passages": passages})
    assert message.content == "[1] First (a.md)\nOne.\n\n[2]\nTwo."


def test_a_file_has_a_system_and_a_user_part(tmp_path):
    file = tmp_path / "answer.md"
    file.write_text("<!-- system -->\nBe brief.\n\n<!-- user -->\nQuestion: {question}\n")
    prompt = Prompt.file(file)
    system, user = prompt.messages({"question": "Why?"})
    assert (prompt.name, type(system), type(user)) == ("answer", SystemMessage, HumanMessage)
    assert (system.content, user.content) == ("Be brief.", "Question: Why?")


def test_the_version_follows_both_parts():
    assert Prompt(text="a").version == Prompt(text="a", name="other").version
    assert len({Prompt(text="a").version, Prompt(text="b").version, Prompt(text="a", system="s").version}) == 3


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "cannot be read"), (b"", "is empty"), (b"\xff\xfe", "cannot be read")]
)
def test_a_file_that_is_no_prompt_is_refused_in_a_sentence(tmp_path, content, fault):
    file = tmp_path / "prompt.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DefinitionError, match=fault):
        Prompt.file(file)
