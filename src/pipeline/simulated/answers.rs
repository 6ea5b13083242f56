//! What the simulated store, brokers and registry answer.

use std::sync::Arc;

use futures::executor::block_on;

use super::*;

impl Simulation {
    pub(super) fn get(&mut self, number: u64, ticket: Ticket, seq: u64, key: String) {
        let found = match block_on(self.world.store.get(&key)) {
            Err(fault) if fault.code.kind == Kind::Retry => {
                self.later(100, 400, Due::Get(number, ticket, seq, key));
                return;
            }
            Err(fault) => Err(fault),
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => Record::parse(&bytes).map(|r| Some(Arc::new(r))),
        };
        self.later(0, 30, Due::ToTask(number, Event::Record { ticket, seq, found }));
    }

    pub(super) fn poll(&mut self, number: u64) {
        let Some(owner) = self.owners.get_mut(&number) else { return };
        let low = self.low.get(&owner.partition).copied().unwrap_or(0);
        if owner.next.is_some_and(|from| from < low) {
            return self.out_of_range(number);
        }
        let count = 1 + self.random.below(40) as usize;
        if let Some(from) = owner.next
            && owner.task.wants_input()
        {
            let mut batch = RecordBatch::new(owner.partition.clone(), from);
            let log = &self.world.log[&owner.partition];
            let by_now = WALL_MS + self.now_ms as i64;
            let there = |r: &&SimRecord| !self.trouble.live || r.timestamp_ms <= by_now;
            for r in log.iter().filter(|r| r.offset >= from).take_while(there).take(count) {
                batch.next = r.offset + 1;
                if r.hidden {
                    continue;
                }
                let (key, value) = (r.key.as_deref(), r.value.as_deref());
                let headers = r.headers.iter().map(|(name, v)| (name.as_str(), v.as_deref()));
                batch.push(
                    r.offset,
                    Some(r.timestamp_ms),
                    TimestampType::CreateTime,
                    key,
                    value,
                    headers,
                );
            }
            owner.next = Some(batch.next);
            if batch.next > from {
                self.step(number, Event::Records(batch));
            }
        }
        self.later(1, if self.trouble.lazy { 120 } else { 20 }, Due::Poll(number));
    }

    /// Kafka deleted what this owner reads next: its source stops it, and somebody starts it again.
    pub(super) fn out_of_range(&mut self, number: u64) {
        self.report.out_of_range += 1;
        self.step(number, Event::Drop);
        let Some(owner) = self.owners.remove(&number) else { return };
        if self.current.get(&owner.partition) == Some(&number) {
            self.later(1_000, 2_000, Due::Assign(owner.partition));
        }
    }

    pub(super) fn upload(&mut self, number: u64, output: Output) {
        let Some(tp) = self.owners.get(&number).map(|o| o.partition.clone()) else { return };
        let store = self.world.store.clone();
        let (file, key) = match &output {
            Output::Part { file, key, .. } | Output::End { file, key, .. } => (*file, key.clone()),
        };
        let id = (tp.clone(), file);
        let result = block_on(async {
            let mut upload = match self.uploads.remove(&id) {
                Some(upload) => upload,
                None => store.begin(&key).await?,
            };
            match output {
                Output::Part { bytes, .. } => {
                    store.part(&mut upload, bytes).await?;
                    Ok((Some(upload), None))
                }
                Output::End { tail, .. } => {
                    store.finish(upload, tail).await.map(|staged| (None, Some(staged)))
                }
            }
        });
        match result {
            Ok((Some(upload), _)) => {
                self.uploads.insert(id, upload);
            }
            Ok((None, Some(staged))) => {
                self.later(0, 50, Due::ToTask(number, Event::Staged(file, Ok(staged))));
            }
            Ok((None, None)) => {}
            Err(fault) => {
                self.later(0, 50, Due::ToTask(number, Event::Staged(file, Err(fault))));
            }
        }
    }

