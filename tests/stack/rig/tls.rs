//! Certificates for the listeners that speak TLS: an authority of our own, and a server's key that it signed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::fetch;

/// Of both key stores. They hold nothing worth a secret.
pub const PASSWORD: &str = "changeit";

/// What clients and servers need.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// PEM: what a client has to trust.
    pub ca_file: PathBuf,
    /// PKCS #12: key and certificates of `localhost` and `127.0.0.1`.
    pub key_store: PathBuf,
}

pub fn install() -> Result<Certificates, String> {
    let dir = fetch::install("certificates-1", make)?;
    Ok(Certificates { ca_file: dir.join("ca.pem"), key_store: dir.join("server.p12") })
}

fn make(dir: &Path) -> Result<(), String> {
    for line in [
        "-genkeypair -alias ca -keystore ca.p12 -dname CN=stack-authority -ext bc:c=ca:true -ext ku:c=keyCertSign",
        "-exportcert -alias ca -keystore ca.p12 -rfc -file ca.pem",
        "-genkeypair -alias server -keystore server.p12 -dname CN=localhost",
        "-certreq -alias server -keystore server.p12 -file server.csr",
        "-gencert -alias ca -keystore ca.p12 -infile server.csr -outfile server.pem -rfc -ext san=ip:127.0.0.1,dns:localhost",
        "-importcert -alias ca -keystore server.p12 -file ca.pem -noprompt",
        "-importcert -alias server -keystore server.p12 -file server.pem",
    ] {
        let mut command = Command::new("keytool");
        command.current_dir(dir).args(line.split(' ')).args(["-storepass", PASSWORD]);
        if line.starts_with("-genkeypair") {
            command.args(["-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1"]);
        }
        if line.starts_with("-gen") {
            command.args(["-validity", "9000"]);
        }
        fetch::run(&mut command)?;
    }
    Ok(())
}
