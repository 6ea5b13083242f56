//! Variables, files and secrets.

use super::*;

fn world() -> World {
    let secret = |text: &str, exposed: Option<&str>| SecretFile {
        text: text.into(),
        exposed: exposed.map(str::to_owned),
    };
    World {
        vars: [
            ("TOPIC", "orders"),
            ("EMPTY", ""),
            ("INJECT", "a, ${TOPIC}: [x]\nb"),
            ("PW", "hunter2"),
        ]
        .into(),
        files: [
            ("etc/pw", secret("hunter3", None)),
            ("/run/open", secret("hunter4", Some("readable by everybody (mode 644)"))),
        ]
        .into(),
    }
}

fn parse_in_world(lines: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(&with(lines), "etc/forebay.yaml", &world())
}

#[test]
fn variables_and_files_are_substituted_in_values() {
    let config = parse_in_world(
        "source: { brokers: 'b:${PORT:-9092}', topics: ['${TOPIC}', 'x-${TOPIC}-${EMPTY:-y}'], group: 'g$${TOPIC}${EMPTY}' }
registry: { url: 'https://x', auth: { username: u, password: '${file:pw}' }, headers: { a: '${file:/run/open}' } }",
    )
    .unwrap();
    let p = &config.pipeline;
    assert_eq!(p.source.brokers, "b:9092");
    assert_eq!(p.source.topics, Topics::Names(vec!["orders".into(), "x-orders-y".into()]));
    assert_eq!(p.source.group, "g${TOPIC}");
    assert_eq!(
        p.registry.auth,
        RegistryAuth::Basic { username: "u".into(), password: Secret::new("hunter3") }
    );
    assert_eq!(p.registry.headers["a"].reveal(), "hunter4");
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0].contains("`/run/open`")
            && config.warnings[0].contains("registry.headers.a"),
        "{:?}",
        config.warnings
    );
}

#[test]
fn what_was_substituted_is_neither_read_again_nor_taken_for_yaml() {
    let config = parse_in_world("source: { brokers: a, topics: [x], group: '${INJECT}' }").unwrap();
    assert_eq!(config.pipeline.source.group, "a, ${TOPIC}: [x]\nb");
}

#[test]
fn substitution_that_fails_names_what_is_missing() {
    for (value, part) in [
        ("${NOWHERE}", "`NOWHERE`: not set"),
        ("${file:nowhere}", "`etc/nowhere`: No such file"),
        ("${UNFINISHED", "without `}`"),
        ("${1X}", "a variable's name"),
        ("${}", "a variable's name"),
        ("${A:-${PW}}", "inside `${…}`"),
    ] {
        one_of_world(
            &format!("source: {{ brokers: a, topics: [x], group: '{value}' }}"),
            "FB0410",
            part,
        );
    }
}

#[track_caller]
fn one_of_world(lines: &str, code: &str, part: &str) {
    let found = parse_in_world(lines).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code.id, code, "{found:#?}");
    assert!(found[0].message.contains(part), "{found:#?}");
}

#[test]
fn no_secret_stands_in_a_finding() {
    for lines in [
        "commit: { interval: '${PW}' }",
        "commit: { interval: '${file:pw}' }",
        "sink: { url: 's3://lake', access_key_id: hunter2, secret_access_key: ['hunter3'] }",
        "registry: { url: 'http://u:hunter2@x y' }",
        "registry: { url: ['https://u:hunter2@x', 'https://v:hunter3@y'] }",
        "sink: { url: 's3://k:hunter2@lake' }",
        "sink: { url: 's3://lake', endpoint: 'http://k:hunter2@x' }",
        "source: { brokers: 'SASL_SSL://u:hunter2@b:9092', topics: [x] }",
        "source: { brokers: a, topics: [x], oauth: { token_url: 'https://u:hunter2@x y', client_id: x, client_secret: [hunter3] } }",
        "registry: { url: 'https://x', headers: { A: \"hunter2\\n\" } }",
    ] {
        let found = format!("{:#?}", parse_in_world(lines).unwrap_err());
        assert!(!found.contains("hunter"), "{lines}\n{found}");
    }
}

#[test]
fn user_in_the_registry_url_becomes_credentials() {
    let config =
        parse(&with("registry: { url: 'http://me:p%40ss%3a@sr.example:8081/base/' }")).unwrap();
    let registry = &config.pipeline.registry;
    assert_eq!(registry.urls, ["http://sr.example:8081/base"]);
    assert_eq!(
        registry.auth,
        RegistryAuth::Basic { username: "me".into(), password: Secret::new("p@ss:") }
    );
    assert!(config.warnings[0].contains("plain HTTP"), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains("p@ss"));
}

#[test]
fn file_that_is_not_there_is_named() {
    let found = Config::load(Path::new("/nowhere/forebay.yaml"), &World::default()).unwrap_err();
    assert_eq!(found[0].code.id, "FB0401");
    assert!(found[0].message.contains("`/nowhere/forebay.yaml`"), "{found:?}");
    assert_eq!(Config::load(Path::new("/"), &World::default()).unwrap_err()[0].code.id, "FB0401");
}

#[test]
fn process_reads_secret_files_and_its_memory() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pw");
    std::fs::write(&path, "hunter2\r\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let file = Process.file(&path).unwrap();
    assert_eq!(file.text, "hunter2");
    assert!(file.exposed.unwrap().contains("644"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(Process.file(&path).unwrap().exposed, None);
    assert!(Process.file(dir.path()).is_err(), "a folder is no secret");
    std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
    assert!(Process.file(&path).unwrap_err().contains("over"));
    assert!(Process.memory_bytes() > 1 << 20);

    std::fs::write(&path, "s").unwrap();
    let config = dir.path().join("forebay.yaml");
    std::fs::write(&config, with("registry: { url: 'https://x', headers: { a: '${file:pw}' } }"))
        .unwrap();
    let config = Config::load(&config, &Process).unwrap();
    assert_eq!(config.pipeline.registry.headers["a"].reveal(), "s");
}
