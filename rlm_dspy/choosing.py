"""Which models answer at a terminal, and what is known of them before they are asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.outcome import UsageError

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
        model: The name of the model that plans; several with commas stand in for each other.
        sub_model: The name of the one for sub-queries, or several.
        **options: Given to `dspy.LM`.

    Raises:
        ConfigurationError: A name, a key or the weights are missing or wrong.
    """
    from rlm_dspy.settings import settings

    main = _resolved(model, model, options)
    sub_model = sub_model or settings().rlm_sub_model
    return Models(main, _resolved(sub_model, model, options) if sub_model is not None else None)


def refuse_far(
    models: tuple[str | None, str | None, str | None],
    *,
    paths: Sequence[str] = (),
    urls: bool = False,
    mcp: str | None = None,
) -> None:
    """Refuses what would leave this machine, before any of it is read or asked.

    Args:
        models: The names of the models that plan, answer sub-queries and read images; None as
            for `models_of`, and for nobody.
        paths: What is to be read.
        urls: Whether URLs in what is read may be fetched.
        mcp: A file that names MCP servers.

    Raises:
        UsageError: A URL may be fetched.
        ConfigurationError: A model or a server is not on this machine, or a name is not valid.
    """
    from rlm_dspy.context.fetching import is_url
    from rlm_dspy.models import resolve_lm
    from rlm_dspy.models.places import far_host, refuse_elsewhere

    if urls or any(map(is_url, paths)):
        raise UsageError("--local-only fetches nothing: leave --urls out, and paths that are URLs.")
    main, sub, vision = models
    chosen = models_of(main, sub)
    sees = resolve_lm(vision) if vision is not None else None
    refuse_elsewhere([chosen.main, chosen.sub, sees])
    for name, url in _servers(mcp).items():
        if host := far_host(url):
            raise ConfigurationError(
                f"The MCP server {name!r} is not on this machine ({host}), and nothing may leave "
                "it (--local-only or RLM_LOCAL_ONLY): leave it out of the configuration.",
                server=name,
            )


def _servers(mcp: str | None) -> dict[str, str]:
    if mcp is None:
        return {}
    from rlm_dspy.mcp_tools import MCPTools

    return MCPTools(mcp).urls


def _resolved(name: str | None, main: str | None, options: dict[str, Any]) -> "dspy.BaseLM":
    from rlm_dspy.models import resolve_lm
    from rlm_dspy.models.names import names_in

    if name is None:
        return resolve_lm(**options)
    first = names_in(main)[0] if main else None
    return resolve_lm([resolve_lm(n, **_access(n, first), **options) for n in names_in(name)])


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
