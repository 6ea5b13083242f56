//! One Kafka partition, a store, Kafka's offset, and two workers that know nothing of each other; every step
//! that any of them can take next.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use forebay::commit::janitor::{self, Claimed};
use forebay::commit::machine::{
    Action, Assigned, Authority, Chains, Machine, Policy, Sealed, Ticket, Wrote,
};
use forebay::commit::record::{About, File, Identity, Kind, Point, Record, Role};
use forebay::commit::rules::Rules;
use forebay::error::{Code, Fault};
use forebay::file::name;
use forebay::position::{OffsetRange, TopicPartition};
use forebay::store::{Handle, LOST, Staged};

/// How a scenario is bounded, and what may happen in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
    /// Offsets of the log; even and odd ones go to two different folders.
    pub(crate) offsets: i64,
    /// Assignments of a worker: each a machine of its own. Every one may die at any point.
    pub(crate) assignments: u8,
    /// Answers to record puts that are lost, or come late: the put lands whenever it likes.
    pub(crate) late: u8,
    /// Puts in doubt that are given up by a void record.
    pub(crate) voids: u8,
    /// Uploads that a lifecycle rule aborts.
    pub(crate) expire: u8,
    /// Repairs that an operator makes after that.
    pub(crate) repairs: u8,
    /// Published files that somebody downstream moves away.
    pub(crate) moves: u8,
    /// Runs of the janitor.
    pub(crate) janitor: u8,
    /// Local disk: nothing lands late; publishing is a rename.
    pub(crate) disk: bool,
    /// Sealed commits under way at a time.
    pub(crate) ahead: usize,
    /// Kafka's committed offset decides, and not the store.
    pub(crate) kafka: bool,
    /// Then: offset commits of an earlier generation are refused, however late they come.
    pub(crate) fenced: bool,
    /// Then: how often Kafka forgets the offset of a group that is away, and the last record is adopted.
    pub(crate) forgets: u8,
}

