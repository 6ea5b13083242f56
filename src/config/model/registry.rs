//! Where schemas come from, and how records name them.

use super::*;

#[derive(Debug, Clone)]
pub struct Registry {
    /// Tried in order. No trailing slash, no user information.
    pub urls: Vec<String>,
    pub auth: RegistryAuth,
    pub tls: Tls,
    pub headers: BTreeMap<String, Secret>,
    pub subject_name_strategy: SubjectNameStrategy,
    /// How long an id that the registry does not know is asked for again before its records are rejected.
    pub unknown_id_grace: Duration,
    /// Of one request, connection included.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RegistryAuth {
    #[default]
    None,
    Basic {
        username: String,
        password: Secret,
    },
    Bearer(Secret),
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectNameStrategy {
    Topic,
    Record,
    TopicRecord,
}

/// How producers write what stands before the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wire {
    pub message_indexes: IndexForm,
    /// Topics that differ.
    pub by_topic: BTreeMap<String, IndexForm>,
}

impl Wire {
    /// How message indexes are written in this topic.
    pub fn message_indexes(&self, topic: &str) -> IndexForm {
        self.by_topic.get(topic).copied().unwrap_or(self.message_indexes)
    }
}

/// How producers write Protobuf message indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexForm {
    /// As the wire format says.
    #[default]
    Zigzag,
    /// As it was before it was settled.
    Unsigned,
    /// Not at all: the first message.
    Absent,
    /// By record: the first of these, in this order, that fits the schema.
    Auto,
}
