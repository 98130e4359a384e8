//! A real Apache Kafka as a child process, and its tool that reads files.
//!
//! Apart from what one node needs and what `start` is given, its settings are those of its release.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chronikd::proto::error::ErrorCode;
use rustix::process::{Pid, Signal, kill_process};

use super::dir::Dir;
use super::kafka::Kafka;
use super::on_path;

/// The toolchain of the release that everything is compared with.
pub const NEWEST: &str = "kafka-4.3";
/// The toolchain of the last release that serves the versions which Kafka 4 dropped.
pub const OLD: &str = "kafka-3.9";
const START_LIMIT: Duration = Duration::from_secs(60);

/// A broker that is its own controller.
pub struct Apache {
    child: Child,
    dir: Dir,
    port: u16,
    toolchain: &'static str,
}

impl Apache {
    /// Whether this machine has what it takes.
    pub fn is_here(toolchain: &str) -> Result<(), String> {
        on_path("java")?;
        super::toolchain(toolchain).map(drop)
    }

    /// Formats a directory, starts a broker on it and waits until it serves. `settings` are further lines of its
    /// properties.
    pub fn start(toolchain: &'static str, settings: &[&str]) -> Apache {
        let dir = Dir::new();
        let [port, controller] = free_ports();
        let properties = dir.join("server.properties");
        let text = properties_text(&dir.join("data"), port, controller, settings);
        std::fs::write(&properties, text).expect("a file of settings");
        let format = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"];
        let formatted = java(&dir, toolchain)
            .arg("kafka.tools.StorageTool")
            .args(format)
            .arg(&properties)
            .status();
        assert!(formatted.expect("java runs").success());
        let apache = Apache {
            child: serve(&dir, toolchain),
            dir,
            port,
            toolchain,
        };
        apache.wait_until_ready();
        apache
    }

    /// The port of its listener for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has it make a topic of one partition, and waits until that is served: Kafka answers before it is.
    pub fn make_topic(&self, name: &str, configs: &[(&str, &str)]) -> Kafka {
        let mut client = Kafka::connect(self.port).expect("a connection");
        client.create(name, 1, configs);
        let began = Instant::now();
        while client.fetch(name, 0, 0, 0).expect("an answer").error != ErrorCode::NONE {
            assert!(began.elapsed() < START_LIMIT, "{name} is never served");
            std::thread::sleep(Duration::from_millis(10));
        }
        client
    }

    /// Ends it cleanly; its data directory stays until this value goes.
    pub fn stop(&mut self) -> PathBuf {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::TERM).expect("a running broker");
        self.child.wait().expect("a child of this test");
        self.dir.join("data")
    }

    /// Starts it again after `stop`.
    pub fn restart(&mut self) {
        self.child = serve(&self.dir, self.toolchain);
        self.wait_until_ready();
    }

    /// It serves when it gives out producer ids, which takes longer than to listen.
    fn wait_until_ready(&self) {
        let began = Instant::now();
        while Kafka::connect(self.port)
            .and_then(|mut client| client.answers())
            .is_err()
        {
            assert!(began.elapsed() < START_LIMIT, "Kafka does not get ready");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What DumpLogSegments prints of some files.
pub fn dump(files: &[PathBuf], options: &[&str]) -> String {
    let files: Vec<&str> = files.iter().filter_map(|file| file.to_str()).collect();
    let out = Command::new("java")
        .arg("-cp")
        .arg(jars(NEWEST))
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(options)
        .args(["--files", &files.join(",")])
        .output()
        .expect("java runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).expect("text")
}

fn serve(dir: &Dir, toolchain: &str) -> Child {
    java(dir, toolchain)
        .arg("kafka.Kafka")
        .arg(dir.join("server.properties"))
        .spawn()
        .expect("java runs")
}

/// A Java machine whose output goes to a log file.
fn java(dir: &Dir, toolchain: &str) -> Command {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .expect("a log file");
    let mut command = Command::new("java");
    // It lives for a minute: the second compiler never pays for itself.
    let quick = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
    command.args(quick).arg("-cp").arg(jars(toolchain));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command
}

fn jars(toolchain: &str) -> PathBuf {
    let dir = super::toolchain(toolchain).expect("what is_here() has found");
    dir.join("jars").join("*")
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("a bound socket").port())
}

fn properties_text(data: &Path, port: u16, controller: u16, settings: &[&str]) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n{}\n",
        data.display(),
        settings.join("\n")
    )
}
