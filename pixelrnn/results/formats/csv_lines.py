"""A table as CSV: every seed, in full precision."""

import csv
import io

from pixelrnn.results.tables import Table

HEADER = (
    *("table", "row", "scale", "split", "unit", "paper", "ours", "ours_stderr"),
    *("seed", "steps", "seconds", "parameters", "signature", "commit", "wandb_id"),
)


def csv_lines(table: Table) -> str:
    """One line for each seed; a row that was not run has one line without values of ours."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    name = f"{table.split}/{table.metric}"
    for line in table.lines:
        start = [table.name, line.name, table.scale, table.split, table.unit, line.published]
        for run in line.runs:
            record = run.results
            cost = [record[key] for key in ("seed", "steps", "training_seconds", "parameters")]
            commit = record.get("environment", {}).get("commit")
            origin = [record["signature"], commit, record.get("wandb_id")]
            ours = [run.metric(name), run.metric(f"{name}_stderr")]
            writer.writerow([*start, *ours, *cost, *origin])
        if not line.runs:
            writer.writerow([*start, *[""] * (len(HEADER) - len(start))])
    return out.getvalue()
