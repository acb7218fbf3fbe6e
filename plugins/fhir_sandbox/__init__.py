"""A small FHIR R4 server for the demo and the tests; it is never on the production path.

What it is: Flask over SQLite, with the interactions that a screening client uses, switches (`Behaviour`) that make it
answer as Medplum, HAPI, Google, Azure or Oracle's server answer where they differ, and faults (`Faults`) that break its
answers on purpose.

What it is not: a FHIR server to keep patients' records in. It validates no more than the structure that it needs to
store and find a resource (ids, references, dates, the shape of what is indexed): a RiskAssessment without a status is
accepted. It knows the search parameters of its CapabilityStatement and no others. It has no access control beyond one
fixed bearer token, no TLS, no audit. A decimal's trailing zeros are lost (`98.60` comes back as `98.6`). Each interaction
within a batch is a transaction of its own; written data survive the death of the process but not, for the last
transactions, the loss of power (SQLite WAL, `synchronous=NORMAL`).

It imports nothing of this project: what the tests show of the client does not rest on the client's own code.
"""
