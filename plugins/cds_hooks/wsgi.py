"""The WSGI entry point: `cds_hooks.wsgi:application`, made of the `CDS_…` environment when this module is imported."""

import logging
import os

from cds_hooks.log_lines import LineHandler
from cds_hooks.settings import from_environment

_settings = from_environment()
_settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)  # first: a parent is made with the usual mode
_metrics = _settings.state / "metrics"
# prometheus_client decides at its own import whether its figures are shared between workers.
_metrics.mkdir(mode=0o700, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)

from cds_hooks.app import create_app  # noqa: E402

logging.basicConfig(level=logging.INFO, handlers=[LineHandler()])
application = create_app(_settings, shared_metrics=_metrics)
