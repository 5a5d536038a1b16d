"""Which model plays a role: a LangChain chat model or a "provider:model" string, its price and its backup."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel

from engine.errors import ConfigurationError
from engine.models.extractive import Extractive
from engine.models.unasked import Unasked
from engine.usage import Price

EMBEDDED = "embedded"
Structured = Literal["tool", "prompt", "response_schema"]

_CLIENTS = {  # provider: (module, class, the extra that installs it, the variable of its key, name of max_tokens)
    "openai": ("langchain_openai", "ChatOpenAI", "openai", "OPENAI_API_KEY", "max_tokens"),
    "anthropic": ("langchain_anthropic", "ChatAnthropic", "anthropic", "ANTHROPIC_API_KEY", "max_tokens"),
    "google": ("langchain_google_genai", "ChatGoogleGenerativeAI", "google", "GOOGLE_API_KEY", "max_output_tokens"),
}
_ALIASES = {"google_genai": "google", "gemini": "google"}


@dataclass(frozen=True, slots=True)
class Model:
    """The model of a role.

    Attributes:
        model: a LangChain chat model, "provider:model", or "embedded" for the extractive answerer.
        backup: what is asked when this one fails; a Model or what a Model is made of.
        price: USD per million tokens, where the catalogue does not know the model or is wrong.
        params: further parameters of the client, as in {"temperature": 0}.
        base_url: the address of an OpenAI-compatible server.
        structured: how an object is asked for; by tool call unless the model cannot.
        terms: what the catalogue's price goes by besides, as in {"processing": "batch"}; the `service_tier` of the
            client counts by itself.
    """

    model: "str | BaseChatModel"
    backup: "Model | str | BaseChatModel | None" = None
    price: Price | None = None
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    base_url: str | None = None
    structured: Structured | None = None
    terms: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundModel:
    """A model that is ready to be asked."""

    provider: str
    name: str
    chat: BaseChatModel
    price: Price | None
    structured: Structured
    max_tokens_name: str = "max_tokens"
    says_why_it_ended: bool = False
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    terms: Mapping[str, str] = field(default_factory=dict[str, str])
    connections: Any = None

    async def close(self) -> None:
        """Close the connections that were made for this model."""
        if self.connections is not None:
            await self.connections.aclose()


def provider_name(given: str) -> str:
    """Give the one name of a provider that goes by several."""
    return _ALIASES.get(given, given)


def role_from_environment(role: str, environment: Mapping[str, str] = os.environ) -> Model | None:
    """Give the model that FLOWLEDGER_MODEL_<ROLE> names, if it is set.

    FLOWLEDGER_MODEL_<ROLE>_BASE_URL gives the address of an OpenAI-compatible server, ..._BACKUP a backup.
    """
    name = f"FLOWLEDGER_MODEL_{role.upper().replace('-', '_')}"
    spec = environment.get(name)
    if not spec:
        return None
    return Model(spec, backup=environment.get(f"{name}_BACKUP"), base_url=environment.get(f"{name}_BASE_URL"))


def bind(role: str, model: "Model | str | BaseChatModel") -> Sequence[BoundModel]:
    """Make the clients of a role, the backups behind the first.

    Raises:
        ConfigurationError: the string is malformed, the client is not installed, or it lacks a key.
    """
    bound: list[BoundModel] = []
    following: Model | str | BaseChatModel | None = model
    while following is not None:
        one = following if isinstance(following, Model) else Model(following)
        bound.append(_bind_one(role, one))
        following = one.backup
    return bound


def _bind_one(role: str, model: Model) -> BoundModel:
    if isinstance(model.model, str):
        if model.model == EMBEDDED:
            return _bind_client(Model(Extractive(), price=model.price, params=model.params))
        return _bind_string(role, model, model.model)
    return _bind_client(model)


def _bind_string(role: str, model: Model, spec: str) -> BoundModel:
    given, _, name = spec.partition(":")
    provider = provider_name(given)
    if provider not in _CLIENTS or not name:
        raise ConfigurationError(
            f"the model of the role {role!r} is {spec!r}: write provider:model, as in openai:gpt-5-mini; "
            f"the providers are {', '.join(sorted(_CLIENTS))}, and {EMBEDDED!r} needs no provider"
        )
    module, class_name, extra, key_variable, max_tokens_name = _CLIENTS[provider]
    try:
        client = getattr(importlib.import_module(module), class_name)
    except ImportError as error:
        raise ConfigurationError(
            f"the model of the role {role!r} ({spec}) needs {module}: install flowledger[{extra}]"
        ) from error
    options: dict[str, Any] = {"model": name, "max_retries": 0, **model.params}  # one retry loop only: ours
    if provider == "openai":
        options.setdefault("stream_usage", True)  # else streams tell no usage
        options.setdefault("include_response_headers", True)  # they say what is left of the rate limits
    if model.base_url:
        options["base_url"] = model.base_url
        options.setdefault("api_key", os.environ.get(key_variable) or "none")  # local servers ask for no key
    elif key_variable not in os.environ and "api_key" not in options:
        raise ConfigurationError(f"the model of the role {role!r} ({spec}) has no key: set {key_variable}")
    connections = _own_connections(provider, options)
    try:
        chat: BaseChatModel = client(**options)
    except Exception as error:
        raise ConfigurationError(f"the model of the role {role!r} ({spec}) cannot be made: {error}") from error
    return BoundModel(
        provider=provider,
        name=name,
        chat=chat,
        price=model.price,
        structured=model.structured or "tool",
        max_tokens_name=max_tokens_name,
        says_why_it_ended=True,
        params=dict(model.params),
        terms=_terms(model, chat),
        connections=connections,
    )


def _terms(model: Model, chat: BaseChatModel) -> dict[str, str]:
    tier = getattr(chat, "service_tier", None)
    return {**({"service_tier": tier} if isinstance(tier, str) else {}), **model.terms}


def _own_connections(provider: str, options: dict[str, Any]) -> Any:
    """Give the client a pool of its own; the vendor's is shared by the process and dies with its first event loop."""
    if provider != "openai" or "http_async_client" in options:
        return None
    from openai import DefaultAsyncHttpxClient

    options["http_async_client"] = DefaultAsyncHttpxClient()
    return options["http_async_client"]


