"""Why a clinician may set a card aside: the reasons offered with it (CH-4B).

From CDS Hooks 3.0's code system, of which CDS Hooks 2.0.1 leaves the choice to the service; displays are the system's own.
"""

SYSTEM = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
REASONS = {
    "action-completed": "Recommended action was already completed",
    "patient-ineligible": "Patient does not meet eligibility for recommended action",
    "need-more-info": (
        "Could not address recommended action due to need for more information/pending results/pending consult"
    ),
    "recipient-does-not-trust": "Recipient does not agree with or trust the recommended action",
    "wrong-time-workflow": "PC CDS delivered at wrong time in workflow or patient lifecycle",
    "inappropriate-recipient": "PC CDS delivered to inappropriate recipient/role",
}


def override_reasons() -> list[dict[str, str]]:
    """Return the codings for `card.overrideReasons`, each with its display (cds-resp-4)."""
    return [{"code": code, "system": SYSTEM, "display": display} for code, display in REASONS.items()]
