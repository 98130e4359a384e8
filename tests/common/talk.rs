//! A child process that speaks in lines.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running program. It ends when this goes.
pub struct Talk {
    process: Child,
    stdin: ChildStdin,
}

impl Talk {
    /// Starts a program; `hear` is told every whole line, and `None` at the end, until it answers false.
    pub fn start(
        command: &mut Command,
        hear: impl FnMut(Option<&str>) -> bool + Send + 'static,
    ) -> io::Result<Talk> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take().expect("a pipe");
        let stdout = process.stdout.take().expect("a pipe");
        std::thread::spawn(move || listen(stdout, hear));
        Ok(Talk { process, stdin })
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdin, "{line}")
    }

    /// Asks it to stop (SIGTERM).
    pub fn term(&self) {
        let id = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::TERM).expect("a child of this test");
    }

    /// Waits until it is gone.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("a child of this test")
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// What a killed process has not ended with a line feed is no line.
fn listen(stdout: ChildStdout, mut hear: impl FnMut(Option<&str>) -> bool) {
    let mut stdout = BufReader::new(stdout);
    let mut text = String::new();
    while stdout.read_line(&mut text).is_ok() && text.ends_with('\n') {
        if !hear(Some(text.trim_end_matches('\n'))) {
            return;
        }
        text.clear();
    }
    hear(None);
}
