"""A CDS Hooks client that calls a service as an EHR does: discovery, one request a chart, feedback."""
