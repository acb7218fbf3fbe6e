"""The order in which an EHR gives what a prefetch template searches for."""

import re
from typing import Any

from screening.readers.fhir_fields import Dropped, effective

_NEWEST_FIRST = re.compile(r"[?&]_sort=-date(&|$)")


def as_searched(content: Any, template: str) -> Any:
    """Return a prefetched Bundle with its entries in the order that the template asks for.

    A file has them in any order; a service may need the newest first to see that a long page reaches back far enough. What
    is no Bundle, and one with an entry whose time cannot be told, stays as it is: it is for the service to judge.
    """
    entries = content.get("entry") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not _NEWEST_FIRST.search(template):
        return content
    try:
        # Stable, so that a file that is in order stays as it is.
        ranked = sorted(entries, key=lambda entry: effective(entry["resource"], None).end, reverse=True)
    except (Dropped, AttributeError, LookupError, TypeError):
        return content
    return {**content, "entry": ranked}
