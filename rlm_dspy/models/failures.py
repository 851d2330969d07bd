"""What a failed attempt may have cost.

A provider that answers with an error bills nothing, and a server that was not reached did nothing.
Whatever broke off after the request was sent (a cancellation, a time-out, a cut connection, an
answer that cannot be read) may have been generated in full, and billed.
"""

from collections.abc import Iterator

from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMLockTimeoutError,
    LMRateLimitError,
    LMServerError,
    LMUnsupportedFeatureError,
)

_NOT_REACHED = {
    *("ConnectionRefusedError", "gaierror", "ConnectError", "ConnectTimeout"),
    *("ClientConnectorError", "ClientConnectorDNSError"),
}
_REQUEST_TIMEOUT = 408


class NotExecuted(LMServerError):
    """A request of a batch that its provider did not execute, and so does not bill."""


_NEVER_BILLED = (
    LMConfigurationError,
    LMUnsupportedFeatureError,
    LMLockTimeoutError,
    NotExecuted,
)
# A provider's refusals by their class, where no status says so; a prompt that is too long for the
# model and a model that it does not have are invalid requests, a missing permission is of the keys.
_REFUSALS = (LMRateLimitError, LMAuthError, LMBillingError, LMInvalidRequestError)


def may_have_cost(error: BaseException) -> bool:
    """Whether an attempt that ended so may have been billed.

    LiteLLM calls a broken connection and an unreadable answer an error 500, a time-out of its own a
    408: such a status counts as the server's only where one of the causes is an HTTP answer.
    """
    chain = list(_causes(error))
    names = {type(cause).__name__ for cause in chain}
    if names & _NOT_REACHED:
        return False
    if isinstance(error, _NEVER_BILLED):
        return False
    status = error.status if isinstance(error, LMError) else None
    if status is None:
        return not isinstance(error, _REFUSALS)
    if status < 400:
        return True
    by_litellm = any(type(cause).__module__.startswith("litellm.") for cause in chain)
    doubtful = by_litellm and (status >= 500 or status == _REQUEST_TIMEOUT)
    return doubtful and "HTTPStatusError" not in names


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
