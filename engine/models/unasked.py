"""A model that is known by its name and cannot be asked: it stands in a role where every answer is on a tape."""

from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from engine.errors import ConfigurationError


class Unasked(BaseChatModel):
    """Has the name of a model, and needs neither its client nor its key."""

    provider: str
    """Who runs the model."""
    model_name: str
    """How its provider calls it."""

    @property
    def _llm_type(self) -> str:
        return "unasked"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise ConfigurationError(f"{self.provider}:{self.model_name} stands here by its name alone and cannot be asked")
