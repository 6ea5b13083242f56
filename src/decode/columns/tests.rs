use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};

use super::*;

/// id: i64 · os: text? in device: struct? · tags: list<text> · env: map<text, i32>
struct Fixture {
    columns: Columns,
    id: usize,
    os: usize,
    device: usize,
    tags: usize,
    tag: usize,
    env: usize,
    key: usize,
    value: usize,
}

fn fixture() -> Fixture {
    let mut l = Layout::default();
    let id = l.leaf("id", Leaf::I64, false);
    let os = l.leaf("os", Leaf::Utf8, true);
    let tag = l.leaf("x", Leaf::Utf8, false).with_default("none");
    let (key, value) = (l.leaf("k", Leaf::Utf8, false), l.leaf("v", Leaf::I32, false));
    let at = |c: &Column| c.slot().index() as usize;
    let (id_, os_, tag_, key_, value_) = (at(&id), at(&os), at(&tag), at(&key), at(&value));
    let device = l.group("device", true, vec![os]);
    let tags = l.list("tags", false, tag);
    let env = l.map("env", false, key, value);
    let (device_, tags_, env_) = (at(&device), at(&tags), at(&env));
    let shape = l.finish("t", vec![id, device, tags, env]).unwrap();
    Fixture {
        columns: Columns::new(shape),
        id: id_,
        os: os_,
        device: device_,
        tags: tags_,
        tag: tag_,
        env: env_,
        key: key_,
        value: value_,
    }
}

impl Fixture {
    fn write(&mut self, id: i64, os: Option<&str>, tags: &[Option<&str>], env: &[(&str, i32)]) {
        let c = &mut self.columns;
        let row = c.rows();
        c.i64s[self.id].set(row, id);
        if let Some(os) = os {
            c.groups[self.device].set(row);
            c.texts[self.os].set(row, os.as_bytes()).unwrap();
        }
        for tag in tags {
            let item = c.lists[self.tags].push(row).unwrap();
            if let Some(tag) = tag {
                c.texts[self.tag].set(item, tag.as_bytes()).unwrap();
            }
        }
        for (k, v) in env {
            let item = c.lists[self.env].push(row).unwrap();
            c.texts[self.key].set(item, k.as_bytes()).unwrap();
            c.i32s[self.value].set(item, *v);
        }
    }
}

fn texts(batch: &RecordBatch, row: usize) -> Vec<String> {
    let list = batch.column(2).as_list::<i32>().value(row);
    list.as_string::<i32>().iter().map(|t| t.unwrap().to_owned()).collect()
}

#[test]
fn rows_left_out_read_as_null_or_default() {
    let mut f = fixture();
    f.columns.commit();
    f.write(7, Some("ios"), &[Some("a"), None], &[]);
    f.columns.commit();
    f.columns.commit();
    let batch = f.columns.finish();
    assert_eq!(batch.num_rows(), 3);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[0, 7, 0]);
    let device = batch.column(1).as_struct();
    assert!(device.is_null(0) && device.is_valid(1) && device.is_null(2));
    assert_eq!(device.column(0).as_string::<i32>().value(1), "ios");
    assert_eq!(texts(&batch, 0), Vec::<String>::new());
    assert_eq!(texts(&batch, 1), ["a", "none"]);
}

#[test]
fn value_written_twice_keeps_the_last() {
    let mut f = fixture();
    f.write(1, Some("first, and long"), &[], &[]);
    f.write(2, Some("last"), &[], &[]);
    f.columns.commit();
    let batch = f.columns.finish();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[2]);
    assert_eq!(batch.column(1).as_struct().column(0).as_string::<i32>().value(0), "last");
}

