//! Files are read back by parquet's own reader, which shares no code with the choices made here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use bytes::Bytes;
use forebay::config::{Compression, Reader};
use forebay::error::{Code, Kind, Reject};
use forebay::evolve::Changes;
use forebay::file::{Encoding, ParquetFile, Provenance, learn, reject, schema};
use forebay::position::TopicPartition;
use forebay::record;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding as PageEncoding;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

#[path = "../support/event.rs"]
mod event;

const ALL: [Reader; 4] = [Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb];

fn encoding(compression: Compression) -> Encoding {
    Encoding { compression, level: None, readers: ALL.to_vec() }
}

fn provenance() -> Provenance {
    Provenance {
        commit: "c-1".into(),
        pipeline: "orders".into(),
        topic_partition: TopicPartition::new("orders", 3),
        first: 100,
        last: 10_099,
        schema_ids: BTreeSet::from([7, 42]),
        record_name: "rig.orders.Order".into(),
        target: None,
        changes: BTreeMap::new(),
        role: "data",
        partition_values: vec![("country".into(), Some("FR".into())), ("day".into(), None)],
    }
}

fn encode(batches: &[RecordBatch], encoding: &Encoding) -> Bytes {
    let mut file = ParquetFile::new(batches[0].schema(), encoding).unwrap();
    batches.iter().for_each(|batch| file.write(batch).unwrap());
    file.finish(&provenance()).unwrap().0
}

fn footer(bytes: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ArrowReaderMetadata::load(bytes, options).unwrap().metadata().clone()
}

/// All rows, read with the file's own types.
fn read(bytes: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn events(rows: usize) -> RecordBatch {
    event::batch(1, 0, rows)
}

/// As the event, without the dictionary that no reader is to see.
fn plain(batch: &RecordBatch) -> Vec<ArrayRef> {
    let cast = |c: &ArrayRef| match c.data_type() {
        DataType::Dictionary(_, value) => arrow::compute::cast(c, value).unwrap(),
        _ => c.clone(),
    };
    batch.columns().iter().map(cast).collect()
}

#[test]
fn events_read_back_equal_under_every_compression() {
    let batch = events(10_000);
    let mut sizes = Vec::new();
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Snappy,
        Compression::Lz4,
    ] {
        let bytes = encode(std::slice::from_ref(&batch), &encoding(compression));
        assert_eq!(read(&bytes).columns(), plain(&batch), "{compression:?}");
        let codec = footer(&bytes).row_group(0).column(0).compression().to_string();
        sizes.push((bytes.len(), codec));
    }
    let codecs: Vec<&str> =
        sizes.iter().map(|(_, codec)| codec.split('(').next().unwrap()).collect();
    assert_eq!(codecs, ["UNCOMPRESSED", "GZIP", "ZSTD", "SNAPPY", "LZ4_RAW"]);
    assert!(sizes[1..].iter().all(|(size, _)| *size < sizes[0].0), "{sizes:?}");
}

#[test]
fn compression_level_out_of_range_is_refused() {
    for (compression, level) in [
        (Compression::Gzip, 10),
        (Compression::Zstd, 0),
        (Compression::Zstd, 23),
        (Compression::Snappy, 1),
    ] {
        let encoding = Encoding { level: Some(level), ..encoding(compression) };
        let fault = ParquetFile::new(event::schema(), &encoding).unwrap_err();
        assert_eq!(fault.code.id, "FB0802", "{compression:?} {level}: {fault}");
        assert!(fault.message.contains(&format!("`{level}`")), "{fault}");
    }
}

#[test]
fn compression_level_is_used() {
    let batch = events(8_192);
    let size = |level| {
        encode(
            std::slice::from_ref(&batch),
            &Encoding { level: Some(level), ..encoding(Compression::Gzip) },
        )
        .len()
    };
    assert!(size(9) < size(1), "{} {}", size(9), size(1));
}

