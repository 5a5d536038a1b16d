"""Who plays which role in an app: clients are made when a role is first asked for, and closed with the app."""

from collections.abc import Mapping, Sequence

from langchain_core.language_models import BaseChatModel

from engine.errors import ConfigurationError
from engine.models.roles import BoundModel, Model, bind, role_from_environment


class Cast:
    """The models of an app by role; FLOWLEDGER_MODEL_<ROLE> wins over what the app says, and `instead` over both."""

    def __init__(
        self, models: Mapping[str, Model | str | BaseChatModel], instead: Mapping[str, Model | str] | None = None
    ) -> None:
        self._models = models
        self._instead = instead or {}
        self._bound: dict[str, Sequence[BoundModel]] = {}

    def of(self, role: str) -> Sequence[BoundModel]:
        """Give the models that play a role, the backups behind the first.

        Raises:
            ConfigurationError: none is named, or one cannot be made.
        """
        if role not in self._bound:
            model = self._instead.get(role) or role_from_environment(role) or self._models.get(role)
            if model is None:
                variable = f"FLOWLEDGER_MODEL_{role.upper().replace('-', '_')}"
                raise ConfigurationError(
                    f"no model plays the role {role!r}: give it in App(models={{{role!r}: ...}}) or set {variable}"
                )
            self._bound[role] = bind(role, model)
        return self._bound[role]

    async def close(self) -> None:
        """Close the connections to models; who is asked again is bound anew."""
        bound, self._bound = [model for models in self._bound.values() for model in models], {}
        for model in bound:
            await model.close()
