"""The cards: one of each kind, what each must hold, and what none may ever say."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.charts import T, chart, result, rule_bundle, sepsis
from tests.unit.results.assessments import assessment
from tests.unit.results.cards.charts_opened import (
    CONTEXT,
    EARLIER,
    HIGH,
    LACTATE,
    MODEL,
    MODERATE,
    TOO_FEW,
    Rendered,
    ago,
    context_of,
    opened,
    scored,
    texts_in,
)

from screening.errors import ResultError
from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.results.cards.card import NOT_SENT, earlier_card, not_computed_card, risk_card
from screening.results.cards.invariants import problems_of_response
from screening.results.cards.suggestions import create_action
from screening.schema import RiskLevels
from screening.scoring import level

FOREIGN = st.text(max_size=200) | st.sampled_from(
    [
        "<img src=http://evil.example.com/x>",
        "| \n# x [a](javascript:1)",
        "www.example.com",
        "a@example.com",
        "\\|",
        "**x**",
    ]
)


def card(found: PatientResult = HIGH, context: Any = CONTEXT, **more: Any) -> dict[str, Any]:
    made = risk_card(found, context, **opened(**more))
    assert made is not None
    assert problems_of_response({"cards": [made]}) == []
    return made


def not_computed(found: PatientResult = TOO_FEW, context: Any = CONTEXT, **more: Any) -> dict[str, Any]:
    made = not_computed_card(found, context, **opened(**more))
    assert problems_of_response({"cards": [made]}) == []
    return made


def earlier(found: Any = EARLIER, live: PatientResult = TOO_FEW, context: Any = CONTEXT, **more: Any) -> dict[str, Any]:
    made = earlier_card(found, live, context, **opened(**more))
    assert problems_of_response({"cards": [made]}) == []
    return made


def rows(made: dict[str, Any]) -> dict[str, list[str]]:
    """Return the table of a card: first cell → the others."""
    return {row[0]: row[1:] for row in Rendered(made["detail"]).rows}


class TestTheScore:
    def test_ch44_the_tutorials_summary(self) -> None:
        assert card()["summary"] == "Sepsis Risk: HIGH (85%)"
        assert card(MODERATE)["summary"] == "Sepsis Risk: MODERATE (58%)"

    @pytest.mark.parametrize(("found", "indicator"), [(HIGH, "critical"), (MODERATE, "warning")])
    def test_ch44_the_level_is_the_indicator(self, found: PatientResult, indicator: str) -> None:
        assert card(found)["indicator"] == indicator

    def test_ch40_low_risk_is_no_card(self) -> None:
        assert risk_card(scored(0.3999, RiskLevel.LOW), CONTEXT, **opened()) is None
        assert risk_card(scored(0.0, RiskLevel.LOW), CONTEXT, **opened()) is None

    @pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.SCORED])
    def test_ch43_what_was_not_scored_is_never_taken_for_low(self, outcome: Outcome) -> None:
        with pytest.raises(ResultError, match="was not scored"):
            risk_card(PatientResult("p-1", outcome), CONTEXT, **opened())

    def test_ra12_a_level_that_contradicts_the_bounds_is_refused(self) -> None:
        with pytest.raises(ResultError, match="other bounds"):
            risk_card(scored(0.85, RiskLevel.LOW), CONTEXT, **opened())

    def test_a_moment_without_a_zone_is_refused(self) -> None:
        for make, found in ((risk_card, HIGH), (not_computed_card, TOO_FEW)):
            with pytest.raises(ResultError, match="no zone"):
                make(found, CONTEXT, **opened(shown_at=datetime(2026, 3, 10)))  # noqa: DTZ001

    @given(
        st.integers(min_value=0, max_value=10_000),
        st.floats(min_value=0.0001, max_value=0.9998),
        st.floats(min_value=0.0001, max_value=0.9999),
    )
    def test_ra12_no_percentage_contradicts_the_level_whatever_the_bounds(
        self, n: int, one: float, other: float
    ) -> None:
        low, high = sorted((one, other))
        bounds = RiskLevels(moderate=low, high=high) if low < high else RiskLevels()
        context = replace(CONTEXT, risk_levels=bounds)
        said = level(n / 10_000, bounds)
        made = risk_card(scored(n / 10_000, said), context, **opened())
        if said is RiskLevel.LOW:
            assert made is None
            return
        assert made is not None
        (word, percent), (again, exact) = (
            re.search(r"\b([A-Z]{3,}):? \(?([\d.]+)%", made[name]).groups()
            for name in ("summary", "detail")  # type: ignore[union-attr]
        )
        assert word == again == said.name
        assert level(float(percent) / 100, bounds) is said
        assert round(float(exact) * 100) == n
        assert (float(percent) == 100) is (n == 10_000)
        assert len(made["summary"]) < 140

    @pytest.mark.parametrize(
        ("probability", "said"),
        [(0.6999, "MODERATE (69.99%)"), (0.695, "MODERATE (69.5%)"), (0.694, "MODERATE (69%)"), (0.7, "HIGH (70%)"),
         (0.7001, "HIGH (70%)"), (0.9999, "HIGH (99.99%)"), (0.996, "HIGH (99.6%)"), (0.995, "HIGH (99.5%)"),
         (1.0, "HIGH (100%)"), (0.4, "MODERATE (40%)"), (0.4049, "MODERATE (40%)")],
    )  # fmt: skip
    def test_ra12_as_many_decimals_as_are_needed(self, probability: float, said: str) -> None:
        found = scored(probability, level(probability, sepsis().risk_levels))
        assert card(found)["summary"] == f"Sepsis Risk: {said}"

    def test_ra25_the_card_says_the_probability_of_the_result_to_its_last_digit(self) -> None:
        found = result(chart(), rule_bundle())
        made = card(found, context_of(model=rule_bundle()))
        assert found.probability is not None
        (exact,) = re.findall(r"\*\*HIGH: ([\d.]+)%\*\*", made["detail"])
        assert round(float(exact) * 100) / 10_000 == found.probability


class TestTheDetail:
    def test_ch4f_every_input_with_value_unit_time_and_age(self) -> None:
        table = rows(card())
        assert table["Input"] == ["Value", "Measured (UTC)", "Age", "Remarks"]
        assert table["Heart rate"] == ["113 /min", "2026-03-10T11:00Z", "60 min", "–"]
        assert table["Temperature"] == ["38.4 °C", "2026-03-10T10:00Z", "2 h", "mean of 2 values"]
        assert table["White blood cells"] == ["28.5 10³/µL", "2026-03-10T08:00Z", "4 h", "mean of 4 values"]
        assert table["Age"] == ["60 years", "–", "–", "age from a birth date of year precision"]
        assert table["Sex (male 1, female 0)"] == ["1", "–", "–", "–"]
        assert len(table) == 1 + len(HIGH.inputs)

    def test_ch4f_times_are_in_utc_whatever_zone_they_come_in(self) -> None:
        from zoneinfo import ZoneInfo

        moved = tuple(replace(i, time=i.time and i.time.astimezone(ZoneInfo("Asia/Kathmandu"))) for i in HIGH.inputs)
        shown = T.astimezone(ZoneInfo("America/New_York"))
        assert card(replace(HIGH, inputs=moved), shown_at=shown) == card()

    def test_ch4g_imputed_inputs_are_marked_and_the_score_is_called_preliminary(self) -> None:
        made = card(MODERATE, remarks={"lactate": NOT_SENT})
        assert rows(made)["Lactate"] == ["1.5 mmol/L", "–", "–", "imputed; not sent by the EHR"]
        assert "**Preliminary:** 1 of 8 inputs not observed" in made["detail"]
        assert "Preliminary" not in card()["detail"]

    def test_ch4g_an_input_that_the_model_itself_does_without_is_marked(self) -> None:
        gone = tuple(replace(LACTATE, value=None) if i.feature == "lactate" else i for i in HIGH.inputs)
        cells = rows(card(replace(HIGH, inputs=gone)))["Lactate"]
        assert cells == ["none", "–", "–", "imputed by the model itself; no value in the last 24 h"]

    def test_ch4f_a_value_older_than_the_window_is_listed_as_stale_with_its_age(self) -> None:
        made = card(MODERATE, stale={"lactate": ago(hours=30), "heart_rate": ago(hours=40)})
        table = rows(made)
        stale = "stale: the newest value is of 2026-03-09T06:00Z (30 h), older than 24 h, and not used"
        assert table["Lactate"][-1] == f"imputed; {stale}"
        assert table["Heart rate"][-1] == "–", "what was observed is not stale"

    def test_ch4g_the_strongest_reasons_with_their_direction(self) -> None:
        told = "Lactate 3.9 mmol/L raises it (+1.40), Heart rate 113 /min raises it (+0.91), "
        told += "Creatinine 1.6 mg/dL lowers it (-0.35)"
        inputs = tuple(replace(i, value=3.9) if i.feature == "lactate" else i for i in HIGH.inputs)
        assert f"Strongest reasons, in log-odds of the risk: {told}." in card(replace(HIGH, inputs=inputs))["detail"]
        assert "Lactate (imputed) raises it" in card(MODERATE)["detail"]

    @pytest.mark.parametrize(
        ("contributions", "words"),
        [(None, "Reasons: this model gives none."), ({}, "no input moved the score"),
         ({"age": 0.0049}, "no input moved the score"), ({"age": -0.005, "lactate": 0.0}, "Age 60 years lowers it (-0.01)")],
    )  # fmt: skip
    def test_ch4g_where_there_are_no_reasons_the_card_says_so(self, contributions: Any, words: str) -> None:
        assert words in card(replace(HIGH, contributions=contributions))["detail"]

    def test_ch4g_bounds_and_threshold_model_and_its_card(self) -> None:
        told = card()["detail"]
        assert "Levels: MODERATE from 40%, HIGH from 70%. The model's own threshold, from its training: 30.59%." in told
        assert (
            "Predicted: Sepsis, unspecified organism. Screen sepsis 1.0.0, model sepsis 2.1.0, sha256 0123456789ab"
            in told
        )
        assert "[model card](https://cds.example.org/models/sepsis/2.1.0/model-card)" in told
        assert "research software, not a medical device" in told
        without = context_of(model=replace(MODEL, threshold=None, sha256=""))
        assert "The model carries no threshold of its own." in card(context=without)["detail"]
        assert "sha256" not in card(context=without)["detail"]

    @pytest.mark.parametrize(
        ("manifest", "words"),
        [({"synthetic": True}, "must not be used for real ones"), ({}, "is not known"),
         ({"tiny": True}, "very few patients"), ({"synthetic": False}, None)],
    )  # fmt: skip
    def test_ch4g_whom_the_model_learned_from(self, manifest: dict[str, bool], words: str | None) -> None:
        told = card(context=context_of(model=replace(MODEL, manifest=manifest)))["detail"]
        assert (words in told) if words else not re.search("synthetic|not known|very few", told)

    def test_remarks_that_have_no_row_are_told_below(self) -> None:
        made = card(remarks={"patient": "the server's <b>words</b>", "heart_rate": "one page of several", "odd": ""})
        assert "Also: patient: the server's &lt;b&gt;words&lt;/b&gt;." in made["detail"]
        assert rows(made)["Heart rate"][-1] == "one page of several"

    def test_a_value_from_after_the_card_is_called_so(self) -> None:
        assert rows(card(shown_at=ago(days=1)))["Heart rate"][2] == "later than this card"

    @settings(max_examples=40)
    @given(FOREIGN, FOREIGN, FOREIGN, FOREIGN)
    def test_ch46_no_foreign_text_becomes_an_element_of_the_card(
        self, name: str, unit: str, note: str, remark: str
    ) -> None:
        odd = Input("lactate", name, unit, 1.5, T, 3, note=note)
        found = replace(
            MODERATE, inputs=(odd, *MODERATE.inputs[:2], replace(odd, feature="wbc", imputed=True, time=None))
        )
        for made in (
            card(found, remarks={"lactate": remark, "odd": remark}),
            not_computed(replace(TOO_FEW, detail=("lactate", name)), remarks={"lactate": remark, name: note}),
            earlier(replace(EARLIER, model_name=name, model_version=note, model_sha256="0"), remarks={"wbc": remark}),
        ):
            html = Rendered(made["detail"])
            assert set(html.elements) <= {"p", "table", "thead", "tbody", "tr", "th", "td", "strong", "a"}
            assert html.attributes == [("href", CONTEXT.model_card_url)]
            assert html.elements.count("table") <= 1
            assert len({len(row) for row in html.rows}) <= 1
            for text in (made["summary"], *(text for part in made.get("suggestions", ()) for text in texts_in(part))):
                assert not re.search(r"[<>\n]", text)
            json.dumps(made, ensure_ascii=False).encode()


class TestNotComputed:
    def test_ch42_an_info_card_that_names_what_is_missing(self) -> None:
        made = not_computed(
            stale={"lactate": ago(hours=30)}, remarks={"wbc": NOT_SENT, "creatinine": "could not be read"}
        )
        assert made["indicator"] == "info"
        assert made["summary"] == "Sepsis risk not computed: missing Heart rate, Respiratory rate and 2 more"
        assert rows(made) == {
            "Input": ["Newest value, too old to count (UTC)", "Age", "Remarks"],
            "Heart rate": ["–", "–", "missing"],
            "Respiratory rate": ["–", "–", "missing"],
            "White blood cells": ["–", "–", "missing; not sent by the EHR"],
            "Lactate": ["2026-03-09T06:00Z", "30 h", "missing"],
            "Creatinine": ["–", "–", "could not be read"],
        }
        assert "**No score, as of 2026-03-10T12:00Z.** This is not a low risk." in made["detail"]
        needed = "at least 3 observed inputs of the last 24 h; never without: Heart rate, Respiratory rate, Age."
        assert f"A score needs {needed}" in made["detail"]

    def test_ch42_no_percentage_appears(self) -> None:
        for outcome in (one for one in Outcome if one is not Outcome.SCORED):
            made = not_computed(replace(TOO_FEW, outcome=outcome), stale={"lactate": ago(hours=30)})
            assert "%" not in json.dumps(made)

    @pytest.mark.parametrize(
        ("outcome", "why"),
        [(Outcome.EXCLUDED, "deceased before the prediction time"), (Outcome.NOT_FOUND, "no Patient resource of this id"),
         (Outcome.FAILED, "the Patient carries implicitRules or an unknown modifierExtension")],
    )  # fmt: skip
    def test_ch42_other_reasons_are_told_too(self, outcome: Outcome, why: str) -> None:
        made = not_computed(PatientResult("p-1", outcome, (why,), T), remarks={"patient": "remark"})
        assert made["summary"].startswith(f"Sepsis risk not computed: {why[:30]}")
        assert f"Why: {why}." in made["detail"]
        assert "Also: patient: remark." in made["detail"]
        assert "A score needs" not in made["detail"]
        assert "suggestions" not in made

    def test_ch42_no_reason_at_all_is_still_no_low_risk(self) -> None:
        made = not_computed(PatientResult("p-1", Outcome.INSUFFICIENT_DATA))
        assert made["summary"] == "Sepsis risk not computed: no data"
        assert "This is not a low risk." in made["detail"]

    def test_a_score_is_not_hidden_behind_it(self) -> None:
        with pytest.raises(ResultError, match="was scored"):
            not_computed_card(HIGH, CONTEXT, **opened())


class TestEarlier:
    def test_it_shows_the_last_screening_with_time_age_and_model(self) -> None:
        made = earlier()
        assert (
            made["summary"]
            == "Sepsis Risk: HIGH (85%) at the screening 9 h 20 min ago; too little data for a score now"
        )
        told = made["detail"]
        assert "**HIGH: 85.12%** at the screening of 2026-03-10T02:40Z, 9 h 20 min before this card." in told
        assert "The chart has too little data for a score now." in told
        assert "That screening: model sepsis 2.1.0, sha256 0123456789ab, 7 resources used, RiskAssessment/r-1." in told
        assert "another model" not in told
        assert list(rows(made)) == ["Input", "Heart rate", "Respiratory rate", "White blood cells", "Lactate"]

    @pytest.mark.parametrize(
        ("probability", "risk", "indicator"),
        [(0.85, RiskLevel.HIGH, "critical"), (0.5, RiskLevel.MODERATE, "warning"), (0.1, RiskLevel.LOW, "info")],
    )
    def test_its_level_is_the_indicator_and_low_is_shown_too(
        self, probability: float, risk: RiskLevel, indicator: str
    ) -> None:
        made = earlier(replace(EARLIER, probability=probability, risk_level=risk))
        assert made["indicator"] == indicator
        assert risk.name in made["summary"]

    def test_another_model_and_a_preliminary_one_are_told(self) -> None:
        told = earlier(replace(EARLIER, model_sha256="f" * 64, preliminary=True))["detail"]
        assert "It was preliminary" in told
        assert (
            "It was another model than the one below. Whether the model was trained on real patients is not known."
            in told
        )

    @pytest.mark.parametrize(
        ("change", "words"),
        [({"patient_id": "p-2"}, "another's screening"), ({"probability": 0.1}, "other bounds"),
         ({"occurred": T + timedelta(seconds=1)}, "after the moment")],
    )  # fmt: skip
    def test_what_is_not_this_patients_is_refused(self, change: dict[str, Any], words: str) -> None:
        with pytest.raises(ResultError, match=words):
            earlier_card(replace(EARLIER, **change), TOO_FEW, CONTEXT, **opened())

    @pytest.mark.parametrize("outcome", [Outcome.EXCLUDED, Outcome.FAILED, Outcome.NOT_FOUND])
    def test_it_stands_in_for_too_little_data_alone(self, outcome: Outcome) -> None:
        with pytest.raises(ResultError, match="no earlier screening stands in"):
            earlier_card(EARLIER, PatientResult("p-1", outcome, ("why",)), CONTEXT, **opened())

    def test_a_live_score_comes_first(self) -> None:
        with pytest.raises(ResultError, match="the score must be shown"):
            earlier_card(EARLIER, HIGH, CONTEXT, **opened())


class TestOrders:
    def test_ch49_what_is_missing_can_be_ordered_as_a_whole_service_request(self) -> None:
        from fhir.resources.R4B.servicerequest import ServiceRequest

        made = card(
            MODERATE, remarks={"lactate": NOT_SENT}, patient_reference="Patient/x", encounter_reference="Encounter/e-9"
        )
        assert made["selectionBehavior"] == "any"
        (suggestion,) = made["suggestions"]
        assert suggestion["label"] == "Order Lactate"
        (action,) = suggestion["actions"]
        assert (action["type"], action["description"]) == ("create", "Order Lactate: not sent by the EHR")
        name = "Lactate [Moles/volume] in Serum or Plasma"
        assert action["resource"] == {
            "resourceType": "ServiceRequest", "status": "draft", "intent": "proposal",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7", "display": name}], "text": name},
            "subject": {"reference": "Patient/x"}, "encounter": {"reference": "Encounter/e-9"},
        }  # fmt: skip
        ServiceRequest.model_validate(action["resource"])

    def test_ch49_without_a_known_encounter_there_is_none(self) -> None:
        (suggestion,) = card(MODERATE)["suggestions"]
        (action,) = suggestion["actions"]
        assert action["description"] == "Order Lactate: no value in the last 24 h"
        assert action["resource"]["subject"] == {"reference": "Patient/p-1"}
        assert "encounter" not in action["resource"]

    def test_ch49_only_what_is_missing_and_can_be_ordered_is_suggested(self) -> None:
        assert "suggestions" not in card()
        assert "selectionBehavior" not in card()
        for made in (not_computed(), earlier()):
            assert [one["label"] for one in made["suggestions"]] == ["Order White blood cells", "Order Lactate"]

    def test_ch4c_a_system_action_carries_the_whole_risk_assessment(self) -> None:
        action = create_action(assessment())
        assert action == {"type": "create", "resource": assessment()}
        assert problems_of_response({"cards": [], "systemActions": [action]}) == []

    def test_ch4c_no_card_asks_for_it_by_itself(self) -> None:
        assert all("systemActions" not in made for made in (card(), not_computed(), earlier()))


class TestEveryCard:
    @pytest.mark.parametrize("make", [card, not_computed, earlier])
    def test_ch45_each_card_and_suggestion_has_a_uuid_of_its_own(self, make: Any) -> None:
        from uuid import UUID, uuid4

        new = {"new_id": lambda: str(uuid4())}
        one, other = make(**new), make(**new)
        found = [made["uuid"] for part in (one, other) for made in (part, *part.get("suggestions", ()))]
        assert all(UUID(text).version == 4 for text in found)
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize("make", [card, not_computed, earlier])
    def test_ch4a_ch47_mc03_it_links_to_the_model_card_and_says_who_says_so(self, make: Any) -> None:
        made = make()
        url = "https://cds.example.org/models/sepsis/2.1.0/model-card"
        assert made["links"] == [{"label": "Model card of sepsis 2.1.0", "url": url, "type": "absolute"}]
        topic = {"system": "urn:airflow-risk-screening:schema", "code": "sepsis", "display": "Sepsis"}
        assert made["source"] == {"label": "Sepsis risk screening", "url": url, "topic": topic}

    @pytest.mark.parametrize("make", [card, not_computed, earlier])
    def test_ch4b_the_override_reasons_are_of_the_code_system_with_their_displays(self, make: Any) -> None:
        reasons = make()["overrideReasons"]
        assert 4 <= len(reasons) <= 6
        assert {one["system"] for one in reasons} == {
            "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
        }
        assert {one["code"] for one in reasons} >= {"action-completed", "patient-ineligible", "need-more-info"}
        assert all(one["display"] for one in reasons)

    @pytest.mark.parametrize("make", [card, not_computed, earlier])
    def test_ch4d_f29_it_has_no_attribute_that_the_specification_does_not_have(self, make: Any) -> None:
        assert "title" not in make()
        assert "actionSelectionBehavior" not in json.dumps(make())

    @pytest.mark.parametrize("make", [card, not_computed, earlier])
    def test_a_card_may_be_changed_without_changing_the_next(self, make: Any) -> None:
        made = make()
        expected = json.dumps(made)
        made["source"]["topic"].clear()
        made["overrideReasons"][0].clear()
        made["links"][0].clear()
        for one in made.get("suggestions", ()):
            one["actions"][0]["resource"]["code"]["coding"][0].clear()
        assert json.dumps(make()) == expected

    @given(FOREIGN, st.integers(min_value=4000, max_value=10_000), st.timedeltas(timedelta(0), timedelta(days=40_000)))
    def test_ch44_ch48_every_summary_fits_whatever_the_title(self, title: str, n: int, age: timedelta) -> None:
        context = context_of(sepsis().model_copy(update={"title": title * 3}))
        occurred = T.replace(tzinfo=UTC) - age if age < timedelta(days=700_000) else T
        found = scored(n / 10_000, level(n / 10_000, context.risk_levels))
        before = replace(EARLIER, probability=found.probability, risk_level=found.risk_level, occurred=occurred)
        for made in (card(found, context), not_computed(context=context), earlier(before, context=context)):
            assert len(made["summary"].encode("utf-16-le")) // 2 < 140
            assert made["summary"].count("\n") == 0


@given(st.sets(st.sampled_from(sorted(CONTEXT.features)), min_size=1))
def test_ch30_a_low_risk_from_incomplete_data_is_a_card(lost: set[str]) -> None:
    low = scored(0.399, RiskLevel.LOW)
    assert risk_card(low, CONTEXT, **opened()) is None
    made = card(low, incomplete=lost)
    assert made["indicator"] == "info"
    assert made["summary"].startswith("Sepsis Risk: LOW (39.9%) from incomplete data: ")
    first = next(words.display for name, words in CONTEXT.features.items() if name in lost)
    assert first in made["summary"]
    assert "**Incomplete:**" in made["detail"]
    assert set(Rendered(made["detail"]).elements) <= {"p", "strong", "a", "table", "thead", "tbody", "tr", "th", "td"}


def test_what_has_no_row_is_told_in_one_order_whatever_the_order_of_the_remarks() -> None:
    remarks = {"wbc": "odd", "patient": "odd", "heart_rate": "odd"}
    excluded = PatientResult("p-1", Outcome.EXCLUDED, ("deceased",), T)
    details = {
        not_computed(excluded, remarks=dict(order))["detail"] for order in (remarks.items(), reversed(remarks.items()))
    }
    assert len(details) == 1