def _bind_client(model: Model) -> BoundModel:
    chat = model.model
    if not isinstance(chat, BaseChatModel):
        raise ConfigurationError(f"a chat model or a 'provider:model' string is expected, not {type(chat).__name__}")
    if isinstance(chat, Unasked):
        return BoundModel(
            provider=chat.provider,
            name=chat.model_name,
            chat=chat,
            price=Price(input="0", output="0"),
            structured="tool",
        )
    if isinstance(chat, Extractive):
        free = Price(input="0", output="0")
        return BoundModel(
            provider="flowledger",
            name="extractive-1",
            chat=chat,
            price=model.price or free,
            structured="response_schema",
            says_why_it_ended=True,
        )
    package = type(chat).__module__.partition(".")[0]
    provider = next((name for name, client in _CLIENTS.items() if client[0] == package), None)
    can_call_tools = type(chat).bind_tools is not BaseChatModel.bind_tools
    name: Any = getattr(chat, "model_name", None) or getattr(chat, "model", None) or type(chat).__name__
    return BoundModel(
        provider=provider or package.removeprefix("langchain_"),
        name=str(name),
        chat=chat,
        price=model.price,
        structured=model.structured or ("tool" if can_call_tools else "prompt"),
        max_tokens_name=_CLIENTS[provider][4] if provider else "max_tokens",
        says_why_it_ended=provider is not None,
        params=dict(model.params),
        terms=_terms(model, chat),
    )
