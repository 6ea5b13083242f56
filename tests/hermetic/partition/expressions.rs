//! What compiles, what it is called, and what is refused with which words.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, StringArray,
    Time64MicrosecondArray,
};
use arrow::datatypes::{Int32Type, Schema};
use forebay::config::{Escape, PartitionColumns, Placed};
use forebay::partition::Partitioner;

use super::{batch, compile, item, refused};

fn names(items: &[&str], escape: Escape) -> Vec<String> {
    compile(items, escape).unwrap().names().map(str::to_owned).collect()
}

fn fault(expr: &str) -> String {
    let faults = compile(&[expr], Escape::Hive).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].to_string()
}

#[test]
fn names_are_derived_from_path_and_function() {
    let items = [
        "country",
        "device.os",
        "tags['env']",
        "\"odd name\".\"in\"\"ner\"",
        "day(created_at)",
        "interval(created_at, 15m)",
        "strftime(created_at, '%Y')",
        "bucket(16, customer_id)",
        "truncate(4, zip)",
        "coalesce(region, 'unknown')",
        "_topic",
        "day( _timestamp )",
        "hour(coalesce(a.at, _timestamp))",
        "year(x) as jahr",
    ];
    let want = [
        "country",
        "os",
        "env",
        "in\"ner",
        "created_at_day",
        "created_at_interval",
        "created_at_strftime",
        "customer_id_bucket",
        "zip_truncate",
        "region_coalesce",
        "topic",
        "timestamp_day",
        "at_coalesce_hour",
        "jahr",
    ];
    assert_eq!(names(&items, Escape::Hive), want);
    assert_eq!(names(&["user.address.city"], Escape::Connect), ["user.address.city"]);
}

#[test]
fn syntax_errors_say_the_byte() {
    let cases = [
        ("", "FB0601 expression `` at byte 0: the text ends"),
        ("a..b", "FB0601 expression `a..b` at byte 2: found `.`, a field name required"),
        (".field", "FB0601 expression `.field` at byte 0: found `.`"),
        ("a.   .b", "at byte 5: found `.`"),
        ("..field", "at byte 0: found `.`"),
        ("a.", "at byte 2: the text ends, a field name required"),
        ("a-b", "at byte 1: found `-`, the end required"),
        ("tags[env]", "at byte 5: a map key in single quotes required"),
        ("tags['env'", "at byte 10: the text ends, `]` required"),
        ("tags['env]", "at byte 5: a ' that nothing closes"),
        ("\"\"", "at byte 0: an empty name"),
        ("day(x", "at byte 5: the text ends, `,` or `)` required"),
        ("day(x) y", "at byte 7: found `y`, the end required"),
        ("day(x, unit='ms', y)", "at byte 18: an argument after an option"),
        ("interval(x, 15q)", "at byte 14: unit `q` of a duration, one of s m h d required"),
        ("bucket(99999999999999999999999, x)", "at byte 7: number"),
        ("é(x)é", "at byte 5: found `é`"),
        ("5", "at byte 0: a number, a field required"),
        ("((((x))))", "at byte 0: found `(`"),
    ];
    for (expr, want) in cases {
        let got = fault(expr);
        assert!(got.contains(want), "{expr}: {got}");
        assert!(got.ends_with("(partition_by[0] (test.yaml:1))"), "{got}");
    }
}

