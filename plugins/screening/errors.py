"""Everything that can go wrong, as one tree.

::

    ScreeningError
    ├── FatalError                a repeat cannot help: the run is set up wrongly
    │   ├── SchemaError           the schema YAML
    │   ├── ModelError            the model file, its manifest or its fit to the schema
    │   ├── DataFileError         a file handed to the command line or found in staging
    │   ├── ResultError           a resource of ours that must not leave
    │   ├── HookServiceError      the CDS service that our client was pointed at
    │   └── FhirFatalError        the FHIR server's final no
    │       ├── FhirNotFound      404
    │       ├── FhirGone          410
    │       └── FhirNotFhir       an answer that is not FHIR: an HTML page, broken JSON
    └── TemporaryError            a repeat may help: Airflow retries the task
        └── FhirTemporaryError    unreachable, timed out, 429, 5xx

Temporary or fatal is a property of the class, so that an operator needs no list of its own. A message says what failed,
where (a file, a key, a logical id, a URL without its query) and what to do. It never carries a name, a birth date, an
identifier of a patient, a value or a search's parameters: messages end in logs.
"""


class ScreeningError(Exception):
    """Anything that this library refuses or fails at."""


class FatalError(ScreeningError):
    """A repeat cannot help."""


class TemporaryError(ScreeningError):
    """A repeat may help."""


class SchemaError(FatalError):
    """The schema YAML is unreadable, has unknown keys or contradicts itself.

    Attributes
    ----------
    problems
        One sentence a problem, each beginning with the path of its key.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{source}: {len(problems)} problem(s):\n{lines}")


class ModelError(FatalError):
    """The model file cannot be trusted, cannot be read, or does not fit the schema."""


class DataFileError(FatalError):
    """A data file is missing, empty or not what it should be."""


class ResultError(FatalError):
    """A resource that we made is not fit to be written; a defect of ours or a model's."""


class HookServiceError(FatalError):
    """The CDS service that our client was pointed at does not answer, or is not one that it can call."""


class FhirFatalError(FatalError):
    """The FHIR server refused for good, or cannot do what is needed.

    Attributes
    ----------
    status
        The HTTP status, or None where there was no HTTP answer to judge.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class FhirNotFound(FhirFatalError):  # noqa: N818 - the HTTP status' own name
    """404: the server does not know this resource."""


class FhirGone(FhirFatalError):  # noqa: N818 - the HTTP status' own name
    """410: the resource was deleted."""


class FhirNotFhir(FhirFatalError):  # noqa: N818
    """The answer is not FHIR JSON: most often a wrong base URL or a proxy's page."""


class FhirTemporaryError(TemporaryError):
    """Unreachable, timed out, throttled or a 5xx, after the client's own retries.

    Attributes
    ----------
    status
        The HTTP status, or None where no answer came.
    retry_after
        Seconds that the server asked us to wait, if it did.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)
