//! What an audit can find: classes with stable names, and the list of what was found.

use crate::position::Offset;

/// Findings that are kept; more are counted, by class.
pub const FINDINGS_MAX: usize = 10_000;

/// What kind of finding. The names are for machines and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    RecordMissing,
    RecordUnreadable,
    RecordMisplaced,
    LinkBroken,
    EpochFalls,
    RangeGap,
    RangeOverlap,
    RowsWrong,
    FileNamedTwice,
    Unpublished,
    Unnamed,
    SizeDiffers,
    FooterUnreadable,
    FooterDiffers,
    ContentDiffers,
    RowsDiffer,
    OrderBroken,
    OffsetTwice,
    KafkaAhead,
    AuthorityLost,
    LogEndsBefore,
    LogStartsAfter,
    Removed,
    Undecided,
    Foreign,
    Pending,
    Repaired,
    RecordGone,
    StaleUpload,
}

/// All classes, in the order in which they are shown.
pub const CLASSES: [Class; 29] = [
    Class::RecordMissing,
    Class::RecordUnreadable,
    Class::RecordMisplaced,
    Class::LinkBroken,
    Class::EpochFalls,
    Class::RangeGap,
    Class::RangeOverlap,
    Class::RowsWrong,
    Class::FileNamedTwice,
    Class::Unpublished,
    Class::Unnamed,
    Class::SizeDiffers,
    Class::FooterUnreadable,
    Class::FooterDiffers,
    Class::ContentDiffers,
    Class::RowsDiffer,
    Class::OrderBroken,
    Class::OffsetTwice,
    Class::KafkaAhead,
    Class::AuthorityLost,
    Class::LogEndsBefore,
    Class::LogStartsAfter,
    Class::Removed,
    Class::Undecided,
    Class::Foreign,
    Class::Pending,
    Class::Repaired,
    Class::RecordGone,
    Class::StaleUpload,
];

/// What the caller wants to count as a violation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strictness {
    /// Every named file must be there.
    pub expect_all: bool,
    /// Nothing else may be there.
    pub strict: bool,
}

impl Class {
    /// As JSON and the text name it.
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    /// What it means, in one line.
    pub fn meaning(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Class::RecordMissing => ("record_missing", "there is none where later records stand"),
            Class::RecordUnreadable => ("record_unreadable", "not what Forebay writes"),
            Class::RecordMisplaced => ("record_misplaced", "it belongs to another place"),
            Class::LinkBroken => ("link_broken", "it does not name the record before it"),
            Class::EpochFalls => ("epoch_falls", "an older owner wrote after a newer one"),
            Class::RangeGap => ("range_gap", "offsets between two records are in neither"),
            Class::RangeOverlap => ("range_overlap", "offsets are in two records"),
            Class::RowsWrong => ("rows_wrong", "a record's counts and its files' differ"),
            Class::FileNamedTwice => ("file_named_twice", "two records name one file"),
            Class::Unpublished => {
                ("unpublished", "a later record is there, and this file was never published")
            }
            Class::Unnamed => ("unnamed", "a file of this pipeline that no record names"),
            Class::SizeDiffers => ("size_differs", "the file is not as long as its record says"),
            Class::FooterUnreadable => ("footer_unreadable", "the file does not say what it is"),
            Class::FooterDiffers => ("footer_differs", "file and record say different things"),
            Class::ContentDiffers => ("content_differs", "the file's bytes are not those written"),
            Class::RowsDiffer => ("rows_differ", "the file does not have the rows it says"),
            Class::OrderBroken => ("order_broken", "offsets in the file do not rise, or leave it"),
            Class::OffsetTwice => ("offset_twice", "an offset is in two rows of one commit"),
            Class::KafkaAhead => {
                ("kafka_ahead", "the group's offset is beyond the end of the chain")
            }
            Class::AuthorityLost => {
                ("authority_lost", "Kafka decides, and names no record: the last one was guessed")
            }
            Class::LogEndsBefore => ("log_ends_before", "Kafka's log ends before the chain"),
            Class::LogStartsAfter => {
                ("log_starts_after", "Kafka has deleted offsets that are not committed")
            }
            Class::Removed => ("removed", "published, and gone since"),
            Class::Undecided => (
                "undecided",
                "of the last record: gone, by loss or by removal; `--broker` may tell",
            ),
            Class::Foreign => ("foreign", "somebody else put it there"),
            Class::Pending => ("pending", "committed, not yet published"),
            Class::Repaired => ("repaired", "lost, and written anew by a repair"),
            Class::RecordGone => {
                ("record_gone", "no record names it; where its record would be is none to be read")
            }
            Class::StaleUpload => ("stale_upload", "an old unfinished upload that no record names"),
        }
    }

    /// Whether it speaks against the promise.
    pub fn is_violation(self, strictness: Strictness) -> bool {
        match self {
            Class::Removed | Class::Undecided => strictness.expect_all,
            Class::Foreign | Class::StaleUpload => strictness.strict,
            Class::Pending | Class::Repaired | Class::RecordGone => false,
            _ => true,
        }
    }
}

