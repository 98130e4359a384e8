//! One run of a script: connections to both brokers, and the words that scripts are written in.
//!
//! Everything is sent to both before either is read. An answer, a closed connection and silence are all compared;
//! what differs is noted and the script goes on, unless there is no answer to go on with.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use chronikd::proto::{self, ApiKey};

use crate::asks::{Ask, keep};
use crate::book::Book;
use crate::both::{Both, Side};
use crate::judge::{Difference, Ids, Judge, excerpts};
use crate::line::{Heard, Line};
use crate::pair::Pair;
use crate::tree::Tree;

/// How long a broker may take to come to a state that it has promised.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);
const SETTLE_STEP: Duration = Duration::from_millis(10);

/// A connection to each broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn(usize);

/// An answer that was not read yet. Answers of one connection are read in the order of their requests.
#[must_use]
pub(crate) struct Owed<A> {
    conn: Conn,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    answer: PhantomData<A>,
}

/// Where in the ranges of versions a run is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The API that the script is about.
    pub(crate) api: ApiKey,
    /// Its version.
    pub(crate) version: i16,
    /// How many steps that is above the lowest.
    pub(crate) step: i16,
    /// How many steps the highest is above the lowest.
    pub(crate) steps: i16,
}

/// A script at work.
pub(crate) struct Run<'t> {
    pair: &'t Pair,
    book: &'t Book,
    script: &'static str,
    place: Place,
    number: usize,
    lines: Vec<Line>,
    ids: Ids,
    correlation_id: i32,
    differences: Vec<String>,
}