#[test]
fn expression_nested_or_long_without_end_is_refused() {
    let deep = format!("{}x", "day(".repeat(1_000));
    assert!(fault(&deep).contains("nested deeper than 8"), "{}", fault(&deep));
    let long = "x".repeat(5_000);
    assert!(fault(&long).contains("expression of 5000 bytes: at most 4096 required"));
    let wide = format!("coalesce({}x)", "x,".repeat(100));
    assert!(fault(&wide).contains("101 sources, at most 16 required"), "{}", fault(&wide));
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let cases = [
        (
            "dya(x)",
            "FB0602 expression `dya(x)` at byte 0: unknown function `dya`; did you mean `day`?",
        ),
        ("buckt(4, x)", "did you mean `bucket`?"),
        ("frobnicate(x)", "unknown function `frobnicate`; there are `year`, `month`"),
        ("day(x, untit='ms')", "unknown option `untit`; did you mean `unit`?"),
        ("day(x, unit='min')", "unit `min`, one of s ms us ns required"),
        ("day(x, unit=5)", "option `unit`: a text in single quotes required"),
        ("day(x, timezone='Europe/Pari')", "FB0604"),
        ("day(x, timezone='LLL')", "unknown timezone `LLL`"),
        ("day(x, timezone='')", "FB0604"),
        ("day(x, years='2100..1970')", "years `2100..1970`"),
        ("day(x, unit='s', unit='s')", "option `unit` twice"),
        ("day(x, unit='s', pattern='%F')", "both `unit` and `pattern`"),
        ("day(x, pattern='%H')", "does not say year, month and day"),
        ("strftime(x, '%!')", "FB0602"),
        ("strftime(x, '')", "makes no text"),
        ("strftime(x)", "`strftime` without its format"),
        ("day()", "`day` of nothing, a field required"),
        ("day(x, y)", "a second argument of `day`"),
        ("day('x')", "a text, a field required"),
        ("day(day(x))", "a function inside `day`"),
        ("interval(x, 7m)", "does not divide a day"),
        ("interval(x, 30s)", "does not divide a day, 1m to 24h"),
        ("interval(x)", "`interval` without its length"),
        ("bucket(0, x)", "a number of 1 to 2147483647 required first"),
        ("bucket(x, 16)", "a number of 1 to 2147483647 required first"),
        ("truncate(x)", "1 arguments, `truncate(number, field)` required"),
        ("bucket(4, x, unit='s')", "option `unit` of `bucket`, which takes none"),
        ("coalesce(x)", "`coalesce` of less than two"),
        ("coalesce('a', x)", "a text before the end"),
        ("'x'", "a text, a field required"),
        ("device.day(x)", "a path is called"),
        ("_topic.x", "`_topic` has no fields inside"),
        ("_key", "FB0607 expression `_key` at byte 0: `_key` is the record's"),
        ("day(_key.at)", "FB0607"),
        ("headers.tenant", "FB0607"),
    ];
    for (expr, want) in cases {
        let got = fault(expr);
        assert!(got.contains(want), "{expr}: {got}");
    }
    // Quoted, they are fields.
    assert!(compile(&["\"_key\".x", "\"headers\".y", "headers"], Escape::Hive).is_ok());
}

#[test]
fn every_finding_is_reported_at_once() {
    let faults = compile(&["dya(x)", "country", "a..b", "COUNTRY"], Escape::Hive).unwrap_err();
    let codes: Vec<_> = faults.iter().map(|f| f.code.id).collect();
    assert_eq!(codes, ["FB0602", "FB0601", "FB0603"]);
    assert!(faults[2].message.contains("item `country` has it too"), "{}", faults[2]);
}

#[test]
fn names_that_cannot_be_used_are_findings() {
    let long = format!("x as {}", "n".repeat(101));
    assert!(fault("x as ").contains("empty"));
    assert!(fault(&long).contains("101 bytes when escaped, at most 100 required"));
    let faults = compile(&["device.os", "os"], Escape::Hive).unwrap_err();
    assert_eq!(faults[0].code.id, "FB0603");
    assert!(compile(&["device.os as device_os", "os"], Escape::Hive).is_ok());
}

#[test]
fn timezone_of_an_item_without_time_is_a_finding() {
    let zone = |expr: &str, zone: &str| {
        let mut item = item(expr);
        item.timezone = Some(Placed { text: zone.to_owned(), place: String::new() });
        Partitioner::compile(&[item], Escape::Hive, PartitionColumns::Auto, false)
    };
    assert!(zone("day(x)", "Europe/Paris").is_ok());
    assert!(zone("day(x, timezone='Europe/Paris')", "Europe/Paris").is_ok());
    let code =
        |result: Result<Partitioner, Vec<forebay::error::Fault>>| result.unwrap_err()[0].code.id;
    assert_eq!(code(zone("country", "Europe/Paris")), "FB0604");
    assert_eq!(code(zone("day(x)", "Europe/Pari")), "FB0604");
    assert_eq!(code(zone("day(x, timezone='UTC')", "Europe/Paris")), "FB0604");
}

