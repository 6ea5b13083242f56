//! What each reader makes of each kind of difference, as one table.
//!
//! Source: the room above names them, reader by reader.

use super::{Kind, Level, Reader};

use Kind::{
    Appears, BareUnit, Case, Disappears, FieldAppears, FieldDisappears, Narrowed, Null, Order,
    Precision, Renamed, RequiredAppears, RequiredDisappears, Retyped, Rounded, TextBytes, TimeUnit,
    Widened, Wider,
};
use Level::{Alter, AsIs, Breaks};
use Reader::{Athena, Duckdb, Iceberg, Pyarrow, Spark, Trino};

/// Iceberg's reader that knows Parquet's milliseconds.
pub const ROW_BY_ROW: &str = "'read.parquet.vectorization.enabled' = 'false'";

/// A schema in which no field is required.
pub(super) const NULLABLE: &str = "<the columns of both versions, every field nullable>";

/// How a fact ends that no statement helps.
pub(super) const HELPLESS: &str = "nothing helps but another name for the column";

pub(super) struct Fact {
    pub(super) reader: Reader,
    pub(super) kinds: &'static [Kind],
    pub(super) level: Level,
    pub(super) why: &'static str,
}

const fn row(reader: Reader, kinds: &'static [Kind], level: Level, why: &'static str) -> Fact {
    Fact { reader, kinds, level, why }
}

