//! `forebay registry`: the embedded schema registry as a server of its own.

use crate::cli::{Exit, failed, runtime, say};
use crate::registry::server;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address and port; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    listen: String,
}

pub fn run(args: &Args) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&fault),
    };
    runtime.block_on(async {
        match server::start(&args.listen).await {
            Ok(handle) => {
                say(&handle.url);
                tracing::info!(
                    "schemas are kept in memory and end with this process; Ctrl-C stops it"
                );
                tokio::select! {
                    () = handle.wait() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
                Exit::Done
            }
            Err(fault) => failed(&fault),
        }
    })
}
