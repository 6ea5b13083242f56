//! `forebay chain ls` and `show`.

use serde_json::{Value, json};

use super::{Show, absent, find, record};
use crate::cli::audit::{links, read, report};
use crate::cli::{ARGUMENTS, Exit, NO_CHAIN, Output, say};
use crate::commit::record::Record;
use crate::config;
use crate::error::Fault;
use crate::store::Store;

/// Where every chain ends.
pub(super) async fn list(
    store: &Store,
    pipeline: &config::Pipeline,
    output: Output,
) -> Result<Exit, Fault> {
    let mut lines = vec![
        ["chain", "records", "kind", "epoch", "offsets", "published", "topic id", "owner"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for (folder, listed) in read::chains(store, &pipeline.name, None).await? {
        let Some((seq, at)) = listed.places.last() else { continue };
        let head = match record(store, &links::key(&folder, *seq, Some(&listed.names))).await {
            Ok(head) => head,
            Err(fault) => {
                all.push(json!({"chain": folder, "seq": seq, "fault": fault.to_string()}));
                unread.push(format!("{folder} record {seq}: {fault}"));
                continue;
            }
        };
        let absent = absent(store, &head).await?;
        let published = match (head.files.len(), absent.len()) {
            (_, 0) => "yes".to_owned(),
            (all, gone) => format!("{} of {all} files", all - gone),
        };
        let identity = &head.identity;
        all.push(json!({
            "topic": identity.topic, "topic_id": identity.topic_id, "partition": identity.partition,
            "chain": folder, "seq": seq, "id": head.id, "kind": head.kind.name(),
            "epoch": head.epoch, "owner": head.owner, "from": head.from, "to": head.to,
            "written_ms": at, "files": head.files.len(), "files_absent": absent,
        }));
        lines.push(vec![
            format!("{}:{}", identity.topic, identity.partition),
            seq.to_string(),
            head.kind.name().to_owned(),
            head.epoch.to_string(),
            head.range().to_string(),
            published,
            identity.topic_id.clone().unwrap_or_else(|| "-".to_owned()),
            head.owner.clone(),
        ]);
    }
    if all.is_empty() {
        return Err(Fault::new(
            &NO_CHAIN,
            format!(
                "chains of pipeline `{}` in `{}`: none found, one at least required",
                pipeline.name, pipeline.sink.url
            ),
        ));
    }
    match output {
        Output::Json => say(json!({"pipeline": pipeline.name, "chains": all})),
        Output::Text => {
            let mut text = String::new();
            report::table(&lines, &mut text);
            say(text.trim_end());
            unread.iter().for_each(say);
        }
    }
    Ok(if unread.is_empty() { Exit::Done } else { Exit::Fault })
}

/// Records of one chain.
pub(super) async fn show(
    store: &Store,
    pipeline: &config::Pipeline,
    args: &Show,
) -> Result<Exit, Fault> {
    let found = find(store, pipeline, &args.one).await?;
    let head = found.head.seq;
    let (first, last) = match &args.seq {
        Some(text) => seqs(text)?,
        None => (head.saturating_sub(args.last.max(1) - 1).max(1), head),
    };
    let mut records = Vec::new();
    for seq in first..=last.min(head) {
        records.push(record(store, &links::key(&found.folder, seq, Some(&found.names))).await?);
    }
    match args.one.common.output {
        Output::Json => say(json!({"chain": found.folder, "records": records})),
        Output::Text => records.iter().for_each(|record| tell(record)),
    }
    Ok(Exit::Done)
}

/// `7` or `3..10`.
fn seqs(text: &str) -> Result<(u64, u64), Fault> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let parsed = first.parse().ok().zip(last.parse().ok());
    parsed.filter(|(first, last): &(u64, u64)| *first > 0 && first <= last).ok_or_else(|| {
        Fault::new(&ARGUMENTS, format!("`--seq`: `{text}`, places such as `7` or `3..10` required"))
    })
}

fn tell(record: &Record) {
    let Record { seq, kind, id, epoch, owner, rows, rejects, .. } = record;
    say(format_args!(
        "record {seq}: {} of {} under epoch {epoch}: {rows} rows, {rejects} rejects, {} files",
        kind.name(),
        record.range(),
        record.files.len()
    ));
    say(format_args!("  id {id}, owner {owner}"));
    if let Some(note) = &record.note {
        say(format_args!("  note: {note}"));
    }
    if let Some(repaired) = record.repairs {
        say(format_args!("  brings back files of record {repaired}"));
    }
    for skipped in &record.skipped {
        say(format_args!("  skips [{}, {}): {}", skipped.from, skipped.to, skipped.why));
    }
    for file in &record.files {
        let about = &file.about;
        let role = Value::from(match about.role {
            crate::commit::record::Role::Data => "data",
            crate::commit::record::Role::Reject => "reject",
        });
        say(format_args!(
            "  {} {} rows, offsets {} to {}, {} bytes: {}",
            role.as_str().unwrap_or_default(),
            about.rows,
            about.first,
            about.last,
            file.bytes,
            file.key
        ));
    }
}
