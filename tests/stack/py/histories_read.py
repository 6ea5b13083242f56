"""Files of generated histories → pyarrow and DuckDB → each cell beside what prost-reflect, apache-avro or serde_json
made of the record, as `forebay evolve --expected` wrote it down.

Arguments: the folder of the run. Result: rows, cells, and what does not hold, by reader."""

import collections
import decimal
import glob
import json
import math
import os
import pathlib
import re
import struct
import sys
import uuid

import duckdb
import numpy
import pyarrow as pa
import pyarrow.parquet as parquet

UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
decimal.getcontext().prec = 100


class Differs(Exception):
    pass


def double(bits):
    return struct.unpack(">d", bytes.fromhex(bits))[0]


def raw(cell):
    """The cell's bytes, of text too."""
    value = cell.as_py()
    if isinstance(value, uuid.UUID):
        return value.bytes
    return value.encode() if isinstance(value, str) else value


def number(cell):
    """A whole number, whatever its column calls it."""
    of = cell.type
    if pa.types.is_integer(of):
        return cell.as_py()
    if pa.types.is_temporal(of):
        return cell.value
    value = cell.as_py()
    if isinstance(value, decimal.Decimal) and value == value.to_integral_value():
        return int(value)
    return None


def same_bits(a, b):
    return struct.pack(">d", a) == struct.pack(">d", b) or (math.isnan(a) and math.isnan(b))


