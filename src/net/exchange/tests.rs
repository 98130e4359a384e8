//! The exchange against the toy broker: order, waits, rounds, limits, and a thousand seeds of everything together.

use super::super::conn::Conn;
use super::super::toy::{Toy, ToyLanes, bodies, frame, peer};
use super::ports::LINGER_MS;
use super::*;
use std::io::IoSlice;

struct Bench {
    x: Exchange<Toy>,
    lanes: ToyLanes,
    now_ms: i64,
}

fn limits() -> Limits {
    Limits {
        request_bytes: 1 << 20,
        held_bytes: 4 << 20,
        ..Limits::default()
    }
}

fn bench(lanes: ToyLanes, limits: Limits) -> Bench {
    let x = Exchange::new(Toy::default(), Box::new(lanes.clone()), limits);
    Bench {
        x,
        lanes,
        now_ms: 0,
    }
}

/// Rounds are done in the turn after the one that asked for them.
fn quick() -> Bench {
    bench(ToyLanes::instant(), limits())
}

/// Rounds are done when the test says so.
fn slow() -> Bench {
    bench(ToyLanes::default(), limits())
}

impl Bench {
    fn now(&self) -> Now {
        Now {
            mono: Mono(0).plus_ms(self.now_ms),
            wall_ms: self.now_ms,
        }
    }

    fn open(&mut self) -> ConnId {
        self.x.open(self.now().mono, peer)
    }

    fn arrive(&mut self, id: ConnId, bytes: &[u8]) {
        let now = self.now().mono;
        for part in bytes.chunks(16 * 1024) {
            self.x.space(id)[..part.len()].copy_from_slice(part);
            self.x.filled(now, id, part.len());
        }
    }

    fn ask(&mut self, id: ConnId, bodies: &[&[u8]]) {
        for body in bodies {
            self.arrive(id, &frame(body));
        }
    }

    /// Turns until nothing is ready, as the loop does.
    fn turn(&mut self) {
        let now = self.now();
        loop {
            self.x.turn(now).unwrap();
            self.x.check_invariants(now.mono);
            if !self.x.has_ready() {
                return;
            }
        }
    }

    fn turn_at(&mut self, ms: i64) {
        self.now_ms = ms;
        self.turn();
    }

    /// Takes what may leave, in writes of at most `step` bytes.
    fn flush(&mut self, id: ConnId, step: usize) -> Vec<u8> {
        let (now, mut all) = (self.now().mono, Vec::new());
        loop {
            let mut slices = [IoSlice::new(&[]); 4];
            let (count, bytes) = self.x.gather(id, step, &mut slices);
            slices[..count]
                .iter()
                .for_each(|slice| all.extend_from_slice(slice));
            if bytes == 0 {
                return all;
            }
            self.x.sent(now, id, bytes);
        }
    }