#[test]
fn map_with_equal_keys_keeps_the_last_of_each_row() {
    let mut f = fixture();
    f.write(1, None, &[], &[("a", 1), ("b", 2), ("a", 3)]);
    f.columns.commit();
    let many: Vec<(String, i32)> = (0..50).map(|i| (format!("k{}", i % 40), i)).collect();
    let many: Vec<(&str, i32)> = many.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    f.write(2, None, &[], &many);
    f.columns.commit();
    let batch = f.columns.finish();
    let map = batch.column(3).as_map();
    let first = map.value(0);
    assert_eq!(first.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(first.column(1).as_primitive::<Int32Type>().values(), &[2, 3]);
    let second = map.value(1);
    assert_eq!(second.len(), 40);
    assert_eq!(second.column(1).as_primitive::<Int32Type>().value(39), 49);
}

/// Random rows, some rolled back, against the same rows without those.
#[test]
fn rollback_leaves_the_batch_as_if_the_row_never_was() {
    let seed = 7;
    let mut random = crate::clock::Seeded::new(seed);
    let (mut with, mut without) = (fixture(), fixture());
    for _ in 0..3 {
        for _ in 0..200 {
            let os = ["ios", "android", ""][random.below(3) as usize];
            let os = (!random.one_in(3)).then_some(os);
            let tags: Vec<Option<&str>> =
                (0..random.below(4)).map(|i| (i != 2).then_some("tag")).collect();
            let env: Vec<(&str, i32)> =
                (0..random.below(3)).map(|i| (["a", "b"][(i % 2) as usize], i as i32)).collect();
            let id = random.next_u64() as i64;
            with.write(id, os, &tags, &env);
            if random.one_in(4) {
                with.columns.rollback();
                continue;
            }
            with.columns.commit();
            without.write(id, os, &tags, &env);
            without.columns.commit();
        }
        assert_eq!(with.columns.finish(), without.columns.finish(), "seed {seed}");
    }
}

#[test]
fn meter_past_its_nodes_refuses() {
    let mut meter = Meter::new(crate::config::Limits { nodes: 2, ..Default::default() });
    meter.start(10, 100).unwrap();
    meter.node(8).unwrap();
    meter.node(8).unwrap();
    assert_eq!(meter.node(8).unwrap_err().code, &codes::TOO_LARGE);
    meter.start(10, 100).unwrap();
    assert!(meter.nodes(3, 1).is_err());
    assert!(meter.bytes(64 << 20).is_err());
    assert!(meter.bytes(1 << 20).is_ok());
}

#[test]
fn schema_says_what_the_arrays_are() {
    let mut l = Layout::default();
    let unit = arrow::datatypes::TimeUnit::Microsecond;
    let leaves = [
        Leaf::Null,
        Leaf::Bool,
        Leaf::I32,
        Leaf::I64,
        Leaf::U32,
        Leaf::U64,
        Leaf::F32,
        Leaf::F64,
        Leaf::Decimal128(20, 0),
        Leaf::Decimal256(50, 2),
        Leaf::Utf8,
        Leaf::Json,
        Leaf::Binary,
        Leaf::Fixed(3),
        Leaf::Uuid,
        Leaf::Date32,
        Leaf::Time(unit),
        Leaf::Time(arrow::datatypes::TimeUnit::Millisecond),
        Leaf::Timestamp { unit, utc: true },
        Leaf::Timestamp { unit: arrow::datatypes::TimeUnit::Nanosecond, utc: false },
    ];
    let columns = leaves.iter().enumerate().map(|(i, &x)| l.leaf(&i.to_string(), x, i % 2 == 0));
    let columns: Vec<Column> = columns.collect();
    let shape = l.finish("t", columns).unwrap();
    let mut columns = Columns::new(shape.clone());
    columns.commit();
    columns.commit();
    let batch = columns.finish();
    RecordBatch::try_new(Arc::clone(shape.schema()), batch.columns().to_vec()).unwrap();
}

#[test]
fn list_past_the_reach_of_its_offsets_is_full() {
    let mut lists = Lists::new(false);
    let most = i32::MAX as usize;
    assert_eq!(lists.extend(0, most).unwrap(), 0);
    assert_eq!(lists.push(1), Err(Full));
    assert_eq!(lists.extend(1, 1), Err(Full));
    lists.truncate(0);
    assert_eq!(lists.push(0).unwrap(), 0);
    let reject = Box::<Reject>::from(Full);
    assert_eq!(reject.code, &codes::BATCH_FULL);
}
