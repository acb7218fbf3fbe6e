"""The synthetic hospital: seeded patients of any number, as FHIR R4 in two styles and as MIMIC-IV CSV files.

`Hospital` makes the truth; `fhir_resources`, `fhir_transactions` and `write_mimic_csv` write it down, with the same
dirt. Nothing here reads the clock, a file or the network, and no real patient stands behind any value.
"""

from screening.synthetic.dirt import Dirt, DirtKind, Expected
from screening.synthetic.hospital import Hospital
from screening.synthetic.mimic_csv import write_mimic_csv
from screening.synthetic.people import Bystander, Event, Stay, SyntheticPatient
from screening.synthetic.resources import fhir_resources
from screening.synthetic.transactions import fhir_transaction, fhir_transactions

__all__ = [
    "Bystander",
    "Dirt",
    "DirtKind",
    "Event",
    "Expected",
    "Hospital",
    "Stay",
    "SyntheticPatient",
    "fhir_resources",
    "fhir_transaction",
    "fhir_transactions",
    "write_mimic_csv",
]