    fn replies(&mut self, id: ConnId) -> Vec<String> {
        let bodies = bodies(&self.flush(id, 1 << 20));
        bodies
            .iter()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    /// The next deadline, unless it is an idle limit.
    fn deadline_ms(&self) -> Option<i64> {
        let next = (self.x.next_deadline()?.0 / 1000) as i64;
        (next < self.now_ms + 100_000).then_some(next)
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_reply_waits_for_its_round_and_nothing_overtakes_it() {
    let mut b = slow();
    let c = b.open();
    b.ask(c, &[b"a", b"P\x01x", b"b"]);
    b.turn();
    assert_eq!(b.replies(c), ["a"]);
    b.turn();
    assert_eq!(b.replies(c), NONE);
    assert!(b.lanes.complete());
    b.turn();
    assert_eq!(b.replies(c), ["ok", "b"]);
}

#[test]
fn a_round_holds_what_came_before_it_and_the_next_one_the_rest() {
    let mut b = slow();
    let (c, d) = (b.open(), b.open());
    b.ask(c, &[b"P\x01x"]);
    b.turn();
    b.ask(d, &[b"P\x01y"]);
    b.turn();
    b.lanes.complete();
    b.turn();
    assert_eq!(
        (b.replies(c), b.replies(d).len()),
        (vec!["ok".to_string()], 0)
    );
    b.lanes.complete();
    b.turn();
    assert_eq!(b.replies(d), ["ok"]);
    assert_eq!(b.x.core.started, 2);
}

#[test]
fn a_round_is_shared_by_all_that_wrote_in_a_turn() {
    let mut b = quick();
    let conns: Vec<_> = (0..9).map(|_| b.open()).collect();
    for &c in &conns {
        b.ask(c, &[b"P\x01x", b"P\x02x"]);
    }
    b.turn();
    b.turn();
    assert_eq!(b.x.core.started, 1);
    assert!(conns.iter().all(|&c| b.replies(c) == ["ok", "ok"]));
}

#[test]
fn a_failed_round_stops_the_turn() {
    let mut b = slow();
    b.lanes.fail();
    let now = b.now();
    assert!(b.x.turn(now).is_err());
}

#[test]
fn a_write_that_fails_late_in_a_turn_ends_it_before_anything_is_handed_out() {
    let mut b = slow();
    let c = b.open();
    b.ask(c, &[b"P\x02x"]);
    b.x.core
        .jobs
        .push(Box::new(|| panic!("a job of a failed turn")));
    let now = b.now();
    for part in [Part::Absorb, Part::Run, Part::Expire, Part::Tick] {
        b.x.step(part, now).unwrap();
    }
    b.x.core.fail();
    b.x.step(Part::Settle, now).unwrap();
    assert!(b.x.step(Part::Sync, now).is_err());
    assert!(!b.lanes.complete(), "no round was started");
}

#[test]
fn a_fetch_is_woken_by_the_round_that_makes_enough_visible() {
    let mut b = slow();
    let (c, p) = (b.open(), b.open());
    b.ask(c, &[b"F\x01\x03\x32"]);
    b.turn();
    assert_eq!(b.deadline_ms(), Some(50));
    let asked = b.x.core.asked_count;
    for (at, bytes) in [(10, "a"), (20, "b")] {
        b.ask(p, &[&[b"P\x01", bytes.as_bytes()].concat()]);
        b.turn_at(at);
        b.lanes.complete();
        b.turn();
        assert_eq!(b.replies(c), NONE);
    }
    assert_eq!(
        b.x.core.asked_count,
        asked + 2,
        "two produces; the fetch misses bytes"
    );
    b.ask(p, &[b"P\x01c"]);
    b.turn_at(30);
    assert_eq!(b.replies(c), NONE, "written, but not durable");
    b.lanes.complete();
    b.turn();
    assert_eq!(b.replies(c), ["Fabc"]);
    assert_eq!(b.deadline_ms(), None);
}

#[test]
fn a_fetch_that_is_asked_again_in_vain_keeps_its_first_deadline() {
    let mut b = quick();
    let (c, p) = (b.open(), b.open());
    b.ask(c, &[b"F\x01\x03\x32"]);
    b.turn();
    b.x.core.overpromise(1, 3);
    b.turn_at(20);
    assert_eq!(b.x.core.asked_count, 2);
    assert_eq!(b.deadline_ms(), Some(50));
    b.ask(p, &[b"P\x01a"]);
    b.turn();
    b.turn_at(50);
    assert_eq!(b.replies(c), ["Fa"]);
}

#[test]
fn a_fetch_answers_with_what_there_is_at_its_deadline() {
    let mut b = quick();
    let (c, p) = (b.open(), b.open());
    b.ask(p, &[b"P\x01ab"]);
    b.ask(c, &[b"F\x01\x09\x32"]);
    b.turn();
    b.turn_at(49);
    assert_eq!(b.replies(c), NONE);
    b.turn_at(50);
    assert_eq!(b.replies(c), ["Fab"]);
}

#[test]
fn requests_behind_a_parked_one_wait_for_it_and_its_last_call_is_its_own() {
    let mut b = quick();
    let c = b.open();
    b.ask(c, &[b"F\x01\x01\x32", b"?", b"F\x02\x01\x32"]);
    b.turn();
    assert!(
        !b.x.may_read(c),
        "what more may come can wait in the socket"
    );
    assert_eq!(b.replies(c), NONE);
    b.turn_at(50);
    assert_eq!(b.replies(c), ["F", "?"]);
    assert_eq!(
        b.deadline_ms(),
        Some(100),
        "the second fetch has its own wait"
    );
}

#[test]
fn a_join_is_answered_by_the_second_member_or_by_the_timer() {
    let mut b = quick();
    let (c, d) = (b.open(), b.open());
    b.ask(c, &[b"J\x07", b"?"]);
    b.turn();
    assert_eq!(b.replies(c), NONE);
    b.ask(d, &[b"J\x07"]);
    b.turn_at(5);
    assert_eq!(
        (b.replies(c), b.replies(d)),
        (vec!["g2".into(), "?".into()], vec!["g2".into()])
    );
    b.ask(c, &[b"J\x08"]);
    b.turn();
    b.turn_at(105);
    assert_eq!(b.replies(c), ["g1"]);
}

#[test]
fn a_closed_connection_is_owed_nothing_and_its_slot_answers_to_a_new_name() {
    let mut b = quick();
    let (c, d) = (b.open(), b.open());
    b.ask(c, &[b"J\x07"]);
    b.turn();
    b.x.close(c);
    let e = b.open();
    assert!(e.slot == c.slot && e != c);
    b.ask(d, &[b"J\x07"]);
    b.turn();
    assert_eq!(
        (b.replies(d), b.replies(e), b.replies(c)),
        (vec!["g2".into()], vec![], vec![])
    );
}

#[test]
fn a_turn_takes_so_many_requests_of_each_connection_and_the_rest_stays_last_in_line() {
    let mut b = quick();
    let (c, d) = (b.open(), b.open());
    let many: Vec<&[u8]> = vec![b"c"; 150];
    b.ask(c, &many);
    b.ask(d, &[b"d"]);
    let now = b.now();
    let mut counts = Vec::new();
    for _ in 0..3 {
        b.x.turn(now).unwrap();
        counts.push((b.replies(c).len(), b.replies(d).len()));
    }
    assert_eq!(counts, [(64, 1), (64, 0), (22, 0)]);
}

#[test]
fn a_turn_takes_so_many_bytes_of_each_connection() {
    let mut b = quick();
    let c = b.open();
    let large = vec![b'A'; 600 << 10];
    b.ask(c, &[&large, &large, &large]);
    let now = b.now();
    b.x.turn(now).unwrap();
    assert_eq!(b.x.core.asked_count, 2);
}

#[test]
fn a_connection_with_a_full_outbox_is_neither_run_nor_read_nor_ready() {
    let mut b = quick();
    let c = b.open();
    let many: Vec<&[u8]> = vec![b"B\xff"; 20];
    b.ask(c, &many);
    b.turn();
    assert_eq!(b.x.core.asked_count, 5, "a MiB and a bit");
    assert!(!b.x.may_read(c) && !b.x.has_ready());
    assert_eq!(b.flush(c, 1 << 16).len(), 5 * (4 + (255 << 10)));
    assert!(b.x.has_ready());
    b.turn();
    assert_eq!(b.x.core.asked_count, 10);
}

#[test]
fn pinned_payload_counts_too() {
    let mut b = quick();
    let c = b.open();
    let many: Vec<&[u8]> = vec![b"V\xff"; 64 + 20];
    b.ask(c, &many);
    b.turn();
    assert!(b.x.core.asked_count < 70, "{}", b.x.core.asked_count);
}

#[test]
fn a_close_says_first_what_was_answered_before() {
    let mut b = slow();
    let c = b.open();
    b.ask(c, &[b"P\x01x", b"X", b"never"]);
    b.turn();
    assert_eq!(b.x.fate(c), Fate::Stay, "the produce is not durable yet");
    b.lanes.complete();
    b.turn();
    assert_eq!(b.replies(c), ["ok"]);
    assert_eq!(b.x.fate(c), Fate::Finish);
    let now = b.now().mono;
    b.x.fin_sent(now, c);
    assert!(b.x.may_read(c) && b.x.discards(c));
    b.turn_at(LINGER_MS - 1);
    assert_eq!(b.x.fate(c), Fate::Stay);
    b.turn_at(LINGER_MS);
    assert_eq!(b.x.fate(c), Fate::Close, "patience has an end");
}

#[test]
fn a_half_closed_peer_gets_all_its_answers_without_waiting() {
    let mut b = quick();
    let (c, now) = (b.open(), Mono(0));
    b.ask(c, &[b"F\x01\x01\xff", b"a"]);
    b.turn();
    b.x.hung_up(now, c);
    b.ask(c, &[b"F\x01\x01\xff", b"b"]);
    b.turn();
    assert_eq!(b.x.fate(c), Fate::Stay, "there may be more to read");
    b.x.ended(now, c);
    b.turn();
    assert_eq!(b.x.fate(c), Fate::Stay);
    assert_eq!(b.replies(c), ["F", "a", "F", "b"]);
    assert_eq!(b.x.fate(c), Fate::Close);
}

#[test]
fn who_is_owed_and_hangs_up_is_closed() {
    let mut b = quick();
    let c = b.open();
    b.ask(c, &[b"J\x01"]);
    b.turn();
    b.x.hung_up(Mono(0), c);
    assert_eq!(b.x.fate(c), Fate::Close);
}

#[test]
fn a_bad_length_closes_after_the_answers_before_it() {
    for length in [-1, 0, (1 << 20) + 1, i32::MIN] {
        let mut b = quick();
        let c = b.open();
        b.ask(c, &[b"a"]);
        b.arrive(c, &i32::to_be_bytes(length));
        b.turn();
        assert_eq!(b.replies(c), ["a"]);
        assert_eq!(b.x.fate(c), Fate::Finish, "{length}");
    }
}

#[test]
fn http_is_told_where_it_is() {
    let mut b = quick();
    let c = b.open();
    b.arrive(c, b"GET / HTTP/1.1\r\n\r\n");
    b.turn();
    assert!(b.flush(c, 4096).starts_with(b"HTTP/1.1 400 "));
    assert_eq!(b.x.fate(c), Fate::Finish);
}

#[test]
fn an_idle_connection_is_closed_and_an_active_or_waiting_one_is_not() {
    let mut b = bench(
        ToyLanes::instant(),
        Limits {
            idle_ms: 1000,
            ..limits()
        },
    );
    let (idle, active, waiting) = (b.open(), b.open(), b.open());
    b.ask(waiting, &[b"J\x01"]);
    b.x.core.hold_joins();
    b.turn();
    for at in [400, 800, 999, 1000, 1200] {
        b.now_ms = at;
        b.ask(active, &[b"a"]);
        b.turn();
        let fates = [idle, active, waiting].map(|id| b.x.fate(id));
        let first = if at < 1000 { Fate::Stay } else { Fate::Close };
        assert_eq!(fates, [first, Fate::Stay, Fate::Stay]);
    }
}

#[test]
fn an_idle_connection_holds_next_to_nothing() {
    let mut b = quick();
    let c = b.open();
    b.ask(c, &[&[b'x'; 5000], b"B\x40", b"V\x40"]);
    b.turn();
    b.flush(c, 1 << 20);
    let conn = b.x.conns.get(c).unwrap();
    assert!(size_of::<Conn>() + conn.inbox.held_bytes() + conn.outbox.held_bytes() < 2048);
}

#[test]
fn a_few_bytes_of_a_frame_cost_a_few_bytes() {
    let mut b = quick();
    for bytes in [1, 3, 300] {
        let c = b.open();
        b.arrive(c, &frame(&[b'x'; 1000])[..bytes]);
        b.turn();
        let conn = b.x.conns.get(c).unwrap();
        let held = conn.inbox.held_bytes() + conn.outbox.held_bytes();
        assert!(size_of::<Conn>() + held < 2048, "{bytes}: {held}");
        b.arrive(c, &frame(&[b'x'; 1000])[bytes..]);
        b.turn();
        assert_eq!(b.flush(c, 1 << 20).len(), 1004);
    }
}

#[test]
fn a_turn_ends_however_many_connections_have_requests_and_the_rest_stays_first_in_line() {
    let mut b = quick();
    let many: Vec<&[u8]> = vec![b"c"; 64];
    let conns: Vec<_> = (0..40).map(|_| b.open()).collect();
    for &c in &conns {
        b.ask(c, &many);
    }
    let now = b.now();
    let turn = |b: &mut Bench| -> Vec<usize> {
        b.x.turn(now).unwrap();
        b.x.check_invariants(now.mono);
        conns.iter().map(|&c| b.replies(c).len()).collect()
    };
    let (first, last) = ([64; TURN_REQUESTS / 64].to_vec(), [0; 8].to_vec());
    assert_eq!(turn(&mut b), [first, last].concat());
    assert!(b.x.has_ready());
    assert_eq!(turn(&mut b), [vec![0; 32], vec![64; 8]].concat());
}

#[test]
fn when_memory_is_short_only_the_oldest_frame_goes_on() {
    let mut b = bench(
        ToyLanes::instant(),
        Limits {
            held_bytes: 150_000,
            ..limits()
        },
    );
    let conns: Vec<_> = (0..4).map(|_| b.open()).collect();
    let large = frame(&[b'A'; 60_000]);
    for (at, &c) in conns.iter().enumerate().skip(1) {
        b.now_ms = at as i64;
        b.arrive(c, &large[..40_000]);
    }
    let allowed = |b: &mut Bench| -> Vec<bool> { conns.iter().map(|&c| b.x.may_read(c)).collect() };
    allowed(&mut b);
    b.turn();
    assert_eq!(allowed(&mut b), [false, true, false, false]);
    b.arrive(conns[1], &large[40_000..]);
    b.turn();
    assert_eq!(allowed(&mut b), [true; 4], "its memory is free again");
    let mut touched = Vec::new();
    b.x.take_touched(&mut touched);
    assert!(
        conns.iter().all(|id| touched.contains(id)),
        "and everybody is told"
    );
}

#[test]
fn a_favoured_peer_that_does_not_go_on_is_closed() {
    let mut b = bench(
        ToyLanes::instant(),
        Limits {
            held_bytes: 100_000,
            ..limits()
        },
    );
    let conns: Vec<_> = (0..3).map(|_| b.open()).collect();
    for (at, &c) in conns.iter().enumerate() {
        b.now_ms = at as i64;
        b.arrive(c, &frame(&[b'A'; 60_000])[..50_000]);
    }
    assert!(!conns.iter().any(|&c| b.x.may_read(c)));
    b.turn();
    let at = b.deadline_ms().unwrap();
    b.turn_at(at - 1);
    assert_eq!(b.x.fate(conns[0]), Fate::Stay);
    b.turn_at(at);
    assert_eq!(
        conns.iter().map(|&c| b.x.fate(c)).collect::<Vec<_>>(),
        [Fate::Finish, Fate::Stay, Fate::Stay]
    );
}

#[test]
fn a_stop_answers_parked_requests_and_waits_for_the_last_round() {
    let mut b = slow();
    let (c, d) = (b.open(), b.open());
    b.ask(c, &[b"F\x01\x01\xff"]);
    b.ask(d, &[b"P\x01x"]);
    b.turn();
    b.x.begin_stop(Mono(0));
    b.ask(d, &[b"P\x01y"]);
    b.turn();
    assert_eq!(b.replies(c), ["F"]);
    assert!(!b.x.is_stopped() && !b.x.may_read(c));
    b.lanes.complete();
    b.turn();
    assert!(b.x.is_stopped());
    assert_eq!(b.replies(d), ["ok"], "the second one was never handled");
    b.x.finish_all();
    assert_eq!(b.x.fate(d), Fate::Finish);
}

struct Dice(u64);
impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Client {
    id: ConnId,
    asked: String,
    got: Vec<u8>,
}

/// Random requests in pieces, closes, rounds that take their time and clock steps: between turns the invariants hold,
/// and at the end every request of every open connection has been answered, once and in order.
fn simulate(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut b = slow();
    let mut clients: Vec<Client> = (0..4).map(|_| b.client()).collect();
    for _ in 0..300 {
        let i = dice.roll(4) as usize;
        let (p, q) = (dice.roll(3) as u8, dice.roll(3) as u8);
        let body = match dice.roll(12) {
            0..=2 => vec![b'P', p, b'x'],
            3..=5 => vec![b'G', p, q, dice.roll(200) as u8, dice.roll(60) as u8],
            6 => vec![b'J', p],
            7 => vec![b'A', p, b'y', b'y'],
            8 => {
                b.now_ms += dice.roll(80) as i64;
                vec![]
            }
            9 => {
                b.x.close(clients[i].id);
                clients[i] = b.client();
                vec![]
            }
            10 => {
                b.lanes.complete();
                vec![]
            }
            _ => vec![b'?'],
        };
        let id = clients[i].id;
        match body.first() {
            Some(b'P') => clients[i].asked.push('o'),
            Some(b'J') => clients[i].asked.push('g'),
            Some(b'A') | None => {}
            Some(&other) => clients[i].asked.push(other.into()),
        }
        if !body.is_empty() {
            let bytes = frame(&body);
            let cut = dice.roll(bytes.len() as u64 + 1) as usize;
            b.arrive(id, &bytes[..cut]);
            if dice.roll(2) == 0 {
                b.turn();
            }
            b.arrive(id, &bytes[cut..]);
        }
        b.turn();
        for client in &mut clients {
            let got = b.flush(client.id, 1 + dice.roll(20) as usize);
            client.got.extend(got);
        }
    }
    while b.lanes.complete() || b.deadline_ms().is_some() {
        b.now_ms = b.deadline_ms().unwrap_or(b.now_ms);
        b.turn();
    }
    for client in &mut clients {
        client.got.extend(b.flush(client.id, 7));
        let first = |body: Vec<u8>| char::from(body[0]);
        let got: String = bodies(&client.got).into_iter().map(first).collect();
        assert_eq!(got, client.asked, "seed {seed}");
    }
}

impl Bench {
    fn client(&mut self) -> Client {
        Client {
            id: self.open(),
            asked: String::new(),
            got: Vec::new(),
        }
    }
}

#[test]
fn a_thousand_seeds() {
    for seed in 0..1000 {
        simulate(seed);
    }
}
