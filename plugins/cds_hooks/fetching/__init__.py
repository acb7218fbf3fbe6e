"""Fetch what the EHR did not send with its call: from its own FHIR server where that is allowed, from ours, or from nowhere.

`fhirServer`, and every link that a server sends, is text that a stranger chose: `allowed` decides where we go, `scopes` what
we may ask there, `sources` binds the access token to that one server, and `fetcher` asks.
"""
