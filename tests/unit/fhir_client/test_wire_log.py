import logging
import threading

import pytest

from screening.fhir_client.wire_log import no_urls_logged

NAMES = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


@pytest.mark.parametrize("name", NAMES)
def test_urllib3_is_silent_inside_and_as_before_outside(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wire = logging.getLogger(name)
    with no_urls_logged():
        wire.debug("inside")
        wire.warning("inside")
    wire.debug("outside")
    assert caplog.messages == ["outside"]


def test_other_threads_and_other_loggers_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with no_urls_logged():
        thread = threading.Thread(target=logging.getLogger(NAMES[0]).debug, args=("other thread",))
        thread.start()
        thread.join()
        logging.getLogger("screening").debug("own line")
    assert caplog.messages == ["other thread", "own line"]


def test_an_exception_ends_the_silence(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), no_urls_logged():
        raise ZeroDivisionError
    logging.getLogger(NAMES[0]).warning("after")
    assert caplog.messages == ["after"]
