"""Files of different ages → one table, by DuckDB and by pyarrow; and what each file says of its rows.

Prints the number of rows, of records that are missing, twice or wrong, and of files whose rows are not those they declare.
"""

import glob
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet

import objects
from evolved_write import record

mode, prefix, topic, folder, count, ids = sys.argv[1:]
count, ids = int(count), {int(v): int(i) for v, i in json.loads(ids).items()}
objects.bring(f"{prefix}/", folder)
files = sorted(glob.glob(f"{folder}/{topic}/**/*.parquet", recursive=True))
rejects = glob.glob(f"{folder}/_rejects/**/*.parquet", recursive=True)

# Columns that a target gives: of the merge by how many versions there were, of a version by its id.
SUPERSET = [["v", "n", "a", "c"], ["v", "n", "a", "c", "b"], ["v", "n", "a", "d", "b"]]
LATEST = [["v", "n", "a", "c"], ["v", "n", "a", "c", "b"], ["v", "n", "a", "b", "d"]]
undeclared, columns_seen, mixed = [], set(), 0
for path in files:
    file = parquet.ParquetFile(path)
    said = {k.decode(): v.decode() for k, v in file.metadata.metadata.items()}
    names = file.schema_arrow.names
    columns_seen.add(tuple(names))
    wrote = {ids[v] for v in file.read(columns=["v"]).column("v").to_pylist()}
    declared = {int(i) for i in said["forebay.schema_ids"].split(",")}
    mixed += len(wrote) > 1
    target = int(said["forebay.target_schema_id"])
    if mode == "superset":
        fits = target == 0 and names in SUPERSET
    else:
        fits = names == LATEST[{i: v for v, i in ids.items()}[target] - 1]
    if wrote != declared or not fits:
        undeclared.append((path, sorted(wrote), said["forebay.schema_ids"], target, names))

db = duckdb.connect()
db.execute(f"create view t as select * from read_parquet('{folder}/{topic}/**/*.parquet', union_by_name = true)")
has = {name for name, *_ in db.execute("describe t").fetchall()}
text = "coalesce(" + ", ".join(name for name in ("d", "c") if name in has) + ")"
by_duckdb = db.execute(f"select v, n, a, {text}, {'b' if 'b' in has else 'null'} from t").fetchall()

# The table's current schema, given: the widest type of each column.
current = pa.schema([("v", pa.int32()), ("n", pa.int64()), ("a", pa.int64()), ("c", pa.string()),
                     ("d", pa.string()), ("b", pa.string())])
table = dataset.dataset(files, schema=current, format="parquet").to_table()
table = table.append_column("text", pc.coalesce(table["d"], table["c"]))
by_pyarrow = [tuple(row[name] for name in ("v", "n", "a", "text", "b")) for row in table.to_pylist()]

expected = {}
for _, n, *_ in by_duckdb:
    expected[n] = expected.get(n, 0) + 1
wrong = 0
for v, n, a, text, b in by_duckdb:
    was = record(v, n)
    wrong += (a, text, b) != (was["a"], was.get("c", was.get("d")), was.get("b"))
print(json.dumps({
    "files": len(files), "rows": len(by_duckdb), "rejects": len(rejects), "wrong": wrong, "mixed": mixed,
    "missing": len(set(range(count)) - set(expected)), "twice": sum(n > 1 for n in expected.values()),
    "readers_differ": sorted(by_duckdb, key=lambda r: r[1]) != sorted(by_pyarrow, key=lambda r: r[1]),
    "undeclared": undeclared[:3], "columns": len(columns_seen),
}))
