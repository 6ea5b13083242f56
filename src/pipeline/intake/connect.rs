//! Whose columns a row gets by Kafka Connect's rules: `connect.schema_compatibility`.
//!
//! Owns: with which schema the files of each message or record were begun last, in this Kafka partition.
//! Does not own: the rules (`evolve::connect`), how rows get another schema's columns (`decode`).
//! Bounded by: one entry a message, and one a pair of messages that met.
//!
//! Connect keeps one schema for each output folder, and closes every file of the Kafka partition where it turns.
//! Here it is one for each message or record: rows are decoded before their folders are known, and files
//! of the other schema stay open beside the new one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::messages::{MessageKey, Stop, refused};
use super::targets::Instead;
use super::{Intake, ValuePlan};
use crate::config::Compatibility;
use crate::decode::codes::INCOMPATIBLE;
use crate::decode::{Onto, Plan};
use crate::error::{Fault, Reject};
use crate::evolve::Changes;
use crate::evolve::connect::{Declared, Verdict, decide};
use crate::pipeline::versions::Evolved;
use crate::registry::Schema;
use crate::wire::SchemaRef;

/// What is known of messages, and where their plans stand.
#[derive(Debug, Default)]
pub(super) struct Connected {
    /// By message or record.
    begun: HashMap<String, Arc<Message>>,
    messages: HashMap<MessageKey, Arc<Message>>,
    /// By the message that files were begun with, and the record's.
    plans: HashMap<(MessageKey, MessageKey), Result<usize, Box<Reject>>>,
    /// What was logged.
    said: HashSet<(MessageKey, MessageKey)>,
}

/// A message of a schema of the registry.
#[derive(Debug)]
struct Message {
    key: MessageKey,
    schema: Arc<Schema>,
    record_name: String,
    declared: Declared,
}

impl Connected {
    /// Versions may be known that were not.
    pub(super) fn forget_messages(&mut self) {
        self.messages.clear();
    }

    /// Files that were begun while the registry had no versions are compared with nothing.
    pub(super) fn forget_versionless(&mut self) {
        self.begun.retain(|_, message| message.declared.version.is_some());
    }

    /// Where plans stand is no more.
    pub(super) fn forget_plans(&mut self) {
        self.plans.clear();
    }

    /// Another schema came under its reference.
    pub(super) fn forget(&mut self, schema: SchemaRef) {
        self.messages.retain(|(of, _), _| *of != schema);
        self.plans.retain(|((file, _), (own, _)), _| *file != schema && *own != schema);
        self.begun.retain(|_, message| message.key.0 != schema);
    }
}

impl Intake {
    /// The plan of a record's message; the inner reject is that of every record of it, as files stand.
    ///
    /// Error: [`Stop::Subject`].
    pub(super) fn connected(
        &mut self,
        mode: Compatibility,
        schema: &Arc<Schema>,
        key: &MessageKey,
    ) -> Result<Result<usize, Box<Reject>>, Stop> {
        let message = match self.message_of(mode, schema, key)? {
            Ok(message) => message,
            Err(fault) => return Ok(Err(refused(&fault))),
        };
        let name = &message.record_name;
        let begun = match self.connected.begun.get(name) {
            Some(begun) if mode != Compatibility::None => begun.clone(),
            _ => message.clone(),
        };
        let verdict = decide(mode, Some(&message.declared), Some(&begun.declared));
        let file = match verdict {
            Verdict::Rotate(reason) => {
                self.say_once(&begun, &message, reason.name());
                self.counted.switches += 1;
                message.clone()
            }
            Verdict::Keep | Verdict::Refuse(_) => begun,
        };
        if !self.connected.begun.get(name).is_some_and(|begun| Arc::ptr_eq(begun, &file)) {
            // Plans of other messages are of the file before.
            self.values.forget_all();
            self.connected.begun.insert(name.clone(), file.clone());
        }
        let pair = (file.key.clone(), key.clone());
        if let Some(made) = self.connected.plans.get(&pair) {
            return Ok(made.clone());
        }
        let made = match self.plan_of(&message, &file, verdict)? {
            Ok((plan, target)) => {
                self.add_value(ValuePlan { plan, schema: Some(schema.clone()), target })
            }
            Err(fault) => Err(refused(&fault)),
        };
        self.connected.plans.insert(pair, made.clone());
        Ok(made)
    }

