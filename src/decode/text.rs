//! Payloads without structure → one column `value`: text, or bytes.

use super::columns::{Columns, Layout, Leaf};
use super::{Compiled, columns};
use crate::error::{Code, Fault, Kind, Reject};

pub static TEXT: Code = Code {
    id: "FB0280",
    kind: Kind::Reject,
    title: "payload that is not UTF-8",
    help: "`value.format: string` takes UTF-8 text. Set `value.format: bytes` to keep any bytes.",
};

/// Codes of text and bytes.
pub static CODES: &[&Code] = &[&TEXT];

/// How payloads become rows.
#[derive(Debug)]
pub struct Program {
    slot: u32,
    /// Must be UTF-8.
    text: bool,
}

/// `text`: UTF-8 in a column of text; else any bytes.
pub fn compile(text: bool) -> Result<Compiled<Program>, Fault> {
    let record_name = if text { "string" } else { "bytes" };
    let mut layout = Layout::default();
    let leaf = if text { Leaf::Utf8 } else { Leaf::Binary };
    let column = layout.leaf("value", leaf, false);
    let program = Program { slot: column.slot().index(), text };
    let shape: std::sync::Arc<columns::Shape> = layout.finish(record_name, vec![column])?;
    Ok(Compiled { shape, record_name: record_name.to_owned(), notes: Vec::new(), program })
}

impl Program {
    /// The body as it is. Errors: [`TEXT`], [`crate::decode::codes::BATCH_FULL`].
    #[inline]
    pub fn row(&self, columns: &mut Columns, body: &[u8]) -> Result<(), Box<Reject>> {
        if self.text && simdutf8::basic::from_utf8(body).is_err() {
            let at = std::str::from_utf8(body).map_or_else(|e| e.valid_up_to(), str::len);
            return Err(Reject::new(
                &TEXT,
                format!(
                    "payload at byte {at}: not UTF-8, UTF-8 required by `value.format: string`"
                ),
            ));
        }
        let row = columns.rows();
        Ok(columns.texts[self.slot as usize].set(row, body)?)
    }
}
