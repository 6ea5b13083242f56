//! An S3 that lies: each request of the store, and what it makes of each wrong answer. The expected verdicts are
//! those of Amazon's API reference and of the commit protocol: what may have happened is asked again or read back,
//! what was refused stops with a code, and nothing is ever believed that was not said.

use std::collections::BTreeMap;

use bytes::Bytes;
use forebay::config::SinkUrl;
use forebay::store::{Put, Store, Verb};

use crate::s3_double::{Double, Trouble};
use crate::store_checks::{noise, sink, stage};

async fn open(double: &Double) -> Store {
    let url = SinkUrl::S3 { bucket: "bucket".into(), prefix: "root".into() };
    Store::open(&sink(url, double.sink())).await.unwrap()
}

/// What the store makes of a wrong answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Sent again, and then all is as if nothing had happened.
    Again,
    /// A record: something may be there. The chain reads it back.
    ReadBack,
    /// A fault with this code.
    Stop(&'static str),
}
use Verdict::{Again, ReadBack, Stop};

/// One call that comes to this request, and whether its effect is the right one.
async fn call(store: &Store, double: &Double, verb: Verb) -> Result<Verdict, String> {
    let told = |fault: forebay::error::Fault| Stop(fault.code.id);
    let right = |right: bool| right.then_some(Again).ok_or_else(|| "a wrong answer".to_owned());
    match verb {
        Verb::CreateUpload | Verb::PutPart => {
            let upload = store.begin("k").await.unwrap();
            match store.finish(upload, noise(1, 100)).await {
                Err(fault) => Ok(told(fault)),
                Ok(staged) => {
                    store.publish(&staged).await.map_err(|f| f.to_string())?;
                    right(store.get("k").await == Ok(Some(noise(1, 100))))
                }
            }
        }
        Verb::Complete => {
            let staged = stage(store, "k", &noise(1, 100)).await;
            match store.publish(&staged).await {
                Err(fault) => Ok(told(fault)),
                Ok(()) => right(store.get("k").await == Ok(Some(noise(1, 100)))),
            }
        }
        Verb::Abort => {
            let staged = stage(store, "k", &noise(1, 100)).await;
            match store.discard_staged(&staged).await {
                Err(fault) => Ok(told(fault)),
                Ok(()) => {
                    double.calm();
                    right(double.inner().uploads.is_empty())
                }
            }
        }
        Verb::Put => match store.put_create("k", noise(1, 100)).await {
            Err(fault) => Ok(told(fault)),
            Ok(put) => {
                double.calm();
                let there = store.get("k").await.unwrap();
                match put {
                    Put::Exists => Ok(ReadBack),
                    Put::Created => right(there == Some(noise(1, 100))),
                }
            }
        },
        Verb::Get => match store.get("there").await {
            Err(fault) => Ok(told(fault)),
            Ok(found) => right(found == Some(noise(9, 50))),
        },
        Verb::Head => match store.head("there").await {
            Err(fault) => Ok(told(fault)),
            Ok(found) => right(found.is_some_and(|entry| entry.bytes == 50)),
        },
        Verb::List => match store.list("", None).await {
            Err(fault) => Ok(told(fault)),
            Ok(page) => right(page.entries.len() == 1),
        },
        Verb::ListUploads => {
            stage(store, "open", &noise(1, 100)).await;
            match store.orphans("").await {
                Err(fault) => Ok(told(fault)),
                Ok(orphans) => right(orphans.len() == 1),
            }
        }
        Verb::Delete => match store.delete("there").await {
            Err(fault) => Ok(told(fault)),
            Ok(()) => {
                double.calm();
                right(store.get("there").await == Ok(None))
            }
        },
    }
}

const VERBS: [Verb; 10] = [
    Verb::CreateUpload,
    Verb::PutPart,
    Verb::Complete,
    Verb::Abort,
    Verb::Put,
    Verb::Get,
    Verb::Head,
    Verb::List,
    Verb::ListUploads,
    Verb::Delete,
];

/// The verdict on a lie, whatever the request, unless [`verdict`] knows better.
fn table() -> Vec<(Trouble, Verdict)> {
    use Trouble::*;
    vec![
        (Status(503, "SlowDown"), Again),
        (Status(503, "ServiceUnavailable"), Again),
        (Status(500, "InternalError"), Again),
        (Status(502, ""), Again),
        (Status(429, "TooManyRequests"), Again),
        (Status(408, "RequestTimeout"), Again),
        (Status(400, "RequestTimeout"), Again),
        (Status(409, "OperationAborted"), Again),
        (Status(409, "ConditionalRequestConflict"), Again),
        (Redirect, Again),
        (Status(403, "RequestTimeTooSkewed"), Again),
        (Status(400, "RequestTimeTooSkewed"), Again),
        (Status(400, "ExpiredToken"), Again),
        (Status(403, "AccessDenied"), Stop("FB0703")),
        (Status(403, "InvalidAccessKeyId"), Stop("FB0704")),
        (Status(403, "SignatureDoesNotMatch"), Stop("FB0704")),
        (Status(404, "NoSuchBucket"), Stop("FB0705")),
        (Status(301, "PermanentRedirect"), Stop("FB0705")),
        (Status(400, "KMS.DisabledException"), Stop("FB0706")),
        (Status(501, "NotImplemented"), Stop("FB0707")),
        (ErrorIn200("InternalError"), Again),
        (ErrorIn200("SlowDown"), Again),
        // Not the store's: something before it that has nobody to pass a request to.
        (Status(404, ""), Again),
        (Bare(404), Again),
        (Truncated, Again),
        (Empty, Again),
        (Lost, Again),
        (AppliedCut, Again),
        (Cut, Again),
        (Late(3), Again),
    ]
}

