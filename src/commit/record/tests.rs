use super::*;

pub(crate) fn identity() -> Identity {
    Identity {
        pipeline: "orders".into(),
        cluster: Some("lkc-1".into()),
        topic: "shop.orders".into(),
        topic_id: Some("Zk1tF2JRQ/G8mHY+5pQ8Kg".into()),
        partition: 3,
    }
}

/// The record at a place of a chain of empty commits, ten offsets each.
pub(crate) fn record(seq: u64) -> Record {
    let at = seq as i64 * 10;
    Record {
        version: VERSION_NOW,
        kind: Kind::Commit,
        identity: identity(),
        seq,
        id: format!("id-{seq}"),
        prev: if seq == 1 { String::new() } else { format!("id-{}", seq - 1) },
        epoch: 1,
        owner: "0190".into(),
        from: at,
        to: at + 10,
        rows: 0,
        rejects: 0,
        skipped: Vec::new(),
        min_ms: None,
        max_ms: None,
        repairs: None,
        note: None,
        files: Vec::new(),
    }
}

pub(crate) fn file(role: Role, staged: Handle) -> File {
    File {
        key: "shop.orders/country=FR/shop.orders+3+00000000000000000020+0000000000001-0a1b2c3d.parquet".into(),
        bytes: 1_234,
        about: About {
            role,
            crc32: 3_735_928_559,
            rows: 9,
            first: 20,
            last: 29,
            values: vec![("country".into(), Some("FR".into())), ("day".into(), None)],
            columns: 77,
            target: None,
            schema_ids: vec![4, 9],
        },
        staged,
    }
}

/// The golden file of a form, kept by hand: what is stored is read for years.
macro_rules! golden {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../tests/corpus/commit/", $name)))
    };
}

/// Every kind of record as this release writes it, with the name of its file.
fn forms() -> Vec<((&'static str, &'static str), Record)> {
    let s3 = Handle::S3 {
        upload_id: "2~upload".into(),
        etags: vec!["\"e1\"".into(), "\"e2\"".into()],
        checksums: vec!["crc32c=AAAAAA==".into(), "crc32c=BBBBBB==".into()],
        token: "0190aa".into(),
    };
    let local = Handle::Local {
        name: "0123456789abcdef0123456789abcdef/0000000000000001".into(),
        inode: 42,
        mtime_ns: 1_767_225_600_000_000_001,
    };
    let mut commit = record(2);
    commit.rows = 9;
    commit.rejects = 9;
    (commit.min_ms, commit.max_ms) = (Some(1_767_225_600_000), Some(1_767_225_600_009));
    commit.files = vec![file(Role::Data, s3.clone()), file(Role::Reject, s3)];
    let mut disk = record(2);
    disk.identity.topic_id = None;
    disk.identity.cluster = None;
    disk.rows = 9;
    disk.files = vec![file(Role::Data, local)];
    let mut onto = disk.clone();
    onto.files[0].about.target = Some(9);
    let claim = Record { kind: Kind::Claim, from: 0, to: 0, ..record(1) };
    let mut skip = Record { kind: Kind::Claim, ..record(7) };
    skip.epoch = 2;
    skip.skipped = vec![Skipped { from: 70, to: 80, why: "retention".into() }];
    let void = Record { kind: Kind::Void, to: 70, ..record(7) };
    let mut repair = Record { kind: Kind::Repair, to: 70, repairs: Some(2), ..record(7) };
    repair.files = disk.files.clone();
    repair.rows = 9;
    let reset = Record { kind: Kind::Reset, from: 500, to: 500, ..record(7) };
    vec![
        (golden!("commit_s3.json"), commit),
        (golden!("commit_disk.json"), disk),
        (golden!("commit_onto.json"), onto),
        (golden!("claim.json"), claim),
        (golden!("claim_skip.json"), skip),
        (golden!("void.json"), void),
        (golden!("repair.json"), repair),
        (golden!("reset.json"), reset),
    ]
}

