import base64

import pytest

from screening.errors import FhirFatalError
from screening.fhir_client.auth import Auth, BasicAuth, BearerAuth, NoAuth


def _headers(auth: Auth) -> dict[str, str]:
    headers = {"Accept": "x"}
    auth(headers)
    return headers


def test_each_scheme_adds_its_header_and_has_no_second_try() -> None:
    assert _headers(NoAuth()) == {"Accept": "x"}
    assert _headers(BearerAuth("t0ken")) == {"Accept": "x", "Authorization": "Bearer t0ken"}
    basic = _headers(BasicAuth("user", "pä:ss"))["Authorization"]
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == "user:pä:ss"
    assert not any(auth.invalidate({}) for auth in (NoAuth(), BearerAuth("t"), BasicAuth("u", "p")))


def test_secrets_are_in_no_repr() -> None:
    assert repr(NoAuth()) == "NoAuth()"
    assert repr(BearerAuth("t0ken")) == "BearerAuth(***)"
    assert repr(BasicAuth("user", "sesame")) == "BasicAuth(***)"


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "tökèn"])
def test_tokens_that_no_header_carries_are_refused_unrepeated(token: str) -> None:
    with pytest.raises(FhirFatalError, match="bearer token") as caught:
        BearerAuth(token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("user", ["", "a:b"])
def test_users_that_basic_cannot_carry_are_refused(user: str) -> None:
    with pytest.raises(FhirFatalError, match="colon"):
        BasicAuth(user, "sesame")
