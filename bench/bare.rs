//! The bare loop: what a broker cannot avoid, and nothing else. It is the denominator of every ratio.
//!
//! **Frozen** since commit ebf2f4c: ratios of different days compare only while this file stays as it is. Whoever must
//! change it takes the whole table anew, before and after.
//!
//! One thread, one epoll. It finds frames by their length and knows by count where the records stand in them; it
//! decodes nothing, checks nothing, keeps no index and no state but the end of its file. Each system call
//! is one that a broker must make, too:
//!
//! | call | why |
//! |---|---|
//! | `epoll_wait` | to learn which connection has something |
//! | `recv` into one buffer until it is drained (a short read says so) | requests arrive; one call serves many pipelined ones |
//! | `pwrite` for each request | the records go to the page cache before the answer says so; as many calls as requests, because each may be for another file |
//! | `fallocate(KEEP_SIZE)` every 64 MiB | writing into space that is there costs 40 % less |
//! | `fdatasync` on a helper thread, `eventfd` back (durable mode) | group commit: what arrives meanwhile shares the next sync |
//! | `send` for each connection and turn | the replies of a turn leave together |
//! | `writev` of 1 MiB from memory (fetch mode) | what a map of a file in the page cache costs to send; `sendfile` is slower |
//!
//! Beside the calls there is one CRC-32C over the records. Offsets are patched in and the reply is a real one of
//! the protocol made once at the start, so that the load generator runs the same code against all.

use crate::client::Shape;
use crate::layout::Layout;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

const LISTENER: Token = Token(usize::MAX);
const SYNCED: Token = Token(usize::MAX - 1);
const BUFFER_BYTES: usize = 1 << 20;
const PREALLOCATE_BYTES: u64 = 64 << 20;

/// What the loop does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers.
    Echo,
    /// CRC, write, answer.
    Append,
    /// CRC, write, answer after a sync that began later.
    Durable,
    /// Answers with the next bytes of the file.
    Fetch,
}

impl Mode {
    const NAMES: [(&str, Mode); 4] = [
        ("echo", Mode::Echo),
        ("append", Mode::Append),
        ("durable", Mode::Durable),
        ("fetch", Mode::Fetch),
    ];

    pub(crate) fn name(self) -> &'static str {
        let found = Mode::NAMES.iter().find(|(_, mode)| *mode == self);
        found.map_or("", |(name, _)| name)
    }

    fn parse(name: &str) -> Option<Mode> {
        let found = Mode::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, mode)| *mode)
    }
}

/// Serves until it is killed. `words`: mode, directory, port, records in a batch, bytes of a record.
pub(crate) fn serve(words: &[String]) -> io::Result<()> {
    let bad = || io::Error::new(ErrorKind::InvalidInput, "bare MODE DIR PORT RECORDS BYTES");
    let [mode, dir, port, records, record_bytes] = words else {
        return Err(bad());
    };
    let number = |word: &String| word.parse::<usize>().map_err(|_| bad());
    let shape = Shape {
        records: number(records)?,
        record_bytes: number(record_bytes)?,
        partitions: 1,
    };
    let port = u16::try_from(number(port)?).map_err(|_| bad())?;
    let mode = Mode::parse(mode).ok_or_else(bad)?;
    Loop::new(mode, PathBuf::from(dir), port, shape)?.run()
}

/// One connection and the file that is its own.
struct Conn {
    stream: TcpStream,
    file: Arc<File>,
    buffer: Vec<u8>,
    filled: usize,
    replies: Vec<u8>,
    sent: usize,
    /// Replies up to here may leave; the rest waits for a sync.
    free: usize,
    end: u64,
    allocated: u64,
    next_offset: i64,
    dirty: bool,
    /// What is being sent of the file in fetch mode.
    content: std::ops::Range<usize>,
}

