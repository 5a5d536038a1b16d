"""Roles: which model plays them, by what it is made, and what is wrong with it."""

import pytest

from engine.app import App
from engine.errors import ConfigurationError
from engine.models.extractive import Extractive
from engine.models.roles import Model, bind, role_from_environment
from engine.testing import ScriptedModel
from tests.flows import ask, line, noting


def test_the_embedded_model_is_free_and_takes_a_schema():
    (bound,) = bind("large", "embedded")
    assert isinstance(bound.chat, Extractive)
    assert (bound.provider, bound.structured, bound.price.is_free) == ("flowledger", "response_schema", True)


def test_a_string_makes_the_vendors_client_without_its_own_retries(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (bound,) = bind("large", Model("openai:gpt-5-mini", params={"temperature": 0}))
    assert (bound.provider, bound.name, bound.chat.max_retries) == ("openai", "gpt-5-mini", 0)
    assert bound.says_why_it_ended


def test_the_service_tier_of_a_client_is_what_its_price_goes_by(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (flex,) = bind("large", Model("openai:gpt-5-mini", params={"service_tier": "flex"}))
    (same,) = bind("large", flex.chat)
    (batch,) = bind("large", Model("openai:gpt-5-mini", terms={"processing": "batch"}))
    assert (flex.terms, same.terms, batch.terms) == (
        {"service_tier": "flex"},
        {"service_tier": "flex"},
        {"processing": "batch"},
    )


def test_backups_stand_behind_the_first():
    bound = bind(
        "large", Model(ScriptedModel(script=["a"]), backup=Model("embedded", backup=ScriptedModel(script=["b"])))
    )
    assert [one.name for one in bound] == ["scripted", "extractive-1", "scripted"]


def test_the_environment_names_a_model_with_its_address_and_backup():
    environment = {
        "FLOWLEDGER_MODEL_VERY_LARGE": "openai:qwen3",
        "FLOWLEDGER_MODEL_VERY_LARGE_BASE_URL": "http://localhost:1/v1",
        "FLOWLEDGER_MODEL_VERY_LARGE_BACKUP": "embedded",
    }
    role = role_from_environment("very-large", environment)
    assert (role.model, role.base_url, role.backup) == ("openai:qwen3", "http://localhost:1/v1", "embedded")
    assert role_from_environment("small", environment) is None


async def test_the_environment_wins_over_the_app(monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_MODEL_LARGE", "embedded")
    async with App(
        workflows=[ask()], models={"large": ScriptedModel(script=["no"])}, database="sqlite:///:memory:"
    ) as app:
        assert app.models_of("large")[0].name == "extractive-1"


@pytest.mark.parametrize("model", [3, "gpt-5", "vendor:model"])
def test_what_is_no_model_is_named(model):
    with pytest.raises(ConfigurationError):
        bind("large", Model(model))


def test_two_workflows_may_not_share_a_name():
    with pytest.raises(ConfigurationError, match="two workflows are called 'line'"):
        App(workflows=[line(("a", noting())), line(("b", noting()))])
