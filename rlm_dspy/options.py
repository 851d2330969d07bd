"""Everything about a run that has a good default, in one frozen model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rlm_dspy.files import KINDS
from rlm_dspy.lookups import Lookup

# A low estimate for English and for code: an input that is taken to fit does fit.
CHARS_PER_TOKEN = 3


class RLMOptions(BaseModel):
    """Options of an `RLM`; `RLMOptions(route="auto")` changes one and keeps the rest.

    Raises:
        pydantic.ValidationError: An unknown option, or a value out of its range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: Literal["rlm", "direct", "auto"] = Field(
        default="rlm",
        description="'rlm' plans in the REPL; 'direct' answers by one call of the `direct` "
        "predictor; 'auto' is direct for inputs of at most `direct_below_tokens`.",
    )
    direct_below_tokens: int = Field(
        default=750,
        ge=0,
        description="Up to how many tokens of input 'auto' answers directly.",
    )
    isolation: Literal["auto", "require"] = Field(
        default="auto",
        description="'require' refuses to run where the operating system cannot isolate the REPL.",
    )
    step_seconds: float = Field(
        default=60.0, gt=0, description="How long the code of one step may run by itself, seconds."
    )
    memory_mb: int = Field(
        default=2_048, ge=64, description="Private memory of the REPL's worker, MiB."
    )
    context_above_chars: int = Field(
        default=2_000,
        ge=0,
        description="A longer text input becomes a `Context`; a shorter one is shown whole.",
    )
    preview_chars: int = Field(
        default=240,
        ge=0,
        description="How much of a long input's head and tail the planner is shown, characters.",
    )
    constrain: Literal["auto", "off"] = Field(
        default="auto",
        description="'auto' constrains the planner's reply to one code block, and choices to their "
        "options, where the model's server takes a grammar.",
    )
    extract_chars: int = Field(
        default=12_000,
        ge=500,
        description="How much of the trajectory the last extraction is shown, characters.",
    )
    planner_window: int | None = Field(
        default=None,
        ge=256,
        description="The most tokens of the planner's prompt and reply, where the model's own "
        "window is not known or is to be used in part: old outputs are folded to keep within it.",
    )
    max_tokens: int = Field(
        default=1_024,
        ge=1,
        description="The longest reply, in tokens, of a model that has no `max_tokens` of its own, "
        "where the budget limits tokens or dollars.",
    )
    inherit_history: int = Field(
        default=200,
        ge=0,
        description="How many sub-queries of a run enter dspy's own call history.",
    )

    max_errors: int | None = Field(
        default=None,
        ge=1,
        description="How many failed steps and sub-queries in a row, with none between that went "
        "well, end a run with its best partial answer; None for any number.",
    )
    tool_seconds: float | dict[str, float] | None = Field(
        default=None,
        description="How long a tool may take, in seconds, or how long each by its name; None for "
        "as long as it likes.",
    )
    model_concurrency: int | None = Field(
        default=None,
        ge=1,
        description="How many requests to one model may be in flight at once, from all runs of "
        "this process; None for what the budget and the provider allow.",
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="The most requests to one model within any minute."
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens of one model within any minute, prompts and replies.",
    )
    batch_api: Literal["off", "auto"] = Field(
        default="off",
        description="'auto' sends sub-queries that may wait for hours by the provider's batch API, "
        "for less, where LiteLLM can and at least `batch_above` of them wait together.",
    )
    batch_above: int = Field(
        default=100, ge=1, description="From how many sub-queries on they are sent as a batch."
    )
    batch_seconds: float = Field(
        default=86_400.0,
        gt=0,
        description="How long the provider may take for a batch, in seconds; then it is cancelled, "
        "and what it has not answered is asked the usual way.",
    )
    prices: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="Prices by the name of the model, in dollars a million tokens of prompts and "
        "of replies; they win over LiteLLM's list.",
    )
    file_kinds: tuple[str, ...] = Field(
        default=KINDS,
        description="The endings of the files that a run may deliver, without the dot.",
    )
    file_mb: int = Field(
        default=16, ge=0, le=20, description="The most MiB of all files of an answer together."
    )
    min_coverage: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="What part of the text models must have read before an answer is accepted, "
        "while steps are left to read it; an answer that is submitted with less is partial.",
    )
    local_only: bool = Field(
        default=False,
        description="Refuses, before anything is read or sent, a model that is not on this "
        "machine; RLM_LOCAL_ONLY does so for all runs.",
    )
    inherit_tools: bool | tuple[str, ...] = Field(
        default=True,
        description="Which of the tools a sub-run has too: all, none, or those named.",
    )

    record: Literal["full", "metadata", "off"] | None = Field(
        default=None,
        description="What the store keeps of a run: 'full' is all that it takes to resume and "
        "replay it, 'metadata' leaves every text out, 'off' keeps nothing; None: as RLM_RECORD "
        "says, else 'full'.",
    )
    store: str | None = Field(
        default=None,
        description="The file of the store, or ':memory:'; None: as RLM_STORE says, else one in "
        "the user's data folder.",
    )
    unrecorded: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="Whether a run that cannot be recorded (a full disk, a broken file) ends with "
        "a StoreError or goes on without.",
    )
    phase0: Literal["off", "auto"] | tuple[Lookup, ...] = Field(
        default="off",
        description="Looks the answer up in the text before any model is asked: the `Lookup`s "
        "given, or with 'auto' by rules that take a few forms of question.",
    )

    def fits_directly(self, characters: int) -> bool:
        """Whether an input of so many characters is short enough for 'auto' to answer directly."""
        return characters <= self.direct_below_tokens * CHARS_PER_TOKEN
