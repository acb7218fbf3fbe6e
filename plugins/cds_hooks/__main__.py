"""`python -m cds_hooks`: the sidecar, served by gunicorn; all settings are `CDS_…` variables (docs/cds-hooks.md)."""

import os
import sys

from cds_hooks.settings import SettingsError, from_environment


def main() -> int:
    """Serve until a signal ends it; return 2 where the settings are unfit."""
    # Before anything imports XGBoost, which reads it then. With OpenMP's default the threads of two workers, each with one
    # row to score, wait for each other: 150 requests/s instead of 1,000.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        settings = from_environment()
        from cds_hooks.gunicorn_conf import WARM, Sidecar, application, begin_figures, options

        begin_figures(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    Sidecar(options(settings), application, WARM).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
