//! Apache Kafka in KRaft mode, one process for broker and controller.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::fetch;
use super::supervisor::{Order, Supervisor};
use super::tls::{self, Certificates};

/// `kafka-tools-api` is not in Central and not needed; Kafka brings no binding for its log.
const POM: &str = r#"<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>forebay</groupId><artifactId>stack</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.4.0</version>
      <exclusions><exclusion>
        <groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId>
      </exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.5</version>
    </dependency>
  </dependencies>
</project>
"#;

pub fn install() -> Result<PathBuf, String> {
    fetch::install("kafka-4.4.0", |dir| {
        std::fs::write(dir.join("pom.xml"), POM).map_err(|e| e.to_string())?;
        fetch::run(fetch::maven(dir).args([
            "dependency:copy-dependencies",
            "-DoutputDirectory=lib",
            "-DincludeScope=runtime",
        ]))
    })
}

/// User of the listener that asks for a login, with its password.
pub const LOGIN: (&str, &str) = ("u", "right");

/// Formats the log folder and starts the server. `ports`: plain, controller, secure. Gives the addresses of
/// the plain and the secure listener.
pub fn launch(
    supervisor: &mut Supervisor,
    home: &Path,
    certificates: &Certificates,
    ports: &[u16],
    data: &Path,
    logs: &Path,
) -> Result<[String; 2], String> {
    let [brokers, controller, secure] = [0, 1, 2].map(|i| format!("127.0.0.1:{}", ports[i]));
    let properties = data.join("kafka.properties");
    let dir = data.join("kafka");
    let text = server_properties(&brokers, &controller, &secure, &dir) + &logins(certificates);
    std::fs::write(&properties, text).map_err(|e| e.to_string())?;
    let jars = home.join("lib/*").display().to_string();
    let config = properties.display().to_string();
    fetch::run(
        Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &jars])
            .args(["kafka.tools.StorageTool", "format"])
            .args(["-t", "Zm9yZWJheS1zdGFjay0xMQ", "-c", &config])
            .args([
                "--add-scram",
                &format!("SCRAM-SHA-512=[name={},password={}]", LOGIN.0, LOGIN.1),
            ]),
    )?;
    let args = ["-Xms512m", "-Xmx768m", "-cp", &jars, "kafka.Kafka", &config];
    supervisor.order(&Order {
        program: "java".into(),
        args: args.map(String::from).into(),
        env: vec![],
        dir: data.into(),
        log: logs.join("kafka.log"),
    })?;
    Ok([brokers, secure])
}

/// Internal topics are small, so that the broker is up soon; a session may be short, so that a case need not
/// wait for the session of a process that it killed.
fn server_properties(brokers: &str, controller: &str, secure: &str, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{brokers},CONTROLLER://{controller},SECURE://{secure}
advertised.listeners=PLAINTEXT://{brokers},SECURE://{secure}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
log.dirs={dir}
log.retention.ms=-1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
"
    )
}

/// TLS, and a login by password, by SCRAM, or by a token that nobody signed (Kafka's own handler for tests).
fn logins(certificates: &Certificates) -> String {
    let (user, password) = LOGIN;
    let (key_store, secret) = (certificates.key_store.display(), tls::PASSWORD);
    let module = "org.apache.kafka.common.security";
    format!(
        "listener.name.secure.ssl.keystore.location={key_store}
listener.name.secure.ssl.keystore.type=PKCS12
listener.name.secure.ssl.keystore.password={secret}
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.secure.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{user}=\"{password}\";
listener.name.secure.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.secure.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required;
"
    )
}

pub fn ready(brokers: &str) -> bool {
    let consumer: BaseConsumer = client(brokers).create().unwrap();
    consumer.fetch_metadata(None, Duration::from_secs(2)).is_ok()
}

/// Quiet: the servers are expected to be away while they start.
fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0");
    config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "200");
    config
}

/// Creates a topic and waits until its partitions have a leader.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let made = runtime.block_on(admin.create_topics([&new], &options));
    for topic in made.expect("topics are created") {
        topic.expect("the topic is created");
    }
}

impl super::Stack {
    /// Creates a topic of this name.
    pub fn topic(&self, name: &str, partitions: i32) {
        create_topic(&self.brokers, name, partitions);
    }
}
