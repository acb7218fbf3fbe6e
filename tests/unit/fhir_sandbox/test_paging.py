import re
from urllib.parse import urlsplit

import orjson
import pytest


def follow(fhir, path, each=lambda: None):
    """Give the ids of every page, a list a page."""
    pages = []
    while path:
        response = fhir("GET", path)
        assert response.status_code == 200
        bundle = orjson.loads(response.get_data())
        pages.append([entry["resource"]["id"] for entry in bundle.get("entry", [])])
        path = next_link(bundle)
        each()
    return pages


def flat(pages):
    return [each for page in pages for each in page]


def next_link(bundle):
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


@pytest.fixture
def ten(fhir, observation):
    fhir.put(*(observation(f"o{n}", time=f"2024-05-{n // 2 + 1:02}") for n in range(10)))


@pytest.mark.parametrize("sort", ["", "date", "-date", "_lastUpdated", "-_lastUpdated", "_id"])
def test_the_pages_together_hold_everything_once_and_in_order(fhir, ten, sort):
    suffix = f"&_sort={sort}" if sort else ""
    whole = fhir.ids("Observation", _count="100", **({"_sort": sort} if sort else {}))
    pages = follow(fhir, f"Observation?code=8867-4&_count=3{suffix}")
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert flat(pages) == whole


def test_a_last_page_that_is_just_full_has_no_next_link(fhir, ten):
    assert next_link(fhir.search("Observation", _count="10")) is None
    assert [len(page) for page in follow(fhir, "Observation?_count=5")] == [5, 5]


def test_twenty_is_the_default_and_a_thousand_the_most(fhir, observation):
    fhir.put(*(observation(f"o{n}") for n in range(1001)))
    assert len(fhir.ids("Observation")) == 20
    bundle = fhir.search("Observation", _count="5000")
    assert (bundle["total"], len(bundle["entry"])) == (1001, 1000)
    assert bundle["link"][0] == {"relation": "self", "url": "http://localhost/fhir/Observation?_count=1000"}


@pytest.mark.parametrize("sort", ["", "-date"])
def test_what_is_written_meanwhile_neither_repeats_nor_hides_a_resource(fhir, ten, observation, sort):
    written = iter(range(100))

    def disturb():
        number = next(written)
        fhir("PUT", f"Observation/a{number}", observation(f"a{number}", time="2024-05-03"))
        fhir("PUT", "Observation/o0", observation("o0", time="2024-05-01", note=[{"text": str(number)}]))

    seen = flat(follow(fhir, f"Observation?_count=2{'&_sort=' + sort if sort else ''}", disturb)[:20])
    assert len(seen) == len(set(seen))
    assert set(seen) >= {f"o{n}" for n in range(10)}


def test_a_deleted_resource_at_a_pages_end_does_not_break_the_next(fhir, ten):
    first = fhir.search("Observation", _count="4")
    fhir("DELETE", "Observation/o3")
    assert follow(fhir, next_link(first)) == [["o4", "o5", "o6", "o7"], ["o8", "o9"]]


def test_the_next_link_is_opaque_and_may_be_followed_again(fhir, ten):
    bundle = fhir.search("Observation", patient="p1", _count="4")
    link = next_link(bundle)
    assert re.fullmatch(r"http://localhost/fhir/Observation\?_cursor=[A-Za-z0-9_-]{22}==", link)
    first, second = (orjson.loads(fhir("GET", link).get_data()) for _ in range(2))
    assert first["entry"] == second["entry"]
    assert first["total"] == 10, "the first page's"
    assert first["link"][0]["url"] == link


def test_what_a_search_chose_holds_on_every_page(fhir, ten, observation):
    fhir.put(observation("other", patient="p2"))
    link = next_link(fhir.search("Observation", patient="p1", _count="4", _elements="status", _total="none"))
    page = orjson.loads(fhir("GET", link).get_data())
    assert "total" not in page
    assert all("effectiveDateTime" not in entry["resource"] for entry in page["entry"])
    assert flat(follow(fhir, link)) == ["o4", "o5", "o6", "o7", "o8", "o9"]


def test_a_next_link_must_be_one_that_was_given_out_and_followed_as_it_is(fhir, ten, says):
    link = next_link(fhir.search("Observation", _count="4"))
    assert says(fhir("GET", "Observation?_cursor=rubbish"))[0] == 400
    assert says(fhir("GET", link.replace("Observation?", "Patient?")))[0] == 400
    assert says(fhir("GET", link + "&_count=100"))[0] == 400
    assert says(fhir("GET", link + f"&_cursor={link[-24:]}"))[0] == 400


def test_a_next_link_expires(fhir, ten, clock, says):
    link = next_link(fhir.search("Observation", _count="4"))
    clock.pass_by(900)
    assert fhir("GET", link).status_code == 200
    clock.pass_by(1)
    assert says(fhir("GET", link))[:2] == (410, "expired")


def test_relative_links_lead_to_the_same_place(make_fhir, observation):
    fhir = make_fhir(next_link_style="relative")
    fhir.put(*(observation(f"o{n}") for n in range(5)))
    bundle = fhir.search("Observation", _count="3")
    assert bundle["link"][0]["url"] == "/fhir/Observation?_count=3"
    link = next_link(bundle)
    assert urlsplit(link).netloc == ""
    assert link.startswith("/fhir/Observation?_cursor=")
    assert follow(fhir, link) == [["o3", "o4"]]
    assert bundle["entry"][0]["fullUrl"] == "http://localhost/fhir/Observation/o0"


def test_the_oldest_next_links_are_forgotten_when_there_are_too_many(fhir, ten, says, monkeypatch):
    monkeypatch.setattr("fhir_sandbox.cursors._MOST", 2)
    links = [next_link(fhir.search("Observation", _count="4")) for _ in range(3)]
    assert says(fhir("GET", links[0]))[0] == 400
    assert [fhir("GET", link).status_code for link in links[1:]] == [200, 200]