#[test]
fn parts_taken_while_writing_concatenate_to_the_same_file() {
    let batches: Vec<RecordBatch> = (0..40).map(|i| event::batch(2, i * 1_000, 1_000)).collect();
    let whole = encode(&batches, &encoding(Compression::Gzip));
    for min in [0, 1, 1_000, 1 << 20] {
        let mut file = ParquetFile::new(event::schema(), &encoding(Compression::Gzip)).unwrap();
        let mut all = Vec::new();
        for batch in &batches {
            file.write(batch).unwrap();
            while let Some(part) = file.take_part(min) {
                assert!(min == 0 || part.len() == min);
                assert!(!part.is_empty());
                all.extend_from_slice(&part);
            }
        }
        let (rest, stats) = file.finish(&provenance()).unwrap();
        all.extend_from_slice(&rest);
        assert_eq!(stats.bytes, all.len() as u64);
        assert_eq!(stats.rows, 40_000);
        assert!(all == whole, "parts of {min} bytes differ from the file in one piece");
    }
}

/// Bytes that do not compress, so that row groups close by size within a test's time.
fn noise(seed: u64) -> RecordBatch {
    let mut random = forebay::clock::Seeded::new(seed);
    let value = |random: &mut forebay::clock::Seeded| -> Vec<u8> {
        (0..512).flat_map(|_| random.next_u64().to_le_bytes()).collect()
    };
    let values: Vec<Vec<u8>> = (0..1_024).map(|_| value(&mut random)).collect();
    let schema = Schema::new(vec![Field::new("noise", DataType::Binary, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(BinaryArray::from_iter_values(values))])
        .unwrap()
}

#[test]
fn row_groups_close_by_bytes_and_can_be_taken_before_the_end() {
    let mut file = ParquetFile::new(noise(0).schema(), &encoding(Compression::None)).unwrap();
    let mut taken = 0;
    for seed in 0..20 {
        file.write(&noise(seed)).unwrap();
        while let Some(part) = file.take_part(8 << 20) {
            taken += part.len() as u64;
        }
        assert!(file.memory() < 100 << 20, "{} bytes held", file.memory());
        assert!(
            file.size() >= (seed) * (3 << 20),
            "{} bytes said after {} of noise",
            file.size(),
            (seed + 1) << 22
        );
    }
    assert!(taken >= 48 << 20, "{taken} bytes could be taken");
    let said = file.size();
    let (_, stats) = file.finish(&provenance()).unwrap();
    assert_eq!(stats.rows, 20 * 1_024);
    assert!(
        stats.bytes.abs_diff(said) < stats.bytes / 50,
        "size said {said}, {} found",
        stats.bytes
    );
}

#[test]
fn gzip_of_every_level_and_many_row_groups_reads_back_equal() {
    let batches: Vec<RecordBatch> = (0..12).map(noise).collect();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    let bytes = encode(&batches, &encoding(Compression::Gzip));
    assert!(footer(&bytes).num_row_groups() > 1);
    assert_eq!(read(&bytes).columns(), all.columns());
    let batch = events(5_000);
    for level in 0..=9 {
        let encoding = Encoding { level: Some(level), ..encoding(Compression::Gzip) };
        let bytes = encode(std::slice::from_ref(&batch), &encoding);
        assert_eq!(read(&bytes).columns(), plain(&batch), "level {level}");
    }
}

#[test]
fn dictionary_given_up_half_way_reads_back_equal_with_its_pages_in_order() {
    // The first rows promise a small dictionary; the others break the promise.
    let text = |i: usize| if i < 5_000 { format!("{}", i % 7) } else { format!("{i:0100}") };
    let values = StringArray::from_iter_values((0..60_000).map(text));
    let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(values)]).unwrap();
    for compression in [Compression::Gzip, Compression::Snappy] {
        let bytes =
            encode(&[batch.slice(0, 5_000), batch.slice(5_000, 55_000)], &encoding(compression));
        assert_eq!(read(&bytes).columns(), batch.columns(), "{compression:?}");
        let found = encodings(&bytes, "text");
        assert!(
            found.contains(&PageEncoding::RLE_DICTIONARY) && found.contains(&PageEncoding::PLAIN),
            "{found:?}"
        );
        let metadata = footer(&bytes);
        let index = metadata.page_index_for_row_group(0);
        let pages = index.offset_index(0).unwrap().page_locations();
        assert!(pages.len() > 3);
        let chunk = metadata.row_group(0).column(0);
        assert_eq!(pages[0].offset, chunk.data_page_offset());
        assert!(chunk.dictionary_page_offset().unwrap() < chunk.data_page_offset());
        for (page, next) in pages.iter().zip(&pages[1..]) {
            assert_eq!(page.offset + i64::from(page.compressed_page_size), next.offset);
            assert!(page.first_row_index < next.first_row_index);
        }
        let last = pages.last().unwrap();
        let (start, length) = chunk.byte_range();
        assert_eq!((last.offset + i64::from(last.compressed_page_size)) as u64, start + length);
    }
}

