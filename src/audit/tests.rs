//! The checks one by one, over records and files made by hand.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::content::{self, Offsets, Row, Tail};
use super::explain::Search;
use super::finding::CLASSES;
use super::*;
use crate::commit::record::tests::{identity, record};
use crate::commit::record::{About, File, Kind, Record, Role, Skipped, chain_folder};
use crate::position::OffsetRange;
use crate::store::{Entry, Handle};

/// Key of the footer that names the column of offsets.
const OFFSETS: &str = "forebay.offset_column";

fn chain(len: u64) -> Chain {
    Chain::new(&chain_folder(&identity()), (1, len))
}

/// Classes found in a chain of these records, in the order found.
fn walk(records: &[Record]) -> (Vec<&'static str>, Chain) {
    let (mut chain, mut out) = (chain(records.len() as u64), Findings::default());
    for (seq, record) in (1..).zip(records) {
        chain.record(seq, record, None, &mut out);
    }
    (out.sorted().iter().map(|f| f.class.name()).collect(), chain)
}

/// Ten offsets each, from 10 on.
fn good() -> Vec<Record> {
    (1..=4).map(record).collect()
}

fn file(key: &str, first: i64, last: i64, rows: u64) -> File {
    let about = About {
        role: Role::Data,
        crc32: 0,
        rows,
        first,
        last,
        values: Vec::new(),
        columns: 0,
        target: None,
        schema_ids: Vec::new(),
    };
    let staged = Handle::Local { name: format!("owner/{key}"), inode: 0, mtime_ns: 0 };
    File { key: key.to_owned(), bytes: 100, about, staged }
}

#[test]
fn chain_that_hangs_together_has_no_finding() {
    let (found, chain) = walk(&good());
    assert_eq!(found, Vec::<&str>::new());
    assert_eq!(
        (chain.start, chain.committed_to, chain.published_to()),
        (Some(10), Some(50), Some(50))
    );
    assert_eq!((chain.offsets, chain.offsets_without_rows()), (40, 40));
}

#[test]
fn each_break_of_a_chain_has_its_class() {
    type Damage = fn(&mut Vec<Record>);
    let cases: [(Damage, &[&str]); 8] = [
        (|r| r[2].prev = "x".into(), &["link_broken"]),
        (|r| r[1].id = "x".into(), &["link_broken"]),
        (|r| (r[1].epoch, r[2].epoch) = (2, 2), &["epoch_falls"]),
        (|r| r[1].to = 29, &["range_gap"]),
        (|r| r[1].to = 31, &["range_overlap"]),
        (|r| r[2].seq = 4, &["record_misplaced"]),
        (|r| r[2].identity.partition = 9, &["record_misplaced"]),
        (|r| r[2].rows = 1, &["rows_wrong"]),
    ];
    for (n, (damage, expected)) in cases.into_iter().enumerate() {
        let mut records = good();
        damage(&mut records);
        assert_eq!(walk(&records).0, expected, "case {n}");
    }
}

#[test]
fn more_rows_than_offsets_are_found() {
    let mut records = good();
    records[1].files = vec![file("t/a", 20, 29, 11)];
    records[1].rows = 11;
    assert_eq!(walk(&records).0, ["rows_wrong"]);
    // Two files of one interval whose rows are more than its offsets.
    records[1].files = vec![file("t/a", 20, 29, 6), file("t/b", 20, 29, 6)];
    records[1].rows = 12;
    assert_eq!(walk(&records).0, ["rows_wrong"]);
    // One file with more rows than it spans offsets.
    records[1].files = vec![file("t/a", 20, 21, 3)];
    records[1].rows = 3;
    assert_eq!(walk(&records).0, ["rows_wrong"]);
}

#[test]
fn moves_and_skips_are_told_and_no_violation() {
    let mut records = good();
    records[1].kind = Kind::Reset;
    (records[1].from, records[1].to) = (100, 100);
    records[1].note = Some("bad batch".into());
    records[2].kind = Kind::Claim;
    (records[2].from, records[2].to) = (100, 110);
    records[2].skipped = vec![Skipped { from: 100, to: 110, why: "retention".into() }];
    (records[3].from, records[3].to) = (110, 120);
    let (found, chain) = walk(&records);
    assert_eq!(found, Vec::<&str>::new());
    let reset = &chain.resets[0];
    assert_eq!((reset.from, reset.to, reset.why.as_str()), (20, 100, "bad batch"));
    assert_eq!(chain.skipped[0].range, OffsetRange { start: 100, end: 110 });
}

fn entry(key: &str, bytes: u64) -> Entry {
    Entry { key: key.to_owned(), bytes, modified_ms: None }
}

