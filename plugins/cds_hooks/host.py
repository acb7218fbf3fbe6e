"""By which name the service is called, where it asks nobody for a token.

A page that somebody opens in a browser can point its own name at this machine's address ("DNS rebinding") and then ask as if
it were of this origin: no rule of cross-origin calls is in its way, and where nobody is asked for a token nothing else is.
Its name is in the Host header, for a page cannot choose that. An address, a name without a dot, or one below a domain that
nobody can register cannot be its own.
"""

import ipaddress
from urllib.parse import urlsplit

from cds_hooks.refusals import Refusal

_NOBODY_S = (".localhost", ".internal")
"""RFC 6761, section 6.3; ICANN's resolution of 2024-07-29. Containers call their host `host.docker.internal`."""


def check_host(given: str | None, base_url: str) -> None:
    """Refuse a call by a name that may be a stranger's.

    Parameters
    ----------
    given
        The Host header.
    base_url
        The public address, whose name is ours.

    Raises
    ------
    Refusal
        421 (RFC 9110, section 15.5.20).
    """
    name = (given or "").lower().strip()
    name = name if name.startswith("[") else name.partition(":")[0].rstrip(".")
    if "." in name and name != urlsplit(base_url).hostname and not (name.endswith(_NOBODY_S) or _is_address(name)):
        raise Refusal(
            421,
            "With CDS_AUTH=off this service is called by an address or by the name in CDS_BASE_URL.",
            diagnostics="Host",
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