#[test]
fn every_form_is_written_as_the_golden_files_say_and_read_back() {
    for ((name, there), record) in forms() {
        let bytes = record.to_bytes();
        assert_eq!(String::from_utf8_lossy(&bytes), there, "{name}: the form has changed");
        assert_eq!(Record::parse(&bytes).as_ref(), Ok(&record), "{name}");
    }
    let format = Format {
        version: VERSION_NOW,
        pipeline: "orders".into(),
        cluster: Some("lkc-1".into()),
        root: "s3://lake/raw".into(),
        naming: Naming::Native,
        authority: Authority::Store,
        group: None,
        create_only: true,
        revives: Some(false),
    };
    let kafka = Format {
        authority: Authority::Kafka,
        group: Some("forebay-orders".into()),
        create_only: false,
        ..format.clone()
    };
    assert_eq!(String::from_utf8_lossy(&format.to_bytes()), golden!("format.json").1);
    assert_eq!(Format::parse(&format.to_bytes()), Ok(format));
    assert_eq!(String::from_utf8_lossy(&kafka.to_bytes()), golden!("format_kafka.json").1);
    assert_eq!(Format::parse(&kafka.to_bytes()), Ok(kafka));
    let point = |published| Point { seq: 17, id: "0190aa-4".into(), published };
    let points = [point(false).text(), point(true).text()];
    assert_eq!(points.join("\n") + "\n", golden!("points.txt").1);
    assert_eq!(points.map(|text| Point::parse(&text)), [Some(point(false)), Some(point(true))]);
    assert_eq!(named_key(&identity(), 17, "0190aa-4"), golden!("named_key.txt").1);
    let topic = Topic { version: 1, topic: "shop.orders".into(), partitions: 12 };
    assert_eq!(String::from_utf8_lossy(&topic.to_bytes()), golden!("topic.json").1);
    assert_eq!(Topic::parse(&topic.to_bytes()), Ok(topic));
    assert_eq!(Topic::key(&identity()), golden!("topic_key.txt").1);
    assert_eq!(Hint::text(17, "0190aa-4"), golden!("hint.txt").1);
    assert_eq!(key(&identity(), 17), golden!("key.txt").1);
}

#[test]
fn cut_and_changed_records_are_faults_and_never_panics() {
    let mut random = crate::clock::Seeded::new(5);
    for ((name, _), record) in forms() {
        let bytes = record.to_bytes();
        for end in 0..bytes.len() - 1 {
            // Without its last brace it is no JSON; the newline after it is not needed.
            let cut = Record::parse(&bytes[..end]);
            assert!(cut.is_err() || end + 1 == bytes.len(), "{name} cut at {end}");
        }
        for _ in 0..3_000 {
            let mut changed = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(changed.len() as u64) as usize;
                changed[at] = random.next_u64() as u8;
            }
            if let Ok(read) = Record::parse(&changed) {
                // What is accepted can be asked anything.
                let _ = (read.belongs(&identity(), 2), read.follows(&record), read.to_bytes());
            }
        }
    }
}

#[test]
fn hostile_records_get_their_codes() {
    let with = |change: &dyn Fn(&mut Record)| {
        let mut record = forms().remove(0).1;
        change(&mut record);
        Record::parse(&record.to_bytes()).map_err(|f| f.code.id)
    };
    assert!(with(&|_| {}).is_ok());
    assert_eq!(with(&|r| r.version = 2), Err("FB0921"));
    assert_eq!(with(&|r| r.version = 0), Err("FB0921"));
    let wrong: [&dyn Fn(&mut Record); 12] = [
        &|r| r.from = -1,
        &|r| r.to = r.from - 1,
        &|r| r.seq = 0,
        &|r| r.epoch = 0,
        &|r| r.id.clear(),
        &|r| r.prev.clear(),
        &|r| r.kind = Kind::Claim,
        &|r| r.kind = Kind::Void,
        &|r| r.repairs = Some(1),
        &|r| r.files[0].about.last = i64::MAX,
        &|r| r.files[0].key = "_forebay/orders/log/x".into(),
        &|r| r.skipped = vec![Skipped { from: 0, to: i64::MAX, why: String::new() }],
    ];
    for (i, change) in wrong.iter().enumerate() {
        assert_eq!(with(change), Err("FB0920"), "change {i}");
    }
    for bytes in [&b""[..], b"null", b"[]", b"{}", b"{\"version\":\"1\"}", b"\xff\xfe", b"1"] {
        assert_eq!(Record::parse(bytes).unwrap_err().code.id, "FB0920", "{bytes:?}");
    }
    let deep = [b"{\"version\":1,\"files\":".to_vec(), vec![b'['; 100_000]].concat();
    assert_eq!(Record::parse(&deep).unwrap_err().code.id, "FB0920");
}

