//! A store in memory with S3's manners and seeded faults, for the simulator and tests.
//!
//! Owns: the same rules as `s3`: single-use uploads, completing overwrites, create-only puts.
//! Absent: time, threads, waiting: every future is ready at once, whatever runs it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::clock::Seeded;
use crate::error::Fault;
use crate::flaw::{Flaw, planted};

use super::count::{Counts, Outcome};
use super::{
    Entry, HANDLE, Handle, KEY, LOST, Orphan, PAGE_MAX, PART, Page, Put, Staged, UNREACHABLE,
    Upload, Verb, key, part,
};

/// How one request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It fails and nothing happened.
    Before,
    /// It happened and the answer is lost.
    After,
}

/// Random trouble: once in so many requests; 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chance {
    pub before_one_in: u64,
    pub after_one_in: u64,
}

/// The bucket; clones share it. Give one to [`super::Store::memory`] and keep another to look inside.
#[derive(Debug, Clone)]
pub struct Memory {
    part_bytes: usize,
    state: Arc<Mutex<State>>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Unfinished>,
    next: u64,
    random: Seeded,
    chance: Chance,
    planned: VecDeque<(Verb, u64, Trouble)>,
    late_one_in: u64,
    revives: bool,
    unconditional: bool,
    requests: u64,
    /// What lands before a request of this number.
    late: Vec<(u64, Late)>,
    overwritten: Vec<String>,
    /// Rises with every visible change.
    changes: u64,
    stale_one_in: u64,
    /// The unfinished uploads as the last listing told them: what a stale one tells again.
    told: Vec<Orphan>,
    /// What was published, where completing an upload again brings it back.
    published: BTreeMap<String, Object>,
}

/// A request whose sender has given up on it, still on its way.
#[derive(Debug)]
enum Late {
    Put(String, Bytes),
    Complete(Staged),
    Abort(String),
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    token: Option<String>,
}

#[derive(Debug)]
struct Unfinished {
    key: String,
    token: String,
    parts: Vec<Bytes>,
}

impl Memory {
    /// An empty bucket. `seed` decides which requests `chance` hits, tokens and upload ids.
    pub fn new(seed: u64, part_bytes: usize, chance: Chance) -> Self {
        let state = State {
            unconditional: false,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            next: 0,
            random: Seeded::new(seed),
            chance,
            planned: VecDeque::new(),
            late_one_in: 0,
            revives: false,
            requests: 0,
            late: Vec::new(),
            overwritten: Vec::new(),
            changes: 0,
            stale_one_in: 0,
            told: Vec::new(),
            published: BTreeMap::new(),
        };
        Self { part_bytes, state: Arc::new(Mutex::new(state)), counts: Arc::default() }
    }

    pub fn chance(&self) -> Chance {
        self.state().chance
    }

    /// Changes the odds from here on.
    pub fn set_chance(&self, chance: Chance) {
        self.state().chance = chance;
    }

    /// Once in so many create-only puts, completions and aborts fails for its caller, and lands some requests
    /// later after all.
    pub fn set_late(&self, one_in: u64) {
        self.state().late_one_in = one_in;
    }

    /// Create-only puts write over what is there, as in a store that knows no conditions.
    pub fn set_unconditional(&self) {
        self.state().unconditional = true;
    }

    /// Uploads stay when they are completed: completing once more brings back what was moved away meanwhile.
    pub fn set_revives(&self, revives: bool) {
        self.state().revives = revives;
    }

    /// Once in so many listings of unfinished uploads tells what the one before it told.
    pub fn set_stale(&self, one_in: u64) {
        self.state().stale_one_in = one_in;
    }

    /// Rises with every change that somebody who lists could see.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Whether this upload is neither completed nor aborted.
    pub fn is_open(&self, upload_id: &str) -> bool {
        self.state().uploads.contains_key(upload_id)
    }

    /// The request after `skip` more of this verb goes wrong so. Several plans count side by side.
    pub fn plan(&self, verb: Verb, skip: u64, trouble: Trouble) {
        self.state().planned.push_back((verb, skip, trouble));
    }

