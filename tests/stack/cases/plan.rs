//! What `forebay plan` says of programs that read the files, against the programs.

use serde_json::json;

use crate::python;
use crate::rig::Stack;

/// Files of two versions each, read by DuckDB and pyarrow; a view made by `--ddl duckdb`.
pub fn readers(stack: &Stack) {
    let folder = tempfile::tempdir().unwrap();
    let args = [env!("CARGO_BIN_EXE_forebay"), folder.path().to_str().unwrap()];
    let found = python::run(stack, "plan_readers.py", &args);
    assert_eq!(found["wrong"], json!([]), "{found:#}");
    assert_eq!(found["pairs"], 20);
}
