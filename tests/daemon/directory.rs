//! The data directory as users meet it: whose it is, what is refused, and what stays untouched.

use crate::common::kafka::Kafka;
use crate::run::{Run, address, end, names};
use rustix::process::{Signal, geteuid};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

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
fn a_test_of_the_settings_reads_the_journal_unless_it_is_in_use() {
    let mut run = Run::serving("-d @/data");
    let data = run.dir.join("data");
    let check = || end(&format!("-t -d {}", data.display()));
    let used = check();
    assert_eq!(used.code, Some(0), "{}", used.err);
    let id = run.child.as_ref().expect("a started process").id();
    let says = format!("locked by process {id}: its journal was not read");
    assert!(used.out.contains(&says), "{}", used.out);
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let before = tree(&data);
    assert_eq!(check().code, Some(0));
    assert_eq!(tree(&data), before);
    let journal = data.join("journal/00000000000000000001.journal");
    let mut bytes = fs::read(&journal).expect("a file of the journal");
    bytes[70] ^= 1;
    fs::write(&journal, bytes).expect("a file of ours");
    let damaged = check();
    assert_eq!(damaged.code, Some(65), "{}", damaged.err);
    assert!(damaged.err.contains("is damaged"), "{}", damaged.err);
}

#[test]
fn a_test_of_the_settings_knows_what_cannot_be_created() {
    for (words, code) in [("-t -d @/file/a/b", 73), ("-t -d @/new/a/b", 0)] {
        let run = Run::new(words).with("file", "");
        let dir = run.dir.path().to_owned();
        let end = run.end();
        assert_eq!(end.code, Some(code), "{}", end.err);
        assert!(!dir.join("new").exists());
    }
}

/// Every path below a directory, with the bytes of the files.
fn tree(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for name in names(dir) {
        let path = dir.join(name);
        if path.is_dir() {
            found.extend(tree(&path));
            found.push((path, None));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.push((path, Some(bytes)));
        }
    }
    found.sort();
    found
}

/// Puts a file into the directory of a run, with the directories above it.
fn put(run: &Run, name: &str) {
    let path = run.dir.join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a new directory");
    fs::write(path, "not ours").expect("a new file");
}

/// A start and `-t` both refuse the data directory, and leave it as it was.
fn assert_refused(words: &str, put: &dyn Fn(&Run)) {
    for more in ["", "-t"] {
        let run = Run::new(&format!("-b 127.0.0.1 -p 0 -d @/data {words} {more}"));
        put(&run);
        let data = run.dir.join("data");
        let before = tree(&data);
        let mut run = run;
        run.start();
        assert_eq!(run.wait().code(), Some(65), "{}", run.text("err"));
        assert_eq!(tree(&data), before, "{more}");
        let err = run.text("err");
        assert!(err.contains("nothing was changed"), "{err}");
    }
}

#[test]
fn a_directory_of_somebody_else_s_ends_with_65_and_stays_as_it_was() {
    for files in [
        &["data/photos-2024/a.jpg"][..],
        &[
            "data/meta.properties",
            "data/foo-0/00000000000000000000.log",
        ],
        &["data/notes.txt"],
        &["data/journal/diary.txt"],
        &[
            "data/.lock",
            "data/lost+found/x",
            "data/foo-0/partition.metadata",
        ],
    ] {
        assert_refused("", &|run| files.iter().for_each(|file| put(run, file)));
    }
    let kafka = Run::new("-t -d @/data");
    put(&kafka, "data/__consumer_offsets-0/00000000000000000000.log");
    put(&kafka, "data/meta.properties");
    let err = kafka.end().err;
    assert!(
        err.contains("holds meta.properties and no journal of chronikd's"),
        "{err}"
    );
}

#[test]
fn a_directory_whose_journal_was_lost_ends_with_65_and_stays_as_it_was() {
    type Loss = fn(&Path);
    let losses: [Loss; 3] = [
        |journal| fs::remove_dir_all(journal).expect("the journal"),
        |journal| {
            for name in names(journal)
                .iter()
                .filter(|name| name.ends_with(".journal"))
            {
                fs::remove_file(journal.join(name)).expect("a file of the journal");
            }
        },
        |journal| {
            let path = journal.join("00000000000000000001.journal");
            fs::write(path, "").expect("a file of the journal");
        },
    ];
    for lose in losses {
        let mut served = Run::serving("-d @/data");
        served.signal(Signal::TERM);
        assert!(served.wait().success());
        let data = served.dir.join("data");
        lose(&data.join("journal"));
        assert_refused("", &|run| {
            let to = run.dir.join("data");
            assert!(
                Command::new("cp")
                    .arg("-r")
                    .args([&data, &to])
                    .status()
                    .is_ok_and(|status| status.success())
            );
        });
    }
}

#[test]
fn a_new_directory_may_hold_lost_and_found_and_our_own_files() {
    let mut run = Run::new(
        "-b 127.0.0.1 -p 0 -d @/data -c data/my.conf -l @/data/log -P @/data/pid \
         --ports-file @/data/ports",
    );
    put(&run, "data/lost+found/x");
    put(&run, "data/log");
    fs::write(run.dir.join("data/my.conf"), "num.partitions=2").expect("a new file");
    run.start();
    run.wait_for(|run| run.dir.join("data/ports").exists());
    run.signal(Signal::TERM);
    assert!(run.wait().success());
}

#[test]
fn what_is_nobody_s_business_stays_where_it_is() {
    let mut run = Run::serving("-d @/data");
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    let strange = [
        "data/photos-2024/a.jpg",
        "data/all.my-delete/a.jpg",
        "data/notes",
    ];
    for file in strange {
        put(&run, file);
    }
    put(&run, "data/foo-0/00000000000000000000.log");
    run.start();
    run.wait_for(|run| run.dir.join("ports").exists());
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    for file in strange {
        assert_eq!(run.text(file), "not ours", "{file}");
    }
    assert!(run.dir.join("data/quarantine/foo-0").exists());
    let err = run.text("err");
    assert!(
        err.contains("WARN  storage: foo-0 belongs to no topic"),
        "{err}"
    );
}

const EMPTY_PARTITIONS: i32 = 1000;

#[test]
fn an_empty_partition_takes_nothing_on_the_disk() {
    let mut run = Run::serving("-d @/data");
    let address = address(&run);
    let port = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let mut line = Kafka::connect(port.expect("a port")).expect("a connection");
    line.create("empty", EMPTY_PARTITIONS, &[]);
    let data = run.dir.join("data");
    let of_partitions = |name: &String| name.starts_with("empty-");
    assert!(!names(&data).iter().any(of_partitions));
    run.signal(Signal::TERM);
    assert!(run.wait().success());
    assert!(
        !names(&data).iter().any(of_partitions),
        "after a clean stop"
    );
}
