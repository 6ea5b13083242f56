//! An operator's action on one chain, carried out: the driver of a machine that holds nothing but that.
//!
//! Owns: calls to the store in the order in which the machine asks for them; which files of a repair bring back
//! which.
//! Does not own: what an action is (`commit::machine`), making files (`rebuild`), asking the operator (`cli`).
//! Bounded by: one request at a time, `PUBLISH_MAX` files.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use crate::clock;
use crate::commit::codes::OPERATION;
use crate::commit::machine::{self, Action, Assigned, Chains, Machine, Operation, Policy, What};
use crate::commit::record::{self, About, File, Record, Role};
use crate::error::{Fault, Kind};
use crate::pipeline::effects;
use crate::pipeline::rebuild::{Rebuild, Rebuilt};
use crate::position::Offset;
use crate::store::{LOST, Staged, Store};

/// Files published at a time.
const PUBLISH_MAX: usize = 16;
/// Tries of one request; the store tries each for minutes by itself.
const TRIES: u32 = 5;

/// What an action came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// The record that says so.
    pub record: Arc<Record>,
    /// Files that could not be published any more: those that were removed, or are brought back.
    pub lost: Vec<String>,
}

/// Does it. `head`: the last record that the operator saw. `rebuild` makes files where the action needs some.
///
/// Errors: [`OPERATION`] where it does not fit the chain; those of the store; those of making files.
pub async fn operate(
    store: &Store,
    head: &Record,
    operation: Operation,
    version: u32,
    rebuild: Option<Rebuild>,
) -> Result<Done, Fault> {
    let identity = Arc::new(head.identity.clone());
    let assigned = Assigned { start: 0, committed: None, low: 0, high: Offset::MAX };
    let owner = Arc::from(clock::fresh_id());
    let first = machine::Ticket(0);
    let machine = Machine::new(identity, owner, assigned, Policy::default(), first)
        .writing(version)
        .operating(operation.clone());
    let mut driver =
        Driver { store, operation, machine, rebuild, lost: Vec::new(), made: Vec::new() };
    let result = driver.run().await;
    driver.clean_up().await;
    result
}

struct Driver<'a> {
    store: &'a Store,
    operation: Operation,
    machine: Machine,
    rebuild: Option<Rebuild>,
    /// Files of the last record that can never be published.
    lost: Vec<Staged>,
    /// Files made for the action.
    made: Vec<Staged>,
}