#[test]
fn objects_of_a_later_release_are_refused_by_their_code() {
    for (later, damaged) in [
        ("{\"version\":2,\"pipeline\":7}", "{\"version\":1,\"pipeline\":7}"),
        ("{\"version\":4294967295}", "{\"version\":4294967296}"),
    ] {
        let codes = |text: &str| {
            [
                Format::parse(text.as_bytes()).unwrap_err().code.id,
                Topic::parse(text.as_bytes()).unwrap_err().code.id,
                Record::parse(text.as_bytes()).unwrap_err().code.id,
            ]
        };
        assert_eq!(codes(later), ["FB0921"; 3]);
        assert_eq!(codes(damaged), ["FB0920"; 3]);
    }
    // A hint of a later form is none: the chain is searched without one.
    assert_eq!(Hint::parse("fb2:17:0190aa-4:more"), None);
}

#[test]
fn versions_that_the_option_takes_are_those_that_this_release_knows() {
    use crate::config::options::{Form, Unset, find};
    let option = find("commit.record_version").unwrap();
    let Form::Count(1, most) = option.form else { panic!("another form") };
    assert_eq!(most, u64::from(VERSION_NOW));
    let Unset::Is(default) = option.default else { panic!("no default") };
    assert_eq!(default, VERSION_WRITTEN.to_string());
}

#[test]
fn record_of_another_chain_is_refused() {
    let own = identity();
    let with = |change: &dyn Fn(&mut Identity)| {
        let mut other = own.clone();
        change(&mut other);
        record(4).belongs(&other, 4).map_err(|f| f.code.id)
    };
    assert_eq!(with(&|_| {}), Ok(()));
    assert_eq!(with(&|i| i.topic_id = None), Ok(()));
    assert_eq!(with(&|i| i.cluster = None), Ok(()));
    assert_eq!(with(&|i| i.topic_id = Some("x".into())), Err("FB0922"));
    assert_eq!(with(&|i| i.cluster = Some("x".into())), Err("FB0922"));
    assert_eq!(with(&|i| i.pipeline.push('x')), Err("FB0922"));
    assert_eq!(with(&|i| i.topic.push('x')), Err("FB0922"));
    assert_eq!(with(&|i| i.partition = 0), Err("FB0922"));
    assert_eq!(record(4).belongs(&own, 5).unwrap_err().code.id, "FB0923");
}

#[test]
fn record_that_does_not_follow_is_refused() {
    let with = |change: &dyn Fn(&mut Record)| {
        let mut next = record(5);
        change(&mut next);
        next.follows(&record(4)).map_err(|f| f.code.id)
    };
    assert_eq!(with(&|_| {}), Ok(()));
    assert_eq!(with(&|r| r.seq = 6), Err("FB0923"));
    assert_eq!(with(&|r| r.prev = "x".into()), Err("FB0923"));
    assert_eq!(with(&|r| r.from += 1), Err("FB0923"));
    assert_eq!(with(&|r| r.epoch = 0), Err("FB0923"));
    assert_eq!(with(&|r| (r.kind, r.from, r.to) = (Kind::Reset, 7, 7)), Ok(()));
}