impl<'t> Run<'t> {
    /// Nothing was said yet. Its number is no other run's.
    pub(crate) fn new(
        pair: &'t Pair,
        book: &'t Book,
        script: &'static str,
        place: Place,
        number: usize,
    ) -> Run<'t> {
        Run {
            pair,
            book,
            script,
            place,
            number,
            lines: Vec::new(),
            ids: Ids::default(),
            correlation_id: 0,
            differences: Vec::new(),
        }
    }

    /// What was found, one sentence each.
    pub(crate) fn into_differences(self) -> Vec<String> {
        self.differences
    }

    /// A name that no other run uses.
    pub(crate) fn name(&self, what: &str) -> &'static str {
        keep::<str>(format!("{what}-{}", self.number))
    }

    /// The version of an API in this run: the script's own, or one as far up as that is.
    pub(crate) fn version(&self, api: ApiKey) -> i16 {
        let Place { step, steps, .. } = self.place;
        if api == self.place.api {
            return self.place.version;
        }
        let (min, max) = self.range(api);
        min + (max - min) * step / steps.max(1)
    }

    /// First and last version that both brokers speak.
    pub(crate) fn range(&self, api: ApiKey) -> (i16, i16) {
        let range = self.pair.range(api);
        range.unwrap_or_else(|| panic!("{api:?} is not spoken by both"))
    }

    /// A connection of a client that calls itself so.
    pub(crate) fn connect(&mut self, client_id: &'static str) -> Conn {
        self.lines.push(Line::connect(client_id, self.pair));
        Conn(self.lines.len() - 1)
    }

    /// Asks both the same and compares the answers.
    pub(crate) fn ask<R: Ask>(&mut self, conn: Conn, request: R) -> Both<R::Answer> {
        self.ask_at(self.version(R::API), conn, request)
    }

    /// The same in a version of the script's choice.
    pub(crate) fn ask_at<R: Ask>(&mut self, version: i16, conn: Conn, it: R) -> Both<R::Answer> {
        let body = body(&it, version);
        let owed = self.send_body::<R>(version, conn, |_| body.clone());
        self.read(owed)
    }

    /// Asks each its own, where a request holds ids, and compares the answers.
    pub(crate) fn ask_each<R: Ask>(
        &mut self,
        conn: Conn,
        make: impl Fn(Side) -> R,
    ) -> Both<R::Answer> {
        self.ask_each_at(self.version(R::API), conn, make)
    }

    /// The same in a version of the script's choice.
    pub(crate) fn ask_each_at<R: Ask>(
        &mut self,
        version: i16,
        conn: Conn,
        make: impl Fn(Side) -> R,
    ) -> Both<R::Answer> {
        let owed = self.send_body::<R>(version, conn, |side| body(&make(side), version));
        self.read(owed)
    }

    /// Sends each its own request; the answers are read later.
    pub(crate) fn send_each<R: Ask>(
        &mut self,
        conn: Conn,
        make: impl Fn(Side) -> R,
    ) -> Owed<R::Answer> {
        let version = self.version(R::API);
        self.send_body::<R>(version, conn, |side| body(&make(side), version))
    }

    /// Sends each its own request, which has no answer.
    pub(crate) fn send_unanswered<R: Ask>(&mut self, conn: Conn, make: impl Fn(Side) -> R) {
        let version = self.version(R::API);
        self.send_raw(R::API, version, conn, |side| body(&make(side), version));
    }

    fn send_body<R: Ask>(
        &mut self,
        version: i16,
        conn: Conn,
        body: impl Fn(Side) -> Vec<u8>,
    ) -> Owed<R::Answer> {
        self.send_raw(R::API, version, conn, body);
        Owed {
            conn,
            api: R::API,
            version,
            correlation_id: self.correlation_id,
            answer: PhantomData,
        }
    }

    /// Sends a header and whatever bytes behind it; nothing is expected.
    pub(crate) fn send_raw(
        &mut self,
        api: ApiKey,
        version: i16,
        conn: Conn,
        body: impl Fn(Side) -> Vec<u8>,
    ) {
        self.correlation_id += 1;
        let bodies = Both::each(body);
        self.lines[conn.0].send(api, version, self.correlation_id, &bodies);
    }

    /// Waits for what a request is owed, and compares it.
    pub(crate) fn read<A>(&mut self, owed: Owed<A>) -> Both<A>
    where
        A: proto::Wire<'static> + std::fmt::Debug,
    {
        let (api, version) = (owed.api, owed.version);
        let heard = self.lines[owed.conn.0].hear();
        let [Heard::Frame(_), Heard::Frame(_)] = [&heard[Side::Ours], &heard[Side::Theirs]] else {
            self.compare(api, version, heard.map(Heard::tree));
            panic!("there is no answer to go on with: {heard:?}");
        };
        let answers = heard.map(|heard| heard.answer(api, version, owed.correlation_id));
        let trees = answers.map(Tree::of);
        self.book.answered(api, version, &trees[Side::Theirs]);
        self.compare(api, version, trees);
        answers
    }

    /// Both close the connection without another byte.
    pub(crate) fn closes(&mut self, conn: Conn) {
        self.hears(conn, Heard::Closed);
    }

    /// Neither says anything on the connection for that long.
    pub(crate) fn silent(&mut self, conn: Conn, ms: u64) {
        self.lines[conn.0].patience(Duration::from_millis(ms));
        self.hears(conn, Heard::Nothing);
        self.lines[conn.0].patience(Line::PATIENCE);
    }

    fn hears(&mut self, conn: Conn, expected: Heard) {
        let heard = self.lines[conn.0].hear();
        let Place { api, version, .. } = self.place;
        self.compare(api, version, heard.map(Heard::tree));
        assert_eq!(heard[Side::Theirs], expected, "the script expects this");
    }

    /// Asks each, as often as it takes, until it answers as expected. Nothing is compared.
    pub(crate) fn settle<R: Ask>(
        &mut self,
        version: i16,
        conn: Conn,
        make: impl Fn(Side) -> R,
        is_settled: impl Fn(&R::Answer) -> bool,
    ) -> Both<R::Answer> {
        let line = &mut self.lines[conn.0];
        Both::each(|side| {
            let began = Instant::now();
            loop {
                self.correlation_id += 1;
                let id = self.correlation_id;
                line.send_one(side, R::API, version, id, &body(&make(side), version));
                let answer = line.hear_one(side).answer(R::API, version, id);
                if is_settled(&answer) {
                    return answer;
                }
                assert!(began.elapsed() < SETTLE_LIMIT, "{side:?} stays {answer:?}");
                std::thread::sleep(SETTLE_STEP);
            }
        })
    }

    fn compare(&mut self, api: ApiKey, version: i16, trees: Both<Tree>) {
        self.book.compared();
        let mut judge = Judge {
            table: &self.book.table,
            api: api.info().name,
            script: self.script,
            ids: &mut self.ids,
            found: Vec::new(),
        };
        judge.compare(trees);
        for difference in judge.found {
            self.note(api, version, &difference);
        }
    }

    fn note(&mut self, api: ApiKey, version: i16, difference: &Difference) {
        let shown = excerpts(difference);
        let (place, release) = (self.place, self.pair.release);
        self.differences.push(format!(
            "{} [{:?} {} of {release}] request {}: {api:?} {version}: {}\n    ours   {}\n    Kafka  {}",
            self.script,
            place.api,
            place.version,
            self.correlation_id,
            difference.path,
            shown[Side::Ours],
            shown[Side::Theirs],
        ));
    }
}

fn body<R: Ask>(request: &R, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let flexible = R::API.info().is_flexible(version);
    proto::encode(request, version, flexible, &mut bytes).expect("it fits");
    bytes
}