    /// What Connect would know of a message. The inner fault: it gives no columns.
    fn message_of(
        &mut self,
        mode: Compatibility,
        schema: &Arc<Schema>,
        key: &MessageKey,
    ) -> Result<Result<Arc<Message>, Fault>, Stop> {
        if let Some(message) = self.connected.messages.get(key) {
            return Ok(Ok(message.clone()));
        }
        let own = match Plan::of(schema, &key.1, &self.settings.row.decode) {
            Ok(own) => own,
            Err(fault) => return Ok(Err(fault)),
        };
        let version = match mode {
            // Each schema is its own there, whatever its version.
            Compatibility::None => None,
            _ => {
                let subject = match self.subject(&own.record_name) {
                    Ok(subject) => subject,
                    Err(fault) => return Ok(Err(fault)),
                };
                let history = self.targets.history(&subject, schema.id)?.unwrap_or_default();
                let listed = history.versions.iter().rev().find(|v| v.schema.id == schema.id);
                listed.map(|listed| listed.version)
            }
        };
        let connect = self.settings.evolution.connect;
        let declared = Declared::of(schema, &own.record_name, &own.schema, version, connect);
        let record_name = own.record_name;
        let message = Message { key: key.clone(), schema: schema.clone(), record_name, declared };
        let message = Arc::new(message);
        self.connected.messages.insert(key.clone(), message.clone());
        Ok(Ok(message))
    }

    /// The plan that gives rows of a message the columns of the file's.
    fn plan_of(
        &mut self,
        message: &Message,
        file: &Message,
        verdict: Verdict,
    ) -> Result<Result<Evolved, Fault>, Stop> {
        let (schema, options) = (&message.schema, &self.settings.row.decode);
        let own = || {
            let mut plan = Plan::of(schema, &message.key.1, options)?;
            // A file of its own for each schema, also where columns are the same.
            let changes = Changes::default();
            plan.onto = Some(Onto { target: schema.id, changes, widened: None });
            Ok((Arc::new(plan), None))
        };
        if message.key == file.key {
            return Ok(own());
        }
        let fault = match verdict {
            Verdict::Refuse(why) => incompatible(message, file, why),
            _ => match Plan::compile_onto(schema, &message.key.1, &file.schema, options) {
                Ok(plan) => match plan.unreadable().first() {
                    None => return Ok(Ok((plan, Some(file.schema.clone())))),
                    Some(value) => incompatible(message, file, value),
                },
                Err(fault) => fault,
            },
        };
        let subject = self.subject(&message.record_name).ok();
        match self.unfit(&fault, subject)? {
            Instead::Reject => Ok(Err(fault)),
            Instead::Own => {
                tracing::warn!("rows of schema id `{}` keep their own columns: {fault}", schema.id);
                let plan = Plan::of(schema, &message.key.1, &self.settings.row.decode);
                Ok(plan.map(|plan| (Arc::new(plan), None)))
            }
        }
    }

    fn say_once(&mut self, from: &Message, to: &Message, why: &str) {
        if self.connected.said.insert((from.key.clone(), to.key.clone())) {
            tracing::info!(
                "{}: files of schema id `{}` beside those of `{}`: {why}",
                self.topic_partition,
                to.schema.id,
                from.schema.id
            );
        }
    }
}

fn incompatible(message: &Message, file: &Message, why: &str) -> Fault {
    let (own, other) = (message.schema.id, file.schema.id);
    Fault::new(&INCOMPATIBLE, format!("schema id `{own}` in a file of schema id `{other}`: {why}"))
}