#[test]
fn rows_picked_through_the_page_index_are_the_right_ones() {
    use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
    let batch = events(60_000);
    let bytes = encode(std::slice::from_ref(&batch), &encoding(Compression::Gzip));
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
    let picked = RowSelection::from(vec![RowSelector::skip(45_000), RowSelector::select(10)]);
    let rows = reader.with_row_selection(picked).build().unwrap().next().unwrap().unwrap();
    assert_eq!(rows.columns(), plain(&batch.slice(45_000, 10)));
}

#[test]
fn size_said_while_writing_is_near_the_size_found() {
    let mut file = ParquetFile::new(event::schema(), &encoding(Compression::Gzip)).unwrap();
    for i in 0..100 {
        file.write(&event::batch(3, i * 2_000, 2_000)).unwrap();
    }
    let said = file.size();
    let (_, stats) = file.finish(&provenance()).unwrap();
    assert!(said.abs_diff(stats.bytes) < stats.bytes / 4, "{said} said, {} found", stats.bytes);
}

#[test]
fn footer_says_who_wrote_the_file_and_where_its_rows_came_from() {
    let bytes = encode(&[events(5_000)], &encoding(Compression::Gzip));
    let metadata = footer(&bytes);
    let file = metadata.file_metadata();
    assert!(file.created_by().unwrap().starts_with("forebay version "));
    assert_eq!(Provenance::read(&metadata).unwrap(), provenance());
    let pairs = file.key_value_metadata().unwrap();
    let value = |key: &str| pairs.iter().find(|p| p.key == key).and_then(|p| p.value.as_deref());
    assert_eq!(value("forebay.rows"), Some("5000"));
    assert_eq!(value("forebay.schema_ids"), Some("7,42"));
    assert_eq!(value("forebay.partition_values"), Some(r#"[["country","FR"],["day",null]]"#));
    assert_eq!(value("ARROW:schema"), None, "no Arrow type reaches a reader");
    assert_eq!(value("forebay.field_numbers"), None, "these columns have no numbers");
}

#[test]
fn footer_keeps_arrow_types_for_native_readers_only() {
    let native = Encoding { readers: vec![Reader::Native], ..encoding(Compression::Gzip) };
    let batch = events(100);
    let read = read(&encode(std::slice::from_ref(&batch), &native));
    assert_eq!(
        read.column_by_name("status").unwrap().data_type(),
        batch.column_by_name("status").unwrap().data_type()
    );
}

#[test]
fn footer_names_field_numbers_of_nested_columns() {
    let numbered = |field: Field, number: &str| {
        field.with_metadata(HashMap::from([("forebay.field_number".to_owned(), number.to_owned())]))
    };
    let inner = Fields::from(vec![numbered(Field::new("b", DataType::Int32, true), "5")]);
    let item = Arc::new(Field::new("element", DataType::Struct(inner), false));
    let schema = Schema::new(vec![numbered(Field::new("a", DataType::List(item), false), "2")]);
    let bytes = encode(&[RecordBatch::new_empty(Arc::new(schema))], &encoding(Compression::Gzip));
    let metadata = footer(&bytes);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let numbers = pairs.iter().find(|p| p.key == "forebay.field_numbers").unwrap();
    assert_eq!(numbers.value.as_deref(), Some(r#"{"a":2,"a.b":5}"#));
    // What is in files is read for years: the golden file changes only by a new key.
    let mut all: Vec<String> =
        pairs.iter().map(|p| format!("{}={}\n", p.key, p.value.as_deref().unwrap())).collect();
    all.sort_unstable();
    assert_eq!(all.concat(), include_str!("../corpus/commit/footer.txt"));
}

#[test]
fn footer_of_rows_with_a_targets_columns_says_whose_and_what_became_of_their_own() {
    let changes = Changes {
        added: vec!["b".into()],
        promoted: vec!["m: Int32 → Int64".into()],
        ..Changes::default()
    };
    let from =
        Provenance { target: Some(42), changes: BTreeMap::from([(7, changes)]), ..provenance() };
    let schema = Arc::new(Schema::new(vec![Field::new("m", DataType::Int64, false)]));
    let mut file = ParquetFile::new(schema.clone(), &encoding(Compression::Gzip)).unwrap();
    file.write(&RecordBatch::new_empty(schema)).unwrap();
    let metadata = footer(&file.finish(&from).unwrap().0);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| pairs.iter().find(|p| p.key == key).unwrap().value.as_deref();
    assert_eq!(value("forebay.target_schema_id"), Some("42"));
    let said = r#"{"7":{"added":["b"],"promoted":["m: Int32 → Int64"]}}"#;
    assert_eq!(value("forebay.changes"), Some(said));
    assert_eq!(Provenance::read(&metadata).unwrap(), from);
}

#[test]
fn reject_files_columns_are_those_of_the_golden_file() {
    let empty = RecordBatch::new_empty(reject::schema());
    let metadata = footer(&encode(&[empty], &encoding(Compression::Gzip)));
    let mut shown = Vec::new();
    parquet::schema::printer::print_schema(
        &mut shown,
        metadata.file_metadata().schema_descr().root_schema(),
    );
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(shown, include_str!("../corpus/commit/reject_columns.txt"));
}

#[test]
fn footer_names_the_units_of_whole_numbers() {
    let unit = HashMap::from([("forebay.unit".to_owned(), "us".to_owned())]);
    let inner = Fields::from(vec![Field::new("noon", DataType::Int64, true).with_metadata(unit)]);
    let schema = Schema::new(vec![Field::new("a", DataType::Struct(inner), true)]);
    let bytes = encode(&[RecordBatch::new_empty(Arc::new(schema))], &encoding(Compression::Gzip));
    let metadata = footer(&bytes);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let units = pairs.iter().find(|p| p.key == "forebay.units").unwrap();
    assert_eq!(units.value.as_deref(), Some(r#"{"a.noon":"us"}"#));
    assert!(!pairs.iter().any(|p| p.key == "forebay.field_numbers"));
}

#[test]
fn foreign_footer_is_refused_by_key() {
    let batch = events(10);
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let fault = Provenance::read(&footer(&Bytes::from(bytes))).unwrap_err();
    assert_eq!(fault.code.id, "FB0804");
}

#[test]
fn footer_that_speaks_against_itself_is_refused() {
    let batch = events(10);
    let bytes = encode(std::slice::from_ref(&batch), &encoding(Compression::Gzip));
    let said = footer(&bytes).file_metadata().key_value_metadata().unwrap().clone();
    for (key, value) in [
        ("forebay.rows", Some("11")),
        ("forebay.rows", Some("18446744073709551616")),
        ("forebay.first_offset", Some("10100")),
        ("forebay.first_offset", Some("-1")),
        ("forebay.partition", Some("2147483648")),
        ("forebay.schema_ids", Some("1,x")),
        ("forebay.role", Some("other")),
        ("forebay.partition_values", Some("[[")),
        ("forebay.topic", None),
    ] {
        let mut pairs = said.clone();
        pairs.iter_mut().filter(|p| p.key == key).for_each(|p| p.value = value.map(str::to_owned));
        let mut bytes = Vec::new();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        pairs.into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
        writer.close().unwrap();
        let fault = Provenance::read(&footer(&Bytes::from(bytes))).unwrap_err();
        assert_eq!(fault.code.id, "FB0804");
        assert!(fault.message.contains(key), "{key} {value:?}: {fault}");
    }
}

#[test]
fn statistics_and_page_index_are_there_for_every_column() {
    let bytes = encode(&[events(30_000)], &encoding(Compression::Gzip));
    let metadata = footer(&bytes);
    for (g, group) in metadata.row_groups().iter().enumerate() {
        let index = metadata.page_index_for_row_group(g);
        for (c, chunk) in group.columns().iter().enumerate() {
            let path = chunk.column_path();
            let statistics = chunk.statistics().unwrap_or_else(|| panic!("{path}"));
            assert!(statistics.min_bytes_opt().is_some(), "{path}");
            let pages = index.offset_index(c).map_or(0, |offsets| offsets.page_locations().len());
            assert!(pages >= 2, "{path}: {pages} pages of 20,000 rows at most");
            assert_eq!(index.column_index(c).map(|i| i.num_pages()), Some(pages as u64), "{path}");
        }
    }
}

fn encodings(bytes: &Bytes, column: &str) -> Vec<PageEncoding> {
    let metadata = footer(bytes);
    let chunk = metadata.row_group(0).columns().iter().find(|c| c.column_path().string() == column);
    chunk.unwrap().encodings().collect()
}

#[test]
fn encodings_follow_the_values_and_stay_with_what_readers_accept() {
    let bytes = encode(&[events(20_000)], &encoding(Compression::Gzip));
    for column in ["country", "sku", "device.os", "tags.list.element", "coupon", "quantity"] {
        assert!(encodings(&bytes, column).contains(&PageEncoding::RLE_DICTIONARY), "{column}");
    }
    for column in ["order_id", "email", "score"] {
        let found = encodings(&bytes, column);
        assert!(!found.contains(&PageEncoding::RLE_DICTIONARY), "{column}: {found:?}");
        assert!(found.contains(&PageEncoding::PLAIN), "{column}: {found:?}");
    }
    for column in ["customer_id", "created_at"] {
        assert!(encodings(&bytes, column).contains(&PageEncoding::DELTA_BINARY_PACKED), "{column}");
    }
}

#[test]
fn what_one_file_learnt_serves_the_next_of_the_same_columns_only() {
    let encoding = encoding(Compression::Gzip);
    let mut first = ParquetFile::new(event::schema(), &encoding).unwrap();
    first.write(&events(1_000)).unwrap();
    assert!(first.learned().is_none(), "too few rows to learn from");
    first.write(&events(learn::SAMPLE)).unwrap();
    let learned = first.learned().unwrap().clone();

    let mut next = ParquetFile::with_learned(event::schema(), &encoding, &learned).unwrap();
    next.write(&events(10)).unwrap();
    let (bytes, _) = next.finish(&provenance()).unwrap();
    assert!(encodings(&bytes, "created_at").contains(&PageEncoding::DELTA_BINARY_PACKED));

    let other = noise(0);
    let mut next = ParquetFile::with_learned(other.schema(), &encoding, &learned).unwrap();
    next.write(&other).unwrap();
    assert_eq!(read(&next.finish(&provenance()).unwrap().0).num_rows(), other.num_rows());
}

#[test]
fn rows_of_other_columns_are_refused() {
    let mut file = ParquetFile::new(event::schema(), &encoding(Compression::Gzip)).unwrap();
    assert_eq!(file.write(&noise(0)).unwrap_err().code.id, "FB0803");
}

#[test]
fn file_without_rows_is_a_file() {
    let file = ParquetFile::new(event::schema(), &encoding(Compression::Gzip)).unwrap();
    let (bytes, stats) = file.finish(&provenance()).unwrap();
    assert_eq!(stats.rows, 0);
    assert_eq!(read(&bytes).num_rows(), 0);
}

#[test]
fn columns_parquet_cannot_hold_are_refused_by_path() {
    let child = |t| Field::new("x", t, true);
    let list = |t| DataType::List(Arc::new(Field::new("element", t, true)));
    let union =
        DataType::Union(UnionFields::from_fields(vec![child(DataType::Int32)]), UnionMode::Dense);
    let map = |key: Field| {
        let pair = Fields::from(vec![key, Field::new("value", DataType::Int32, true)]);
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair), false)), false)
    };
    let cases: Vec<(&str, DataType, &str)> = vec![
        ("union", union.clone(), "a"),
        ("union in a list", list(union), "a.element"),
        ("struct without fields", DataType::Struct(Fields::empty()), "a"),
        ("list of it", list(DataType::Struct(Fields::empty())), "a.element"),
        ("months, days, nanoseconds", DataType::Interval(IntervalUnit::MonthDayNano), "a"),
        ("seconds", DataType::Timestamp(TimeUnit::Second, None), "a"),
        ("seconds of a day", DataType::Time32(TimeUnit::Second), "a"),
        ("milliseconds as a date", DataType::Date64, "a"),
        ("negative scale", DataType::Decimal128(10, -2), "a"),
        ("fixed binary of nothing", DataType::FixedSizeBinary(0), "a"),
        ("nullable map key", map(Field::new("key", DataType::Utf8, true)), "a"),
        (
            "dictionary of lists",
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(list(DataType::Int32))),
            "a",
        ),
    ];
    for (what, data_type, path) in cases {
        let schema = Arc::new(Schema::new(vec![
            Field::new("ok", DataType::Int32, false),
            Field::new("a", data_type, true),
        ]));
        let fault = ParquetFile::new(schema, &encoding(Compression::Gzip)).unwrap_err();
        assert_eq!(fault.code.id, "FB0801", "{what}");
        assert!(fault.message.starts_with(&format!("column `{path}`:")), "{what}: {fault}");
    }
}

/// Every type of the mapping tables, with nulls, nested, and at its edges.
fn types() -> RecordBatch {
    let mut map = MapBuilder::new(
        Some(MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() }),
        StringBuilder::new(),
        Int64Builder::new(),
    );
    map.keys().append_value("a");
    map.values().append_value(1);
    map.keys().append_value("");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(true).unwrap();
    map.append(false).unwrap();
    let element = Field::new("element", DataType::Utf8, true);
    let mut lists =
        ListBuilder::new(ListBuilder::new(StringBuilder::new()).with_field(element.clone()))
            .with_field(Field::new("element", DataType::List(Arc::new(element)), true));
    lists.values().values().append_value("x");
    lists.values().values().append_null();
    lists.values().append(true);
    lists.values().append(false);
    lists.append(true);
    lists.append(false);
    lists.append(true);
    let fields = Fields::from(vec![Field::new("b", DataType::Int32, true)]);
    let nulls = NullBufferBuilder::new_with_len(3).finish();
    let structs = StructArray::new(
        fields,
        vec![Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))],
        nulls,
    );
    let decimal = |p, s| {
        Decimal128Array::from(vec![Some(12_345), None, Some(-1)])
            .with_precision_and_scale(p, s)
            .unwrap()
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("u32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(0)]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY)]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(1e300), None, Some(f64::MIN_POSITIVE)]))),
        ("text", Arc::new(StringArray::from(vec![Some("zażółć 🦀"), None, Some("")]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b"")]))),
        (
            "fixed",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some([1u8; 16]), None, Some([0; 16])].into_iter(),
                    16,
                )
                .unwrap(),
            ),
        ),
        ("d9", Arc::new(decimal(9, 2))),
        ("d18", Arc::new(decimal(18, 0))),
        ("d38", Arc::new(decimal(38, 10))),
        ("date", Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
        (
            "ts_ms",
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(-1), None, Some(1_767_312_000_000)])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "ts_us",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1)]).with_timezone("UTC"),
            ),
        ),
        ("ts_local", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1)]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_999_999)]))),
        ("map", Arc::new(map.finish())),
        ("lists", Arc::new(lists.finish())),
        ("structs", Arc::new(structs)),
        ("yes", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("strange, name = ü", Arc::new(Int32Array::from(vec![1, 2, 3]))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns.into_iter().map(|(_, a)| a).collect(),
    )
    .unwrap()
}

