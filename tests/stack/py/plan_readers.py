"""What `forebay plan` says of DuckDB and pyarrow, against what they do with files of two versions.

Arguments: the program, an empty folder. Result: how many pairs of versions, and what does not hold."""

import base64
import io
import json
import pathlib
import subprocess
import sys

import duckdb
import fastavro
import pyarrow
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def record(**fields):
    return {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields.items()]}


def inner(**fields):
    return {**record(**fields), "name": "I"}


def decimal(precision, scale):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def stamp(unit):
    return {"type": "long", "logicalType": f"timestamp-{unit}"}


BIG = 2**40 + 1
# Name, older version with a row, newer version with a row.
PAIRS = [
    ("same", record(a="int"), {"a": 1}, record(a="int"), {"a": 2}),
    ("added", record(a="int"), {"a": 1}, record(a="int", b="string"), {"a": 2, "b": "x"}),
    ("gone", record(a="int", b="string"), {"a": 1, "b": "x"}, record(a="int"), {"a": 2}),
    ("renamed", record(a="int", b="string"), {"a": 1, "b": "x"}, record(a="int", c="string"), {"a": 2, "c": "y"}),
    ("order", record(a="int", b="string"), {"a": 1, "b": "x"}, record(b="string", a="int"), {"a": 2, "b": "y"}),
    ("null", record(a="int"), {"a": 1}, record(a=["null", "int"]), {"a": None}),
    ("int to long", record(a="int"), {"a": 1}, record(a="long"), {"a": BIG}),
    ("float to double", record(a="float"), {"a": 1.5}, record(a="double"), {"a": 0.1}),
    ("int to double", record(a="int"), {"a": 1}, record(a="double"), {"a": 0.5}),
    ("long to int", record(a="long"), {"a": BIG}, record(a="int"), {"a": 1}),
    ("digits", record(a=decimal(4, 2)), {"a": b"\x7d"}, record(a=decimal(8, 2)), {"a": b"\x01\xe2\x40"}),
    ("scale", record(a=decimal(4, 2)), {"a": b"\x7d"}, record(a=decimal(8, 4)), {"a": b"\x00\xbc\x61\x4e"}),
    ("text to bytes", record(a="string"), {"a": "x"}, record(a="bytes"), {"a": b"\xff"}),
    ("int to text", record(a="int"), {"a": 1}, record(a="string"), {"a": "x"}),
    ("struct", record(a="int"), {"a": 1}, record(a=inner(x="int")), {"a": {"x": 1}}),
    ("field added", record(a=inner(x="int")), {"a": {"x": 1}}, record(a=inner(x="int", y="int")), {"a": {"x": 2, "y": 3}}),
    ("field gone", record(a=inner(x="int", y="int")), {"a": {"x": 1, "y": 3}}, record(a=inner(x="int")), {"a": {"x": 2}}),
    ("field wider", record(a=inner(x="int")), {"a": {"x": 1}}, record(a=inner(x="long")), {"a": {"x": BIG}}),
    ("item wider", record(a={"type": "array", "items": "int"}), {"a": [1]}, record(a={"type": "array", "items": "long"}), {"a": [BIG]}),
    ("millis to micros", record(a=stamp("millis")), {"a": 1}, record(a=stamp("micros")), {"a": 2}),
]


def run(*args):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True)
    assert done.returncode in (0, 3), (args, done.stderr)
    return done.stdout


def write(place, name, schema, row):
    """One file as the pipeline writes it; the payload is another library's."""
    (place / f"{name}.avsc").write_text(json.dumps(schema))
    body = io.BytesIO()
    bare = json.loads(json.dumps(schema).replace('"logicalType"', '"was"'))
    fastavro.schemaless_writer(body, fastavro.parse_schema(bare), row)
    (place / f"{name}.b64").write_text(base64.b64encode(body.getvalue()).decode() + "\n")
    out = place / f"{name}.parquet"
    run("decode", "--avsc", place / f"{name}.avsc", "--in", place / f"{name}.b64", "--out", out)
    return str(out)


def rows(table):
    return [dict(row) for row in table.to_pylist()]


def comparable(value):
    return json.dumps(value, default=str, sort_keys=True)


def nullable(field):
    if pyarrow.types.is_struct(field.type):
        field = field.with_type(pyarrow.struct([nullable(inner) for inner in field.type]))
    return field.with_nullable(True)


class Duckdb:
    name = "duckdb"

    def read(self, files, helped):
        union = ", union_by_name = true" if helped else ""
        table = duckdb.connect().sql(f"select * from read_parquet({files}{union})").to_arrow_table()
        return rows(table)


class Pyarrow:
    name = "pyarrow"

    def read(self, files, helped):
        own = [parquet.read_schema(file) for file in files]
        schema = pyarrow.unify_schemas(own, promote_options="permissive") if helped else None
        if "every field nullable" in helped:
            schema = pyarrow.schema([nullable(field) for field in schema])
        return rows(dataset.dataset(files, schema=schema, format="parquet").to_table())


