//! The built daemon as a child process on a free port of the loopback interface.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::dir::Dir;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running chronikd and its data directory. Restarts keep directory, port and options.
pub struct Broker {
    // In this order: the process ends before its directory goes.
    child: Child,
    dir: Dir,
    options: Vec<String>,
    port: u16,
}

impl Broker {
    /// Starts a broker on an empty directory; `options` are added to its command line.
    pub fn start(options: &[&str]) -> Broker {
        Broker::start_in(Dir::new(), options)
    }

    /// Starts a broker; its data is in `data` below the given directory.
    pub fn start_in(dir: Dir, options: &[&str]) -> Broker {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let child = spawn(&dir, 0, &options);
        let mut broker = Broker {
            child,
            dir,
            options,
            port: 0,
        };
        broker.port = broker.wait_until_ready();
        broker
    }

    /// The port of its one listener.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged since the test began.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it as a power cut ends a process (SIGKILL), and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn term(&mut self) -> ExitStatus {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::TERM).expect("a running broker");
        self.child.wait().expect("a child of this test")
    }

    /// Starts it again after `kill9` or `term`, on the same port.
    pub fn restart(&mut self) {
        self.child = spawn(&self.dir, self.port, &self.options);
        let port = self.wait_until_ready();
        assert_eq!(port, self.port, "the port stays over a restart");
    }

    /// Starts it after `kill9` or `term`, and kills it after that time whether it is ready or not.
    pub fn start_and_kill(&mut self, after: Duration) {
        self.child = spawn(&self.dir, self.port, &self.options);
        std::thread::sleep(after);
        self.kill9();
    }

    /// The ports file is complete when its line is; the broker writes it when it serves.
    fn wait_until_ready(&mut self) -> u16 {
        let began = Instant::now();
        loop {
            let listed = std::fs::read_to_string(self.dir.join("ports")).unwrap_or_default();
            if let Some(port) = listed.strip_suffix('\n').and_then(port_of) {
                return port;
            }
            if let Some(status) = self.child.try_wait().expect("a child of this test") {
                panic!("chronikd did not start: {status}");
            }
            assert!(began.elapsed() < START_LIMIT, "chronikd does not get ready");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            eprintln!("the broker's log ends with:\n{}", tail.join("\n"));
        }
    }
}

fn spawn(dir: &Dir, port: u16, options: &[String]) -> Child {
    let ports = dir.join("ports");
    let _ = std::fs::remove_file(&ports);
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .expect("a log file");
    Command::new(env!("CARGO_BIN_EXE_chronikd"))
        .args(["-b", "127.0.0.1", "-p", &port.to_string(), "-d"])
        .arg(dir.join("data"))
        .arg("--ports-file")
        .arg(&ports)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the daemon that cargo built")
}

/// The port at the end of the first listener, as in `PLAINTEXT://127.0.0.1:9092`.
fn port_of(listed: &str) -> Option<u16> {
    let first = listed.lines().next()?;
    first.rsplit(':').next()?.trim().parse().ok()
}
