"""The FHIR R4 REST client: `client.FhirClient` with `settings.ClientSettings` and one of `auth`."""
