//! The loop on real sockets, with the toy broker behind it.

use super::super::Limits;
use super::super::toy::{Toy, ToyLanes, frame};
use super::super::wake::Bell;
use super::*;
use crate::net::Listen;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A server in a thread of its own, stopped cleanly when it is dropped.
struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: Option<JoinHandle<Exit>>,
}

fn serve(limits: Limits) -> Running {
    let poller = Poller::new().unwrap();
    let bell = poller.bell();
    let stop = Arc::new(AtomicBool::new(false));
    let listen = Listen {
        name: "PLAINTEXT".into(),
        address: "127.0.0.1:0".parse().unwrap(),
    };
    let (lane_bell, stopped) = (bell.clone(), Arc::clone(&stop));
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let lanes = ToyLanes::instant_with(move || lane_bell.ring());
        let exchange = Exchange::new(Toy::default(), Box::new(lanes), limits);
        let mut server = Server::open(poller, Bound::take(vec![listen]).ok().unwrap(), exchange)
            .ok()
            .unwrap();
        tell.send(server.bound().next().unwrap().1).unwrap();
        let clock = Clock::start();
        loop {
            if stopped.swap(false, Ordering::SeqCst) {
                server.stop(clock.mono());
            }
            if let Some(exit) = server.step(&clock, &mut |_, _| {}) {
                return exit;
            }
        }
    });
    let address = told.recv().unwrap();
    Running {
        address,
        stop,
        bell,
        thread: Some(thread),
    }
}

/// A server that nobody can reach.
fn alone(toy: Toy, lanes: &ToyLanes) -> Server<Toy> {
    let exchange = Exchange::new(toy, Box::new(lanes.clone()), Limits::default());
    let bound = Bound::take(Vec::new()).ok().unwrap();
    let server = Server::open(Poller::new().unwrap(), bound, exchange);
    server.ok().unwrap()
}

#[test]
fn after_a_failure_the_lanes_begin_nothing_more() {
    let (mut toy, lanes) = (Toy::default(), ToyLanes::default());
    toy.fail();
    let exit = alone(toy, &lanes).run(&Clock::start(), &mut |_, _| {});
    assert!(matches!(exit, Exit::Fatal(_)) && lanes.abandoned());
}

#[test]
fn what_the_broker_owes_from_its_start_is_handed_out_before_the_first_sleep() {
    let mut toy = Toy::default();
    let (tell, told) = std::sync::mpsc::channel();
    toy.jobs.push(Box::new(move || tell.send("done").unwrap()));
    let mut server = alone(toy, &ToyLanes::default());
    let clock = Clock::start();
    assert_eq!(server.timeout(clock.mono()), Some(Duration::ZERO));
    assert!(server.step(&clock, &mut |_, _| {}).is_none());
    assert_eq!(told.try_recv(), Ok("done"));
    assert_eq!(server.timeout(clock.mono()), None, "now it sleeps");
}

#[test]
fn signals_within_a_second_are_one_wish_and_a_later_one_cuts_the_stop_short() {
    let mut server = alone(Toy::default(), &ToyLanes::default());
    let at = |ms| Mono(0).plus_ms(ms);
    assert!(!server.asked_to_stop(at(0)));
    assert!(!server.asked_to_stop(at(999)));
    assert!(
        server.asked_to_stop(at(1000)),
        "nothing has been closed yet"
    );
    let clock = Clock::start();
    while !server.exchange.is_stopped() {
        server.turn(clock.now(), &clock).ok().unwrap();
    }
    assert!(!server.asked_to_stop(at(1001)), "only peers are waited for");
    assert!(server.is_over(at(1001)));
}

impl Running {
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_nodelay(true).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client
    }

    fn stop(&mut self) -> Exit {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

fn ask(client: &mut TcpStream, bodies: &[&[u8]]) {
    let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
    client.write_all(&bytes).unwrap();
}

fn reply(client: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    client.read_exact(&mut body).unwrap();
    body
}

fn rest(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn requests_are_answered_in_order_across_rounds_and_waits() {
    let server = serve(Limits::default());
    let (mut client, mut other) = (server.connect(), server.connect());
    ask(
        &mut client,
        &[b"P\x01ab", b"F\x01\x02\x32", b"J\x01", b"last"],
    );
    assert_eq!(reply(&mut client), b"ok");
    assert_eq!(reply(&mut client), b"Fab");
    ask(&mut other, &[b"J\x01"]);
    assert_eq!(reply(&mut client), b"g2");
    assert_eq!(reply(&mut client), b"last");
    assert_eq!(reply(&mut other), b"g2");
}

#[test]
fn ten_thousand_requests_in_one_write_are_answered_in_order_while_others_are_served() {
    let server = serve(Limits::default());
    let (mut client, mut other) = (server.connect(), server.connect());
    let mut writer = client.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        let all: Vec<u8> = (0..10_000u32)
            .flat_map(|n| frame(&n.to_be_bytes()))
            .collect();
        writer.write_all(&all).unwrap();
    });
    ask(&mut other, &[b"hello"]);
    assert_eq!(reply(&mut other), b"hello");
    for n in 0..10_000u32 {
        assert_eq!(reply(&mut client), n.to_be_bytes());
    }
    flood.join().unwrap();
}

