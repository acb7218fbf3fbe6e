"""The command line: `python -m screening …`.

schema check    does a schema hold together, and does data cover it
featurize       the feature matrix of FHIR files
score           probability, level and reasons of FHIR files
model           list, show, promote, roll back and check models
seed            load the synthetic hospital into a FHIR server
train           train a model from MIMIC-IV, judge it, and publish what passes
demo-patients   find patients of each risk level, and write and upload their files
parity          hold MIMIC-IV's tables against the same patients on FHIR, bit for bit
feedback        what users did with the sidecar's cards
cds-client      open charts as an EHR does: call a CDS Hooks service and print its cards
cds-keys        make a key pair for an EHR that signs its calls
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from screening import commands, demo_commands, feedback_commands, hook_commands, model_commands, train_commands
from screening.errors import ScreeningError
from screening.server_option import add_server
from screening.training.plan import INVENTED_PATIENTS

ROOT = Path(__file__).resolve().parents[2]
UNVERIFIED = "load a model file that no manifest vouches for: it may run any code, so only if you trust who made it"


def moment(text: str) -> datetime | str:
    """Read a prediction time: `latest`, or an ISO time with its zone."""
    if text == "latest":
        return text
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write `latest` or an ISO time such as 2026-03-01T02:00:00+00:00") from None
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError("the time has no zone: write it like 2026-03-01T02:00:00+00:00")
    return found


def at_least_one(text: str) -> int:
    """Read a number of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("write a whole number, 1 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="python -m screening", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = whole.add_subparsers(dest="verb", required=True)
    schemas, models = ROOT / "include" / "schemas" / "sepsis.yaml", ROOT / "include" / "models"

    def add(group: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    check = add(
        verbs.add_parser("schema", help="look at a schema").add_subparsers(dest="what", required=True),
        "check", commands.schema_check, "Does a schema hold together, and does data cover it?",
    )  # fmt: skip
    check.add_argument("schema", type=Path)
    check.add_argument(
        "--against", type=Path, nargs="+", default=[], help="FHIR files or folders: what of them counts?"
    )

    for name, run, text in (
        ("featurize", commands.featurize, "Print the feature matrix of FHIR files."),
        ("score", commands.score, "Score the patients of FHIR files."),
    ):
        made = add(verbs, name, run, text)
        made.add_argument("files", type=Path, nargs="+", help="Bundles, prefetch objects or ndjson; folders of them")
        made.add_argument("--schema", type=Path, default=schemas)
        made.add_argument(
            "--prediction-time", type=moment, default="latest", help="`latest` or an ISO time (default: latest)"
        )
        made.add_argument("--zone", help="the site's time zone, for times without one")
        made.add_argument("--json", action="store_true", help="print JSON, with inputs, reasons and basis")
        if name == "score":
            made.add_argument("--models", type=Path, default=models, help="the model registry")
            made.add_argument("--model", type=Path, help="a model file instead of the registry's champion")
            made.add_argument("--allow-unverified", action="store_true", help=UNVERIFIED)

    kinds = verbs.add_parser("model", help="look at models").add_subparsers(dest="what", required=True)
    for name, run, text in (
        ("list", model_commands.model_list, "Every version of a model, or of all: the champion has a star."),
        ("show", model_commands.model_show, "What the champion, or one version, is."),
        ("promote", model_commands.model_promote, "Make a published version the champion."),
        ("rollback", model_commands.model_rollback, "Make the champion before the present one champion again."),
        ("check", model_commands.model_check, "Would this model file drop in? Every check, with its reason."),
    ):
        made = add(kinds, name, run, text)
        made.add_argument("--models", type=Path, default=models, help="the model registry")
        if name in ("list", "show", "promote", "rollback"):
            made.add_argument("name", nargs="?" if name == "list" else None, help="the model, such as sepsis")
        if name in ("show", "promote"):
            made.add_argument("version", nargs="?" if name == "show" else None)
        if name == "show":
            shown = made.add_mutually_exclusive_group()
            shown.add_argument("--card", action="store_true", help="print the model card")
            shown.add_argument("--json", action="store_true", help="print JSON, with manifest and metrics")
        if name == "check":
            made.add_argument("--schema", type=Path, default=schemas)
            made.add_argument("file", type=Path)
            made.add_argument("--allow-unverified", action="store_true", help=UNVERIFIED)

    parity = add(
        verbs, "parity", commands.parity,
        "Do MIMIC-IV's tables and the same patients on FHIR give the same features, bit for bit?",
    )  # fmt: skip
    parity.add_argument("--mimic", type=Path, required=True, help="the folder with hosp and icu in it")
    parity.add_argument("--fhir", type=Path, required=True, help="files of MIMIC-IV on FHIR, or a folder of them")
    parity.add_argument("--schema", type=Path, default=schemas)
    parity.add_argument("--plan", type=Path, default=ROOT / "include" / "training" / "sepsis.yaml")

    train = add(verbs, "train", train_commands.train, "Train a model from MIMIC-IV, judge it, and publish what passes.")
    train.add_argument("--mimic", type=Path, metavar="DIR", help="the folder with hosp and icu in it")
    train.add_argument(
        "--postgres", metavar="CONNINFO", help="libpq's connection string of a database built with mimic-code, instead; "
        "a password belongs into PGPASSWORD or ~/.pgpass",
    )  # fmt: skip
    train.add_argument(
        "--synthetic-patients", type=at_least_one, default=INVENTED_PATIENTS,
        help=f"size of the invented hospital where neither is given (default: {INVENTED_PATIENTS})",
    )  # fmt: skip
    train.add_argument("--plan", type=Path, default=ROOT / "include" / "training" / "sepsis.yaml")
    train.add_argument("--schema", type=Path, help="instead of the plan's")
    train.add_argument("--schemas", type=Path, default=schemas.parent, help="the folder of the plan's schema")
    train.add_argument("--models", type=Path, default=models, help="the model registry")
    train.add_argument(
        "--reports", type=Path, default=ROOT / "var" / "reports" / "train", help="the folder for the report"
    )
    train.add_argument("--candidates", help="of the plan's, with commas between")
    train.add_argument("--after-intime", metavar="24h", help="look at a stay so long after it began")
    train.add_argument("--seed", type=int)
    train.add_argument(
        "--allow-tiny", action="store_true", help="publish a model of too few patients to judge it by, marked as such"
    )

    demo = add(
        verbs, "demo-patients", demo_commands.demo,
        "Find patients of high, moderate and low risk in FHIR files; write a prefetch and a transaction Bundle of each.",
    )  # fmt: skip
    demo.add_argument("--mimic-fhir", type=Path, required=True, help="files of MIMIC-IV on FHIR, or a folder of them")
    demo.add_argument("--out", type=Path, required=True, help="the folder for the files")
    demo.add_argument("--per-level", type=at_least_one, default=1, help="patients of each level (default: 1)")
    demo.add_argument("--minimal", action="store_true", help="only the observations that the score rests on")
    add_server(demo, "--upload", "FHIR base URL to load the transactions into", required=False)
    demo.add_argument("--schema", type=Path, default=schemas)
    demo.add_argument("--models", type=Path, default=models, help="the model registry")
    demo.add_argument(
        "--prediction-time", type=moment, default="latest", help="`latest` or an ISO time (default: latest)"
    )
    demo.add_argument("--zone", help="the site's time zone, for times without one")

    seed = add(verbs, "seed", commands.seed, "Load the synthetic hospital into a FHIR server.")
    add_server(seed, "--url", "FHIR base URL; a test server's, never a real hospital's", required=True)
    seed.add_argument("--size", type=int, default=200)
    seed.add_argument("--seed", type=int, default=7)
    seed.add_argument(
        "--now", type=moment, default=datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    )
    seed.add_argument("--style", choices=("loinc", "mimic"), default="loinc")
    seed.add_argument("--ids", choices=("client", "server"), default="client", help="who chooses the resources' ids")
    feedback_commands.add_feedback(verbs)
    hook_commands.add_to(verbs, schemas)
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status: 0 fine, 1 the answer is no, 2 it could not be done."""
    chosen = parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except ScreeningError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
