//! `forebay audit --explain topic:partition:offset`: where one record went.

use serde_json::{Value, json};

use super::links;
use super::no_chain;
use super::read::{Listed, chains, copy};
use crate::audit::content::{self, Row};
use crate::audit::explain::Search;
use crate::cli::{ARGUMENTS, Exit, Output, RUNTIME, say};
use crate::commit::record::{File, Record, Role};
use crate::config;
use crate::error::Fault;
use crate::position::Offset;
use crate::store::Store;
use futures::StreamExt;

/// Records read at a time.
const GETS: usize = 32;

/// `topic:partition:offset`
pub(super) struct Asked {
    topic: String,
    partition: i32,
    offset: Offset,
}

pub(super) fn parse(text: &str) -> Result<Asked, Fault> {
    let parsed = (|| {
        let (rest, offset) = text.rsplit_once(':')?;
        let (topic, partition) = rest.rsplit_once(':')?;
        let offset: Offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
        let partition = partition.parse().ok()?;
        Some(Asked { topic: topic.to_owned(), partition, offset }).filter(|a| !a.topic.is_empty())
    })();
    parsed.ok_or_else(|| {
        let message = format!("`--explain`: `{text}`, a place such as `orders:3:918273` required");
        Fault::new(&ARGUMENTS, message)
    })
}

pub(super) async fn explain(
    pipeline: &config::Pipeline,
    asked: &Asked,
    output: Output,
) -> Result<Exit, Fault> {
    let store = Store::open_to_read(&pipeline.sink).await?;
    let listed = chains(&store, &pipeline.name, None).await?;
    let mut answers = Vec::new();
    for (folder, Listed { places, names, .. }) in listed {
        let partition = folder.trim_end_matches('/').rsplit('/').next();
        if partition.and_then(|p| p.parse().ok()) != Some(asked.partition) {
            continue;
        }
        let (mut search, mut of_topic) = (Search::new(asked.offset), true);
        let mut reads = futures::stream::iter(places)
            .map(|(seq, _)| {
                let (key, state) = (links::key(&folder, seq, Some(&names)), &store);
                async move { (state.get(&key).await, key) }
            })
            .buffered(GETS);
        while let Some((bytes, key)) = reads.next().await {
            let Some(bytes) = bytes? else { continue };
            let record = Record::parse(&bytes).map_err(|fault| fault.at(key))?;
            of_topic = record.identity.topic == asked.topic;
            if !of_topic {
                break;
            }
            search.record(&record);
        }
        if of_topic && search.end.is_some() {
            drop(reads);
            answers.extend(answer(&store, &folder, &search).await?);
        }
    }
    if answers.is_empty() {
        return Err(no_chain(pipeline).at(format!("{}-{}", asked.topic, asked.partition)));
    }
    match output {
        Output::Json => say(json!({
            "topic": asked.topic, "partition": asked.partition, "offset": asked.offset,
            "answers": answers,
        })),
        Output::Text => answers.iter().for_each(|answer| say(text(asked, answer))),
    }
    Ok(Exit::Done)
}

/// What one chain says.
async fn answer(store: &Store, chain: &str, search: &Search) -> Result<Vec<Value>, Fault> {
    let mut answers = Vec::new();
    for (seq, skipped) in &search.skipped {
        answers.push(json!({
            "what": "skipped", "chain": chain, "seq": seq,
            "from": skipped.from, "to": skipped.to, "why": skipped.why,
        }));
    }
    for record in &search.records {
        answers.extend(in_record(store, chain, record, search.offset).await?);
    }
    if answers.is_empty() {
        let (start, end) = (search.start.unwrap_or_default(), search.end.map_or(0, |e| e.1));
        let what = match search.offset {
            offset if offset < start => "before_the_chain",
            offset if offset >= end => "not_yet_committed",
            _ => "in_no_record",
        };
        answers.push(json!({"what": what, "chain": chain, "chain_start": start, "chain_end": end}));
    }
    Ok(answers)
}

