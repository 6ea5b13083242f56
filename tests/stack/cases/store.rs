//! The checks of every store, over the real S3 server.

use ::forebay::clock;
use ::forebay::config::{S3, Secret, SinkUrl};
use ::forebay::store::Store;
use libtest_mimic::Trial;

use super::case;
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

macro_rules! over_the_server {
    ($($check:ident)*) => {
        pub fn all() -> Vec<Trial> {
            vec![$(case(concat!("store_", stringify!($check)), |stack| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(async { store_checks::$check(open(stack).await).await });
            })),*]
        }
    };
}

every_store_check!(over_the_server);