    /// Everything visible.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        let state = self.state();
        state.objects.iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }

    /// Upload ids neither completed nor aborted, with their keys.
    pub fn uploads(&self) -> BTreeMap<String, String> {
        let state = self.state();
        state.uploads.iter().map(|(id, upload)| (id.clone(), upload.key.clone())).collect()
    }

    /// Keys at which completing an upload replaced an object, in order. Empty in a right run.
    pub fn overwritten(&self) -> Vec<String> {
        self.state().overwritten.clone()
    }

    /// What somebody else puts there.
    pub fn put_foreign(&self, key: &str, bytes: Bytes) {
        self.state().show(key, Object { bytes, token: None });
    }

    /// What somebody else removes. Returns whether it was there.
    pub fn remove_foreign(&self, key: &str) -> bool {
        self.state().hide(key)
    }

    /// What a lifecycle rule does: all unfinished uploads are gone.
    pub fn expire_uploads(&self) {
        self.state().uploads.clear();
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    pub(super) fn begin(&self, key: &str) -> Result<Handle, Fault> {
        key::check("", key)?;
        let mut state = self.state();
        state.next += 1;
        let token = format!("token-{}", state.next);
        Ok(Handle::S3 { upload_id: String::new(), etags: Vec::new(), checksums: Vec::new(), token })
    }

    pub(super) async fn part(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        if bytes.len() < self.part_bytes {
            let (found, least) = (bytes.len(), self.part_bytes);
            return Err(Fault::new(&PART, format!("part: {found} bytes, {least} required")));
        }
        self.send(upload, bytes)
    }

    pub(super) async fn finish(&self, upload: &mut Upload, tail: Bytes) -> Result<(), Fault> {
        let Handle::S3 { etags, .. } = &upload.handle else { return Err(other_store()) };
        if tail.is_empty() && !etags.is_empty() { Ok(()) } else { self.send(upload, tail) }
    }

    fn send(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        let Upload { key, bytes: sent, handle } = upload;
        let Handle::S3 { upload_id, etags, token, .. } = handle else { return Err(other_store()) };
        if upload_id.is_empty() {
            *upload_id = self.request(Verb::CreateUpload, key, |state| {
                state.next += 1;
                let id = format!("upload-{}", state.next);
                let (key, token) = (key.clone(), token.clone());
                state.uploads.insert(id.clone(), Unfinished { key, token, parts: Vec::new() });
                Ok(id)
            })?;
        }
        let (len, id, part) = (bytes.len() as u64, upload_id.clone(), etags.len());
        let etag = self.request(Verb::PutPart, key, |state| {
            let Some(upload) = state.uploads.get_mut(&id) else { return Err(lost(key)) };
            // A part sent again replaces what was there under its number.
            upload.parts.truncate(part);
            upload.parts.push(bytes);
            Ok(format!("\"{id}-{part}\""))
        })?;
        etags.push(etag);
        *sent += len;
        Ok(())
    }

    pub(super) async fn publish(&self, staged: &Staged) -> Result<(), Fault> {
        let Handle::S3 { upload_id, etags, token, .. } = &staged.handle else {
            return Err(other_store());
        };
        key::check("", &staged.key)?;
        self.leave(Verb::Complete, &staged.key, || Late::Complete(staged.clone()))?;
        self.request(Verb::Complete, &staged.key, |state| {
            if state.complete(&staged.key, upload_id, etags.len()) {
                return Ok(());
            }
            let mine = |o: &Object| {
                o.token.as_ref() == Some(token) && o.bytes.len() as u64 == staged.bytes
            };
            match state.objects.get(&staged.key) {
                Some(object) if mine(object) => Ok(()),
                Some(_) => Err(Fault::new(
                    &super::FOREIGN,
                    format!("object `{}`: another file, the staged one required", staged.key),
                )),
                None => Err(lost(&staged.key)),
            }
        })
    }

    pub(super) async fn is_published(&self, staged: &Staged) -> Result<bool, Fault> {
        let Handle::S3 { token, .. } = &staged.handle else { return Err(other_store()) };
        self.request(Verb::Head, &staged.key, |state| match state.objects.get(&staged.key) {
            None => Ok(false),
            Some(object) if object.token.as_ref() == Some(token) => Ok(true),
            Some(_) => Err(Fault::new(
                &super::FOREIGN,
                format!("object `{}`: another file, the staged one required", staged.key),
            )),
        })
    }

    pub(super) async fn discard(&self, key: &str, handle: &Handle) -> Result<(), Fault> {
        let Handle::S3 { upload_id, .. } = handle else { return Err(other_store()) };
        if upload_id.is_empty() {
            return Ok(());
        }
        self.abort(key, upload_id)
    }

    fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        self.leave(Verb::Abort, key, || Late::Abort(upload_id.to_owned()))?;
        self.request(Verb::Abort, key, |state| {
            state.uploads.remove(upload_id);
            Ok(())
        })
    }

    pub(super) async fn put_create(&self, key: &str, bytes: Bytes) -> Result<Put, Fault> {
        key::check("", key)?;
        self.leave(Verb::Put, key, || Late::Put(key.to_owned(), bytes.clone()))?;
        self.request(Verb::Put, key, |state| {
            let conditional = !state.unconditional && !planted(Flaw::PlainPutOfRecord);
            if state.objects.contains_key(key) && conditional {
                return Ok(Put::Exists);
            }
            state.show(key, Object { bytes, token: None });
            Ok(Put::Created)
        })
    }

    /// Leaves this request on its way and fails it for its caller, or does nothing.
    fn leave(&self, verb: Verb, key: &str, late: impl FnOnce() -> Late) -> Result<(), Fault> {
        let mut state = self.state();
        let one_in = state.late_one_in;
        if one_in == 0 || !state.random.one_in(one_in) {
            return Ok(());
        }
        let at = state.requests + 1 + state.random.below(60);
        state.late.push((at, late()));
        Err(unanswered(verb, key, "late"))
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        key::check("", key)?;
        self.request(Verb::Get, key, |s| Ok(s.objects.get(key).map(|o| o.bytes.clone())))
    }

    pub(super) async fn range(
        &self,
        key: &str,
        from: u64,
        len: usize,
    ) -> Result<Option<Bytes>, Fault> {
        let whole = self.get(key).await?;
        Ok(whole.map(|bytes| part(&bytes, from, len)))
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Entry>, Fault> {
        key::check("", key)?;
        self.request(Verb::Head, key, |s| Ok(s.objects.get(key).map(|o| entry(key, o))))
    }

    pub(super) async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Fault> {
        key::check_prefix(prefix)?;
        let after = next.unwrap_or_default();
        self.request(Verb::List, prefix, |state| {
            let wanted = |key: &str| key.starts_with(prefix) && key > after;
            let mut found = state.objects.iter().filter(|(key, _)| wanted(key));
            let page = found.by_ref().take(PAGE_MAX).map(|(key, object)| entry(key, object));
            let entries: Vec<Entry> = page.collect();
            let next = found.next().and_then(|_| entries.last()).map(|entry| entry.key.clone());
            Ok(Page { entries, next })
        })
    }

    pub(super) async fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        key::check_prefix(prefix)?;
        self.request(Verb::List, prefix, |state| {
            let mut found: Vec<String> = Vec::new();
            for key in state.objects.keys().filter(|key| key.starts_with(prefix)) {
                let end = key.get(prefix.len()..).and_then(|rest| rest.find('/'));
                let folder = end.and_then(|end| key.get(..=prefix.len() + end));
                found.extend(folder.map(str::to_owned));
                found.dedup();
            }
            found.truncate(super::FOLDERS_MAX);
            Ok(found)
        })
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Fault> {
        key::check("", key)?;
        self.request(Verb::Delete, key, |state| {
            state.hide(key);
            Ok(())
        })
    }

    pub(super) async fn orphans(&self, prefix: &str) -> Result<Vec<Orphan>, Fault> {
        self.request(Verb::ListUploads, prefix, |state| {
            let orphan = |(id, upload): (&String, &Unfinished)| Orphan {
                key: Some(upload.key.clone()),
                id: id.clone(),
                started_ms: None,
            };
            let all = state.uploads.iter().map(orphan).collect();
            let told = std::mem::replace(&mut state.told, all);
            let stale = state.stale_one_in > 0 && state.random.one_in(state.stale_one_in);
            let all = if stale { told } else { state.told.clone() };
            let below = |o: &Orphan| o.key.as_ref().is_some_and(|key| key.starts_with(prefix));
            Ok(all.into_iter().filter(below).collect())
        })
    }

    pub(super) async fn sweep(&self, orphan: &Orphan) -> Result<(), Fault> {
        match &orphan.key {
            Some(key) => self.abort(key, &orphan.id),
            None => Err(Fault::new(&KEY, "orphan without a key, one required")),
        }
    }

    /// Carries out one request, or not, or does not tell.
    fn request<T>(
        &self,
        verb: Verb,
        key: &str,
        apply: impl FnOnce(&mut State) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut state = self.state();
        state.land();
        let trouble = state.trouble(verb);
        let result = match trouble {
            Some(Trouble::Before) => Err(unanswered(verb, key, "failed")),
            Some(Trouble::After) => {
                let _ = apply(&mut state);
                Err(unanswered(verb, key, "answer lost"))
            }
            None => apply(&mut state),
        };
        self.counts.add(verb, if result.is_ok() { Outcome::Ok } else { Outcome::Failed });
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Carries out what is late and due now.
    fn land(&mut self) {
        self.requests += 1;
        let now = self.requests;
        let (due, later) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, ..)| *at <= now);
        self.late = later;
        let due: Vec<(u64, Late)> = due;
        for (_, late) in due {
            match late {
                Late::Put(key, bytes) if !self.objects.contains_key(&key) => {
                    self.show(&key, Object { bytes, token: None });
                }
                Late::Put(..) => {}
                Late::Complete(Staged {
                    key, handle: Handle::S3 { upload_id, etags, .. }, ..
                }) => {
                    self.complete(&key, &upload_id, etags.len());
                }
                Late::Complete(_) => {}
                Late::Abort(upload_id) => {
                    self.uploads.remove(&upload_id);
                }
            }
        }
    }

    /// Publishes an upload that is there with so many parts; false if none is.
    fn complete(&mut self, key: &str, upload_id: &str, parts: usize) -> bool {
        let whole = |u: &Unfinished| u.key == key && u.parts.len() == parts;
        let object = match self.uploads.get(upload_id).is_some_and(whole) {
            true => self.uploads.remove(upload_id).map(|upload| Object {
                bytes: upload.parts.concat().into(),
                token: Some(upload.token),
            }),
            false => self.published.get(upload_id).cloned(),
        };
        let Some(object) = object else { return false };
        if self.revives || planted(Flaw::PublishByPut) {
            self.published.insert(upload_id.to_owned(), object.clone());
        }
        let same = self.objects.get(key).is_some_and(|there| there.token == object.token);
        if self.show(key, object) && !same {
            self.overwritten.push(key.to_owned());
        }
        true
    }

    /// Returns whether something was there.
    fn show(&mut self, key: &str, object: Object) -> bool {
        self.changes += 1;
        self.objects.insert(key.to_owned(), object).is_some()
    }

    fn hide(&mut self, key: &str) -> bool {
        self.changes += 1;
        self.objects.remove(key).is_some()
    }

    fn trouble(&mut self, verb: Verb) -> Option<Trouble> {
        let mut hit = None;
        self.planned.retain_mut(|(planned, skip, trouble)| {
            if *planned != verb {
                return true;
            }
            if *skip > 0 {
                *skip -= 1;
                return true;
            }
            hit = Some(*trouble);
            false
        });
        let Chance { before_one_in, after_one_in } = self.chance;
        let mut once_in = |n: u64| n > 0 && self.random.one_in(n);
        match hit {
            Some(trouble) => Some(trouble),
            None if once_in(before_one_in) => Some(Trouble::Before),
            None if once_in(after_one_in) => Some(Trouble::After),
            None => None,
        }
    }
}

fn entry(key: &str, object: &Object) -> Entry {
    Entry { key: key.to_owned(), bytes: object.bytes.len() as u64, modified_ms: None }
}

#[cold]
fn lost(key: &str) -> Fault {
    Fault::new(
        &LOST,
        format!("object `{key}`: neither the upload nor the object is there, either required"),
    )
}

#[cold]
fn other_store() -> Fault {
    Fault::new(&HANDLE, "staged file: not a multipart upload, one required")
}

#[cold]
fn unanswered(verb: Verb, key: &str, how: &str) -> Fault {
    Fault::new(&UNREACHABLE, format!("{verb:?} `{key}`: {how} as planned, an answer required"))
}
