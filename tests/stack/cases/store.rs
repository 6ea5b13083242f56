//! The checks of every store, over the real S3 server.

use ::forebay::clock;
use ::forebay::config::{S3, Secret, SinkUrl};
use ::forebay::store::Store;
use libtest_mimic::{Completion, Trial};

use super::counted;
use crate::rig::Stack;
use crate::store_checks;

/// A store below a prefix of its own.
async fn open(stack: &Stack) -> Store {
    let options = S3 {
        endpoint: Some(stack.s3.endpoint.clone()),
        region: Some(stack.s3.region.to_owned()),
        access_key_id: Some(Secret::new(stack.s3.access_key)),
        secret_access_key: Some(Secret::new(stack.s3.secret_key)),
        ..Default::default()
    };
    let prefix = format!("store-{}", clock::fresh_id());
    let url = SinkUrl::S3 { bucket: stack.s3.bucket.into(), prefix };
    Store::open(&store_checks::sink(url, options)).await.unwrap()
}

/// What a server does otherwise than Amazon S3, so that a check cannot hold there: server, check, how.
/// The README says it to users.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("seaweedfs", "odd_key_is_kept_to_the_byte", "SeaweedFS turns `\\` in a key into `/`"),
    ("seaweedfs", "folder_is_gone_with_its_last_object", "SeaweedFS keeps folders that are empty"),
    ("seaweedfs", "listing_goes_by_bytes_and_pages", "SeaweedFS lists folder by folder"),
];

fn check(name: &'static str, run: fn(&Stack)) -> Trial {
    counted(&format!("store_{name}"), move |stack| {
        let known = OTHERWISE.iter().find(|(s, n, _)| *s == stack.s3.name && *n == name);
        if let Some((.., how)) = known {
            return Completion::ignored_with(*how);
        }
        run(stack);
        Completion::Completed
    })
}

macro_rules! over_the_server {
    ($($check:ident)*) => {
        pub fn all() -> Vec<Trial> {
            vec![$(check(stringify!($check), |stack| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(async { store_checks::$check(open(stack).await).await });
            })),*]
        }
    };
}

every_store_check!(over_the_server);