/// What a finding is about; all that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub topic: Option<String>,
    pub partition: Option<i32>,
    /// Folder of the chain.
    pub chain: Option<String>,
    pub seq: Option<u64>,
    /// Of a file, or of the record itself.
    pub key: Option<String>,
    /// The first offset concerned.
    pub offset: Option<Offset>,
}

impl Place {
    /// A file that belongs to no chain.
    pub fn file(key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::default() }
    }

    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub class: Class,
    pub place: Place,
    /// `<what> <which>: <found>, <required>`
    pub message: String,
}

/// What was found so far.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    list: Vec<Finding>,
    counts: std::collections::BTreeMap<Class, u64>,
    unseen: u64,
}

/// Findings of the classes that say nothing against the promise that are kept, each.
const NOTES_MAX: u64 = 1_000;

impl Findings {
    pub fn add(&mut self, class: Class, place: Place, message: impl Into<String>) {
        let count = self.counts.entry(class).or_default();
        *count = count.saturating_add(1);
        // Notes may be many, and must not push violations out of the list.
        let is_note = !class.is_violation(Strictness::default());
        if self.list.len() < FINDINGS_MAX && (!is_note || *count <= NOTES_MAX) {
            self.list.push(Finding { class, place, message: message.into() });
        }
    }

    /// Findings that nobody reads one by one any more.
    pub fn count_only(&mut self, class: Class, more: u64) {
        let count = self.counts.entry(class).or_default();
        *count = count.saturating_add(more);
    }

    /// Rows of a file without a column of offsets: they were counted, and nothing says which records they are.
    pub fn unseen(&mut self, rows: u64) {
        self.unseen = self.unseen.saturating_add(rows);
    }

    pub fn rows_unseen(&self) -> u64 {
        self.unseen
    }

    pub fn count(&self, class: Class) -> u64 {
        self.counts.get(&class).copied().unwrap_or_default()
    }

    /// Those that are kept, in the order of [`CLASSES`], then in the order found.
    pub fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.class);
        self.list
    }

    /// Whether one more of this class would be kept: what is costly to find out about is left out else.
    pub fn keeps(&self, class: Class) -> bool {
        let is_note = !class.is_violation(Strictness::default());
        self.list.len() < FINDINGS_MAX && (!is_note || self.count(class) < NOTES_MAX)
    }

    pub fn kept(&self) -> usize {
        self.list.len()
    }

    pub fn all(&self) -> u64 {
        self.counts.values().fold(0, |sum: u64, n| sum.saturating_add(*n))
    }

    pub fn violations(&self, strictness: Strictness) -> u64 {
        let bad = self.counts.iter().filter(|(class, _)| class.is_violation(strictness));
        bad.fold(0, |sum: u64, (_, n)| sum.saturating_add(*n))
    }

    pub fn merge(&mut self, other: Self) {
        for (class, count) in other.counts {
            self.count_only(class, count);
        }
        self.unseen(other.unseen);
        let room = FINDINGS_MAX.saturating_sub(self.list.len());
        self.list.extend(other.list.into_iter().take(room));
    }
}