def holds(reader, verdict, older, newer):
    """None, or what is otherwise than the verdict says."""
    files = [older, newer]
    alone = [rows(parquet.read_table(file))[0] for file in files]

    def seen(helped):
        """The row of each file by what it has itself: whole, partly, or not at all."""
        try:
            found = reader.read(files, helped)
        except Exception as error:  # noqa: BLE001: any refusal is one
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
        state = "whole"
        for own, got in zip(alone, found):
            for name, value in own.items():
                if name not in got:
                    state = "partly"
                elif isinstance(value, dict) and isinstance(got[name], dict):
                    if any(k not in got[name] for k in value):
                        state = "partly"
                    if any(comparable(got[name][k]) != comparable(v) for k, v in value.items() if k in got[name]):
                        return f"{own} read as {got}"
                elif equal(value, got[name]):
                    continue
                else:
                    return f"{own} read as {got}"
        return state

    bare = seen("")
    expected = {"reads as is": ["whole"], "needs ALTER": ["partly"]}
    if verdict["level"] in expected:
        if bare not in expected[verdict["level"]] and not (bare == "whole" and verdict["level"] == "reads as is"):
            return f"{verdict['level']}, and {bare}"
    elif bare in ("whole", "partly"):
        return f"breaks, and {bare}"
    if verdict["statements"]:
        helped = seen(" ".join(verdict["statements"]))
        # Columns that the newer version has not are not asked for by its schema.
        if helped not in ("whole", "partly"):
            return f"{verdict['statements']} does not help: {helped}"
    return None


def equal(a, b):
    if isinstance(a, (int, float)) and not isinstance(a, bool) and isinstance(b, (int, float)):
        return a == b
    if type(a).__name__ == "Decimal" or type(b).__name__ == "Decimal":
        return a == b
    if isinstance(a, bytes) != isinstance(b, bytes):
        text = a if isinstance(a, bytes) else b
        other = b if isinstance(a, bytes) else a
        return isinstance(other, str) and text == other.encode()
    return comparable(a) == comparable(b)



def pairs():
    """Name, folder, file of the older version, of the newer one, and by reader what the plan says."""
    for number, (name, old, old_row, new, new_row) in enumerate(PAIRS):
        place = folder / f"{number}"
        place.mkdir()
        older, newer = write(place, "v1", old, old_row), write(place, "v2", new, new_row)
        report = json.loads(run("plan", place / "v1.avsc", place / "v2.avsc", "--output", "json"))
        mode = next(mode for mode in report["modes"] if mode["mode"] == "rotate")
        yield name, place, older, newer, {verdict["reader"]: verdict for verdict in mode["readers"]}


def main():
    wrong = []
    for name, _, older, newer, verdicts in pairs():
        for reader in (Duckdb(), Pyarrow()):
            found = holds(reader, verdicts[reader.name], older, newer)
            if found:
                wrong.append(f"{name}: {reader.name}: {found}")
    wrong += view()
    print(json.dumps({"pairs": len(PAIRS), "wrong": wrong}))


def view():
    """The view that `--ddl duckdb` makes, over files of both versions in folders, columns of every kind."""
    wrong = []
    everything = record(
        id="long", country="string", price=decimal(10, 2), at=stamp("micros"), local={"type": "long", "logicalType": "local-timestamp-millis"},
        day={"type": "int", "logicalType": "date"}, kind={"type": "enum", "name": "K", "symbols": ["A", "B"]},
        **{"a \"b\" c": ["null", "string"]}, tags={"type": "array", "items": "string"}, counts={"type": "map", "values": "long"},
        home=inner(city="string", lat="double"), raw="bytes", part="float", yes="boolean",
    )
    values = {
        "id": 7, "country": "O'K", "price": b"\x04\xd2", "at": 1_767_312_000_000_001, "local": 1, "day": 1, "kind": "B",
        "a \"b\" c": "x", "tags": ["u", "v"], "counts": {"k": BIG}, "home": {"city": "c", "lat": 0.1}, "raw": b"\xff", "part": 1.5, "yes": True,
    }
    place = folder / "table"
    place.mkdir()
    made = write(place, "v1", everything, values)
    leaf = place / "files" / "country=O%27K" / "at_day=2026-01-02"
    leaf.mkdir(parents=True)
    pathlib.Path(made).rename(leaf / "x.parquet")
    statement = run(
        "plan", place / "v1.avsc", "--ddl", "duckdb", "--table", "o\"rders", "--location", place / "files",
        "--partition-by", "country", "--partition-by", "day(at)",
    )
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    db.execute(statement)
    types = {row[0]: row[1] for row in db.execute("describe \"o\"\"rders\"").fetchall()}
    expected = {
        "id": "BIGINT", "price": "DECIMAL(10,2)", "at": "TIMESTAMP WITH TIME ZONE", "local": "TIMESTAMP", "day": "DATE",
        "kind": "VARCHAR", "a \"b\" c": "VARCHAR", "tags": "VARCHAR[]", "counts": "MAP(VARCHAR, BIGINT)",
        "home": "STRUCT(city VARCHAR, lat DOUBLE)", "raw": "BLOB", "part": "FLOAT", "yes": "BOOLEAN",
        "country": "VARCHAR", "at_day": "VARCHAR",
    }
    if types != expected:
        wrong.append(f"types of the view: {types}")
    row = db.execute(
        "select id, price::varchar, \"at\"::varchar, \"day\"::varchar, kind, \"a \"\"b\"\" c\", tags, counts['k'], home.lat, hex(raw), country, at_day from \"o\"\"rders\""
    ).fetchall()
    if row != [(7, "12.34", "2026-01-02 00:00:00.000001+00", "1970-01-02", "B", "x", ["u", "v"], BIG, 0.1, "FF", "O'K", "2026-01-02")]:
        wrong.append(f"rows of the view: {row}")
    return wrong


if __name__ == "__main__":
    main()
