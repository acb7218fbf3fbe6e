"""Who calls: CDS Hooks' bearer JWT (CDS Hooks 2.0.1, Trusting CDS Clients), from the cheap checks to the used tokens.

::

    token ─► claims ─► keys (key_set, key_sources) ─► signature ─► used_tokens
                                                        all of it in verifier

A token that is not worth a signature's half millisecond never gets there, and one without a valid signature leaves no trace
in the store of used tokens: else a stranger could use up another's.
"""

from cds_hooks.bearer.rejections import CannotVerify, Unauthorized
from cds_hooks.bearer.verifier import Caller, Verifier

__all__ = ["Caller", "CannotVerify", "Unauthorized", "Verifier"]