#[test]
fn every_type_of_the_tables_reads_back_equal() {
    let batch = types();
    schema::check(&batch.schema()).unwrap();
    let read = read(&encode(std::slice::from_ref(&batch), &encoding(Compression::Gzip)));
    for (index, field) in batch.schema().fields().iter().enumerate() {
        assert_eq!(read.column(index), batch.column(index), "{}", field.name());
    }
}

/// For other programs: writes the files whose folder `FOREBAY_KEEP_FILES` names.
#[test]
fn files_are_kept_for_other_readers_on_request() {
    let Some(dir) = std::env::var_os("FOREBAY_KEEP_FILES").map(std::path::PathBuf::from) else {
        return;
    };
    for (name, batch) in [("types", types()), ("events", events(50_000))] {
        for compression in [
            Compression::Gzip,
            Compression::Zstd,
            Compression::Snappy,
            Compression::Lz4,
            Compression::None,
        ] {
            let bytes = encode(std::slice::from_ref(&batch), &encoding(compression));
            std::fs::write(dir.join(format!("{name}-{compression:?}.parquet")), bytes).unwrap();
        }
    }
}

static CODE: Code = Code { id: "FB0201", kind: Kind::Reject, title: "", help: "" };

fn rejected(values: &[&[u8]], record_bytes_max: usize) -> RecordBatch {
    let from = TopicPartition::new("orders", 3);
    let mut raw = record::RecordBatch::new(from.clone(), 7);
    for (i, value) in values.iter().enumerate() {
        let headers = [("trace", Some(&b"1"[..])), ("trace", None), ("", Some(b""))];
        let key = (i > 0).then_some(&b"key"[..]);
        let time = (i > 0).then_some(1_767_312_000_000);
        raw.push(
            7 + i as i64,
            time,
            record::TimestampType::CreateTime,
            key,
            Some(value),
            headers.into_iter(),
        );
    }
    let mut rows = reject::RejectRows::new(from, record_bytes_max);
    let why = Reject { code: &CODE, message: "no".into() };
    raw.iter().for_each(|record| rows.push(&record, &why, Some(42)));
    assert_eq!(rows.rows(), values.len());
    let batches = rows.finish();
    assert_eq!(rows.rows(), 0);
    let bytes = encode(&batches, &encoding(Compression::Gzip));
    read(&bytes)
}

