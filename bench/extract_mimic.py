"""Measure the extraction from MIMIC-IV's tables: training's stages cohort and extract, csv and csv.gz.

    .venv/bin/python bench/extract_mimic.py --million-rows 5 20 --peer-million-rows 2 5

Writes folders of generated rows (`bench/mimic_rows.py`) and removes them again. Each figure is of a process of its own, from
its start to its end, imports included: CPU seconds, user and system, of all its threads and children, and the peak of its
memory. Beside ours stand `gzip -dc FILE | wc -l` on the same chartevents, and a peer's way on a table that fits into memory:
`pandas.read_csv` of the whole, then a scan of it for each stay.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugins"))

PIPE = 'set -o pipefail; gzip -dc "$0" | wc -l'


def measure(*command: str) -> dict[str, Any]:
    """Run a command; return its CPU seconds, peak memory in MB, wall seconds and what it printed."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: exit status {child.returncode}")
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": used.ru_maxrss * 1024 / 1e6,
        "wall_s": time.monotonic() - began,
        "said": said.strip(),
    }


def itself(way: str, folder: Path) -> dict[str, Any]:
    """Measure one of the ways below in a process of its own."""
    measured = measure(sys.executable, __file__, "--way", way, str(folder))
    # What the kernel tells of a child begins with its parent's memory; the process itself knows its own.
    said, peak = measured["said"].rsplit("\n", 1)
    return measured | {"said": said, "rss_mb": int(peak) * 1024 / 1e6}


def own_peak() -> int:
    """Return the peak of this process's memory in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0])


def one_kind(folder: Path, suffix: str) -> Path:
    """Return a folder that has the tables with one suffix only, as links."""
    made = folder.with_name(f"{folder.name}{suffix}")
    for file in folder.glob(f"*/*{suffix}"):
        link = made / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(file)
    return made


def stages(folder: Path) -> str:
    """Run cohort and extract; return how many values there are and the digest of them, whatever their order."""
    from screening.readers.mimic_tables import CsvTables
    from screening.schema import load_schema
    from screening.training.plan import load_plan
    from screening.training.run import Job, cohort, extract

    schema = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
    plan = load_plan(ROOT / "include" / "training" / "sepsis.yaml")
    with tempfile.TemporaryDirectory() as staging:
        job, tables = Job(schema, plan, Path(staging)), CsvTables(folder)
        cohort(job, tables)
        count = extract(job, tables)["values"]
        return f"{count} values {digest(Path(staging))}"


def digest(folder: Path) -> str:
    """Return a short digest of what was extracted, whatever the order of its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = pa.concat_tables(pq.read_table(file) for file in folder.glob("values-*.parquet"))
    values = values.sort_by([(name, "ascending") for name in values.column_names])
    return hashlib.sha256(b"".join(column.to_numpy().tobytes() for column in values.columns)).hexdigest()[:8]


def peer(folder: Path) -> str:
    """Read whole tables with pandas and look through them for each stay, as the tutorial's training script does."""
    import pandas as pd

    suffix = ".csv.gz" if folder.name.endswith(".gz") else ".csv"
    stays = pd.read_csv(folder / "icu" / f"icustays{suffix}", parse_dates=["intime", "outtime"])
    charts = pd.read_csv(folder / "icu" / f"chartevents{suffix}", parse_dates=["charttime"], low_memory=False)
    count = 0
    charts = charts[charts["itemid"].isin([220045, 220210, 223761, 223762])]
    for stay in stays.itertuples():
        mine = charts[
            (charts["stay_id"] == stay.stay_id)
            & (charts["charttime"] >= stay.intime)
            & (charts["charttime"] <= stay.intime + pd.Timedelta(hours=24))
        ]
        count += len(mine)
    return f"{count} values"


WAYS = {"stages": stages, "peer": peer}


def rows_of(millions: float, folder: Path) -> Path:
    """Generate a folder unless it is there."""
    made = folder / f"{millions:g}M"
    if not made.exists():
        measure(sys.executable, str(ROOT / "bench" / "mimic_rows.py"), str(made), "--million-rows", str(millions))
    return made


def table(sizes: list[float], peer_sizes: list[float], folder: Path) -> None:
    """Measure everything once and print a line each."""
    found: dict[tuple[float, str, str], dict[str, Any]] = {}

    def note(millions: float, what: str, kind: str, measured: dict[str, Any]) -> None:
        found[(millions, what, kind)] = measured
        cpu, rss, wall, said = (measured[key] for key in ("cpu_s", "rss_mb", "wall_s", "said"))
        print(f"{millions:g}M {kind:<6} {what:<18} {cpu:7.1f} CPU s {rss:6.0f} MB {wall:7.1f} s   {said}", flush=True)

    for millions in sizes:
        made = rows_of(millions, folder)
        note(millions, "gzip -dc | wc -l", "csv.gz", measure("bash", "-c", PIPE, f"{made}/icu/chartevents.csv.gz"))
        for kind in ("csv.gz", "csv"):
            note(millions, "stages", kind, itself("stages", one_kind(made, f".{kind}")))
    for millions in peer_sizes:
        made = rows_of(millions, folder)
        for what in ("peer", "stages"):
            note(millions, what, "csv", itself(what, one_kind(made, ".csv")))
    small, large = found[(sizes[0], "stages", "csv.gz")], found[(sizes[-1], "stages", "csv.gz")]
    print(
        json.dumps(
            {
                "cpu_over_gunzip": round(large["cpu_s"] / found[(sizes[-1], "gzip -dc | wc -l", "csv.gz")]["cpu_s"], 2),
                "rows_growth": sizes[-1] / sizes[0],
                "cpu_growth": round(large["cpu_s"] / small["cpu_s"], 2),
                "rss_growth": round(large["rss_mb"] / small["rss_mb"], 2),
                "same_from_csv_and_gz": len({found[(sizes[-1], "stages", k)]["said"] for k in ("csv", "csv.gz")}) == 1,
            },
            indent=1,
        )
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million-rows", type=float, nargs="+", default=[5, 20], help="from the smallest")
    parser.add_argument(
        "--peer-million-rows",
        type=float,
        nargs="*",
        default=[2, 5],
        help="rows for the peer's way, which holds them all",
    )
    parser.add_argument("--keep", type=Path, help="where to leave the generated folders, or to find them again")
    parser.add_argument("--way", nargs=2, metavar=("WAY", "FOLDER"), help="run one way here, without measuring")
    chosen = parser.parse_args()
    if chosen.way:
        print(WAYS[chosen.way[0]](Path(chosen.way[1])))
        print(own_peak())
    elif chosen.keep:
        table(chosen.million_rows, chosen.peer_million_rows, chosen.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            table(chosen.million_rows, chosen.peer_million_rows, Path(folder))


if __name__ == "__main__":
    main()