    /// Publishes one file, and some time later the others.
    pub(super) fn publish(
        &mut self,
        number: u64,
        ticket: Ticket,
        mut files: Vec<Staged>,
        again: bool,
    ) {
        let pick = self.random.below(files.len().max(1) as u64) as usize;
        let store = &self.world.store;
        let result = match files.get(pick) {
            Some(staged) if again && self.trouble.revives => {
                block_on(store.publish_unless_there(staged))
            }
            Some(staged) => block_on(store.publish(staged)),
            None => Ok(()),
        };
        if result.is_ok() && files.len() > 1 {
            files.swap_remove(pick);
            return self.later(0, 30, Due::Publish(number, ticket, files, again));
        }
        match result {
            Ok(()) => self.later(0, 20, Due::ToTask(number, Event::Published(ticket))),
            Err(fault) if fault.code.kind == Kind::Retry => {
                self.later(100, 400, Due::Publish(number, ticket, files, true));
            }
            Err(fault) => {
                self.later(0, 20, Due::ToTask(number, Event::NotPublished(ticket, fault)));
            }
        }
    }

    pub(super) fn commit(&mut self, number: u64, ticket: Ticket, offset: Offset, text: String) {
        // Kafka fences commits of members that are gone; a new owner is a new member here.
        let current = self.is_current(number);
        if self.settings.commit.authority == Authority::Kafka {
            return self.decide(number, ticket, offset, text);
        }
        let taken = current || (self.trouble.unfenced && self.random.one_in(2));
        if !taken {
            return;
        }
        if self.chance(self.trouble.commit) {
            self.later(500, 500, Due::Commit(number, ticket, offset, text));
            return;
        }
        if let Some(owner) = self.owners.get(&number) {
            let reached = self.reached.entry(owner.partition.clone()).or_default();
            *reached = offset.max(*reached);
            self.committed.insert(owner.partition.clone(), (offset, text));
        }
        self.later(0, 10, Due::ToTask(number, Event::OffsetCommitted(ticket)));
    }

    /// Kafka as the authority: what it refuses never was; what it does not answer was, or was not.
    pub(super) fn decide(&mut self, number: u64, ticket: Ticket, offset: Offset, text: String) {
        let doubt = self.chance(self.trouble.commit);
        let heard = self.is_current(number) || (self.trouble.unfenced && self.random.one_in(2));
        let there = heard && (!doubt || self.random.one_in(2));
        if there {
            self.name_end(number, offset, text);
        }
        let event = match there && !doubt {
            true => Event::OffsetCommitted(ticket),
            false => Event::OffsetRefused(ticket, Fault::new(&AWAY, "offset commit: refused")),
        };
        self.later(0, 10, Due::ToTask(number, event));
    }

    /// Kafka has the offset of this owner.
    pub(super) fn name_end(&mut self, number: u64, offset: Offset, text: String) {
        let Some(owner) = self.owners.get(&number) else { return };
        if Point::parse(&text).is_some_and(|point| point.published) {
            let reached = self.reached.entry(owner.partition.clone()).or_default();
            *reached = offset.max(*reached);
        }
        self.committed.insert(owner.partition.clone(), (offset, text));
    }

    pub(super) fn answer(&mut self, number: u64, schema: SchemaRef) {
        let away = self.registry_away_until_ms > self.now_ms;
        let found = if away || self.chance(self.trouble.registry) {
            Err(Lookup::Unavailable(Fault::new(&AWAY, "registry: away")))
        } else {
            self.world.schemas.get(&schema).cloned().ok_or_else(|| {
                Lookup::Unknown(Fault::new(
                    &AWAY,
                    format!("schema `{schema}`: not in the registry"),
                ))
            })
        };
        self.later(0, 100, Due::ToTask(number, Event::Schema(schema, found)));
    }

    pub(super) fn answer_subject(&mut self, number: u64, subject: Arc<str>, want: Want) {
        let away = |what: &str| Fault::new(&AWAY, format!("subject `{subject}`: {what}"));
        let found = if self.chance(self.trouble.registry) {
            Err(Lookup::Unavailable(away("away")))
        } else {
            let all = self.world.subjects.get(subject.as_ref());
            let there = all.into_iter().flatten().filter(|(at, _)| *at <= self.now_ms);
            let mut versions: Vec<Numbered> = there.map(|(_, version)| version.clone()).collect();
            match want {
                Want::All => {}
                Want::Latest => drop(versions.drain(..versions.len().saturating_sub(1))),
                Want::Version(number) => versions.retain(|v| v.version == number),
            }
            match versions.is_empty() {
                true => Err(Lookup::Unknown(away("not in the registry"))),
                false => Ok(Arc::new(History { versions, ..History::default() })),
            }
        };
        self.later(0, 100, Due::ToTask(number, Event::Subject(subject, found)));
    }
}