#[test]
fn reject_keeps_the_record_whole_and_says_why() {
    let rows = rejected(&[b"\0\0", b"second"], 1_000);
    let text = |name: &str, row| {
        rows.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned()
    };
    assert_eq!(
        (text("topic", 0), text("code", 1), text("message", 1)),
        ("orders".into(), "FB0201".into(), "no".into())
    );
    let offsets = rows.column_by_name("offset").unwrap().as_primitive::<Int64Type>();
    assert_eq!(offsets.values(), &[7, 8]);
    assert_eq!(rows.column_by_name("value").unwrap().as_binary::<i32>().value(1), b"second");
    let keys = rows.column_by_name("key").unwrap().as_binary::<i32>();
    assert!(keys.is_null(0) && keys.value(1) == b"key");
    assert!(rows.column_by_name("timestamp").unwrap().is_null(0));
    assert!(rows.column_by_name("value_sha256").unwrap().is_null(0));
    let headers = rows.column_by_name("headers").unwrap().as_list::<i32>().value(1);
    let headers = headers.as_struct();
    assert_eq!(
        headers.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
        ["trace", "trace", ""]
    );
    let values = headers.column(1).as_binary::<i32>();
    assert_eq!(values.iter().collect::<Vec<_>>(), [Some(&b"1"[..]), None, Some(b"")]);
}