#[test]
fn file_named_twice_is_found() {
    let (mut files, mut out) = (Files::default(), Findings::default());
    let mut records = good();
    records[1].files = vec![file("t/a", 20, 21, 2)];
    records[3].files = vec![file("t/a", 40, 41, 2)];
    for record in &records {
        files.name(0, &chain(4), record, &Default::default(), &mut out);
    }
    assert_eq!(out.count(Class::FileNamedTwice), 1);
    assert_eq!(out.all(), 1);
}

/// What the listing of `there` leaves missing, by class and place, where `staged` is staged still.
fn missing(there: &[&str], staged: &[&str], published: Option<u64>) -> Vec<(&'static str, u64)> {
    let (mut files, mut out) = (Files::default(), Findings::default());
    let mut records = good();
    records[1].files = vec![file("t/a", 20, 21, 2)];
    records[3].files = vec![file("t/b", 40, 41, 2)];
    let staged = staged
        .iter()
        .map(|key| {
            let id = format!("owner/{key}");
            (id.clone(), Upload { id, key: None, started_ms: None })
        })
        .collect();
    let mut chains = [chain(4)];
    for (seq, record) in (1..).zip(&records) {
        chains[0].record(seq, record, None, &mut out);
        files.name(0, &chains[0], record, &staged, &mut out);
    }
    there.iter().for_each(|key| files.list(entry(key, 100), None, &mut out));
    let missing = files.missing(&mut chains, &[published]);
    missing.iter().map(|m| (m.class.name(), m.seq)).collect()
}

#[test]
fn missing_file_is_what_its_place_and_its_upload_say() {
    assert_eq!(missing(&["t/a", "t/b"], &[], None), []);
    assert_eq!(missing(&["t/b"], &[], None), [("removed", 2)]);
    assert_eq!(missing(&["t/b"], &["t/a"], None), [("unpublished", 2)]);
    assert_eq!(missing(&["t/a"], &["t/b"], None), [("pending", 4)]);
    assert_eq!(missing(&["t/a"], &[], None), [("undecided", 4)]);
    assert_eq!(missing(&["t/a"], &[], Some(3)), [("undecided", 4)]);
    assert_eq!(missing(&["t/a"], &[], Some(4)), [("removed", 4)]);
}

/// What is told of two lost files of one record, 2 and 3 rows, after a repair that brought so many rows back.
fn after_repair(rows: u64) -> Vec<(&'static str, u64)> {
    let (mut files, mut out) = (Files::default(), Findings::default());
    let mut records = good();
    records[1].files = vec![file("t/a", 20, 21, 2), file("t/b", 22, 24, 3)];
    records[3].kind = Kind::Repair;
    records[3].repairs = Some(2);
    records[3].files = vec![file("t/c", 20, 24, rows)];
    let mut chains = [chain(4)];
    for (seq, record) in (1..).zip(&records) {
        chains[0].record(seq, record, None, &mut Findings::default());
        files.name(0, &chains[0], record, &Default::default(), &mut out);
    }
    files.list(entry("t/c", 100), None, &mut out);
    for missing in files.missing(&mut chains, &[None]) {
        files.tell_missing(&mut chains[0], &records[1], &Default::default(), missing, &mut out);
    }
    CLASSES.iter().map(|c| (c.name(), out.count(*c))).filter(|(_, n)| *n > 0).collect()
}

#[test]
fn repair_forgives_no_more_rows_than_it_brought_back() {
    assert_eq!(after_repair(5), [("repaired", 2)]);
    assert_eq!(after_repair(4), [("removed", 2)]);
    assert_eq!(after_repair(0), [("removed", 2)]);
}

#[test]
fn chain_of_a_topic_made_anew_is_not_the_new_topics() {
    let old = Chain::new("_forebay/p/log/orders~Ab_c-d/0/", (1, 1));
    assert!(old.may_be_of("Ab/c+d"));
    assert!(!old.may_be_of("Ab/c+e"));
    assert!(Chain::new("_forebay/p/log/orders~none/0/", (1, 1)).may_be_of("Ab/c+e"));
}

/// A Parquet file with these numbers in a column `_offset`, which are offsets where the footer says so.
fn parquet(says: &str, numbers: Vec<i64>) -> Bytes {
    let column: (&str, ArrayRef) = ("_offset", Arc::new(Int64Array::from(numbers)));
    let batch = RecordBatch::try_from_iter([column]).unwrap();
    let mut bytes = Vec::new();
    let said = KeyValue::new(says.to_owned(), "_offset".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![said])).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes.into()
}

fn deep(column: &str, offsets: Vec<i64>, about: (i64, i64, u64)) -> Vec<&'static str> {
    let (mut out, mut all) = (Findings::default(), Offsets::of(OffsetRange { start: 20, end: 30 }));
    let file = file("t/a", about.0, about.1, about.2);
    content::rows(
        parquet(column, offsets),
        &record(2),
        &file,
        Place::default(),
        &mut all,
        &mut out,
    );
    out.sorted().iter().map(|f| f.class.name()).collect()
}

