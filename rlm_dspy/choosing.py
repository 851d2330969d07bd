"""Which models answer at a terminal, and what is known of them before they are asked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dspy


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Args:
        main: Plans and answers.
        sub: Answers sub-queries; None: `main` does.
    """

    main: "dspy.BaseLM"
    sub: "dspy.BaseLM | None" = None

    @property
    def plans(self) -> bool:
        """Whether nothing says that `main` cannot plan."""
        return plans_itself(self.main.model)


def models_of(model: str | None, sub_model: str | None, **options: Any) -> Models:
    """The models by their names; None is what the environment names.

    Args:
        model: The name of the model that plans.
        sub_model: The name of the one for sub-queries.
        **options: Given to `dspy.LM`.

    Raises:
        ConfigurationError: A name, a key or the weights are missing or wrong.
    """
    from rlm_dspy.models import resolve_lm
    from rlm_dspy.settings import settings

    main = resolve_lm(model, **_access(model, model), **options)
    sub_model = sub_model or settings().rlm_sub_model
    if sub_model is None:
        return Models(main)
    return Models(main, resolve_lm(sub_model, role="sub", **_access(sub_model, model), **options))


def _access(name: str | None, main: str | None) -> dict[str, Any]:
    """`LLM_API_KEY` and `LLM_BASE_URL`, where `--model` stands in for an unset `RLM_MODEL`.

    They go to the main model's provider only, as they do where `RLM_MODEL` names it.
    """
    from rlm_dspy.models import provider_of
    from rlm_dspy.settings import settings

    now = settings()
    if name is None or main is None or now.rlm_model or not (now.llm_api_key or now.llm_base_url):
        return {}
    if any(part == "local" or part.startswith("local/") for part in (name, main)):
        return {}
    if provider_of(name) != provider_of(main):
        return {}
    key = now.llm_api_key.get_secret_value() if now.llm_api_key else None
    found = {"api_key": key, "api_base": now.llm_base_url}
    return {option: value for option, value in found.items() if value}


def plans_itself(model: str) -> bool:
    """Whether a model may plan; False only for weights that are known not to."""
    from rlm_dspy.models.weights import KNOWN, find, known

    if not model.startswith("local/"):
        return True
    weights = known(model)
    if weights is None:  # a path or a repository: the file's name says which weights they are
        name = find(model).name
        weights = next((each for each in KNOWN if each.file == name), None)
    return weights is None or weights.plans
