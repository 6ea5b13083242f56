//! The compose stack's file, and what it makes Forebay do, without a container engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::tutorial::users_read;
use crate::rig::Stack;
use crate::{forebay, python};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn services() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).expect("the compose file is YAML");
    serde_json::from_value(file["services"].clone()).unwrap()
}

/// Compose itself accepts the file, where it is installed (in CI it must be); every image is pinned; what
/// the services mount is there.
pub fn file() -> Result<(), libtest_mimic::Failed> {
    let required = std::env::var("FOREBAY_STACK").as_deref() == Ok("required");
    match Command::new("docker-compose")
        .args(["config", "--quiet"])
        .current_dir(repository())
        .output()
    {
        Ok(out) if !out.status.success() => {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned().into());
        }
        Err(e) if required => return Err(format!("docker-compose: {e}").into()),
        Ok(_) => {}
        Err(_) => eprintln!("compose: docker-compose is not installed; the file was only parsed"),
    }
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap_or_default();
        let tag = image.rsplit('/').next().and_then(|last| last.split_once(':'));
        assert!(
            tag.is_some_and(|(_, tag)| tag == "local" || tag.contains(|c: char| c.is_ascii_digit())),
            "{name}: image `{image}` is not pinned"
        );
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            if source.starts_with('.') {
                assert!(repository().join(source).exists(), "{name}: {source} is not there");
            }
        }
    }
    Ok(())
}

/// A service's command with the paths of its mounts turned back, and its environment with our hosts.
struct Service {
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Service {
    fn read(stack: &Stack, name: &str, listen: &str) -> Self {
        let service = &services()[name];
        let mounts: Vec<(PathBuf, String)> = strings(&service["volumes"])
            .iter()
            .filter_map(|v| v.split_once(':'))
            .map(|(from, to)| (repository().join(from), to.trim_end_matches(":ro").to_string()))
            .collect();
        let args = strings(&service["command"])
            .into_iter()
            .map(|arg| {
                let mount = mounts.iter().find_map(|(from, to)| {
                    let below = Path::new(&arg).strip_prefix(to).ok()?;
                    Some(from.join(below).components().collect::<PathBuf>().display().to_string())
                });
                mount.unwrap_or(arg)
            })
            .collect();
        let ours = python::environment(stack)
            .into_iter()
            .chain([("FOREBAY_LISTEN".into(), listen.into())]);
        let ours: BTreeMap<String, String> = ours.collect();
        let names: BTreeMap<String, Value> =
            serde_json::from_value(service["environment"].clone()).unwrap();
        // Every name that the file sets, and no other, with the value of this stack.
        let environment = names
            .keys()
            .map(|name| (name.clone(), ours.get(name).expect("a name that the rig knows").clone()))
            .collect();
        Self { args, environment }
    }

    fn start(&self, folder: &Path, label: &str, more: &[&str]) -> forebay::Forebay {
        let args: Vec<&str> =
            self.args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        forebay::start_with(&self.environment, folder, label, &args)
    }
}

fn strings(list: &Value) -> Vec<String> {
    serde_json::from_value(list.clone()).unwrap()
}

/// `register`, `seed` and `forebay` as the compose file has them, against these servers.
pub fn runs(stack: &Stack) {
    let folder = stack.folder("compose");
    let listen = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let service = |name| Service::read(stack, name, &listen);
    stack.topic("test", 1);

    let run = service("forebay").start(&folder, "forebay", &[]);
    service("register").start(&folder, "register", &[]).wait(forebay::LONG).succeeded();
    service("seed").start(&folder, "seed", &[]).wait(forebay::LONG).succeeded();
    python::run(stack, "objects.py", &["wait", "topics/", "120"]);
    assert!(healthy(&listen), "/healthz is not 200");
    run.signal(libc::SIGTERM);
    run.wait(Duration::from_secs(60)).succeeded();
    // What it had not come to when it was stopped.
    service("forebay").start(&folder, "drain", &["--drain"]).wait(forebay::LONG).succeeded();

    let paths = users_read(stack, "topics", "test", "hive", "company,country");
    assert!(
        paths.contains(&json!("test/company=O%27Keefe, O%27Conner and Ullrich/country=France"))
    );
    assert!(paths.contains(&json!("test/company=Hauck, Little and Hand/country=China")));
}

/// The image's own health check, pointed at another port.
fn healthy(listen: &str) -> bool {
    let dockerfile = std::fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let line = dockerfile.lines().find(|l| l.trim().starts_with("CMD [\"bash\"")).unwrap();
    let check: Vec<String> = serde_json::from_str(line.trim().trim_start_matches("CMD ")).unwrap();
    let (host, port) = listen.rsplit_once(':').unwrap();
    let script = check[2].replace("127.0.0.1/9464", &format!("{host}/{port}"));
    Command::new(&check[0]).arg(&check[1]).arg(script).status().unwrap().success()
}