/// Sources: the head of this page.
pub(super) static FACTS: &[Fact] = &[
    row(Athena, &[Appears], Alter, "not seen before the table has it; null in old rows"),
    row(Athena, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Athena,
        &[Renamed],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Athena,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table is made anew: no statement changes a struct",
    ),
    row(
        Athena,
        &[Widened],
        Breaks,
        "queries that read it fail on new files; made anew, the table reads both only where no partition holds both",
    ),
    row(Athena, &[Narrowed], Breaks, "read as the table's type only where no partition holds both"),
    row(
        Athena,
        &[Precision, Wider, Rounded, TextBytes, Retyped],
        Breaks,
        "queries that read it fail on old or on new files: nothing helps but another name for the column",
    ),
    row(Athena, &[Null, TimeUnit, Case], AsIs, ""),
    row(Athena, &[Order], AsIs, "by name, unless the table says parquet.column.index.access"),
    row(Trino, &[Appears], Alter, "not seen before the table has it; null in old rows"),
    row(Trino, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Trino,
        &[Renamed],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Trino,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table is made anew: no statement changes a struct",
    ),
    row(Trino, &[Widened], Breaks, "queries that read it fail on new files"),
    row(Trino, &[Narrowed], AsIs, "read as the table's type"),
    row(
        Trino,
        &[Precision, Wider, Rounded, TextBytes, Retyped],
        Breaks,
        "queries that read it fail on old or on new files: nothing helps but another name for the column",
    ),
    row(Trino, &[Null, TimeUnit, Case], AsIs, ""),
    row(Trino, &[Order], AsIs, "by name, unless hive.parquet.use-column-names is false"),
    row(Spark, &[Appears], Alter, "not seen before the table has it; null in old rows"),
    row(Spark, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Spark,
        &[Renamed],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Spark,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table is made anew: no statement changes a struct",
    ),
    row(
        Spark,
        &[Widened, Precision, Wider],
        Breaks,
        "queries that read it fail on new files; Spark 4 reads both once the table is made anew, Spark 3 does not",
    ),
    row(
        Spark,
        &[Rounded, Retyped],
        Breaks,
        "queries that read it fail on old or on new files: nothing helps but another name for the column",
    ),
    row(
        Spark,
        &[Narrowed],
        AsIs,
        "Spark 4 reads both; in Spark 3 queries that read it fail on new files",
    ),
    row(
        Spark,
        &[TextBytes],
        Breaks,
        "read as the table's type: bytes that are no text come as U+FFFD; made anew, the table reads both as bytes",
    ),
    row(Spark, &[Null, Order, TimeUnit, Case], AsIs, ""),
    row(
        Duckdb,
        &[Appears],
        Alter,
        "not seen where the first file is an old one, an error where it is a new one",
    ),
    row(Duckdb, &[Disappears], Breaks, "the query fails at the first file that lacks it"),
    row(
        Duckdb,
        &[Renamed],
        Breaks,
        "looks like drop and add: the query fails at the first file that lacks the name",
    ),
    row(
        Duckdb,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen where the first file is an old one",
    ),
    row(Duckdb, &[FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Duckdb,
        &[Widened, Precision, Wider, Rounded],
        Breaks,
        "read in the type of the first file: values too large for it fail, digits that it lacks are lost",
    ),
    row(
        Duckdb,
        &[TextBytes],
        Breaks,
        "read in the type of the first file: bytes that are no text come as `\\xFF`",
    ),
    row(
        Duckdb,
        &[Retyped],
        Breaks,
        "read in the type of the first file, or the query fails: nothing helps but another name for the column",
    ),
    row(Duckdb, &[TimeUnit, Narrowed], AsIs, "read in the type of the first file"),
    row(Duckdb, &[Null, Order, Case], AsIs, ""),
    row(
        Iceberg,
        &[Appears, FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table has it; null in old rows",
    ),
    row(Iceberg, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(Iceberg, &[Renamed, Case], Alter, "null in new rows before the table knows both names"),
    row(
        Iceberg,
        &[Widened, Precision],
        Alter,
        "before the first new file is added: queries that read it fail on new files else",
    ),
    row(
        Iceberg,
        &[Wider, Rounded, TextBytes, Retyped],
        Breaks,
        "no promotion of the specification: nothing helps but another name for the column",
    ),
    row(Iceberg, &[Narrowed], AsIs, "read as the table's type"),
    row(Iceberg, &[Null], AsIs, "where the table's column is nullable"),
    row(Iceberg, &[Order], AsIs, ""),
    row(
        Iceberg,
        &[TimeUnit],
        Breaks,
        "Spark's vectorized reader takes milliseconds for microseconds: the specification has no others",
    ),
    row(Pyarrow, &[Appears, FieldAppears], Alter, "not seen where the first file is an old one"),
    row(Pyarrow, &[Disappears, FieldDisappears], AsIs, "null in new rows"),
    row(
        Pyarrow,
        &[Renamed, Case],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Pyarrow,
        &[Widened, Precision, Wider, TimeUnit],
        Breaks,
        "read in the type of the first file: values that it cannot hold fail, doubles are rounded to floats",
    ),
    row(
        Pyarrow,
        &[TextBytes],
        Breaks,
        "read in the type of the first file: bytes that are no text fail",
    ),
    row(
        Pyarrow,
        &[Rounded, Retyped],
        Breaks,
        "values that do not fit fail: nothing helps but another name for the column",
    ),
    row(Pyarrow, &[Null, Order], AsIs, ""),
    row(Pyarrow, &[Narrowed], AsIs, "read in the type of the first file"),
    row(
        Pyarrow,
        &[RequiredAppears],
        Alter,
        "not seen where the first file is an old one; a schema with it has to let it be null",
    ),
    row(
        Pyarrow,
        &[RequiredDisappears],
        Breaks,
        "the query fails at the first file that lacks it: never null in the first one",
    ),
];

pub(super) fn fact(reader: Reader, kind: Kind) -> (Level, &'static str) {
    // What no reader knows.
    match kind {
        BareUnit => {
            return (
                Breaks,
                "the numbers of new rows mean another unit: nothing helps but another name for the column",
            );
        }
        Kind::Form => {
            return (
                Breaks,
                "the text of new rows is written otherwise: nothing helps but another name for the column",
            );
        }
        Kind::Another => {
            return (
                Breaks,
                "new files have another field under the name: nothing helps but another name for the column",
            );
        }
        _ => {}
    }
    let found = FACTS.iter().find(|fact| fact.reader == reader && fact.kinds.contains(&kind));
    found.map_or((AsIs, ""), |fact| (fact.level, fact.why))
}
