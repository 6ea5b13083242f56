//! Where records come from.

use super::*;

#[derive(Debug, Clone)]
pub struct Source {
    /// `bootstrap.servers`
    pub brokers: String,
    pub topics: Topics,
    /// `group.id`
    pub group: String,
    pub start: Start,
    /// librdkafka properties as given, those the program owns refused.
    pub properties: BTreeMap<String, Secret>,
    /// SASL OAUTHBEARER by client credentials.
    pub oauth: Option<OAuth>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    Names(Vec<String>),
    /// A regular expression over whole topic names; topics that start with `__` never match.
    Regex(String),
}

/// Where a Kafka partition starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The group's committed offset, else earliest.
    Auto,
    /// The group's committed offset, else earliest: but never before what the group committed.
    Earliest,
    /// The group's committed offset, else the end of the log when first assigned.
    Latest,
    /// The group's committed offset, else these, by topic and Kafka partition; else earliest.
    Offsets(BTreeMap<(String, i32), i64>),
    /// The group's committed offset, else the first record at or after this time (ms since 1970).
    Timestamp(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub scope: Option<String>,
    /// SASL extensions (`logicalCluster`, `identityPoolId`, …).
    pub extensions: BTreeMap<String, String>,
}