#[test]
fn oversized_record_is_kept_by_reference() {
    let large = vec![b'a'; 1_000_000];
    let rows = rejected(&[&large], 999_999);
    let value = rows.column_by_name("value").unwrap().as_binary::<i32>().value(0).to_vec();
    assert_eq!(value, vec![b'a'; 4_096]);
    let size = rows.column_by_name("size").unwrap().as_primitive::<Int64Type>().value(0);
    assert_eq!(size, 1_000_000 + 11);
    // SHA-256 of a million times `a`: a vector of FIPS 180.
    let hash = rows.column_by_name("value_sha256").unwrap().as_string::<i32>().value(0).to_owned();
    assert_eq!(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

#[test]
fn rejects_beyond_a_batch_come_in_several() {
    let from = TopicPartition::new("orders", 0);
    let value = vec![0u8; 30 << 20];
    let mut raw = record::RecordBatch::new(from.clone(), 0);
    raw.push(0, None, record::TimestampType::CreateTime, None, Some(&value), std::iter::empty());
    let mut rows = reject::RejectRows::new(from, 32 << 20);
    let why = Reject { code: &CODE, message: "no".into() };
    (0..4).for_each(|_| rows.push(&raw.get(0), &why, None));
    assert_eq!(rows.rows(), 4);
    assert_eq!(rows.finish().iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [3, 1]);
}
