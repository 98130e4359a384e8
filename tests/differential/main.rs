//! chronikd against a real Apache Kafka, request by request: the same scripts are played to both, and every field
//! of every answer must agree, save for what `table` lists with a reason.
//!
//! The oracle is Kafka 4.3, and 3.9 for the versions that Kafka 4 has dropped; which these are is asked of the
//! oracle itself. Each script is about one API and is played at the versions of it that `scripts` says; other APIs
//! are then asked in versions as far up. Messages are the structs of `proto::schema`, which the golden vectors hold
//! to Kafka's bytes.
//!
//! `DIFFERENTIAL=word,another` plays only the scripts whose name has one of the words. Whoever writes a script first
//! sees whether Kafka agrees with itself about it: `cargo test --test differential -- --ignored`.

#[path = "../common/mod.rs"]
mod common;

mod asks;
mod book;
mod both;
#[path = "../golden/cursor.rs"]
mod cursor;
mod judge;
mod line;
mod pair;
mod run;
mod scripts;
mod table;
mod tree;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chronikd::proto::ApiKey;

use book::Book;
use common::apache::{Apache, NEWEST, OLD};
use pair::Pair;
use run::{Place, Run};
use scripts::{SCRIPTS, Script};

#[test]
fn chronikd_answers_as_apache_kafka_does() {
    if let Err(why) = Apache::is_here(NEWEST).and_then(|()| Apache::is_here(OLD)) {
        return common::skipped("differential", &why);
    }
    let play = Play::new();
    let (newest, old) = std::thread::scope(|scope| {
        let newest = scope.spawn(|| Pair::start(NEWEST));
        let old = Pair::start(OLD);
        (newest.join().expect("Kafka starts"), old)
    });
    std::thread::scope(|scope| {
        scope.spawn(|| play.all(&old, |api| newest.range(api)));
        play.all(&newest, |_| None);
    });
    play.verdict();
}

#[test]
#[ignore = "shows whether a new script is deterministic"]
fn kafka_agrees_with_itself() {
    let play = Play::new();
    let newest = Pair::of_twins(NEWEST);
    play.all(&newest, |_| None);
    play.all(&Pair::of_twins(OLD), |api| newest.range(api));
    assert_eq!(play.differences.into_inner().expect("no panic"), [""; 0]);
}

/// All that is played, and what was found.
struct Play {
    book: Book,
    only: Option<String>,
    runs: AtomicUsize,
    differences: Mutex<Vec<String>>,
}

impl Play {
    fn new() -> Play {
        Play {
            book: Book::new(),
            only: std::env::var("DIFFERENTIAL").ok(),
            runs: AtomicUsize::new(0),
            differences: Mutex::default(),
        }
    }

    /// Plays the scripts to one pair, at the versions below those that `newer` says.
    fn all(&self, pair: &Pair, newer: impl Fn(ApiKey) -> Option<(i16, i16)>) {
        let is_chosen = |script: &&Script| match &self.only {
            Some(words) => words.split(',').any(|word| script.name.contains(word)),
            None => true,
        };
        for script in SCRIPTS.iter().filter(is_chosen) {
            let Some((min, max)) = pair.range(script.api) else {
                self.found(format!(
                    "{}: {:?} is not spoken by both",
                    script.name, script.api
                ));
                continue;
            };
            let max = newer(script.api).map_or(max, |(newer, _)| newer - 1);
            for version in script.at.versions(min, max) {
                let place = Place {
                    api: script.api,
                    version,
                    step: version - min,
                    steps: max - min,
                };
                self.one(pair, script, place);
            }
        }
    }

    fn one(&self, pair: &Pair, script: &Script, place: Place) {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let mut run = Run::new(pair, &self.book, script.name, place, number);
        let played = catch_unwind(AssertUnwindSafe(|| (script.play)(&mut run)));
        run.into_differences()
            .into_iter()
            .for_each(|it| self.found(it));
        if played.is_err() {
            let (name, version) = (script.name, place.version);
            self.found(format!(
                "{name} [{:?} {version} of {}] panicked",
                place.api, pair.release
            ));
        }
    }

    fn found(&self, difference: String) {
        self.differences
            .lock()
            .expect("nobody panics with it")
            .push(difference);
    }

    fn verdict(self) {
        let runs = self.runs.into_inner();
        eprintln!(
            "differential: {} exchanges in {runs} runs of {} scripts",
            self.book.exchanges(),
            SCRIPTS.len()
        );
        let differences = self
            .differences
            .into_inner()
            .expect("nobody panics with it");
        assert!(
            differences.is_empty(),
            "{} differences:\n{}",
            differences.len(),
            differences.join("\n")
        );
        if self.only.is_none() {
            let gaps = self.book.gaps();
            assert!(gaps.is_empty(), "{}", gaps.join("\n"));
        }
    }
}