def same_tree(a, b):
    """JSON by what it says; readers of JSON lose the last digit of a number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or abs(a - b) <= abs(a) * 1e-15 or numpy.float32(a) == numpy.float32(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_tree, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_tree(v, b[k]) for k, v in a.items())
    return type(a) is type(b) and a == b


def holds(cell, kind, value):
    """Whether a cell that is there holds what is expected."""
    of = cell.type
    if kind == "bool":
        return cell.as_py() is value
    if kind == "int":
        value = int(value)
        if pa.types.is_float32(of):
            return cell.as_py() == float(numpy.float32(value))
        return cell.as_py() == float(value) if pa.types.is_float64(of) else number(cell) == value
    if kind == "float":
        return pa.types.is_floating(of) and same_bits(cell.as_py(), double(value))
    if kind == "near":
        value, found = double(value), cell.as_py()
        if pa.types.is_float32(of):
            return found == float(numpy.float32(value))
        return abs(found - value) <= abs(value) * sys.float_info.epsilon
    if kind == "text":
        return raw(cell) == value.encode()
    if kind == "bytes":
        return raw(cell) == bytes.fromhex(value)
    if kind == "decimal":
        return decimal.Decimal(str(cell.as_py())) == decimal.Decimal(value)
    if kind == "uuid":
        return raw(cell) in (uuid.UUID(value).bytes, value.encode())
    if kind == "days":
        return number(cell) == int(value)
    if kind == "clock":
        value, unit = map(int, value)
        if pa.types.is_time(of):
            return cell.value * UNIT[of.unit] == value * unit
        return number(cell) == value
    if kind == "instant":
        return pa.types.is_timestamp(of) and cell.value == int(value) // UNIT[of.unit]
    if kind == "tree":
        return same_tree(json.loads(raw(cell)), value)
    raise AssertionError(kind)


def is_map(cell):
    return pa.types.is_map(cell.type)


def members(cell):
    """Steps to what is inside, and what is there."""
    if pa.types.is_struct(cell.type):
        names = [cell.type.field(n).name for n in range(cell.type.num_fields)]
        return [(name, cell[name]) for name in names]
    return list(enumerate(cell.values))


def step(cell, by):
    """One step inside; of a map by the place of an entry."""
    if not cell.is_valid:
        raise Differs("null, a value required")
    return cell.values[by]["value"] if is_map(cell) else cell[by]


def place(cell, key):
    """Of an entry with this key."""
    for n, entry in enumerate(cell.values or []):
        if entry["key"].as_py() == key:
            return n
    raise Differs(f"no entry {key!r}")


def check(row, cells):
    """Each expected cell, and none beside them."""
    covered, places = set(), {}
    for steps, kind, value in cells:
        cell, path = row, ()
        for by in steps[:-1] if kind == "key" else steps:
            if is_map(cell) and isinstance(by, str):
                by = place(cell, by)
            cell, path = step(cell, by), path + (by,)
        if kind == "key":
            found = cell.values[steps[-1]]["key"].as_py()
            if str(found) != str(value):
                raise Differs(f"{steps}: key {found!r}, {value!r} required")
            continue
        covered.add(path)
        if kind == "any":
            places[path] = kind
            continue
        if kind == "null":
            if cell.is_valid:
                raise Differs(f"{steps}: {cell}, null required")
            continue
        if not cell.is_valid:
            raise Differs(f"{steps}: null, {kind} {value!r} required")
        if kind == "items":
            found = len(cell.values) if cell.is_valid else None
            if found != value:
                raise Differs(f"{steps}: {found} items, {value} required")
        elif not holds(cell, kind, value):
            raise Differs(f"{steps}: {cell!r}, {kind} {value!r} required")
    alone(row, (), covered, places)


def alone(cell, path, covered, places):
    """Nothing is there that nobody expects."""
    if not cell.is_valid or path in places:
        return
    of = cell.type
    nested = pa.types.is_struct(of) or pa.types.is_list(of) or is_map(cell)
    if not pa.types.is_struct(of) and path not in covered:
        raise Differs(f"{path}: {cell}, which nobody expects")
    if nested:
        for by, inside in members(cell):
            alone(inside["value"] if is_map(cell) else inside, path + (by,), covered, places)


def tables(file):
    yield "pyarrow", parquet.read_table(file)
    yield "duckdb", db.sql(f"select * from read_parquet('{file}', hive_partitioning = false)").to_arrow_table()


folder = pathlib.Path(sys.argv[1])
db = duckdb.connect()
db.execute("set timezone = 'UTC'")
result = {"rows": 0, "rejects": 0, "cells": 0, "modes": 0, "files": 0, "topics": [], "wrong": [], "kinds": collections.Counter()}
topics = set()
for mode in sorted(path for path in folder.iterdir() if (path / "expected.jsonl").exists()):
    result["modes"] += 1
    expected, rejects = {}, 0
    with open(mode / "expected.jsonl") as lines:
        for line in map(json.loads, lines):
            rejects += "reject" in line
            if "cells" in line:
                at = line["topic"], line["partition"], line["offset"]
                assert at not in expected, at
                expected[at] = line["cells"]
    seen = {"pyarrow": collections.Counter(), "duckdb": collections.Counter()}
    for file in sorted(glob.glob(f"{mode}/**/*.parquet", recursive=True)):
        if f"{os.sep}_rejects{os.sep}" in file:
            continue
        topic, partition = re.fullmatch(r"(.+)\+(\d+)\+\d+\+\d+-\w+\.parquet", os.path.basename(file)).groups()
        topics.add(topic)
        result["files"] += 1
        for reader, table in tables(file):
            columns = [name for name in table.column_names if name != "_offset"]
            offsets = table["_offset"].to_pylist()
            # One struct of the columns: a row is a cell of it.
            rows = table.select(columns).to_struct_array()
            for offset, row in zip(offsets, rows):
                at = topic, int(partition), offset
                seen[reader][at] += 1
                cells = expected.get(at)
                try:
                    if cells is None:
                        raise Differs("a row that nobody expects")
                    check(row, cells)
                    if reader == "pyarrow":
                        result["cells"] += len(cells)
                        result["kinds"].update(kind for _, kind, _ in cells)
                except (Differs, KeyError, IndexError) as why:
                    result["wrong"].append(f"{mode.name} {at} {reader}: {type(why).__name__} {why}")
    for reader, found in seen.items():
        if found != collections.Counter(expected.keys()):
            result["wrong"].append(f"{mode.name}: {reader} found {sum(found.values())} rows of {len(expected)}")
    result["rows"] += len(expected)
    result["rejects"] += rejects
result["topics"] = len(topics)
result["wrong_count"], result["wrong"] = len(result["wrong"]), result["wrong"][:8]
print(json.dumps(result))