impl Driver<'_> {
    async fn run(&mut self) -> Result<Done, Fault> {
        let mut out = Vec::new();
        self.machine.begin(&mut out);
        let mut todo: VecDeque<Action> = out.into();
        while let Some(action) = todo.pop_front() {
            let mut out = Vec::new();
            if let Action::Flow { .. } = action {
                match self.machine.rereads() {
                    Some(_) => self.reread(&mut out).await?,
                    None => return self.done(),
                }
            } else {
                self.act(action, &mut out).await?;
            }
            todo.extend(out);
        }
        Err(refused("an end of the action"))
    }

    fn done(&self) -> Result<Done, Fault> {
        let record = self.machine.head().cloned();
        let record = record.ok_or_else(|| refused("a record of the action"))?;
        Ok(Done { record, lost: self.lost.iter().map(|staged| staged.key.clone()).collect() })
    }

    async fn act(&mut self, action: Action, out: &mut Vec<Action>) -> Result<(), Fault> {
        let identity = self.machine.identity().clone();
        match action {
            Action::Get { ticket, seq, .. } => {
                let key = record::key(&identity, seq);
                let found = patiently(|| self.store.get(&key)).await?;
                let found = found.map(|bytes| Record::parse(&bytes)).transpose();
                let found = found.map_err(|fault| fault.at(key))?;
                self.machine.record(ticket, seq, found.map(Arc::new), out)
            }
            Action::Put { ticket, record, after_ms } => {
                clock::sleep(Duration::from_millis(after_ms)).await;
                let key = record::key(&identity, record.seq);
                let result = self.store.put_create(&key, record.to_bytes().into()).await;
                self.machine.wrote(ticket, effects::wrote(result), out)
            }
            Action::List { ticket } => self.machine.chains(ticket, &Chains::default(), out),
            Action::Publish { ticket, files, .. } => {
                let lost = self.publish(files).await?;
                match lost.into_iter().next() {
                    None => self.machine.published(ticket, out),
                    Some(fault) => self.machine.files_lost(ticket, fault, out),
                }
            }
            Action::CommitOffset { .. } | Action::TakeBack(_) | Action::Done { .. } => Ok(()),
            Action::Flow { .. } => Ok(()),
        }
    }

    /// Publishes all that can be; why others cannot, ever.
    async fn publish(&mut self, files: Vec<Staged>) -> Result<Vec<Fault>, Fault> {
        let store = self.store;
        let results: Vec<(Staged, Result<(), Fault>)> = futures::stream::iter(files)
            .map(|staged| async move {
                let result = patiently(|| store.publish_unless_there(&staged)).await;
                (staged, result)
            })
            .buffer_unordered(PUBLISH_MAX)
            .collect()
            .await;
        let mut faults = Vec::new();
        for (staged, result) in results {
            match result {
                Ok(()) => {}
                Err(fault) if *fault.code == LOST => {
                    self.lost.push(staged);
                    faults.push(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(faults)
    }

    /// Makes the files that the action needs.
    async fn reread(&mut self, out: &mut Vec<Action>) -> Result<(), Fault> {
        let (Some((range, epoch)), Some(head)) =
            (self.machine.rereads(), self.machine.head().cloned())
        else {
            return Ok(());
        };
        let rebuild = self.rebuild.take();
        let rebuild = rebuild.ok_or_else(|| refused("a broker to read offsets again from"))?;
        let commit = self.machine.commit_id();
        let Rebuilt { files, times_ms } =
            rebuild.files(self.store, &head.identity, range, epoch, commit).await?;
        self.made = files.iter().map(|(_, staged)| staged.clone()).collect();
        let files = match self.operation.what {
            What::Repair => matching(&head, &self.lost, files)?,
            _ => files,
        };
        self.made.retain(|made| !files.iter().any(|(_, staged)| staged.key == made.key));
        let named: Vec<Staged> = files.iter().map(|(_, staged)| staged.clone()).collect();
        let result = self.machine.rebuilt(files, times_ms, out);
        if result.is_err() {
            self.made.extend(named);
        }
        result
    }

    /// What was made and is in no record. A record in doubt keeps its files.
    async fn clean_up(&mut self) {
        for staged in std::mem::take(&mut self.made) {
            if let Err(fault) = self.store.discard_staged(&staged).await {
                tracing::warn!(key = staged.key, "a staged file is left behind: {fault}");
            }
        }
    }
}

/// The made files that bring back the lost ones: the same rows, file by file; or all of them, where all are lost
/// and the rows are as many.
fn matching(
    head: &Record,
    lost: &[Staged],
    made: Vec<(About, Staged)>,
) -> Result<Vec<(About, Staged)>, Fault> {
    let rows = |files: &mut dyn Iterator<Item = &About>| {
        files.fold((0, 0), |(rows, rejects), about| match about.role {
            Role::Data => (rows + about.rows, rejects),
            Role::Reject => (rows, rejects + about.rows),
        })
    };
    let was = rows(&mut head.files.iter().map(|file| &file.about));
    let is = rows(&mut made.iter().map(|(about, _)| about));
    if lost.len() == head.files.len() && was == is {
        return Ok(made);
    }
    let alike =
        |a: &About, b: &About| About { crc32: 0, ..a.clone() } == About { crc32: 0, ..b.clone() };
    let wanted: Vec<&File> =
        head.files.iter().filter(|file| lost.iter().any(|l| l.key == file.key)).collect();
    let mut found = Vec::new();
    for (about, staged) in made {
        if wanted.iter().any(|file| alike(&file.about, &about)) {
            found.push((about, staged));
        }
    }
    if found.len() == wanted.len() {
        return Ok(found);
    }
    Err(refused(&format!(
        "files made anew from the same offsets: {} rows and {} rejects instead of {} and {}, and {} of {} lost files among them; the configuration and schemas of that commit",
        is.0,
        is.1,
        was.0,
        was.1,
        found.len(),
        wanted.len()
    )))
}

#[cold]
fn refused(what: &str) -> Fault {
    Fault::new(&OPERATION, format!("action on a chain: {what} required"))
}

/// Calls until the answer is no fault that passes, some times.
async fn patiently<T, F: Future<Output = Result<T, Fault>>>(
    call: impl Fn() -> F,
) -> Result<T, Fault> {
    let mut tries = 0;
    loop {
        match call().await {
            Err(fault) if matches!(fault.code.kind, Kind::Retry | Kind::Pause) && tries < TRIES => {
                tries += 1;
                clock::sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}