struct Loop {
    mode: Mode,
    dir: PathBuf,
    shape: Shape,
    poll: Poll,
    listener: TcpListener,
    conns: Vec<Option<Conn>>,
    frames: Layout,
    content: Vec<u8>,
    helper: Helper,
    syncing: Vec<(usize, usize)>,
}

/// The thread that syncs, one file list at a time.
struct Helper {
    jobs: Sender<Vec<Arc<File>>>,
    done: Arc<AtomicU64>,
    started: u64,
}

impl Helper {
    fn start(waker: Waker) -> Helper {
        let (jobs, inbox) = channel::<Vec<Arc<File>>>();
        let done = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&done);
        std::thread::spawn(move || {
            for files in inbox {
                for file in files {
                    file.sync_data()
                        .expect("a failed sync ends the measurement");
                }
                count.fetch_add(1, Ordering::Release);
                waker.wake().expect("the loop outlives its helper");
            }
        });
        Helper {
            jobs,
            done,
            started: 0,
        }
    }

    fn is_idle(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.started
    }
}

impl Loop {
    fn new(mode: Mode, dir: PathBuf, port: u16, shape: Shape) -> io::Result<Loop> {
        let poll = Poll::new()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut listener = TcpListener::bind(address)?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let helper = Helper::start(Waker::new(registry, SYNCED)?);
        let content = match mode {
            Mode::Fetch => std::fs::read(dir.join("content"))?,
            _ => Vec::new(),
        };
        Ok(Loop {
            mode,
            dir,
            frames: Layout::of(&shape),
            shape,
            poll,
            listener,
            conns: Vec::new(),
            content,
            helper,
            syncing: Vec::new(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        loop {
            self.poll.poll(&mut events, None)?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    SYNCED => self.release(),
                    Token(index) => self.turn(index),
                }
            }
            self.start_sync();
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((mut stream, _)) = self.listener.accept() {
            stream.set_nodelay(true)?;
            let index = self.conns.len();
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            registry.register(&mut stream, Token(index), interest)?;
            let file = Arc::new(File::create(self.dir.join(format!("{index}.log")))?);
            self.conns.push(Some(Conn {
                stream,
                file,
                buffer: vec![0; BUFFER_BYTES],
                filled: 0,
                replies: Vec::new(),
                sent: 0,
                free: 0,
                end: 0,
                allocated: 0,
                next_offset: 0,
                dirty: false,
                content: 0..0,
            }));
        }
        Ok(())
    }

    fn turn(&mut self, index: usize) {
        let Some(mut conn) = self.conns[index].take() else {
            return;
        };
        let served = match self.mode {
            Mode::Fetch => self.fetch(&mut conn),
            _ => self.read_and_answer(&mut conn),
        };
        // An error is a connection that has gone; its slot stays empty.
        if served.is_ok() {
            self.conns[index] = Some(conn);
        }
    }

    fn read_and_answer(&self, conn: &mut Conn) -> io::Result<()> {
        while self.receive(conn)? {
            self.answer_frames(conn)?;
        }
        self.answer_frames(conn)?;
        conn.flush()
    }

    /// Reads once; whether the socket may have more.
    fn receive(&self, conn: &mut Conn) -> io::Result<bool> {
        let space = conn.buffer.len() - conn.filled;
        match conn.stream.read(&mut conn.buffer[conn.filled..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                conn.filled += count;
                Ok(count == space)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn answer_frames(&self, conn: &mut Conn) -> io::Result<()> {
        let mut start = 0;
        while let Some(length) = frame_length(&conn.buffer[start..conn.filled]) {
            let frame = start..start + length;
            if self.mode != Mode::Echo {
                conn.append(self.frames.records_in(frame.clone()))?;
            }
            let correlation = [8, 9, 10, 11].map(|at| conn.buffer[frame.start + at]);
            let reply = &self.frames.produced;
            reply.append_to(&mut conn.replies, correlation, conn.next_offset);
            conn.next_offset += self.shape.records as i64;
            start = frame.end;
        }
        conn.buffer.copy_within(start..conn.filled, 0);
        conn.filled -= start;
        match self.mode {
            Mode::Durable => conn.dirty |= start > 0,
            _ => conn.free = conn.replies.len(),
        }
        Ok(())
    }

    /// Starts a sync of whatever is dirty, unless one is in flight.
    fn start_sync(&mut self) {
        if self.mode != Mode::Durable || !self.helper.is_idle() || !self.syncing.is_empty() {
            return;
        }
        let mut files = Vec::new();
        for (index, conn) in self.conns.iter_mut().enumerate() {
            if let Some(conn) = conn.as_mut().filter(|conn| conn.dirty) {
                conn.dirty = false;
                files.push(Arc::clone(&conn.file));
                self.syncing.push((index, conn.replies.len()));
            }
        }
        if !files.is_empty() {
            self.helper.started += 1;
            let sent = self.helper.jobs.send(files);
            sent.expect("the helper lives as long as the loop");
        }
    }

    /// Lets the replies go whose sync is done.
    fn release(&mut self) {
        for (index, free) in self.syncing.split_off(0) {
            let Some(conn) = self.conns[index].as_mut() else {
                continue;
            };
            conn.free = free;
            if conn.flush().is_err() {
                self.conns[index] = None;
            }
        }
    }

    fn fetch(&self, conn: &mut Conn) -> io::Result<()> {
        let more = self.receive(conn)?;
        assert!(!more, "a fetch request is small");
        if let Some(length) = frame_length(&conn.buffer[..conn.filled]) {
            assert_eq!(length, conn.filled, "one fetch is in flight");
            let correlation = [8, 9, 10, 11].map(|at| conn.buffer[at]);
            let start = self.frames.position_in(&conn.buffer[..length]);
            conn.content = start..start + self.frames.fetch_bytes;
            conn.replies.clear();
            (conn.sent, conn.filled) = (0, 0);
            let head = &self.frames.fetched;
            head.append_to(&mut conn.replies, correlation, 0);
        }
        match conn.replies.is_empty() {
            true => Ok(()),
            false => self.send_content(conn),
        }
    }

    /// Sends what is left of head, content and tail, as one.
    fn send_content(&self, conn: &mut Conn) -> io::Result<()> {
        loop {
            let (head, tail) = (&conn.replies, &self.frames.fetched_tail);
            let mut skipped = conn.sent;
            let parts = [head.as_slice(), &self.content[conn.content.clone()], tail].map(|part| {
                let skip = skipped.min(part.len());
                skipped -= skip;
                IoSlice::new(&part[skip..])
            });
            if parts.iter().all(|part| part.is_empty()) {
                return Ok(());
            }
            match conn.stream.write_vectored(&parts) {
                Ok(count) => conn.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Conn {
    /// Checks, numbers and writes one batch that stands there in the buffer.
    fn append(&mut self, records: std::ops::Range<usize>) -> io::Result<()> {
        let batch = &mut self.buffer[records];
        // The CRC covers everything from the attributes on.
        let crc = u32::from_be_bytes([batch[17], batch[18], batch[19], batch[20]]);
        assert_eq!(crc, crc32c::crc32c(&batch[21..]), "a damaged batch");
        batch[..8].copy_from_slice(&self.next_offset.to_be_bytes());
        let length = batch.len() as u64;
        if self.end + length > self.allocated {
            let flags = FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&*self.file, flags, self.allocated, PREALLOCATE_BYTES)?;
            self.allocated += PREALLOCATE_BYTES;
        }
        self.file.write_all_at(batch, self.end)?;
        self.end += length;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.free {
            match self.stream.write(&self.replies[self.sent..self.free]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.replies.drain(..self.sent);
        self.free -= self.sent;
        self.sent = 0;
        Ok(())
    }
}

/// The bytes of the first frame with its length, if it is whole.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let (length, _) = bytes.split_first_chunk::<4>()?;
    let length = 4 + u32::from_be_bytes(*length) as usize;
    (bytes.len() >= length).then_some(length)
}
