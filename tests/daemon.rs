//! The command as its users meet it: options, settings, exit codes, signals, and the files that it writes.

mod common;

use common::dir::Dir;
use common::raw::Raw;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A command line in a directory of its own, which holds everything that it writes.
struct Run {
    // In this order: the process ends before its directory goes.
    child: Option<Child>,
    dir: Dir,
    command: Command,
}

/// How a run ended.
struct End {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    /// `words` are options; `@` in them stands for the directory.
    fn new(words: &str) -> Run {
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
    fn with(self, name: &str, text: &str) -> Run {
        fs::write(self.dir.join(name), text).expect("a new file");
        self
    }

    fn start(&mut self) {
        self.child = Some(self.command.spawn().expect("the daemon that cargo built"));
    }

    /// Starts it and waits until it serves.
    fn serving(words: &str) -> Run {
        let mut run = Run::new(&format!("-b 127.0.0.1 -p 0 --ports-file @/ports {words}"));
        run.start();
        run.wait_for(|run| run.dir.join("ports").exists());
        run
    }

    /// Waits until something is so.
    fn wait_for(&mut self, so: impl Fn(&Run) -> bool) {
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

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a started process");
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("a running process");
    }

    /// Waits for the end.
    fn end(mut self) -> End {
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

    fn wait(&mut self) -> ExitStatus {
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

    fn text(&self, name: &str) -> String {
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
fn address(run: &Run) -> String {
    let ports = run.text("ports");
    let address = ports.trim().rsplit("://").next();
    address.expect("an address").to_owned()
}

/// Runs it to its end.
fn end(words: &str) -> End {
    Run::new(words).end()
}

fn names(dir: &Path) -> Vec<String> {
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

#[test]
fn help_and_version_are_printed() {
    let help = end("-h");
    assert_eq!(help.code, Some(0));
    assert!(
        help.out.contains("--ports-file FILE") && help.err.is_empty(),
        "{}",
        help.out
    );
    let version = end("--version");
    assert_eq!(
        version.out,
        format!("chronikd {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for words in ["-x", "--unknown", "stray", "-p", "-p 70000", "-o key"] {
        let end = end(words);
        assert_eq!(end.code, Some(64), "{words}");
        assert_eq!(end.err.lines().count(), 1, "{}", end.err);
    }
}

#[test]
fn a_wrong_value_ends_with_78_and_is_named_with_its_line() {
    let end = Run::new("-c my.conf -d @/data")
        .with("my.conf", "# one\nnum.partitions = 0\n")
        .end();
    assert_eq!(end.code, Some(78));
    let complaint =
        "my.conf:2: Invalid value 0 for configuration num.partitions: Value must be at least 1";
    assert!(end.err.contains(complaint), "{}", end.err);
}

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_name() {
    let mut run = Run::serving("-d @/data -o log.segmnt.bytes=1");
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let warning = "unknown setting log.segmnt.bytes, did you mean log.segment.bytes?";
    assert!(run.text("err").contains(warning), "{}", run.text("err"));
}

#[test]
fn a_test_of_the_settings_refuses_unknown_keys_and_changes_nothing() {
    let good = Run::new("-t -d @/data -o num.partitions=3");
    let dir = good.dir.path().to_owned();
    let child = good.end();
    assert_eq!(
        (child.code, child.out.lines().count()),
        (Some(0), 1),
        "{}",
        child.err
    );
    assert!(!dir.join("data").exists());
    let bad = Run::new("-t -c my.conf")
        .with("my.conf", "\n\nlog.retenton.hours=5\n")
        .end();
    assert_eq!(bad.code, Some(78));
    let complaint =
        "my.conf:3: unknown setting log.retenton.hours, did you mean log.retention.hours?";
    assert!(bad.err.contains(complaint), "{}", bad.err);
}

#[test]
fn a_test_of_the_settings_looks_at_the_data_directory() {
    let mut run = Run::serving("-d @/data -o node.id=4");
    let data = run.dir.join("data");
    let check = |options: &str| end(&format!("-t -d {} {options}", data.display()));
    assert_eq!(check("").code, Some(78), "another node.id");
    assert_eq!(
        check("-o node.id=4").code,
        Some(0),
        "also while it is in use"
    );
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    fs::write(data.join("meta.properties"), "version=9\n").expect("a file of ours");
    assert_eq!(check("-o node.id=4").code, Some(65));
    assert_eq!(
        Run::new("-t -d @/file").with("file", "").end().code,
        Some(73)
    );
}

#[test]
fn every_setting_is_printed_with_its_origin() {
    let file = "num.partitions=2\nmessage.max.bytes=1000\nssl.key.password=hunter2\nnode.id=5\n";
    let mut run = Run::new("-T -c my.conf -o node.id=7").with("my.conf", file);
    run.command.env("CHRONIKD_MESSAGE_MAX_BYTES", "2000");
    let end = run.end();
    assert_eq!(end.code, Some(0), "{}", end.err);
    for line in [
        "num.partitions=2  # my.conf:1",
        "message.max.bytes=2000  # CHRONIKD_MESSAGE_MAX_BYTES",
        "ssl.key.password=[hidden]  # my.conf:3",
        "node.id=7  # command line",
        "log.flush.interval.messages=1  # default",
    ] {
        assert!(
            end.out.lines().any(|printed| printed == line),
            "{line}\n{}",
            end.out
        );
    }
    assert!(!end.out.contains("hunter2"));
}

#[test]
fn a_taken_port_ends_with_69() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let end = end(&format!("-d @/data -b 127.0.0.1 -p {port}"));
    assert_eq!(end.code, Some(69), "{}", end.err);
    assert!(
        end.err.contains(&format!("127.0.0.1:{port}")),
        "{}",
        end.err
    );
}

#[test]
fn a_second_broker_on_one_directory_ends_with_75_and_names_the_first() {
    let first = Run::serving("-d @/data");
    let id = first.child.as_ref().expect("a started process").id();
    let data = first.dir.join("data");
    let second = end(&format!("-d {} -b 127.0.0.1 -p 0", data.display()));
    assert_eq!(second.code, Some(75), "{}", second.err);
    assert!(
        second.err.contains(&format!("process {id}")),
        "{}",
        second.err
    );
}

#[test]
fn a_directory_that_cannot_be_created_ends_with_73() {
    let end = Run::new("-d @/file/data").with("file", "").end();
    assert_eq!(end.code, Some(73), "{}", end.err);
}

#[test]
fn a_directory_that_may_not_be_written_ends_with_77() {
    let mut run = Run::new("-d @/closed");
    fs::create_dir(run.dir.join("closed")).expect("a new directory");
    let closed = Permissions::from_mode(0o555);
    fs::set_permissions(run.dir.join("closed"), closed).expect("a directory of ours");
    if geteuid().is_root() {
        run.command.uid(65_534).gid(65_534);
    }
    let end = run.end();
    assert_eq!(end.code, Some(77), "{}", end.err);
}

#[test]
fn a_journal_of_a_newer_version_or_without_sense_ends_with_65() {
    let mut run = Run::serving("-d @/data");
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let journal = run.dir.join("data/journal");
    for name in names(&journal) {
        let mut bytes = fs::read(journal.join(&name)).expect("a file of the journal");
        bytes.iter_mut().take(64).for_each(|byte| *byte ^= 0x55);
        fs::write(journal.join(&name), bytes).expect("a file of ours");
    }
    run.start();
    let end = run.end();
    assert_eq!(end.code, Some(65), "{}", end.err);
}

#[test]
fn term_and_int_end_it_with_0_and_its_pid_file_goes() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut run = Run::serving("-d @/data -P @/pid");
        let id = run.child.as_ref().expect("a started process").id();
        assert_eq!(run.text("pid"), format!("{id}\n"));
        run.signal(signal);
        assert_eq!(run.wait().code(), Some(0));
        assert!(!run.dir.join("pid").exists());
        assert!(
            run.text("err").contains("INFO  main: stopped"),
            "{}",
            run.text("err")
        );
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_next_start_recovers() {
    let mut run = Run::serving("-d @/data -P @/pid");
    // Who is connected is given a moment to close, so the first signal alone would take a second.
    let client = std::net::TcpStream::connect(address(&run)).expect("a listener");
    run.signal(Signal::TERM);
    run.signal(Signal::INT);
    assert_eq!(run.wait().code(), Some(0));
    drop(client);
    let err = run.text("err");
    assert!(err.contains("WARN  main: stopped at once"), "{err}");
    assert!(!run.dir.join("pid").exists());
    assert!(!run.dir.join("ports").exists(), "it goes with the process");
    run.start();
    run.wait_for(|run| run.dir.join("ports").exists());
    run.signal(Signal::TERM);
    assert!(run.wait().success());
}

#[test]
fn a_clean_stop_is_followed_by_a_clean_start_with_the_same_ids() {
    let mut run = Run::serving("-d @/data");
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let ids = run.text("data/meta.properties");
    assert!(!run.dir.join("ports").exists(), "it goes with the process");
    run.start();
    run.wait_for(|run| run.dir.join("ports").exists());
    assert_eq!(run.text("data/meta.properties"), ids);
    assert!(!run.text("err").contains("ERROR"), "{}", run.text("err"));
}

#[test]
fn the_ports_file_lists_what_can_be_connected_to() {
    let run = Run::serving(
        "-d @/data -o listeners=PLAINTEXT://127.0.0.1:0,FIELD://[::1]:0 \
         -o listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FIELD:PLAINTEXT",
    );
    let ports = run.text("ports");
    let lines: Vec<&str> = ports.lines().collect();
    assert_eq!(lines.len(), 2, "{ports}");
    for (line, name) in lines
        .iter()
        .zip(["PLAINTEXT://127.0.0.1:", "FIELD://[::1]:"])
    {
        assert!(line.starts_with(name), "{line}");
        let address = line.split("://").nth(1).expect("an address");
        std::net::TcpStream::connect(address).expect(address);
    }
}

#[test]
fn a_newline_on_the_descriptor_says_that_it_serves() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut run = Run::new("-d @/data -b 127.0.0.1 -p 0 --ports-file @/ports --ready-fd 1");
    run.command.stdout(writer);
    run.start();
    let mut byte = [0];
    reader.read_exact(&mut byte).expect("a byte before the end");
    assert_eq!(byte, *b"\n");
    assert!(run.dir.join("ports").exists());
}

#[test]
fn an_ephemeral_broker_leaves_nothing() {
    let mut run = Run::serving("--ephemeral");
    let is_data = |name: &String| name.starts_with("chronikd-");
    assert_eq!(
        names(run.dir.path())
            .iter()
            .filter(|name| is_data(name))
            .count(),
        1
    );
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    assert!(!names(run.dir.path()).iter().any(is_data));
}

#[test]
fn a_log_file_is_opened_again_when_it_has_been_moved() {
    for (signal, says) in [
        (Signal::USR1, "stopped"),
        (Signal::HUP, "settings are read at the start only"),
    ] {
        let mut run = Run::serving("-d @/data -l @/log");
        fs::rename(run.dir.join("log"), run.dir.join("log.1")).expect("the log file");
        run.signal(signal);
        run.wait_for(|run| run.dir.join("log").exists());
        run.signal(Signal::TERM);
        assert!(run.wait().success());
        assert!(run.text("log.1").contains("ready"));
        let log = run.text("log");
        assert!(log.contains("stopped") && log.contains(says), "{log}");
        assert_eq!(run.text("err"), "");
    }
}

#[test]
fn a_report_is_logged_when_asked_for() {
    let mut run = Run::serving("-d @/data");
    let _client = std::net::TcpStream::connect(address(&run)).expect("a listener");
    for parts in ["status connections=1 ", "report topics=0 "] {
        run.wait_for(|run| {
            // The connection may not have been accepted yet when the first signal is heeded.
            run.signal(Signal::USR2);
            run.text("err").contains(parts)
        });
    }
}

#[test]
fn a_log_line_has_time_level_and_room() {
    let mut run = Run::serving("-d @/data");
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let log = run.text("err");
    for line in log.lines() {
        let (time, rest) = line.split_at(25);
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z ", "{line}");
        let (level, text) = rest.split_at(6);
        assert!(["ERROR ", "WARN  ", "INFO  "].contains(&level), "{line}");
        assert!(
            text.split_once(": ")
                .is_some_and(|(room, _)| room.bytes().all(|byte| byte.is_ascii_lowercase())),
            "{line}"
        );
    }
    let first = log.lines().next().expect("a line");
    assert!(
        first.contains("main: chronikd") && first.contains(" pid="),
        "{first}"
    );
}

#[test]
fn under_journald_a_line_has_a_priority() {
    let mut run = Run::new("-d @/data -p 70 -b 192.0.2.1");
    let err = fs::metadata(run.dir.join("err")).expect("the file behind stderr");
    run.command
        .env("JOURNAL_STREAM", format!("{}:{}", err.dev(), err.ino()));
    let end = run.end();
    assert!(end.err.starts_with("<6>main: chronikd"), "{}", end.err);
    assert!(
        end.err
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("<3>main: cannot listen")),
        "{}",
        end.err
    );
}

#[test]
fn quiet_is_quiet_and_verbose_tells_of_requests() {
    let mut quiet = Run::serving("-q -d @/data");
    quiet.signal(Signal::TERM);
    assert!(quiet.wait().success());
    assert!(!quiet.text("err").contains("INFO"), "{}", quiet.text("err"));
    let mut verbose = Run::serving("-v -d @/data");
    let ports = verbose.text("ports");
    let port = ports
        .trim()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let mut client = Raw::connect(port.expect("a port")).expect("a listener");
    // ApiVersions 0, correlation id 7, client id "me".
    client
        .send(b"\0\x12\0\0\0\0\0\x07\0\x02me")
        .expect("a connection");
    client.read().expect("an answer");
    verbose.wait_for(|run| run.text("err").contains("DEBUG api: ApiVersions"));
}
