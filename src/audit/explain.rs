//! Where one offset is: which record, which files may hold it.
//!
//! Owns: the search through one chain. The row inside of a file is `content`'s to find.

use crate::commit::record::{File, Kind, Record, Role, Skipped};
use crate::position::Offset;

/// What a chain says of one offset; filled record by record, in order.
#[derive(Debug, Clone)]
pub struct Search {
    pub offset: Offset,
    /// Where the chain begins.
    pub start: Option<Offset>,
    /// Where it ends, and at which place.
    pub end: Option<(u64, Offset)>,
    /// Records whose offsets include it, and repairs of them: more than one after a reset.
    pub records: Vec<Record>,
    /// The chain moved past it.
    pub skipped: Vec<(u64, Skipped)>,
}

impl Search {
    pub fn new(offset: Offset) -> Self {
        Self { offset, start: None, end: None, records: Vec::new(), skipped: Vec::new() }
    }

    pub fn record(&mut self, record: &Record) {
        let offset = self.offset;
        self.start.get_or_insert(record.from);
        for skipped in &record.skipped {
            if (skipped.from..skipped.to).contains(&offset) {
                self.skipped.push((record.seq, skipped.clone()));
            }
        }
        if record.kind == Kind::Reset
            && let Some((_, end)) = self.end
            && (end..record.to).contains(&offset)
        {
            let why = record.note.clone().unwrap_or_else(|| "reset".to_owned());
            self.skipped.push((record.seq, Skipped { from: end, to: record.to, why }));
        }
        let in_commit = record.kind == Kind::Commit && (record.from..record.to).contains(&offset);
        let repairs = record.kind == Kind::Repair
            && self.records.iter().any(|known| Some(known.seq) == record.repairs);
        if in_commit || repairs {
            self.records.push(record.clone());
        }
        self.end = Some((record.seq, record.to));
    }

    /// Files of a record that may hold the offset: rejects first, whose columns always say.
    pub fn candidates(record: &Record, offset: Offset) -> Vec<&File> {
        let holds = |file: &&File| (file.about.first..=file.about.last).contains(&offset);
        let mut files: Vec<&File> = record.files.iter().filter(holds).collect();
        files.sort_by_key(|file| file.about.role == Role::Data);
        files
    }

    /// The row of an offset in a file without gaps: rows count from 0.
    pub fn row_by_range(file: &File, offset: Offset) -> Option<u64> {
        let about = &file.about;
        let at = u64::try_from(offset.checked_sub(about.first)?).ok()?;
        let span = u64::try_from(about.last.checked_sub(about.first)?).ok()?.checked_add(1)?;
        (span == about.rows && at < span).then_some(at)
    }
}
