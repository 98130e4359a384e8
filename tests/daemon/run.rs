//! One run of the command, in a directory of its own.

use crate::common::dir::Dir;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A command line in a directory of its own, which holds everything that it writes.
pub(crate) struct Run {
    // In this order: the process ends before its directory goes.
    pub(crate) child: Option<Child>,
    pub(crate) dir: Dir,
    pub(crate) command: Command,
}

/// How a run ended.
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// `words` are options; `@` in them stands for the directory.
    pub(crate) fn new(words: &str) -> Run {
        let dir = Dir::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chronikd"));
        let here = dir.path().to_str().expect("a plain path").to_owned();
        command
            .args(
                words
                    .split_whitespace()
                    .map(|word| word.replace('@', &here)),
            )
            .current_dir(dir.path())
            .env("TMPDIR", dir.path())
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(File::create(dir.join("out")).expect("a new file"))
            .stderr(File::create(dir.join("err")).expect("a new file"));
        Run {
            child: None,
            dir,
            command,
        }
    }

    /// Puts a file into the directory first.
    pub(crate) fn with(self, name: &str, text: &str) -> Run {
        fs::write(self.dir.join(name), text).expect("a new file");
        self
    }

    pub(crate) fn start(&mut self) {
        self.child = Some(self.command.spawn().expect("the daemon that cargo built"));
    }

    /// Starts it and waits until it serves.
    pub(crate) fn serving(words: &str) -> Run {
        let mut run = Run::new(&format!("-b 127.0.0.1 -p 0 --ports-file @/ports {words}"));
        run.start();
        run.wait_for(|run| run.dir.join("ports").exists());
        run
    }

    /// Waits until something is so.
    pub(crate) fn wait_for(&mut self, so: impl Fn(&Run) -> bool) {
        let began = Instant::now();
        while !so(self) {
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "it ended too early: {}", self.text("err"));
            assert!(
                began.elapsed() < PATIENCE,
                "nothing happens: {}",
                self.text("err")
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a started process");
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("a running process");
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> End {
        if self.child.is_none() {
            self.start();
        }
        let status = self.wait();
        let end = End {
            code: status.code(),
            out: self.text("out"),
            err: self.text("err"),
        };
        self.child = None;
        end
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        let child = self.child.as_mut().expect("a started process");
        loop {
            if let Some(status) = child.try_wait().expect("a child of this test") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where it listens, once it serves.
pub(crate) fn address(run: &Run) -> String {
    let ports = run.text("ports");
    let address = ports.trim().rsplit("://").next();
    address.expect("an address").to_owned()
}

/// Runs it to its end.
pub(crate) fn end(words: &str) -> End {
    Run::new(words).end()
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).expect("a directory");
    names
        .map(|name| {
            name.expect("a name")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
