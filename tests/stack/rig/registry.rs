//! Apicurio Registry through its Confluent-compatible interface.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::fetch;
use super::supervisor::{Order, Supervisor};
use super::tls::{self, Certificates};

/// The newest that runs on Java 17.
const VERSION: &str = "3.0.9";

pub fn install() -> Result<PathBuf, String> {
    fetch::install(&format!("apicurio-{VERSION}"), |dir| {
        let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
        fetch::run(fetch::maven(dir).args(["dependency:copy", &artifact, "-DoutputDirectory=."]))?;
        let archive = format!("apicurio-registry-app-{VERSION}-all.tar.gz");
        fetch::run(Command::new("tar").current_dir(dir).args(["xzf", &archive]))?;
        std::fs::remove_file(dir.join(archive)).map_err(|e| e.to_string())
    })
}

/// `ports`: plain, TLS. Gives both base URLs.
pub fn launch(
    supervisor: &mut Supervisor,
    home: &Path,
    certificates: &Certificates,
    ports: &[u16],
    logs: &Path,
) -> Result<[String; 2], String> {
    let key_store = certificates.key_store.display();
    let args = [
        "-Xmx384m",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dquarkus.http.host=127.0.0.1",
        &format!("-Dquarkus.http.port={}", ports[0]),
        &format!("-Dquarkus.http.ssl-port={}", ports[1]),
        "-Dquarkus.http.insecure-requests=enabled",
        &format!("-Dquarkus.http.ssl.certificate.key-store-file={key_store}"),
        &format!("-Dquarkus.http.ssl.certificate.key-store-password={}", tls::PASSWORD),
        "-Dapicurio.storage.kind=sql",
        "-Dapicurio.storage.sql.kind=h2",
        "-Dapicurio.ccompat.max-subjects=100000",
        "-jar",
        &format!("apicurio-registry-app-{VERSION}-runner.jar"),
    ];
    supervisor.order(&Order {
        program: "java".into(),
        args: args.map(String::from).into(),
        env: vec![],
        dir: home.into(),
        log: logs.join("apicurio.log"),
    })?;
    let base = |scheme, port| format!("{scheme}://127.0.0.1:{port}/apis/ccompat/v7");
    Ok([base("http", ports[0]), base("https", ports[1])])
}
