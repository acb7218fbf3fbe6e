"""How a call ends whose caller is not let in: not known (401), or not to be found out at the moment (503)."""

from cds_hooks.refusals import Refusal


class Unauthorized(Refusal):
    """401: the token is missing or not good, and the answer does not tell why.

    CDS Hooks' best practices: the reason is for our log alone, for an attacker learns from it.

    Attributes
    ----------
    reason
        Why, in words of ours; one of a few, and nothing of the token is in it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            401, "This service needs the bearer JWT of an EHR that it knows.", headers={"WWW-Authenticate": "Bearer"}
        )


class CannotVerify(Refusal):
    """503: whether the token is good cannot be found out; nobody is let in unverified.

    Attributes
    ----------
    reason
        What is in the way, for our log.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            503, "Who is calling cannot be verified at the moment; try again.", headers={"Retry-After": "30"}
        )