#[test]
fn hint_of_another_form_is_none() {
    assert_eq!(Hint::parse("fb1:17:a:b"), Some(Hint { seq: 17, id: "a:b".into() }));
    let long = format!("fb1:1:{}", "x".repeat(257));
    for text in ["", "fb1", "fb1:", "fb1:1:", "fb1:0:a", "fb1:-1:a", "fb2:1:a", "fb1:x:a", &long] {
        assert_eq!(Hint::parse(text), None, "{text}");
    }
}

#[test]
fn keys_of_the_longest_topic_fit_on_disk_and_stay_apart() {
    let mut long = identity();
    long.topic = "x".repeat(249);
    let folder = topic_folder(&long);
    assert!(folder.split('/').all(|segment| segment.len() <= 255), "{folder}");
    let mut other = long.clone();
    other.topic = format!("{}y", "x".repeat(248));
    assert_ne!(topic_prefix("p", &long.topic), topic_prefix("p", &other.topic));
    assert!(folder.starts_with(&topic_prefix("orders", &long.topic)));
    // One topic's prefix is not the beginning of another's.
    assert!(!topic_prefix("p", "a-b").starts_with(&topic_prefix("p", "a")));
}

#[test]
fn key_taken_apart_gives_folder_and_seq() {
    let key = key(&identity(), 17);
    assert_eq!(parse_key(&key), Some((chain_folder(&identity()).as_str(), 17)));
    for key in ["", "a/1.json", "a/00000000000000000001.jsonx", "00000000000000000001.json"] {
        assert_eq!(parse_key(key), None, "{key}");
    }
}

#[test]
fn key_of_a_record_that_kafka_names_taken_apart_gives_folder_seq_and_id() {
    let key = named_key(&identity(), 17, "0190aa-4");
    let folder = chain_folder(&identity());
    assert_eq!(parse_named_key(&key), Some((folder.as_str(), 17, "0190aa-4")));
    assert_eq!(parse_key(&key), None);
    let digits = "00000000000000000001";
    for key in [
        digits.to_owned(),
        format!("a/{digits}.json"),
        format!("a/{digits}-.json"),
        "a/1-x.json".to_owned(),
    ] {
        assert_eq!(parse_named_key(&key), None, "{key}");
    }
}

#[test]
fn text_that_names_no_record_or_a_place_of_its_own_is_none_of_ours() {
    for text in [
        "",
        "fb2:",
        "fb2:1:c:",
        "fb2:0:c:x",
        "fb2:-1:c:x",
        "fb2:1:d:x",
        "fb2:1:x",
        "fb1:1:x",
        "fb2:1:c:../x",
        "fb2:1:c:a/b",
        "fb2:1:c:a.json",
        "fb2:99999999999999999999:c:x",
    ] {
        assert_eq!(Point::parse(text), None, "{text}");
    }
    assert_eq!(Point::parse(&format!("fb2:1:c:{}", "x".repeat(201))), None);
}

#[test]
fn format_of_another_place_is_refused() {
    let own = Format {
        version: 1,
        pipeline: "p".into(),
        cluster: Some("c".into()),
        root: "s3://b/r".into(),
        naming: Naming::Native,
        authority: Authority::Store,
        group: None,
        create_only: true,
        revives: None,
    };
    let with = |change: &dyn Fn(&mut Format)| {
        let mut there = own.clone();
        change(&mut there);
        there.admits(&own).map_err(|f| f.code.id)
    };
    assert_eq!(with(&|f| (f.revives, f.create_only) = (Some(true), false)), Ok(()));
    assert_eq!(with(&|f| f.cluster = None), Ok(()));
    assert_eq!(with(&|f| f.cluster = Some("d".into())), Err("FB0931"));
    assert_eq!(with(&|f| f.root.push('x')), Err("FB0931"));
    assert_eq!(with(&|f| f.pipeline.push('x')), Err("FB0931"));
    assert_eq!(with(&|f| f.authority = Authority::Kafka), Err("FB0931"));
    assert_eq!(with(&|f| f.group = Some("g".into())), Err("FB0931"));
}
