use super::Kind::*;
use super::Level::{Alter, Breaks};
use super::Reader::{Iceberg, Spark};
use super::facts::{FACTS, Fact};
use super::*;

#[test]
fn every_reader_has_one_fact_about_every_kind() {
    let kinds = [
        Appears,
        Disappears,
        Renamed,
        FieldAppears,
        FieldDisappears,
        RequiredAppears,
        RequiredDisappears,
        Case,
        Widened,
        Precision,
        Wider,
        Rounded,
        Narrowed,
        TextBytes,
        TimeUnit,
        Retyped,
        Null,
        Order,
    ];
    for reader in Reader::ALL {
        for kind in kinds {
            let of = |fact: &&Fact| fact.reader == reader && fact.kinds.contains(&kind);
            assert_eq!(FACTS.iter().filter(of).count(), 1, "{reader:?} {kind:?}");
        }
    }
    assert!(FACTS.iter().all(|fact| !fact.kinds.contains(&Kind::RenamedAway)));
}

#[test]
fn statements_are_those_of_the_documentation() {
    let old = Schema::new(vec![Field::new("a", DataType::Int32, true)]);
    let new = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("e mail", DataType::Utf8, true),
    ]);
    let found = verdicts(&old, &new, By::Name, "orders");
    let of = |reader| found.iter().find(|v| v.reader == reader).unwrap();
    assert_eq!(
        of(Iceberg).statements,
        [
            "ALTER TABLE `orders` ALTER COLUMN `a` TYPE BIGINT",
            "ALTER TABLE `orders` ADD COLUMN `e mail` STRING"
        ]
    );
    assert_eq!(of(Iceberg).level, Alter);
    assert_eq!(of(Spark).level, Breaks);
    assert_eq!(of(Spark).statements, ["DROP TABLE `orders`, then as `--ddl` says; the files stay"]);
    let only = Schema::new(vec![
        Field::new("a", DataType::Int32, true),
        Field::new("e mail", DataType::Utf8, true),
    ]);
    let found = verdicts(&old, &only, By::Name, "orders");
    let statements: Vec<&str> = found.iter().map(|v| v.statements[0].as_str()).collect();
    assert_eq!(
        statements,
        [
            "ALTER TABLE `orders` ADD COLUMNS (`e mail` string)",
            "ALTER TABLE `orders` ADD COLUMNS (`e mail` STRING)",
            "ALTER TABLE \"orders\" ADD COLUMN \"e mail\" VARCHAR",
            "read_parquet(…, union_by_name = true)",
            "ALTER TABLE `orders` ADD COLUMN `e mail` STRING",
            "pyarrow.dataset.dataset(…, schema=pyarrow.unify_schemas([…], promote_options=\"permissive\"))",
        ]
    );
}
