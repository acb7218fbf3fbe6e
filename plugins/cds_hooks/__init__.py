"""The CDS Hooks edge: a Flask sidecar that answers `patient-view` with the card that screening would have agreed with."""
