//! What goes wrong in a simulated run, and how often.

use futures::executor::block_on;

use crate::commit::record::STATE;
use crate::config::Authority;
use crate::pipeline::task::Event;
use crate::position::TopicPartition;
use crate::store::{Chance, Staged};

use super::{Due, OWNERS_MAX, Simulation};

/// How often what goes wrong: once in so many chances, 0 for never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// The process dies, per event. Old owners, which are other processes, may live on.
    pub crash: u64,
    /// The group takes a Kafka partition away and gives it back, per event.
    pub rebalance: u64,
    /// The registry cannot be asked, per question.
    pub registry: u64,
    /// An offset commit fails, per try.
    pub commit: u64,
    /// The group takes a Kafka partition away without asking, per event.
    pub lost: u64,
    /// The group gives a Kafka partition to another owner, and the old one does not hear of it, per event.
    pub zombie: u64,
    /// An owner stands still for up to two minutes, requests on their way included, and may be replaced
    /// meanwhile, per event.
    pub pause: u64,
    /// Every other request to the store fails for some seconds, per event.
    pub storm: u64,
    /// The registry is away for some seconds, per event.
    pub outage: u64,
    /// A lifecycle rule aborts every unfinished upload, per event.
    pub expire: u64,
    /// Kafka deletes records from the start of a log, per event.
    pub retention: u64,
    /// The wall clock jumps by up to ten years, per event.
    pub clock: u64,
    /// Old owners may commit offsets to Kafka, as consumers without a group do.
    pub unfenced: bool,
    /// The source is asked seldom: fewer events for the same records.
    pub lazy: bool,
    /// Somebody downstream moves a published file away, per event.
    pub thief: u64,
    /// The store has no trouble of its own any more after `until`.
    pub calm: bool,
    /// All this ends after so many events; 0: never.
    pub until: u64,
    /// Bytes that one task may hold, 0 for no bound: a small share seals early.
    pub share: usize,
    /// Records come at the time they carry; else all are there from the start.
    pub live: bool,
    /// The store brings back a file that is published once more: it is looked for first.
    pub revives: bool,
}

impl Simulation {
    pub(super) fn make_trouble(&mut self) {
        let trouble = self.trouble;
        let over = trouble.until > 0 && self.report.events > trouble.until;
        if self.store_ill_until_ms > 0 && (over || self.store_ill_until_ms <= self.now_ms) {
            self.store_ill_until_ms = 0;
            self.set_store(None);
        }
        if over {
            return self.calm_down();
        }
        if self.chance(trouble.crash) {
            self.crash();
        }
        self.group_trouble();
        if self.chance(trouble.pause) {
            self.pause();
        }
        if self.chance(trouble.thief) {
            self.steal();
        }
        if self.chance(trouble.storm) {
            self.report.storms += 1;
            self.store_ill_until_ms = self.now_ms + 1_000 + self.random.below(10_000);
            self.set_store(Some(Chance { before_one_in: 2, after_one_in: 10 }));
        }
        if self.chance(trouble.outage) {
            self.report.outages += 1;
            self.registry_away_until_ms = self.now_ms + self.random.below(30_000);
        }
        if self.chance(trouble.expire) {
            self.expire();
        }
        if self.chance(trouble.retention) {
            self.delete_records();
        }
        if self.chance(trouble.clock) {
            let ten_years_ms = 315_576_000_000;
            self.wall_shift_ms = self.random.below(2 * ten_years_ms) as i64 - ten_years_ms as i64;
        }
    }

    /// The end of all trouble that lasts.
    fn calm_down(&mut self) {
        self.paused.clear();
        self.registry_away_until_ms = 0;
        self.trouble.registry = 0;
        self.trouble.commit = 0;
        if let Some(memory) = self.world.memory.as_ref().filter(|_| self.trouble.calm) {
            memory.set_chance(Chance::default());
            memory.set_late(0);
            memory.set_stale(0);
        }
    }

    fn set_store(&mut self, chance: Option<Chance>) {
        if let Some(memory) = &self.world.memory {
            let usual = *self.usual.get_or_insert_with(|| memory.chance());
            memory.set_chance(chance.unwrap_or(usual));
        }
    }

