//! The contenders: started on loopback in a directory of their own, ended by their process id.

use crate::bare::Mode;
use crate::client::{Client, Shape};
use crate::kafka::Kafka;
use crate::process;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A start that takes longer has failed.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Settings of chronikd, `name=value`.
pub(crate) type Settings = &'static [&'static str];

/// What to start.
#[derive(Clone)]
pub(crate) enum Kind {
    /// The bare loop for records of that shape.
    Bare(Mode, Shape),
    /// With these settings beside the defaults.
    Chronikd(Settings),
    Kafka(Kafka),
}

/// A running contender.
pub(crate) struct Server {
    kind: Kind,
    dir: PathBuf,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it on a free port and waits until it accepts (the bare loop) or answers Metadata.
    pub(crate) fn start(kind: Kind, dir: &Path) -> io::Result<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Server::start_on(port, kind, dir)
    }

    fn start_on(port: u16, kind: Kind, dir: &Path) -> io::Result<Server> {
        fs::create_dir_all(dir)?;
        let mut command = match &kind {
            Kind::Bare(mode, shape) => bare_command(*mode, shape, dir, port)?,
            Kind::Chronikd(settings) => chronikd_command(dir, port, settings),
            Kind::Kafka(kafka) => kafka.command(dir, port)?,
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(dir.with_extension("err"))?);
        let child = command.spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Server {
            kind,
            dir: dir.to_owned(),
            child,
            address,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let address = self.address;
        let child = &mut self.child;
        let is_served = match self.kind {
            Kind::Bare(..) => |_: &mut Client| Ok(0),
            _ => Client::metadata,
        };
        let mut ended = None;
        let waited = process::wait_for(START_LIMIT, Duration::from_micros(200), || {
            ended = child.try_wait().ok().flatten();
            let client = Client::connect(address);
            ended.is_some() || client.and_then(|mut client| is_served(&mut client)).is_ok()
        });
        match ended {
            None => waited,
            Some(status) => Err(io::Error::other(format!("it ended at once: {status}"))),
        }
    }

    /// Starts it anew on the same directory; the time to the first Metadata answer.
    pub(crate) fn restarted(self) -> io::Result<(Server, Duration)> {
        let kind = self.kind.clone();
        self.restarted_as(kind)
    }

    /// The same, as something else.
    pub(crate) fn restarted_as(self, kind: Kind) -> io::Result<(Server, Duration)> {
        let (dir, port) = (self.dir.clone(), self.address.port());
        drop(self);
        let start = Instant::now();
        let server = Server::start_on(port, kind, &dir)?;
        Ok((server, start.elapsed()))
    }

    /// Ends it as an operator does, and waits for it.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let child = &mut self.child;
        process::wait_for(START_LIMIT, Duration::from_millis(1), || {
            matches!(child.try_wait(), Ok(Some(_)) | Err(_))
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The bare loop knows no topics.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.kind, Kind::Bare(..))
    }

    /// A Kafka needs a moment between creating a topic and leading it.
    pub(crate) fn is_slow_to_lead(&self) -> bool {
        matches!(self.kind, Kind::Kafka(_))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then both calls say so, and that is all.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bare_command(mode: Mode, shape: &Shape, dir: &Path, port: u16) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", mode.name()]).arg(dir);
    let numbers = [usize::from(port), shape.records, shape.record_bytes];
    command.args(numbers.map(|number| number.to_string()));
    Ok(command)
}

fn chronikd_command(dir: &Path, port: u16, settings: Settings) -> Command {
    let mut command = Command::new(chronikd_binary());
    command
        .args(["-b", "127.0.0.1", "-p", &port.to_string(), "-d"])
        .arg(dir);
    for setting in settings {
        command.args(["-o", setting]);
    }
    command
}

/// The build under test: this one, unless the environment names another to compare with.
pub(crate) fn chronikd_binary() -> PathBuf {
    let other = std::env::var_os("CHRONIKD_BENCH_BINARY").map(PathBuf::from);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_chronikd").into())
}