pub(crate) const CALM: Bounds = Bounds {
    name: "",
    rules: Rules {
        read_back: true,
        resend: true,
        finish_first: true,
        single_use: true,
        janitor_epoch: true,
    },
    offsets: 2,
    assignments: 3,
    late: 0,
    voids: 0,
    expire: 0,
    repairs: 0,
    moves: 0,
    janitor: 0,
    disk: false,
    ahead: 2,
    kafka: false,
    fenced: true,
    forgets: 0,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum UploadState {
    Open,
    /// Published: by completing, or renaming.
    Done,
    /// Thrown away by the program.
    Aborted,
    /// Thrown away by somebody else.
    Expired,
    /// Disk without the single-use rename: linked to its key and not yet unlinked.
    Linked,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Upload {
    key: Arc<str>,
    /// Bit per offset.
    offsets: u8,
    state: UploadState,
}

/// A visible file: somewhere downstream after it was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Object {
    upload: usize,
    moved: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Request {
    Get(Ticket, u64, Option<Arc<str>>),
    Put(Ticket, Arc<Record>),
    List(Ticket),
    Publish(Ticket, Vec<usize>),
    Offset(Ticket, i64, Arc<str>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Worker {
    machine: Option<Box<Machine>>,
    requests: Vec<Request>,
    position: i64,
    /// Of the group, when it was assigned.
    generation: u8,
    /// The record whose upload it found gone.
    stopped_at: Option<u64>,
}

/// Everything there is.
#[derive(Debug, Clone)]
pub(crate) struct World {
    log: Vec<Arc<Record>>,
    uploads: BTreeMap<usize, Upload>,
    objects: BTreeSet<Object>,
    workers: [Worker; 2],
    late: Vec<Arc<Record>>,
    kafka: Option<(i64, Arc<str>)>,
    /// Where Kafka decides: records by id, whether Kafka names them or not; offset commits that come late, with the
    /// generation that they carry; uploads of records that Kafka has ever named.
    stored: BTreeMap<String, Arc<Record>>,
    late_offsets: Vec<(u8, i64, Arc<str>)>,
    ever: BTreeSet<usize>,
    assigned: u8,
    left: [u8; 7],
    /// What a step found wrong.
    wrong: Option<String>,
}

const LATE: usize = 0;
const VOIDS: usize = 1;
const EXPIRE: usize = 2;
const REPAIRS: usize = 3;
const MOVES: usize = 4;
const JANITOR: usize = 5;
const FORGETS: usize = 6;

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// In the place of one that dies there and then, if there is one.
    Assign(usize),
    /// It gives up what it may, and is gone.
    Revoke(usize),
    /// Up to this offset.
    Seal(usize, i64),
    /// The request at this place is carried out and answered.
    Answer(usize, usize),
    /// The put at this place is left to land when it likes, and its sender hears that nobody knows.
    Doubt(usize, usize),
    /// Disk: the put happened, or it did not; its sender hears that nobody knows.
    Unknown(usize, usize, bool),
    /// The next file of a publish.
    Publish(usize, usize),
    Void(usize),
    Land(usize),
    /// Kafka gets an offset commit whose sender has given it up.
    LandOffset(usize),
    Forget,
    Expire(usize),
    Move(usize),
    Janitor(usize),
    Repair(u64),
}

fn identity() -> Arc<Identity> {
    thread_local! {
        static IDENTITY: Arc<Identity> = Arc::new(Identity {
            pipeline: "p".into(),
            cluster: None,
            topic: "t".into(),
            topic_id: None,
            partition: 0,
        });
    }
    IDENTITY.with(Arc::clone)
}

const HASH: &str = "00000000";

fn lanes(from: i64, to: i64) -> Vec<(i64, u8)> {
    let of = |lane: i64| {
        let offsets: Vec<i64> = (from..to).filter(|o| o % 2 == lane).collect();
        offsets.first().map(|first| (*first, offsets.iter().map(|o| 1 << o).sum()))
    };
    [of(0), of(1)].into_iter().flatten().collect()
}

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            log: Vec::new(),
            uploads: BTreeMap::new(),
            objects: BTreeSet::new(),
            workers: [Worker::default(), Worker::default()],
            late: Vec::new(),
            kafka: None,
            stored: BTreeMap::new(),
            late_offsets: Vec::new(),
            ever: BTreeSet::new(),
            assigned: 0,
            left: [
                bounds.late,
                bounds.voids,
                bounds.expire,
                bounds.repairs,
                bounds.moves,
                bounds.janitor,
                bounds.forgets,
            ],
            wrong: None,
        }
    }

    /// Every step that may be next.
    pub(crate) fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        let mut steps = Vec::new();
        for (w, worker) in self.workers.iter().enumerate() {
            // Both start in the same way: it does not matter which is first.
            if self.assigned < bounds.assignments && (w == 0 || self.assigned > 0) {
                steps.push(Step::Assign(w));
            }
            let Some(machine) = &worker.machine else { continue };
            if machine.pending() > 0 {
                steps.push(Step::Revoke(w));
            }
            for (r, request) in worker.requests.iter().enumerate() {
                match request {
                    Request::Publish(..) => steps.push(Step::Publish(w, r)),
                    Request::Offset(..) if self.left[LATE] > 0 && bounds.kafka => {
                        steps.extend([Step::Answer(w, r), Step::Doubt(w, r)]);
                    }
                    Request::Put(..) if bounds.kafka => steps.push(Step::Answer(w, r)),
                    Request::Put(..) if self.left[LATE] > 0 && bounds.disk => {
                        steps.extend([
                            Step::Answer(w, r),
                            Step::Unknown(w, r, true),
                            Step::Unknown(w, r, false),
                        ]);
                    }
                    Request::Put(..) if self.left[LATE] > 0 => {
                        steps.extend([Step::Answer(w, r), Step::Doubt(w, r)]);
                    }
                    _ => steps.push(Step::Answer(w, r)),
                }
            }
            let recording = worker
                .requests
                .iter()
                .any(|r| matches!(r, Request::Put(_, record) if record.kind == Kind::Commit));
            if self.left[VOIDS] > 0 && recording {
                steps.push(Step::Void(w));
            }
            if machine.is_flowing() && machine.pending() < bounds.ahead {
                steps.extend((worker.position + 1..=bounds.offsets).map(|to| Step::Seal(w, to)));
            }
            if machine.is_flowing() && self.left[JANITOR] > 0 {
                steps.push(Step::Janitor(w));
            }
        }
        steps.extend((0..self.late.len()).map(Step::Land));
        steps.extend((0..self.late_offsets.len()).map(Step::LandOffset));
        let member = |w: &Worker| w.machine.is_some() && w.generation == self.assigned;
        if self.left[FORGETS] > 0 && self.kafka.is_some() && !self.workers.iter().any(member) {
            steps.push(Step::Forget);
        }
        for (&u, upload) in &self.uploads {
            if self.left[EXPIRE] > 0 && upload.state == UploadState::Open {
                steps.push(Step::Expire(u));
            }
        }
        for (o, object) in self.objects.iter().enumerate() {
            if self.left[MOVES] > 0 && !object.moved {
                steps.push(Step::Move(o));
            }
        }
        let stopped = self.workers.iter().filter_map(|w| w.stopped_at).max();
        if let Some(seq) =
            stopped.filter(|seq| self.left[REPAIRS] > 0 && *seq == self.log.len() as u64)
        {
            steps.push(Step::Repair(seq));
        }
        steps
    }

    /// The world after a step.
    pub(crate) fn after(&self, step: Step, bounds: &Bounds) -> Self {
        let mut next = self.clone();
        next.take(step, bounds);
        next
    }

    fn take(&mut self, step: Step, bounds: &Bounds) {
        match step {
            Step::Assign(w) => self.assign(w, bounds),
            Step::Revoke(w) => {
                if let Some(machine) = &mut self.workers[w].machine {
                    let back = machine.abandon();
                    self.discard(&back.staged);
                }
                self.crash(w, bounds);
            }
            Step::Seal(w, to) => self.seal(w, to, bounds),
            Step::Answer(w, r) => self.answer(w, r, bounds),
            Step::Doubt(w, r) => {
                self.left[LATE] -= 1;
                match self.workers[w].requests.remove(r) {
                    Request::Put(ticket, record) => {
                        self.late.push(record);
                        self.step(w, bounds, |m, out| m.wrote(ticket, Wrote::Doubt, out));
                    }
                    Request::Offset(ticket, offset, text) => {
                        self.late_offsets.push((self.workers[w].generation, offset, text));
                        let fault = Fault::new(&LOST, "no answer");
                        self.step(w, bounds, |m, _| m.offset_refused(ticket, &fault));
                    }
                    _ => {}
                }
            }
            Step::Unknown(w, r, happened) => {
                self.left[LATE] -= 1;
                if let Request::Put(ticket, record) = self.workers[w].requests.remove(r) {
                    if happened {
                        self.create(record);
                    }
                    self.step(w, bounds, |m, out| m.wrote(ticket, Wrote::Doubt, out));
                }
            }
            Step::Publish(w, r) => self.publish(w, r, bounds),
            Step::Void(w) => {
                self.left[VOIDS] -= 1;
                // The put that is on its way may still land.
                let put = |r: &Request| matches!(r, Request::Put(..));
                if let Some(at) = self.workers[w].requests.iter().position(put)
                    && let Request::Put(_, record) = self.workers[w].requests.remove(at)
                    && !bounds.disk
                {
                    self.late.push(record);
                }
                self.step(w, bounds, |m, out| {
                    m.void(out);
                    Ok(())
                });
            }
            Step::LandOffset(at) => {
                let (generation, offset, text) = self.late_offsets.remove(at);
                self.commit_offset(generation, offset, text, bounds);
            }
            Step::Forget => {
                self.left[FORGETS] -= 1;
                self.kafka = None;
            }
            Step::Land(at) => {
                let record = self.late.remove(at);
                self.create(record);
            }
            Step::Expire(u) => {
                self.left[EXPIRE] -= 1;
                self.set(u, UploadState::Expired);
            }
            Step::Move(o) => {
                self.left[MOVES] -= 1;
                if let Some(object) = self.objects.iter().nth(o).copied() {
                    self.objects.remove(&object);
                    self.objects.insert(Object { moved: true, ..object });
                }
            }
            Step::Janitor(w) => {
                self.left[JANITOR] -= 1;
                let epoch = self.workers[w].machine.as_ref().map_or(0, |m| m.epoch());
                let partition = TopicPartition::new("t", 0);
                let claims = [Claimed { partition, epoch, hash: HASH.into() }];
                for upload in self.uploads.values_mut() {
                    if upload.state == UploadState::Open
                        && janitor::garbage(&upload.key, &claims, bounds.rules)
                    {
                        upload.state = UploadState::Aborted;
                    }
                }
            }
            Step::Repair(seq) => self.repair(seq),
        }
        self.late.sort_by(|a, b| a.id.cmp(&b.id));
        self.late_offsets.sort();
    }

    fn set(&mut self, upload: usize, state: UploadState) {
        if let Some(upload) = self.uploads.get_mut(&upload) {
            upload.state = state;
        }
    }

    /// A new upload; its number does not depend on what else there is, but for the same file made anew.
    fn stage(&mut self, first: i64, offsets: u8, epoch: u64) -> (usize, Arc<str>) {
        let partition = TopicPartition::new("t", 0);
        let leaf = name::native(&partition, first, epoch, HASH);
        let key: Arc<str> = format!("t/k={}/{leaf}", first % 2).into();
        let mut id = ((epoch as usize) << 12) | (usize::from(offsets) << 4);
        while self.uploads.contains_key(&id) {
            id += 1;
        }
        let state = UploadState::Open;
        self.uploads.insert(id, Upload { key: key.clone(), offsets, state });
        (id, key)
    }

    fn offsets(&self, upload: usize) -> u8 {
        self.uploads.get(&upload).map_or(0, |u| u.offsets)
    }

    fn state(&self, upload: usize) -> UploadState {
        self.uploads.get(&upload).map_or(UploadState::Aborted, |u| u.state)
    }

    fn assign(&mut self, w: usize, bounds: &Bounds) {
        self.crash(w, bounds);
        self.assigned += 1;
        // Who is assigned is of a new generation, and reads what is final: nothing of an earlier one follows.
        let generation = self.assigned;
        if bounds.fenced {
            self.late_offsets.clear();
        }
        let committed = self.kafka.as_ref().map(|(offset, text)| (*offset, text.to_string()));
        let policy = Policy { adopt_lost: bounds.forgets > 0, ..Policy::default() };
        let assigned = Assigned { start: 0, committed, low: 0, high: bounds.offsets };
        let owner: Arc<str> = format!("w{}", self.assigned).into();
        let authority = if bounds.kafka { Authority::Kafka } else { Authority::Store };
        let machine = Machine::new(identity(), owner, assigned, policy, Ticket(0));
        self.workers[w] = Worker {
            machine: Some(Box::new(machine.with_rules(bounds.rules).under(authority))),
            generation,
            ..Worker::default()
        };
        self.step(w, bounds, |m, out| {
            m.begin(out);
            Ok(())
        });
    }

    /// What was sent may still land.
    fn crash(&mut self, w: usize, bounds: &Bounds) {
        let stopped_at = self.workers[w].stopped_at;
        let worker = std::mem::take(&mut self.workers[w]);
        self.workers[w].stopped_at = stopped_at;
        for request in worker.requests {
            match request {
                Request::Put(_, record) if self.left[LATE] > 0 && !bounds.disk && !bounds.kafka => {
                    self.left[LATE] -= 1;
                    self.late.push(record);
                }
                Request::Offset(_, offset, text) if self.left[LATE] > 0 && bounds.kafka => {
                    self.left[LATE] -= 1;
                    self.late_offsets.push((worker.generation, offset, text));
                }
                _ => {}
            }
        }
    }

    fn seal(&mut self, w: usize, to: i64, bounds: &Bounds) {
        let worker = &mut self.workers[w];
        let from = std::mem::replace(&mut worker.position, to);
        let Some(epoch) = worker.machine.as_ref().map(|m| m.epoch()) else { return };
        let (mut files, mut staged) = (Vec::new(), Vec::new());
        for (first, offsets) in lanes(from, to) {
            let (id, key) = self.stage(first, offsets, epoch);
            files.push((id as u64, about(first, offsets)));
            staged.push((id as u64, staged_as(&key, id)));
        }
        let sealed = Sealed { range: OffsetRange::new(from, to), files, times_ms: None };
        self.step(w, bounds, |m, out| {
            m.seal(sealed, out);
            for (id, staged) in staged {
                m.staged(id, staged, out);
            }
            Ok(())
        });
    }

    fn answer(&mut self, w: usize, r: usize, bounds: &Bounds) {
        match self.workers[w].requests.remove(r) {
            Request::Get(ticket, seq, id) => {
                let found = match id {
                    Some(id) => self.stored.get(&*id).cloned(),
                    None => self.log.get(seq as usize - 1).cloned(),
                };
                self.step(w, bounds, |m, out| m.record(ticket, seq, found, out));
            }
            Request::Put(ticket, record) if bounds.kafka => {
                self.stored.insert(record.id.clone(), record);
                self.step(w, bounds, |m, out| m.wrote(ticket, Wrote::Created, out));
            }
            Request::Put(ticket, record) => {
                let how = if self.create(record) { Wrote::Created } else { Wrote::Doubt };
                self.step(w, bounds, |m, out| m.wrote(ticket, how, out));
            }
            Request::List(ticket) => {
                let seq_max = self.stored.values().map(|r| r.seq).max().unwrap_or(0);
                let last = self.stored.values().filter(|r| r.seq == seq_max);
                let ends = last.map(|r| Arc::from(r.id.as_str())).collect();
                let chains = Chains { seq_max, ends, ..Chains::default() };
                self.step(w, bounds, |m, out| m.chains(ticket, &chains, out));
            }
            Request::Offset(ticket, offset, text) => {
                let generation = self.workers[w].generation;
                if self.commit_offset(generation, offset, text, bounds) {
                    self.step(w, bounds, |m, out| m.offset_committed(ticket, out));
                } else {
                    let fault = Fault::new(&LOST, "illegal generation");
                    self.step(w, bounds, |m, _| m.offset_refused(ticket, &fault));
                }
            }
            Request::Publish(..) => {}
        }
    }

    /// Kafka's answer to an offset commit: false if it is refused.
    fn commit_offset(
        &mut self,
        generation: u8,
        offset: i64,
        text: Arc<str>,
        bounds: &Bounds,
    ) -> bool {
        if bounds.kafka && bounds.fenced && generation != self.assigned {
            return false;
        }
        if let Some(record) = self.named(&text) {
            let at = record.seq as usize - 1;
            let there = self.log.get(at).is_some_and(|r| r.id == record.id);
            if at < self.log.len() && !there || at + 1 < self.log.len() {
                // The end of the chain goes back: only where nobody is fenced, or it had none but its first claim.
                let anew = self.kafka.is_none() && self.log.len() == 1;
                if bounds.fenced && !anew {
                    self.wrong.get_or_insert(format!("CHAIN: back to record {}", record.seq));
                }
                self.log.truncate(at);
            }
            self.ever.extend(record.files.iter().map(upload_of));
            if self.log.len() == at && bounds.fenced {
                self.create(record);
            } else if self.log.len() <= at {
                self.log.push(record);
            }
        }
        self.kafka = Some((offset, text));
        true
    }

    /// Records that Kafka does not name matter once it has forgotten what it named.
    fn kafka_decides(&self) -> bool {
        self.left[FORGETS] > 0 || (self.kafka.is_none() && !self.stored.is_empty())
    }

    /// The record that a text names.
    fn named(&self, text: &str) -> Option<Arc<Record>> {
        self.stored.get(&Point::parse(text)?.id).cloned()
    }

    /// The store's create-only put.
    fn create(&mut self, record: Arc<Record>) -> bool {
        let at = record.seq as usize;
        if at <= self.log.len() {
            return false;
        }
        let before = self.log.last();
        let joined = before.map_or(record.seq == 1, |b| record.follows(b).is_ok());
        if !joined {
            self.wrong.get_or_insert(format!("CHAIN: record {} does not follow", record.seq));
        }
        self.log.push(record);
        true
    }

    fn publish(&mut self, w: usize, r: usize, bounds: &Bounds) {
        let Some(Request::Publish(ticket, files)) = self.workers[w].requests.get_mut(r) else {
            return;
        };
        let (ticket, upload) = (*ticket, files[0]);
        let linking = bounds.disk && !bounds.rules.single_use;
        let visible = self.objects.iter().any(|o| o.upload == upload && !o.moved);
        let object = Object { upload, moved: false };
        let Some(state) = self.uploads.get(&upload).map(|u| u.state) else { return };
        let mut becomes = state;
        match state {
            // Disk, without the rename: a link now, the unlink as another step.
            UploadState::Open if linking => {
                self.set(upload, UploadState::Linked);
                self.objects.insert(object);
                return;
            }
            UploadState::Linked => {
                if !visible {
                    self.objects.insert(object);
                }
                becomes = UploadState::Done;
            }
            UploadState::Open => {
                becomes = UploadState::Done;
                self.objects.insert(object);
            }
            UploadState::Done if visible => {}
            // S3, by plain puts of bytes that were kept.
            UploadState::Done if !bounds.rules.single_use && !bounds.disk => {
                self.objects.insert(object);
            }
            UploadState::Done | UploadState::Aborted | UploadState::Expired => {
                self.workers[w].requests.remove(r);
                let seq = self.workers[w].machine.as_ref().and_then(|m| {
                    let fault = m.not_published(Fault::new(&LOST, "gone"));
                    (fault.code.id == "FB0930").then_some(self.log.len() as u64)
                });
                self.crash(w, bounds);
                self.workers[w].stopped_at = seq;
                return;
            }
        }
        self.set(upload, becomes);
        if let Some(Request::Publish(_, files)) = self.workers[w].requests.get_mut(r) {
            files.remove(0);
            if files.is_empty() {
                self.workers[w].requests.remove(r);
                self.step(w, bounds, |m, out| m.published(ticket, out));
            }
        }
    }

    /// What an operator does about a lost upload: the rest of the record is published, the lost files are
    /// made anew from Kafka and named by a repair.
    fn repair(&mut self, seq: u64) {
        self.left[REPAIRS] -= 1;
        let Some(head) = self.log.get(seq as usize - 1).cloned() else { return };
        let mut files = Vec::new();
        for file in &head.files {
            let id = upload_of(file);
            match self.state(id) {
                UploadState::Open => {
                    self.set(id, UploadState::Done);
                    self.objects.insert(Object { upload: id, moved: false });
                }
                UploadState::Expired => {
                    let offsets = self.offsets(id);
                    let (new, key) = self.stage(file.about.first, offsets, head.epoch + 1);
                    let Staged { key, bytes, handle } = staged_as(&key, new);
                    files.push(File { key, bytes, about: file.about.clone(), staged: handle });
                }
                _ => {}
            }
        }
        let record = Record {
            kind: Kind::Repair,
            seq: seq + 1,
            id: format!("repair-{seq}"),
            prev: head.id.clone(),
            epoch: head.epoch + 1,
            owner: "operator".into(),
            from: head.to,
            to: head.to,
            repairs: Some(seq),
            files,
            ..Record::clone(&head)
        };
        if Record::parse(&record.to_bytes()).as_ref() != Ok(&record) {
            self.wrong = Some("the repair is no good record".into());
        }
        self.create(Arc::new(record));
    }

    fn discard(&mut self, staged: &[Staged]) {
        for staged in staged {
            let upload = upload_id(&staged.handle);
            if self.state(upload) == UploadState::Open {
                self.set(upload, UploadState::Aborted);
            }
        }
        // What nothing names any more is as if it had never been.
        let named = |id: &usize| {
            let in_record = |r: &Arc<Record>| r.files.iter().any(|f| upload_of(f) == *id);
            let sent = |w: &Worker| {
                w.requests.iter().any(|r| match r {
                    Request::Put(_, r) => in_record(r),
                    Request::Offset(_, _, text) => self.named(text).is_some_and(|r| in_record(&r)),
                    _ => false,
                })
            };
            let later = |(_, _, text): &(u8, i64, Arc<str>)| {
                self.named(text).is_some_and(|r| in_record(&r))
            };
            self.log.iter().any(in_record)
                || self.late.iter().any(in_record)
                || self.late_offsets.iter().any(later)
                || self.workers.iter().any(sent)
        };
        let dead = |id: &usize, u: &Upload| u.state == UploadState::Aborted && !named(id);
        let gone: Vec<usize> =
            self.uploads.iter().filter(|(id, u)| dead(id, u)).map(|(id, _)| *id).collect();
        for id in gone {
            self.uploads.remove(&id);
        }
    }

    /// Steps a machine and turns its actions into requests.
    fn step(
        &mut self,
        w: usize,
        bounds: &Bounds,
        f: impl FnOnce(&mut Machine, &mut Vec<Action>) -> Result<(), Fault>,
    ) {
        let Some(machine) = &mut self.workers[w].machine else { return };
        let mut out = Vec::new();
        let result = f(machine, &mut out);
        for action in out {
            self.act(w, action);
        }
        if let Err(fault) = result {
            self.fault(w, fault.code, &fault.message, bounds);
        }
        // Answers to questions that are not awaited any more change nothing; a put may still land.
        let Worker { machine: Some(machine), requests, .. } = &mut self.workers[w] else { return };
        requests.retain(|r| match r {
            Request::Get(ticket, ..) | Request::List(ticket) => machine.expects(*ticket),
            _ => true,
        });
    }

    fn act(&mut self, w: usize, action: Action) {
        let request = match action {
            Action::Get { ticket, seq, id } => Request::Get(ticket, seq, id),
            Action::Put { ticket, record, .. } => Request::Put(ticket, record),
            Action::List { ticket } => Request::List(ticket),
            Action::Publish { ticket, files, .. } => {
                let uploads = files.iter().map(|f| upload_id(&f.handle)).collect();
                Request::Publish(ticket, uploads)
            }
            Action::CommitOffset { ticket, offset, text } => {
                Request::Offset(ticket, offset, text.into())
            }
            Action::Flow { offset, .. } => {
                self.workers[w].position = offset;
                return;
            }
            Action::TakeBack(back) => {
                self.discard(&back.staged);
                return;
            }
            Action::Done { .. } => return,
        };
        self.workers[w].requests.push(request);
    }

    fn fault(&mut self, w: usize, code: &Code, message: &str, bounds: &Bounds) {
        // It is asked again, or an operator is asked.
        let behind = self.workers[w].generation != self.assigned || bounds.forgets > 0;
        let stopped = (code.id == "FB0936" && behind) || !bounds.fenced;
        if code.id != "FB0929" && code.id != "FB0937" && !stopped {
            self.wrong.get_or_insert(format!("FAULT {} {message}", code.id));
        }
        // Fenced: it drops what is its own and is gone.
        if let Some(machine) = &mut self.workers[w].machine {
            let back = machine.abandon();
            self.discard(&back.staged);
        }
        self.crash(w, bounds);
    }

    /// The same for worlds that differ in nothing but which of the workers is which.
    pub(crate) fn digest(&self, hasher: &impl BuildHasher) -> u64 {
        let mut state = hasher.build_hasher();
        (&self.log, &self.uploads, &self.objects, &self.late).hash(&mut state);
        for (generation, offset, text) in &self.late_offsets {
            (generation, offset, self.named(text)).hash(&mut state);
        }
        self.kafka
            .as_ref()
            .map(|(offset, text)| {
                let point = Point::parse(text).map(|point| point.published);
                (*offset, text.split(':').nth(1), point)
            })
            .hash(&mut state);
        if self.kafka_decides() {
            for record in self.stored.values().filter(|r| r.seq >= self.log.len() as u64) {
                record.hash(&mut state);
            }
        }
        (self.assigned, self.left, &self.wrong).hash(&mut state);
        let mut workers = self.workers.each_ref().map(|w| hasher.hash_one(w));
        workers.sort_unstable();
        workers.hash(&mut state);
        state.finish()
    }

    /// What must hold always.
    pub(crate) fn check(&self, bounds: &Bounds) -> Option<String> {
        if let Some(wrong) = &self.wrong {
            return Some(wrong.clone());
        }
        self.check_files().or_else(|| self.check_order(bounds)).or_else(|| self.check_end(bounds))
    }

    fn check_files(&self) -> Option<String> {
        let mut seen = 0;
        let mut named = BTreeSet::new();
        for record in &self.log {
            for file in &record.files {
                let id = upload_of(file);
                named.insert(id);
                if self.state(id) == UploadState::Aborted {
                    return Some(format!("LOSS: upload {id} is in a record and aborted"));
                }
            }
        }
        for object in &self.objects {
            let offsets = self.offsets(object.upload);
            if seen & offsets != 0 {
                return Some("DUPLICATE: an offset is visible twice".into());
            }
            seen |= offsets;
            if !named.contains(&object.upload) && !self.ever.contains(&object.upload) {
                return Some("UNCOMMITTED: a visible file is in no record".into());
            }
        }
        None
    }

    fn is_done(&self, record: &Record) -> bool {
        record.files.iter().all(|file| {
            let published =
                |id: usize| matches!(self.state(id), UploadState::Done | UploadState::Linked);
            published(upload_of(file)) || self.is_repaired(record.seq, file)
        })
    }

    fn is_repaired(&self, seq: u64, file: &File) -> bool {
        self.log.iter().filter(|r| r.repairs == Some(seq)).any(|repair| {
            repair.files.iter().any(|f| {
                f.about.first == file.about.first && self.state(upload_of(f)) == UploadState::Done
            })
        })
    }

    fn check_order(&self, bounds: &Bounds) -> Option<String> {
        if !bounds.fenced {
            return None; // the end of the chain goes back: what that leads to is to be found
        }
        let mut all_before = true;
        for record in &self.log {
            let any = record.files.iter().any(|file| {
                let state = self.state(upload_of(file));
                matches!(state, UploadState::Done | UploadState::Linked)
            });
            if any && !all_before && record.kind != Kind::Repair {
                return Some(format!(
                    "ORDER: record {} is visible before an earlier one",
                    record.seq
                ));
            }
            all_before &= self.is_done(record) || record.kind == Kind::Repair;
        }
        if let Some((offset, text)) = &self.kafka {
            let seq = text.split(':').nth(1).and_then(|s| s.parse::<usize>().ok()).unwrap_or(0);
            let record = self.log.get(seq.wrapping_sub(1));
            let published = Point::parse(text).is_none_or(|point| point.published);
            if record.is_none_or(|r| published && !self.is_done(r) || r.to != *offset) {
                return Some(format!("KAFKA: {text} is committed and not published"));
            }
        }
        None
    }

    /// A worker at the end of the log that waits for nothing says that all is published.
    fn check_end(&self, bounds: &Bounds) -> Option<String> {
        let at_end = |w: &Worker| {
            w.machine.as_ref().is_some_and(|m| {
                m.is_flowing()
                    && m.is_settled()
                    && m.committed() == Some(bounds.offsets)
                    && self.log.last().is_some_and(|r| r.to == bounds.offsets)
            })
        };
        if !self.workers.iter().any(at_end) {
            return None;
        }
        let visible: u8 = self.objects.iter().fold(0, |all, o| all | self.offsets(o.upload));
        let all = ((1u16 << bounds.offsets) - 1) as u8;
        (visible != all).then(|| format!("LOSS at rest: visible {visible:b} of {all:b}"))
    }

    /// True where a worker has brought everything to its end.
    pub(crate) fn is_complete(&self, bounds: &Bounds) -> bool {
        let visible: u8 = self.objects.iter().fold(0, |all, o| all | self.offsets(o.upload));
        u16::from(visible) == (1u16 << bounds.offsets) - 1
    }
}

fn about(first: i64, offsets: u8) -> About {
    About {
        role: Role::Data,
        crc32: 0,
        rows: u64::from(offsets.count_ones()),
        first,
        last: i64::from(7 - offsets.leading_zeros()),
        values: Vec::new(),
        columns: 0,
        target: None,
        schema_ids: Vec::new(),
    }
}

/// The upload's number is its id.
fn staged_as(key: &str, id: usize) -> Staged {
    let handle = Handle::Local { name: String::new(), inode: id as u64, mtime_ns: 0 };
    Staged { key: key.to_owned(), bytes: 1, handle }
}

fn upload_id(handle: &Handle) -> usize {
    match handle {
        Handle::Local { inode, .. } => *inode as usize,
        Handle::S3 { .. } => usize::MAX,
    }
}

fn upload_of(file: &File) -> usize {
    upload_id(&file.staged)
}