#[test]
fn types_that_cannot_be_taken_are_refused_by_name() {
    let text = || Arc::new(StringArray::from(vec!["a"])) as ArrayRef;
    let long = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let bool = || Arc::new(BooleanArray::from(vec![true])) as ArrayRef;
    let double = || Arc::new(Float64Array::from(vec![1.0])) as ArrayRef;
    let date = || Arc::new(Date32Array::from(vec![1])) as ArrayRef;
    let time = || Arc::new(Time64MicrosecondArray::from(vec![1])) as ArrayRef;
    let list = || {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
        Arc::new(list) as ArrayRef
    };
    let cases: [(&str, ArrayRef, &str); 14] = [
        ("x", list(), "FB0606 expression `x`: over a list, a scalar required"),
        (
            "day(x)",
            long(),
            "over Int64, `unit='s'`, `'ms'`, `'us'` or `'ns'` with an integer required",
        ),
        (
            "day(x)",
            bool(),
            "over Boolean, a timestamp, a date, a string, or an integer with `unit` required",
        ),
        (
            "day(x, unit='s')",
            double(),
            "over Float64, an integer or a string, as `unit` is set, required",
        ),
        ("hour(x)", date(), "over Date32, a time with hours required"),
        ("day(x)", time(), "over Time64(µs)"),
        ("day(x, unit='ms')", date(), "as `unit` is set"),
        ("day(x, pattern='%F')", date(), "as `pattern` is set"),
        ("bucket(4, x)", double(), "an integer, decimal, time, string or bytes required"),
        ("bucket(4, x)", bool(), "over Boolean"),
        ("truncate(4, x)", date(), "an integer, decimal, string or bytes required"),
        ("y", text(), "FB0605 expression `y`: no field `y` in the schema; there are `x`"),
        ("x.y", text(), "FB0606 expression `x.y`: field `y` of `x`: it is Utf8, a struct required"),
        ("x['y']", text(), "entry `y` of `x`: it is Utf8, a map required"),
    ];
    for (expr, column, want) in cases {
        let got = refused(expr, column);
        assert!(got.contains(want), "{expr}: {got}");
    }
    let bad = refused("day(coalesce(x, _timestamp), unit='s')", long());
    assert!(bad.contains("over Timestamp(ms, \"UTC\")"), "{bad}");
}

#[test]
fn missing_field_is_null_only_when_lenient() {
    let batch = batch(vec![("country", Arc::new(StringArray::from(vec!["FR"])) as ArrayRef)]);
    let partitioner = compile(&["contry", "day(created)"], Escape::Hive).unwrap();
    let faults = partitioner.bind(&batch.schema(), false).unwrap_err();
    assert_eq!(faults.len(), 2);
    assert!(
        faults[0].message.ends_with("no field `contry` in the schema; did you mean `country`?")
    );
    let mut bound = partitioner.bind(&batch.schema(), true).unwrap();
    let paths = super::paths(&super::keys(&mut bound, &batch));
    assert_eq!(paths, ["contry=__HIVE_DEFAULT_PARTITION__/created_day=__HIVE_DEFAULT_PARTITION__"]);
}

fn dropped(
    items: &[&str],
    columns: PartitionColumns,
    schema: &Schema,
) -> Result<Vec<usize>, String> {
    let items: Vec<_> = items.iter().map(|i| item(i)).collect();
    let partitioner = Partitioner::compile(&items, Escape::Hive, columns, false).unwrap();
    match partitioner.bind(schema, false) {
        Ok(bound) => Ok(bound.dropped().to_vec()),
        Err(faults) => Err(faults[0].code.id.to_owned()),
    }
}

#[test]
fn partition_columns_decide_what_leaves_the_files() {
    let column = || Arc::new(StringArray::from(vec!["2026-01-02"])) as ArrayRef;
    let batch = batch(vec![("a", column()), ("b", column()), ("at", column())]);
    let schema = batch.schema();
    use PartitionColumns::{Auto, Drop, Keep};
    let of = |items: &[&str], columns| dropped(items, columns, &schema);
    assert_eq!(of(&["b", "a"], Auto), Ok(vec![0, 1]));
    assert_eq!(of(&["b", "a"], Keep), Ok(vec![]));
    assert_eq!(of(&["day(at)", "truncate(2, b)"], Auto), Ok(vec![]));
    // Under another name it stays with `auto`: readers would not find it.
    assert_eq!(of(&["a as country"], Auto), Ok(vec![]));
    assert_eq!(of(&["a as country"], Drop), Ok(vec![0]));
    // A file has at least one column.
    assert_eq!(of(&["a", "b", "at"], Auto), Ok(vec![]));
    assert_eq!(of(&["a", "b", "at"], Drop), Err("FB0608".to_owned()));
    // A derived name that a column of the files has would be seen twice.
    assert_eq!(of(&["day(at) as B"], Auto), Err("FB0603".to_owned()));
    assert_eq!(of(&["day(at) as b"], Keep), Ok(vec![]));
    let items = [item("a")];
    let connect = Partitioner::compile(&items, Escape::Connect, Auto, false).unwrap();
    assert_eq!(connect.bind(&schema, false).unwrap().dropped(), [0usize; 0]);
    let faults = Partitioner::compile(&items, Escape::Connect, Drop, false).unwrap_err();
    assert_eq!(faults[0].code.id, "FB0608");
}
