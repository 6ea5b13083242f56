//! TLS to broker and registry, and a login by SCRAM, as hosted clusters ask for.

use super::restarts::{complete, numbers_read};
use crate::rig::{Stack, kafka};
use crate::{forebay, python};

pub fn tls_and_login(stack: &Stack) {
    let name = "secure";
    let folder = stack.folder(name);
    stack.topic(name, 2);
    python::run(stack, "numbers_write.py", &[name, "numbers", "0", "5000", "2", "0"]);
    let ca = stack.secure.ca_file.display();
    let config = |label: &str, registry: &str| {
        let (user, password) = kafka::LOGIN;
        let text = format!(
            "pipeline: {name}
source:
  brokers: {brokers}
  topics: [{name}]
  start: earliest
  properties:
    security.protocol: sasl_ssl
    ssl.ca.location: {ca}
    sasl.mechanism: SCRAM-SHA-512
    sasl.username: {user}
    sasl.password: {password}
registry: {registry}
partition_by: [half]
sink:
{sink}",
            brokers = stack.secure.brokers,
            sink = forebay::s3_sink(name),
        );
        let path = folder.join(format!("{label}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    };
    let url = &stack.secure.registry;

    // Nothing is taken on trust: without the authority, the registry's certificate is named as the cause.
    let untrusted = config("untrusted", &format!("{{ url: \"{url}\", timeout: 2s }}"));
    let args = ["check", "-c", untrusted.to_str().unwrap()];
    let checked = forebay::start(stack, &folder, "untrusted", &args).wait(forebay::LONG).exited(1);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("certificate"), "the cause is not named:\n{said}");

    let trusted = config("trusted", &format!("{{ url: \"{url}\", tls: {{ ca_file: {ca} }} }}"));
    let last = forebay::drain(stack, &folder, "drain", &trusted);
    let read = numbers_read(stack, name, 5_000);
    println!("{name}: {}; {read}", last.cost());
    complete(&read);
    assert_eq!(read["rows"], 5_000);
}
