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

/// Formats the log folder and starts the server. `ports`: broker, controller.
pub fn launch(
    supervisor: &mut Supervisor,
    home: &Path,
    ports: &[u16],
    data: &Path,
    logs: &Path,
) -> Result<String, String> {
    let brokers = format!("127.0.0.1:{}", ports[0]);
    let properties = data.join("kafka.properties");
    std::fs::write(&properties, server_properties(&brokers, ports[1], &data.join("kafka")))
        .map_err(|e| e.to_string())?;
    let jars = home.join("lib/*").display().to_string();
    let config = properties.display().to_string();
    fetch::run(
        Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &jars])
            .args(["kafka.tools.StorageTool", "format"])
            .args(["-t", "Zm9yZWJheS1zdGFjay0xMQ", "-c", &config]),
    )?;
    let args = ["-Xms512m", "-Xmx768m", "-cp", &jars, "kafka.Kafka", &config];
    supervisor.order(&Order {
        program: "java".into(),
        args: args.map(String::from).into(),
        env: vec![],
        dir: data.into(),
        log: logs.join("kafka.log"),
    })?;
    Ok(brokers)
}

/// Internal topics are small, so that the broker is up soon; a session may be short, so that a case need not
/// wait for the session of a process that it killed.
fn server_properties(brokers: &str, controller: u16, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{brokers},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{brokers}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
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
