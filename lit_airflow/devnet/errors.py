"""What a node says when it refuses: one row per code, and the exception that carries it.

Source: LIT-Protocol's node errors as the Datil generation answers them. ``message`` is a fixed text per
code; what is particular to one request goes into ``details``, which no client compares.
"""

from __future__ import annotations

_BAD = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_BAD_GATEWAY = 502

CODES: dict[str, tuple[int, str]] = {
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
    "NodeSystemFault": (500, "the node failed"),
    # These are answered with message and errorCode only.
    "rate_limit_exceeded": (402, "Rate limit exceeded. You need capacity credits to use this network."),
    "unsupported_auth_sig": (_BAD, "This kind of auth sig is not supported here."),
    "request_timeout": (408, "The request took too long."),
    "not_found": (404, "There is no such endpoint."),
}


class NodeError(Exception):
    """A node refuses.

    Attributes:
        code: One of ``CODES``.
        status: The HTTP status.
        detail: What was wrong with this very request; may be empty.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.status, self.message = CODES[code]
        self.detail = detail
        super().__init__(f"{code}: {detail or self.message}")

    def body(self, correlation_id: str) -> dict[str, object]:
        """The JSON body; ``correlation_id`` is the request's own id."""
        if self.code[0].islower():
            return {"message": self.message, "errorCode": self.code}
        return {
            "errorKind": "Unexpected" if self.status >= CODES["NodeSystemFault"][0] else "Validation",
            "errorCode": self.code,
            "status": self.status,
            "message": self.message,
            "correlationId": correlation_id,
            "details": [self.detail or self.message],
        }