/// The files of one record that may hold the offset, and its row where that can be known.
async fn in_record(
    store: &Store,
    chain: &str,
    record: &Record,
    offset: Offset,
) -> Result<Vec<Value>, Fault> {
    let (mut sure, mut maybe) = (Vec::new(), Vec::new());
    for file in Search::candidates(record, offset) {
        let there = store.head(&file.key).await?.is_some();
        let row = match there {
            true => row(store, file, offset).await?,
            false => by_range(file, offset),
        };
        let what = match (file.about.role, there) {
            (_, false) => "not_there",
            (Role::Reject, true) => "reject",
            (Role::Data, true) => "row",
        };
        let (row, list) = match row {
            Row::At(row) => (Some(row), &mut sure),
            Row::Unknown => (None, &mut maybe),
            Row::Absent => continue,
        };
        list.push(json!({
            "what": what, "chain": chain, "seq": record.seq, "commit": record.id,
            "kind": record.kind.name(), "key": file.key, "row": row, "exact": row.is_some(),
            "schema_ids": file.about.schema_ids,
            "first": file.about.first, "last": file.about.last, "rows": file.about.rows,
        }));
    }
    // Which is known of one file speaks for all others of the commit.
    let found = if sure.is_empty() { maybe } else { sure };
    Ok(match found.is_empty() {
        false => found,
        true => vec![json!({
            "what": "no_row", "chain": chain, "seq": record.seq, "commit": record.id,
            "from": record.from, "to": record.to,
        })],
    })
}

/// By the footer's data: a file without gaps has each of its offsets.
fn by_range(file: &File, offset: Offset) -> Row {
    Search::row_by_range(file, offset).map_or(Row::Unknown, Row::At)
}

/// The row in a file that is there: by its own column, else by its range.
async fn row(store: &Store, file: &File, offset: Offset) -> Result<Row, Fault> {
    let Some((copy, _)) = copy(store, &file.key, file.bytes).await? else {
        return Ok(by_range(file, offset));
    };
    let role = file.about.role;
    let found = tokio::task::spawn_blocking(move || content::find(copy, role, offset));
    let found = found
        .await
        .map_err(|e| Fault::new(&RUNTIME, format!("reading a file: {e}, an end required")))?;
    Ok(match found {
        Ok(Row::Unknown) | Err(_) => by_range(file, offset),
        Ok(known) => known,
    })
}

fn text(asked: &Asked, answer: &Value) -> String {
    let Asked { topic, partition, offset } = asked;
    let said = |name: &str| match &answer[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let name = format!("{topic}-{partition} offset {offset}");
    let what = said("what");
    let commit = || format!("commit {} (record {})", said("commit"), said("seq"));
    match what.as_str() {
        "skipped" => format!(
            "{name}: skipped by record {}, with offsets [{}, {}): {}",
            said("seq"),
            said("from"),
            said("to"),
            said("why")
        ),
        "before_the_chain" => {
            format!("{name}: before the chain's start, which is {}", said("chain_start"))
        }
        "not_yet_committed" => {
            format!("{name}: not yet committed; the chain ends at {}", said("chain_end"))
        }
        "in_no_record" => {
            format!("{name}: in no record, though the chain passes it; see the audit")
        }
        "no_row" => format!(
            "{name}: in {}, and in none of its files: a tombstone that is left out, a control record, or an offset that the log does not hold",
            commit()
        ),
        what => {
            let row = match &answer["row"] {
                Value::Null => "a row, if it is one, that cannot be told (offsets are missing in between, and there is no column `_offset`)".to_owned(),
                row => format!("row {row} (the first is row 0)"),
            };
            let there = match what {
                "not_there" => "; the file is not there: removed since, or not yet published",
                "reject" => "; it was rejected",
                _ => "",
            };
            format!(
                "{name}: {row} of {}, {}, writer schemas {}{there}",
                said("key"),
                commit(),
                said("schema_ids")
            )
        }
    }
}
