"""Files of different ages → one table, by Spark, beside what DuckDB reads and what was sent; and what `forebay plan`
says of Spark, against what it does with files of two versions.

Arguments: the program, the topic (and prefix), a folder, how many records, the interpreter that has Spark."""

import glob
import json
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import time

import duckdb
import pyarrow.parquet as parquet

import objects
from evolved_write import VERSIONS, record

program, topic, folder, count, python = sys.argv[1:]
folder, count = pathlib.Path(folder), int(count)
(folder / "pairs").mkdir()
sys.argv[1:] = [program, str(folder / "pairs")]
import plan_readers  # noqa: E402: it takes its arguments from the line

COLUMNS = ["v", "n", "a", "text", "b"]
SELECT = "select v, n, a, coalesce(d, c) as text, b from"
jobs = []


def ddl(table, location, *versions, mode="rotate"):
    made = plan_readers.run(
        "plan", *versions, "--mode", mode, "--ddl", "spark", "--table", table, "--location", location
    )
    statements = [line for line in made.splitlines() if not line.startswith("--")]
    return "\n".join(statements).rstrip(";")


def job(statements, query):
    jobs.append({"statements": statements, "query": query})
    return len(jobs) - 1


class Spark:
    """A table with the older version's columns, over a folder with the files of both."""

    name = "spark"

    def __init__(self, number, place, older, newer, verdict):
        both = place / "both"
        both.mkdir()
        for file in (older, newer):
            shutil.copy(file, both)
        table = f"t{number}"
        query = f"select * from {table} order by _metadata.file_name"
        versions = [place / "v1.avsc", place / "v2.avsc"]
        make = ddl(table, both, versions[0])
        self.asked = {"": job([make], query)}
        helps = verdict["statements"]
        if any(statement.startswith("DROP") for statement in helps):
            statements = [f"drop table {table}", ddl(table, both, *versions)]
        else:
            statements = [re.sub(r"^ALTER TABLE `[^`]*`", f"ALTER TABLE {table}", s) for s in helps]
        if helps:
            self.asked[" ".join(helps)] = job(statements, query)

    def read(self, files, helped):
        found = answers[self.asked[helped]]
        if "error" in found:
            raise RuntimeError(found["error"])
        return found["rows"]


objects.bring(f"{topic}/", str(folder / "objects"))
files = sorted(glob.glob(f"{folder}/objects/{topic}/**/*.parquet", recursive=True))
versions = []
for number, fields in enumerate(VERSIONS, 1):
    versions.append(folder / f"v{number}.avsc")
    versions[-1].write_text(json.dumps({"type": "record", "name": "Evolved", "fields": fields}))
table = ddl("evolved", folder / "objects" / topic, *versions, mode="superset")
# Under the name that old files have, the column is another one.
whole = job([table, "alter table evolved add columns (c string)"], f"{SELECT} evolved")
counted = job([], "select count(*) as n, sum(a) as a, count(b) as b from evolved where n >= 1000")
pairs = [
    (name, older, newer, verdicts["spark"], Spark(number, place, older, newer, verdicts["spark"]))
    for number, (name, place, older, newer, verdicts) in enumerate(plan_readers.pairs())
]

(folder / "jobs.json").write_text(json.dumps(jobs))
(folder / "spark").mkdir()
begun = time.monotonic()
args = [python, "-B", pathlib.Path(__file__).with_name("spark.py"), folder / "jobs.json", folder / "answers", folder / "spark"]
subprocess.run(args, check=True, stdout=sys.stderr)
seconds = time.monotonic() - begun
answered = pickle.loads((folder / "answers").read_bytes())
answers = answered["answers"]
for number in (whole, counted):
    assert "rows" in answers[number], answers[number]

by_spark = [tuple(row[name] for name in COLUMNS) for row in answers[whole]["rows"]]
db = duckdb.connect()
db.execute(f"create view evolved as select * from read_parquet({files}, union_by_name = true)")
by_duckdb = db.execute(f"{SELECT} evolved").fetchall()
sums = answers[counted]["rows"][0]
by_n = {}
for row in by_spark:
    by_n.setdefault(row[1], []).append(row)


def as_sent(v, n, a, text, b):
    was = record(v, n)
    return (a, text, b) == (was["a"], was.get("d", was.get("c")), was.get("b"))


plan = []
for name, older, newer, verdict, reader in pairs:
    found = plan_readers.holds(reader, verdict, older, newer)
    if found:
        plan.append(f"{name}: {found}")
print(json.dumps({
    "spark": answered["version"], "spark_s": round(seconds, 1), "files": len(files), "rows": len(by_spark),
    "columns": len({tuple(parquet.read_schema(file).names) for file in files}),
    "missing": len(set(range(count)) - set(by_n)), "twice": sum(len(rows) > 1 for rows in by_n.values()),
    "wrong": sum(not as_sent(*row) for row in by_spark),
    "readers_differ": sorted(by_spark, key=lambda r: r[1]) != sorted(by_duckdb, key=lambda r: r[1])
    or (sums["n"], sums["a"], sums["b"]) != db.execute(
        "select count(*), sum(a), count(b) from evolved where n >= 1000").fetchone(),
    "pairs": len(pairs), "plan": plan,
}))
