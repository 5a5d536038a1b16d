"""An embedding model as a target: a LangChain Embeddings, asked for the vector of one text."""

from dataclasses import dataclass
from typing import Any

from engine.definition.policies import Similar
from engine.errors import ConfigurationError, MalformedOutput
from engine.models.charges import UnboundModel
from engine.models.tokens import count_bound, estimate
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import as_call_error
from engine.runtime.run import Call
from engine.usage import Account, Amount, Price, Usage
from engine.vectors import packed


@dataclass(frozen=True, slots=True)
class EmbeddingsTarget:
    """The embedding model of a cache; the payload of the call is the text. Tokens are counted by estimate."""

    policy: Similar
    embeddings: Any

    @property
    def name(self) -> str:
        """The embedding model, for breakers and messages."""
        return f"the embeddings {str(self.policy.embeddings)!r}"

    @property
    def identity(self) -> str:
        """Its name."""
        return self.name

    @property
    def _priced(self) -> UnboundModel:
        package = type(self.embeddings).__module__.partition(".")[0].removeprefix("langchain_")
        model = getattr(self.embeddings, "model", None) or type(self.embeddings).__name__
        own = None if self.policy.price is None else Price(input=self.policy.price, output="0")
        return UnboundModel(package, str(model), own)

    def bound(self, call: Call, account: Account) -> Amount:
        """Bound the tokens of the text.

        Raises:
            ConfigurationError: the budget is in USD and no price is known.
        """
        read = count_bound(call.payload)
        dearest = call.run.charges.dearest(self._priced, read, 0, call.run.clock.now())
        if dearest is None and account.left("nano_usd") is not None:
            raise ConfigurationError(
                f"the price of {self.name} is not known and the budget is in USD: give Similar(price=...), in USD per "
                "million tokens"
            )
        return Amount(tokens=read, nano_usd=dearest or 0, calls=1)

    def describe(self, call: Call, record: CallRecord) -> None:
        """Say which embedding model."""
        del call
        record.provider_name, record.request_model = self._priced.provider, self._priced.name

    def cost(self, call: Call, usage: Usage) -> tuple[int | None, str, str | None]:
        """Price a usage."""
        return call.run.charges.cost(self._priced, usage, call.run.clock.now())

    async def send(self, call: Call) -> Answer:
        """Ask for the vector."""
        try:
            vector = packed(await self.embeddings.aembed_query(call.payload))
        except ValueError as error:
            raise MalformedOutput(f"{self.name} gave what is no vector: {error}") from error
        except call.run.control_flow:
            raise
        except Exception as error:
            raise as_call_error(error, self.name) from error
        return Answer(value=vector, response={"vector": vector}, usage=Usage(input_tokens=estimate(call.payload)))

    def restore(self, call: Call, response: Any) -> Answer:
        """Give the vector again."""
        del call
        return Answer(value=response["vector"], response=response)
