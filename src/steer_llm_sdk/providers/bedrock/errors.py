"""What Bedrock calls its errors, in a response and inside a stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html#API_runtime_ConverseStream_Errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import Failure
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.failures import describe_body, make_error, read_json_body
from steer_llm_sdk.providers.reading import JSONObject, as_int, as_object, as_string, parse_json
from steer_llm_sdk.wire.aws_events import EventMessage
from steer_llm_sdk.wire.frame import Frame

# Of Bedrock itself, and those that every service of Amazon may answer with:
# https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
ERROR_CODES: Mapping[str, type[ProviderError]] = {
    "AccessDeniedException": PermissionDeniedError,
    "ConflictException": InvalidRequestError,
    "ExpiredToken": AuthenticationError,
    "ExpiredTokenException": AuthenticationError,
    "IncompleteSignature": AuthenticationError,
    "IncompleteSignatureException": AuthenticationError,
    "InternalFailure": ServerError,
    "InternalServerException": ServerError,
    "InvalidClientTokenId": AuthenticationError,
    "InvalidSignatureException": AuthenticationError,
    "MissingAuthenticationToken": AuthenticationError,
    "MissingAuthenticationTokenException": AuthenticationError,
    "ModelErrorException": ServerError,
    "ModelNotReadyException": OverloadedError,
    "ModelStreamErrorException": ServerError,
    "ModelTimeoutException": ServerError,
    "NotAuthorized": PermissionDeniedError,
    "OptInRequired": PermissionDeniedError,
    "RequestExpired": AuthenticationError,
    "ResourceNotFoundException": NotFoundError,
    "ServiceQuotaExceededException": QuotaExceededError,
    "ServiceUnavailable": OverloadedError,
    "ServiceUnavailableException": OverloadedError,
    "SignatureDoesNotMatch": AuthenticationError,
    "ThrottlingException": RateLimitError,
    "UnrecognizedClientException": AuthenticationError,
    "ValidationError": InvalidRequestError,
    "ValidationException": InvalidRequestError,
}

# What the model sent could not be read: no answer that ended, and worth another try.
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})


def read_bedrock_error(answer: ErrorAnswer) -> ProviderError:
    """The error of a response that is not a stream: its code is in a header, or in the body."""
    payload = as_object(read_json_body(answer))
    named = answer.headers.get("x-amzn-errortype") or as_string(payload.get("__type"))
    return make_error(
        answer.provider,
        _code(named),
        _message(payload) or describe_body(answer),
        status=answer.status,
        codes=ERROR_CODES,
        body=answer.body.decode("utf-8", "replace"),
        headers=answer.headers,
        request_id=answer.headers.get("x-amzn-requestid"),
    )


def failure_in_stream(frame: Frame, provider: str) -> Failure | None:
    """The error that a message is; None where it is an event.

    An *exception* is one of the operation's own, with a JSON payload; an *error* is one that the
    service does not model, and stands in the headers alone.
    https://smithy.io/2.0/aws/amazon-eventstream.html
    """
    headers = frame.headers if isinstance(frame, EventMessage) else {}
    kind = headers.get(":message-type")
    if kind == "exception":
        said = _payload(frame.data, provider)
        code = as_string(headers.get(":exception-type"))
        status = as_int(said.get("originalStatusCode"))
        return _failure(provider, code, _message(said), status)
    if kind == "error":
        code = as_string(headers.get(":error-code"))
        return _failure(provider, code, as_string(headers.get(":error-message")) or "", None)
    return None


def malformed_output(provider: str, word: str) -> Failure:
    """The failure that a stop reason of `MALFORMED` is."""
    said = "what the model wrote could not be read"
    return Failure(make_error(provider, word, said, status=200, codes={}, kind=ServerError))


def broken_output(provider: str, word: str, kind: type[ProviderError]) -> Failure:
    """The failure that another stop reason is: a word of a server behind a gateway."""
    said = "the answer broke off with this stop reason"
    return Failure(make_error(provider, word, said, status=200, codes={}, kind=kind))


def _payload(data: bytes, provider: str) -> JSONObject:
    """The payload of an exception; its name is worth telling even where that cannot be read."""
    try:
        return as_object(parse_json(data, provider))
    except ProtocolError:
        return {}


def _failure(provider: str, code: str | None, message: str, status: int | None) -> Failure:
    name = _code(code)
    error = make_error(provider, name, message, status=200, codes=ERROR_CODES, body_status=status)
    return Failure(error)


def _code(named: str | None) -> str | None:
    """The code alone, of ``aws.bedrock#ThrottlingException:http://…``; its first letter large."""
    if not named:
        return None
    code = named.partition(":")[0].rpartition("#")[2]
    return code[:1].upper() + code[1:]


def _message(payload: Mapping[str, Any]) -> str:
    """The words; those of the model's own server too, where it was that which failed."""
    spellings = (payload.get("message"), payload.get("Message"), payload.get("originalMessage"))
    found = [each for each in spellings if isinstance(each, str) and each]
    return ": ".join(dict.fromkeys(found))