#[test]
fn rows_of_a_file_are_counted_and_ordered() {
    assert_eq!(deep(OFFSETS, vec![20, 22, 29], (20, 29, 3)), Vec::<&str>::new());
    assert_eq!(deep(OFFSETS, vec![20, 29], (20, 29, 3)), ["rows_differ"]);
    assert_eq!(deep(OFFSETS, vec![20, 25, 24, 29], (20, 29, 4)), ["order_broken"]);
    assert_eq!(deep(OFFSETS, vec![21, 29], (20, 29, 2)), ["order_broken"]);
    assert_eq!(deep(OFFSETS, vec![20, 28], (20, 29, 2)), ["order_broken"]);
    assert_eq!(deep(OFFSETS, vec![20, 22, 22, 29], (20, 29, 4)), ["offset_twice"]);
    // A value's own column of that name says nothing of Kafka's offsets: there is only the count.
    assert_eq!(deep("other", vec![9, 1, 1], (20, 29, 3)), Vec::<&str>::new());
    assert_eq!(deep("other", vec![9, 1], (20, 29, 3)), ["rows_differ"]);
}

#[test]
fn rows_that_no_column_gives_an_offset_are_told() {
    let (mut out, mut all) = (Findings::default(), Offsets::of(OffsetRange { start: 20, end: 30 }));
    for (says, rows) in [("other", 2), (OFFSETS, 2), ("other", 2)] {
        let (bytes, file) = (parquet(says, vec![20, 21]), file("t/a", 20, 21, rows));
        content::rows(bytes, &record(2), &file, Place::default(), &mut all, &mut out);
    }
    assert_eq!((out.rows_unseen(), out.all()), (4, 0));
    let mut whole = Findings::default();
    whole.merge(out);
    assert_eq!(whole.rows_unseen(), 4);
}

#[test]
fn offset_in_two_files_of_one_commit_is_found() {
    let (mut out, mut all) = (Findings::default(), Offsets::of(OffsetRange { start: 20, end: 30 }));
    for (offsets, first, last) in [(vec![20, 22], 20, 22), (vec![21, 22], 21, 22)] {
        let file = file("t/a", first, last, 2);
        let bytes = parquet(OFFSETS, offsets);
        content::rows(bytes, &record(2), &file, Place::default(), &mut all, &mut out);
    }
    assert_eq!((out.count(Class::OffsetTwice), out.all()), (1, 1));
}

#[test]
fn footer_longer_than_what_was_read_is_asked_for() {
    let bytes = parquet(OFFSETS, vec![20]);
    let total = bytes.len() as u64;
    let end = bytes.slice(bytes.len() - 8..);
    let Tail::More(more) = content::tail(&end, total) else { panic!("not asked for more") };
    let whole = bytes.slice(bytes.len() - more as usize..);
    assert!(matches!(content::tail(&whole, total), Tail::Footer(_)));
    // A footer that says it is larger than the file.
    let lie = [&[0xff, 0xff, 0xff, 0x7f][..], b"PAR1"].concat();
    assert!(matches!(content::tail(&lie.into(), 1_000), Tail::Bad(_)));
    assert!(matches!(content::tail(&Bytes::from_static(b"no parquet"), 10), Tail::Bad(_)));
    assert!(matches!(content::tail(&Bytes::new(), 0), Tail::Bad(_)));
}

#[test]
fn row_is_found_by_column_or_by_a_range_without_gaps() {
    let bytes = parquet(OFFSETS, vec![20, 22, 29]);
    let find = |offset| content::find(bytes.clone(), Role::Data, offset).unwrap();
    assert_eq!((find(22), find(29), find(21)), (Row::At(1), Row::At(2), Row::Absent));
    let bytes = parquet("other", vec![20, 22, 29]);
    assert_eq!(content::find(bytes, Role::Data, 22).unwrap(), Row::Unknown);
    assert_eq!(Search::row_by_range(&file("t/a", 20, 24, 5), 22), Some(2));
    assert_eq!(Search::row_by_range(&file("t/a", 20, 24, 4), 22), None);
    assert_eq!(Search::row_by_range(&file("t/a", 20, 24, 5), 25), None);
}

#[test]
fn search_knows_begin_end_and_what_was_passed() {
    let mut records = good();
    records[2].kind = Kind::Claim;
    records[2].skipped = vec![Skipped { from: 30, to: 40, why: "retention".into() }];
    let search = |offset| {
        let mut search = Search::new(offset);
        records.iter().for_each(|r| search.record(r));
        search
    };
    assert_eq!(search(25).records.iter().map(|r| r.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(search(35).skipped[0].0, 3);
    let outside = search(50);
    assert_eq!((outside.start, outside.end), (Some(10), Some((4, 50))));
    assert!(outside.records.is_empty());
}