    /// A process dies. What it had sent may still land, and nobody hears the answers.
    fn crash(&mut self) {
        self.report.crashes += 1;
        let others_live = self.random.one_in(2);
        let current: Vec<u64> = self.current.values().copied().collect();
        if self.settings.commit.authority == Authority::Kafka {
            self.last_words();
        }
        self.owners.retain(|number, _| others_live && !current.contains(number));
        self.kept.clear();
        let mut all: Vec<u64> = self.due.keys().copied().collect();
        all.sort_unstable();
        for seq in all {
            let Some(due) = self.due.get(&seq) else { continue };
            let lives = due.owner().is_some_and(|number| self.owners.contains_key(&number));
            let lands = lives || (due.is_request() && self.random.one_in(3));
            if !lands {
                self.due.remove(&seq);
            }
        }
        self.settings = (self.settings_of)(self.report.crashes);
        let all: Vec<TopicPartition> = self.world.log.keys().cloned().collect();
        all.iter().for_each(|tp| self.assign(tp));
    }

    /// Offset commits on their way that Kafka takes before anybody else is assigned.
    fn last_words(&mut self) {
        let is_commit = |due: &Due| matches!(due, Due::Commit(..));
        let mut sent: Vec<u64> =
            self.due.iter().filter(|(_, due)| is_commit(due)).map(|(seq, _)| *seq).collect();
        sent.sort_unstable();
        for seq in sent {
            if self.random.one_in(2)
                && let Some(Due::Commit(number, _, offset, text)) = self.due.remove(&seq)
                && self.is_current(number)
            {
                self.name_end(number, offset, text);
            }
        }
    }

    fn group_trouble(&mut self) {
        let trouble = self.trouble;
        if self.chance(trouble.lost)
            && let Some(tp) = self.any_partition()
        {
            self.report.losses += 1;
            if let Some(owner) = self.current.get(&tp).copied() {
                self.step(owner, Event::Drop);
                self.owners.remove(&owner);
            }
            self.assign(&tp);
        }
        if self.chance(trouble.zombie)
            && let Some(tp) = self.any_partition()
        {
            self.second_owner(&tp);
        }
        if self.chance(trouble.rebalance)
            && let Some(tp) = self.any_partition()
            && let Some(number) = self.current.get(&tp).copied()
            && let Some(owner) = self.owners.get_mut(&number)
        {
            self.report.rebalances += 1;
            owner.leaving = true;
            self.step(number, Event::Finish);
        }
    }

    fn second_owner(&mut self, tp: &TopicPartition) {
        self.report.zombies += 1;
        self.assign(tp);
        let owners = self.owners.iter().filter(|(_, o)| o.partition == *tp);
        let owners: Vec<u64> = owners.map(|(number, _)| *number).collect();
        if owners.len() > OWNERS_MAX {
            self.owners.remove(&owners[0]);
        }
    }

    fn pause(&mut self) {
        let Some(tp) = self.any_partition() else { return };
        let Some(number) = self.current.get(&tp).copied() else { return };
        self.report.pauses += 1;
        let until = self.now_ms + 100 + self.random.below(120_000);
        self.paused.insert(number, until);
        // Beyond the session timeout the group gives its Kafka partition to another one.
        if until > self.now_ms + 10_000 {
            self.second_owner(&tp);
        }
    }

    pub(super) fn discard(&self, staged: &[Staged]) {
        for staged in staged {
            let _ = block_on(self.world.store.discard_staged(staged));
        }
    }

    pub(super) fn any_partition(&mut self) -> Option<TopicPartition> {
        let pick = self.random.below(self.world.log.len().max(1) as u64) as usize;
        self.world.log.keys().nth(pick).cloned()
    }

    fn steal(&mut self) {
        let Some(memory) = &self.world.memory else { return };
        let files = memory.objects();
        let mut files: Vec<_> = files.into_iter().filter(|(k, _)| !k.starts_with(STATE)).collect();
        if files.is_empty() {
            return;
        }
        let pick = self.random.below(files.len() as u64) as usize;
        let (key, bytes) = files.swap_remove(pick);
        memory.remove_foreign(&key);
        self.report.thefts += 1;
        self.stolen.insert(key, bytes);
    }

    fn expire(&mut self) {
        let Some(memory) = &self.world.memory else { return };
        self.report.expiries += 1;
        self.expired.extend(memory.uploads().into_keys());
        memory.expire_uploads();
    }

    fn delete_records(&mut self) {
        let Some(tp) = self.any_partition() else { return };
        let log = &self.world.log[&tp];
        let at = self.random.below(log.len().max(1) as u64) as usize;
        let Some(record) = log.get(at) else { return };
        let low = self.low.get(&tp).copied().unwrap_or(0);
        if record.offset > low {
            self.report.retentions += 1;
            self.low.insert(tp, record.offset);
        }
    }

    pub(super) fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.one_in(one_in)
    }
}
