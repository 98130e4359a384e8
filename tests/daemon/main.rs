//! The command as its users meet it: options, settings, exit codes, signals, and the files that it writes.

#[path = "../common/mod.rs"]
mod common;
mod directory;
mod run;

use common::raw::Raw;
use run::{Run, address, end, names};
use rustix::process::Signal;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;

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
fn every_setting_is_printed_with_its_origin() {
    let file = "num.partitions=2\nmessage.max.bytes=1000\nssl.key.password=hunter2\nnode.id=5\n";
    let mut run = Run::new("-T -c my.conf -o node.id=7").with("my.conf", file);
    run.command.env("CHRONIKD_MESSAGE_MAX_BYTES", "2000");
    let end = run.end();
    assert_eq!(end.code, Some(0), "{}", end.err);
    for line in [
        "num.partitions=2  # my.conf:1",
        "message.max.bytes=2000  # CHRONIKD_MESSAGE_MAX_BYTES",
        "ssl.key.password=[hidden]  # my.conf:3, not obeyed yet",
        "offsets.topic.num.partitions=50  # default, without meaning here",
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
fn an_address_of_another_machine_ends_with_69() {
    let end = end("-d @/data -b 192.0.2.1 -p 0");
    assert_eq!(end.code, Some(69), "{}", end.err);
    assert!(
        end.err.contains("cannot listen on 192.0.2.1"),
        "{}",
        end.err
    );
}

#[test]
fn a_log_file_that_cannot_be_had_is_named() {
    let end = end("-d @/data -l @/nowhere/log");
    assert_eq!(end.code, Some(73), "{}", end.err);
    assert!(end.err.contains("/nowhere/log: "), "{}", end.err);
}

#[test]
fn a_data_directory_of_kafka_s_settings_is_not_used_and_that_is_a_warning() {
    let mut run = Run::serving("-d @/data -o log.dirs=/var/lib/kafka");
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let err = run.text("err");
    assert!(
        err.contains("WARN  main: log.dirs=/var/lib/kafka is not used"),
        "{err}"
    );
    let checked = end("-t -d @/data -o log.dirs=/var/lib/kafka");
    assert_eq!(checked.code, Some(0));
    assert!(checked.err.contains("log.dirs=/var/lib/kafka is not used"));
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
fn two_signals_in_a_row_are_one_wish() {
    let mut run = Run::serving("-d @/data -P @/pid");
    // Who is connected is given a moment to close, so that the second signal comes before the end.
    let client = std::net::TcpStream::connect(address(&run)).expect("a listener");
    run.signal(Signal::TERM);
    run.wait_for(|run| run.text("err").contains("stopping"));
    run.signal(Signal::INT);
    assert_eq!(run.wait().code(), Some(0));
    drop(client);
    assert!(run.text("err").contains("stopped cleanly"));
    assert!(!run.dir.join("pid").exists());
    assert!(!run.dir.join("ports").exists(), "it goes with the process");
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
    for parts in [
        "status connections=1 ",
        "report topics=0 ",
        " transactional_ids=0 open_transactions=0 ",
    ] {
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