/// Where one request's verdict is its own. `None`: the lie cannot be told to this request.
fn verdict(verb: Verb, lie: Trouble, usual: Verdict) -> Option<Verdict> {
    use Trouble::*;
    match (verb, lie) {
        // Applied: what is sent again finds itself there, and the chain reads it back.
        (Verb::Put, Lost | AppliedCut | Truncated | Empty) => Some(ReadBack),
        // A HEAD has no body: its status is all that is said. What a GET then does not say is gone.
        (Verb::Head, Status(404, _) | Bare(404)) => None,
        (Verb::Head, Status(400 | 403, _)) => Some(Again),
        (Verb::Head, ErrorIn200(_) | Truncated | Empty) => None,
        // Amazon tells errors in good statuses for completions only; whose answer is nothing but a status
        // has nothing to tell them by, and of what these do nothing is needed.
        (Verb::Abort | Verb::Delete, ErrorIn200(_) | Truncated | Empty) => None,
        // What is not there need not be given up, and is what was asked.
        (Verb::Abort | Verb::Delete, Status(404, "") | Bare(404)) => None,
        // A body of any kind is what was asked for; the chain refuses it as a record.
        (Verb::Get, ErrorIn200(_) | Truncated | Empty) => None,
        _ => Some(usual),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lie_to_every_request_has_its_verdict() {
    let mut all = Vec::new();
    for verb in VERBS {
        for (lie, usual) in table() {
            let Some(expected) = verdict(verb, lie, usual) else { continue };
            all.push(tokio::spawn(async move {
                let double = Double::start().await;
                double.inner().forgets_uploads = true;
                let store = open(&double).await;
                if !matches!(verb, Verb::CreateUpload | Verb::PutPart | Verb::Complete | Verb::Put)
                {
                    store.put_create("there", noise(9, 50)).await.unwrap();
                }
                double.plan(verb, 0, lie);
                let found = call(&store, &double, verb).await;
                (verb, lie, found, expected)
            }));
        }
    }
    let mut wrong = Vec::new();
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        let (verb, lie, found, expected) = one.await.unwrap();
        *tally.entry(format!("{expected:?}")).or_default() += 1;
        if found != Ok(expected) {
            wrong.push(format!("{verb:?} {lie:?}: {found:?}, {expected:?} required"));
        }
    }
    println!("{tally:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn record_that_a_412_denies_is_read_back_and_may_be_absent() {
    let double = Double::start().await;
    let store = open(&double).await;
    double.plan(Verb::Put, 0, Trouble::Status(412, "PreconditionFailed"));
    assert_eq!(store.put_create("k", noise(1, 10)).await, Ok(Put::Exists));
    assert_eq!(store.get("k").await, Ok(None));
}

#[tokio::test]
async fn record_that_lands_late_is_the_one_that_was_created() {
    let double = Double::start().await;
    let store = open(&double).await;
    // The first try lands after the second was refused for good: the caller is told so, and reads back.
    double.plan(Verb::Put, 0, Trouble::Late(2));
    double.plan(Verb::Put, 0, Trouble::Status(403, "AccessDenied"));
    assert_eq!(store.put_create("k", noise(1, 10)).await.unwrap_err().code.id, "FB0703");
    assert_eq!(store.get("k").await, Ok(Some(noise(1, 10))));
}

/// Applied, and the answer lost: on a store that forgets no upload a second completion would bring back what a
/// reader has moved away since.
#[tokio::test]
async fn completion_whose_answer_is_lost_is_looked_for_before_it_is_sent_again() {
    let double = Double::start().await;
    let store = open(&double).await;
    let staged = stage(&store, "k", &noise(1, 100)).await;
    double.plan(Verb::Complete, 0, Trouble::Lost);
    store.publish(&staged).await.unwrap();
    assert_eq!(double.seen(Verb::Complete).len(), 1);
    assert_eq!(store.get("k").await, Ok(Some(noise(1, 100))));
}

#[tokio::test]
async fn live_upload_that_is_denied_for_a_while_is_published() {
    for lie in [Trouble::Status(404, "NoSuchUpload"), Trouble::Status(400, "InvalidPart")] {
        let double = Double::start().await;
        let store = open(&double).await;
        let staged = stage(&store, "k", &noise(1, 100)).await;
        double.plan(Verb::Complete, 0, lie);
        double.plan(Verb::Complete, 0, lie);
        store.publish(&staged).await.unwrap_or_else(|fault| panic!("{lie:?}: {fault}"));
        assert_eq!(store.get("k").await, Ok(Some(noise(1, 100))));
    }
}

#[tokio::test]
async fn live_upload_that_is_denied_to_a_part_is_told_as_lost() {
    let double = Double::start().await;
    let store = open(&double).await;
    double.plan(Verb::PutPart, 0, Trouble::Status(404, "NoSuchUpload"));
    let upload = store.begin("k").await.unwrap();
    assert_eq!(store.finish(upload, noise(1, 100)).await.unwrap_err().code.id, "FB0708");
    assert!(double.inner().uploads.is_empty(), "what was staged is discarded");
}

#[tokio::test]
async fn part_with_a_wrong_etag_is_never_published_and_said_so() {
    let double = Double::start().await;
    let store = open(&double).await;
    double.plan(Verb::PutPart, 0, Trouble::WrongEtag);
    let staged = stage(&store, "k", &noise(1, 100)).await;
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0708");
    assert_eq!(store.get("k").await, Ok(None));
}

#[tokio::test]
async fn completion_with_a_wrong_etag_is_one_all_the_same() {
    let double = Double::start().await;
    let store = open(&double).await;
    let staged = stage(&store, "k", &noise(1, 100)).await;
    double.plan(Verb::Complete, 0, Trouble::WrongEtag);
    store.publish(&staged).await.unwrap();
    assert_eq!(store.get("k").await, Ok(Some(noise(1, 100))));
}

#[tokio::test]
async fn refusal_of_a_head_is_told_by_a_get() {
    let table = [
        ((403, "AccessDenied"), Stop("FB0703")),
        ((403, "InvalidAccessKeyId"), Stop("FB0704")),
        ((403, "RequestTimeTooSkewed"), Again),
        ((400, "ExpiredToken"), Again),
        ((403, "AllAccessDisabled"), Stop("FB0703")),
    ];
    for ((status, code), expected) in table {
        let double = Double::start().await;
        let store = open(&double).await;
        store.put_create("there", noise(9, 50)).await.unwrap();
        double.plan(Verb::Head, 0, Trouble::Status(status, code));
        double.plan(Verb::Get, 0, Trouble::Status(status, code));
        assert_eq!(call(&store, &double, Verb::Head).await, Ok(expected), "{status} {code}");
    }
}

#[tokio::test]
async fn storm_is_outlasted_without_a_second_effect() {
    let double = Double::start().await;
    let store = open(&double).await;
    for verb in [Verb::CreateUpload, Verb::PutPart, Verb::Complete, Verb::Put] {
        for code in ["SlowDown", "InternalError", "ServiceUnavailable"] {
            double.plan(verb, 0, Trouble::Status(503, code));
        }
        double.plan(verb, 0, Trouble::AppliedCut);
    }
    let staged = stage(&store, "k", &noise(1, 2_500)).await;
    store.publish(&staged).await.unwrap();
    assert_eq!(store.put_create("r", Bytes::new()).await, Ok(Put::Exists));
    let mut keys: Vec<String> = double.inner().objects.keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["root/k", "root/r"]);
    assert_eq!(store.get("k").await, Ok(Some(noise(1, 2_500))));
}

#[tokio::test]
async fn store_that_ignores_conditions_is_refused_for_the_chain() {
    let double = Double::start().await;
    double.inner().ignores_conditions = true;
    let probe = open(&double).await.probe().await;
    assert_eq!(probe.create_only, Some(false));
    let text = "pipeline: p\nsource: { brokers: 'x:1', topics: [rows] }\n\
                registry: { url: 'http://x' }\nsink: { url: 's3://bucket/root' }\n";
    let config = forebay::config::Config::parse(text, "p.yaml", &forebay::config::Process).unwrap();
    let fault = forebay::pipeline::state::format(&config.pipeline, None, &probe).unwrap_err();
    assert_eq!(fault.code.id, "FB0932", "{fault}");
}

#[tokio::test]
async fn listing_that_lags_behind_is_found_out_by_the_probe() {
    let double = Double::start().await;
    let store = open(&double).await;
    double.inner().stale = Some(Vec::new());
    let probe = store.probe().await;
    let codes: Vec<_> = probe.faults.iter().map(|f| f.code.id).collect();
    assert_eq!(codes, ["FB0707"], "{:?}", probe.faults);
}

/// The second of two creates must find the first.
#[test]
pub(crate) fn record_is_never_written_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let double = Double::start().await;
        let store = open(&double).await;
        assert_eq!(store.put_create("k", noise(1, 10)).await, Ok(Put::Created));
        assert_eq!(store.put_create("k", noise(2, 10)).await, Ok(Put::Exists));
        assert_eq!(store.get("k").await, Ok(Some(noise(1, 10))));
    });
}
