import pytest

from fhir_sandbox.filters import DateFilter, IdFilter, ReferenceFilter, TokenFilter
from fhir_sandbox.query import read
from fhir_sandbox.search import select

PLANS = [
    (("patient", "p1,p2"), "resource_subject (type=? AND subject=?)"),
    (
        ("patient", "p1"),
        ("code", "x"),
        ("date", "ge2024"),
        "resource_subject (type=? AND subject=?",
        "PRIMARY KEY (seq=?",
    ),
    (("encounter", "e1"), ("code", "x"), "resource_encounter (type=? AND encounter=?", "PRIMARY KEY (seq=?"),
    (("_id", "a,b"), "resource_id (type=? AND id=?)"),
    (("identifier", "s|1"), "token_code (param=? AND code=? AND system=?)", "INTEGER PRIMARY KEY (rowid=?)"),
    (("date", "lt2024"), "resource_date (type=?"),
    (("_lastUpdated", "gt2024"), "resource_updated (type=?"),
    ("resource_type (type=?)",),
]


@pytest.mark.parametrize("plan", PLANS)
def test_every_search_goes_by_an_index(fhir, plan):
    """With 90,000 Observations stored a scan is the difference between 2 ms and 200."""
    given = tuple(pair for pair in plan if isinstance(pair, tuple))
    expected = [word for word in plan if isinstance(word, str)]
    resource_type = "RiskAssessment" if ("identifier", "s|1") in given else "Observation"
    selection = select(resource_type, read(resource_type, given, fhir.sandbox.behaviour, "").filters)
    with fhir.sandbox.store.reading() as reader:
        sql = f"EXPLAIN QUERY PLAN SELECT r.seq FROM {selection.source} WHERE {selection.where}"  # noqa: S608
        steps = " / ".join(row[3] for row in reader.rows(sql, selection.arguments))
    for word in expected:
        assert word in steps
    assert "SCAN r" not in steps


def test_filters_are_what_the_parameters_say(fhir):
    given = (("patient", "a,b"), ("code", "s|1,2"), ("_id", "x"), ("date", "ge2024"))
    filters = read("Observation", given, fhir.sandbox.behaviour, "").filters
    assert filters[0] == ReferenceFilter("subject", ("Patient/a", "Patient/b"))
    assert filters[1] == TokenFilter("Observation.code", (("s", "1"), (None, "2")))
    assert filters[2] == IdFilter(("x",))
    assert isinstance(filters[3], DateFilter)
    assert filters[3].values[0][0] == "ge"
