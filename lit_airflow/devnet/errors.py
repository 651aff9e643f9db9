"""The error codes of a Datil node, and the exception that stands for a node's refusal.

Each code has a fixed ``message``. What is specific to one request goes into ``details``, which no client compares.

Source: docs/protocol/errors.md.
"""

from __future__ import annotations

_BAD = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_SERVER_ERROR = 500
_BAD_GATEWAY = 502

ERROR_CODES: dict[str, tuple[int, str]] = {
    "NodeInvalidAuthSigSessionKeySignature": (_BAD, "the session key signature does not verify"),
    "NodeAuthSigAddressConversionError": (_BAD, "the session public key is not 32 bytes of hex"),
    "NodeAuthSigSessionKeyConversionError": (_BAD, "the session public key is not a curve point"),
    "NodeAuthSigSignatureConversionError": (_BAD, "the signature cannot be read"),
    "NodeAuthSigSignedMessageConversionError": (_BAD, "the signed session message cannot be read"),
    "NodeResourceIdNotFound": (404, "the session does not ask for this resource"),
    "NodeParserError": (_BAD, "a time of the session cannot be read"),
    "NodeIatOutsideGracePeriod": (_FORBIDDEN, "the session was issued in the future"),
    "NodeExpWrongOrTooLarge": (_FORBIDDEN, "the session has expired"),
    "NodeSIWEMessageError": (_BAD, "the sign-in message is invalid"),
    "NodeNotAuthorized": (_FORBIDDEN, "the session was signed for another node"),
    "NodeSIWECapabilityInvalid": (_BAD, "no capability proves this request"),
    "NodeInvalidAuthSig": (_UNAUTHORIZED, "the auth sig is not accepted"),
    "NodeInvalidMultipleAuthSigs": (_BAD, "the auth sig cannot be read"),
    "NodeMissingAccessControlConditions": (_BAD, "there are no access control conditions"),
    "NodeTooManyConditions": (_BAD, "there are too many access control conditions"),
    "NodeInvalidBooleanConditionType": (_BAD, "operators and conditions are out of order"),
    "NodeAccessControlConditionsReturnedNotAuthorized": (
        _UNAUTHORIZED,
        "the access control conditions are not met",
    ),
    "NodeAccessControlConditionsCheckFailed": (_BAD_GATEWAY, "a condition could not be checked"),
    "NodeRpcError": (_BAD_GATEWAY, "the chain of a condition cannot be reached"),
    "NodeInvalidACCReturnValueTest": (_BAD, "the return value test cannot be read"),
    "NodeBadInput": (422, "the request cannot be read"),
    "NodeInvalidCurveType": (_BAD, "this endpoint signs with BLS only"),
    "NodePKPNotAuthorized": (_UNAUTHORIZED, "no authentication method permits the use of this PKP"),
    "NodeLitActionsSessionSigAuthenticationFailed": (
        _UNAUTHORIZED,
        "the Lit Action did not permit the use of this PKP",
    ),
    "NodeInvalidAuthContextResource": (_BAD, "a request cannot define its own authentication context"),
    "NodeInvalidBlockhash": (_BAD_GATEWAY, "the nonce is no recent block's hash"),
    "NodeCannotProvideAuthSigForEndpoint": (_BAD, "this endpoint takes session signatures only"),
    "NodeConcurrencyOverload": (429, "the node is too busy"),
    "CoreApiMissingRequiredXRequestIdHeader": (_BAD, "the X-Request-Id header is missing"),
    "CoreApiInvalidXSDKVersionHeader": (_BAD, "the X-Lit-SDK-Version header is not an accepted version"),
    "NodeSystemFault": (_SERVER_ERROR, "the node failed"),
    # The bodies of these have only message and errorCode.
    "rate_limit_exceeded": (402, "Rate limit exceeded. You need capacity credits to use this network."),
    "unsupported_auth_sig": (_BAD, "This kind of auth sig is not supported here."),
    "request_timeout": (408, "The request took too long."),
    "not_found": (404, "There is no such endpoint."),
}


class NodeError(Exception):
    """A node's refusal of a request.

    Attributes:
        code: One of ``ERROR_CODES``.
        status: The HTTP status.
        message: The fixed text of the code.
        detail: What was wrong with this request; may be empty.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.status, self.message = ERROR_CODES[code]
        self.detail = detail
        super().__init__(f"{code}: {detail or self.message}")

    def body(self, correlation_id: str) -> dict[str, object]:
        """Return the JSON body of the response.

        Args:
            correlation_id: The id that the request's ``X-Request-Id`` header names.
        """
        if self.code[0].islower():
            return {"message": self.message, "errorCode": self.code}
        return {
            "errorKind": "Unexpected" if self.status >= _SERVER_ERROR else "Validation",
            "errorCode": self.code,
            "status": self.status,
            "message": self.message,
            "correlationId": correlation_id,
            "details": [self.detail or self.message],
        }