#[test]
fn large_requests_and_replies_pass_in_pieces() {
    let server = serve(Limits::default());
    let mut client = server.connect();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut writer = client.try_clone().unwrap();
    let bytes = [frame(&large), frame(b"V\xff"), frame(&large)].concat();
    let sender = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    assert!(reply(&mut client) == large);
    assert!(reply(&mut client) == vec![b'v'; 255 << 10]);
    assert!(reply(&mut client) == large);
    sender.join().unwrap();
}

#[test]
fn one_byte_at_a_time_is_a_request_too() {
    let server = serve(Limits::default());
    let mut client = server.connect();
    for byte in [frame(b"slow"), frame(b"slower")].concat() {
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!(reply(&mut client), b"slow");
    assert_eq!(reply(&mut client), b"slower");
}

#[test]
fn a_peer_that_never_reads_stops_being_read_and_disturbs_nobody() {
    let server = serve(Limits::default());
    let (mut client, mut other) = (server.connect(), server.connect());
    client.set_nonblocking(true).unwrap();
    let bytes = frame(b"B\xff").repeat(1000);
    let mut sent = 0;
    // 255 MB of answers to 6 KB of questions: it is run only as far as its outbox has room.
    while sent < bytes.len() {
        match client.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    for n in 0..100u8 {
        ask(&mut other, &[&[b'n', n]]);
        assert_eq!(reply(&mut other), [b'n', n]);
    }
    client.set_nonblocking(false).unwrap();
    for _ in 0..1000 {
        assert_eq!(reply(&mut client).len(), 255 << 10);
    }
}

#[test]
fn a_close_is_a_fin_and_the_last_answers_arrive_although_more_was_sent() {
    for _ in 0..20 {
        let server = serve(Limits::default());
        let mut client = server.connect();
        let tail = frame(&[b'z'; 1000]).repeat(500);
        ask(&mut client, &[b"a", b"P\x01x", b"X"]);
        client.write_all(&tail).unwrap();
        let all = rest(&mut client).expect("no reset");
        assert_eq!(all, [frame(b"a"), frame(b"ok")].concat());
    }
}

#[test]
fn http_gets_one_line() {
    let server = serve(Limits::default());
    let mut client = server.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        .unwrap();
    let answer = rest(&mut client).expect("no reset");
    assert!(answer.starts_with(b"HTTP/1.1 400 ") && answer.ends_with(b"not HTTP.\n"));
}

#[test]
fn a_half_closed_peer_gets_its_answers_and_then_the_end() {
    let server = serve(Limits::default());
    let mut client = server.connect();
    ask(&mut client, &[b"a", b"F\x01\x01\xff", b"P\x01x"]);
    client.shutdown(Shutdown::Write).unwrap();
    let all = rest(&mut client).unwrap();
    assert_eq!(all, [frame(b"a"), frame(b"F"), frame(b"ok")].concat());
}

#[test]
fn what_came_before_a_hang_up_is_handled() {
    let server = serve(Limits::default());
    let (mut producer, mut consumer) = (server.connect(), server.connect());
    ask(
        &mut producer,
        &[&[b"A\x01", &[b'x'; 200][..]].concat()].map(Vec::as_slice),
    );
    drop(producer);
    ask(&mut consumer, &[b"F\x01\xc8\xff"]);
    assert_eq!(reply(&mut consumer).len(), 201);
}

#[test]
fn a_gone_peer_that_was_owed_makes_room() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = serve(limits);
    let mut first = server.connect();
    ask(&mut first, &[b"a", b"J\x01"]);
    assert_eq!(reply(&mut first), b"a");
    let mut second = server.connect();
    ask(&mut second, &[b"b"]);
    drop(first);
    assert_eq!(reply(&mut second), b"b");
}

#[test]
fn a_clean_stop_answers_what_is_parked_and_closes() {
    let mut server = serve(Limits::default());
    let (mut parked, mut producer) = (server.connect(), server.connect());
    ask(&mut parked, &[b"a", b"F\x01\x01\xff"]);
    ask(&mut producer, &[b"P\x02x"]);
    assert_eq!(
        (reply(&mut parked), reply(&mut producer)),
        (b"a".to_vec(), b"ok".to_vec())
    );
    let readers =
        [parked, producer].map(|mut client| std::thread::spawn(move || rest(&mut client)));
    assert!(matches!(server.stop(), Exit::Clean));
    let [parked, producer] = readers.map(|reader| reader.join().unwrap().unwrap());
    assert_eq!((parked, producer), (frame(b"F"), Vec::new()));
    assert!(TcpStream::connect(server.address).is_err());
}
