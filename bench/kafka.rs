//! A real Apache Kafka to compare with: one process, broker and controller at once, with Kafka's own defaults.
//!
//! Its jars come through Maven once and stay beside the build (`target/bench-kafka`). Memory and collector are those of
//! Kafka's own start script.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const VERSION: &str = "4.3.1";
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
/// Any id of 22 base64 characters does.
const CLUSTER_ID: &str = "Y2hyb25pa2QtYmVuY2gtMA";

/// The installed jars.
#[derive(Clone)]
pub(crate) struct Kafka {
    jars: PathBuf,
}

impl Kafka {
    /// Installs it if need be, or says why it cannot be had.
    pub(crate) fn install(cache: &Path) -> Result<Kafka, String> {
        for (tool, flag) in [("java", "-version"), ("mvn", "-version")] {
            if !succeeds(Command::new(tool).arg(flag)) {
                return Err(format!("there is no {tool}"));
            }
        }
        let jars = cache.join("jars");
        let done = cache.join("installed");
        if !done.exists() {
            let failed = |error: io::Error| error.to_string();
            fs::create_dir_all(cache).map_err(failed)?;
            fs::write(cache.join("pom.xml"), pom()).map_err(failed)?;
            if !succeeds(&mut maven(cache, &jars)) {
                return Err(format!("Maven could not bring Kafka {VERSION}"));
            }
            fs::write(done, VERSION).map_err(failed)?;
        }
        Ok(Kafka { jars })
    }

    /// Formats the directory if it is new; the command that serves it.
    pub(crate) fn command(&self, dir: &Path, port: u16) -> io::Result<Command> {
        let properties = dir.with_extension("properties");
        if !properties.exists() {
            let controller = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            fs::write(&properties, server_properties(dir, port, controller))?;
        }
        if !dir.join("meta.properties").exists() {
            let mut format = self.java("kafka.tools.StorageTool");
            format.args(["format", "--standalone", "-t", CLUSTER_ID, "-c"]);
            if !succeeds(format.arg(&properties)) {
                return Err(io::Error::other("Kafka's storage cannot be formatted"));
            }
        }
        let mut serve = self.java("kafka.Kafka");
        serve.arg(&properties);
        Ok(serve)
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        let flags = "-server -Xms1G -Xmx1G -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
             -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true";
        command.args(flags.split_whitespace());
        command.arg("-cp").arg(self.jars.join("*")).arg(class);
        command
    }
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn maven(cache: &Path, jars: &Path) -> Command {
    let mut command = Command::new("mvn");
    command
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(cache.join("pom.xml"));
    command.args([COPY_DEPENDENCIES, "-DincludeScope=runtime"]);
    command.arg(format!("-DoutputDirectory={}", jars.display()));
    command
}

fn pom() -> String {
    let dependency = |artifact: &str| {
        format!(
            "<dependency><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId>\
             <version>{VERSION}</version></dependency>"
        )
    };
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>chronikd</groupId>\
         <artifactId>bench-kafka</artifactId><version>1</version>\
         <dependencies>{}{}</dependencies></project>\n",
        dependency("kafka_2.13"),
        dependency("kafka-tools")
    )
}

fn server_properties(dir: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
log.dirs={}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
",
        dir.display()
    )
}
