//! One peer's byte stream. Plain TCP now; this type is where TLS comes in, so nothing else touches a stream.

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

/// See the head of this file.
pub(super) struct Transport {
    stream: TcpStream,
}

impl Transport {
    /// Takes a fresh stream over and registers it, edge-triggered. Small replies are not to be delayed.
    pub(super) fn new(
        mut stream: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Transport> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Transport { stream })
    }

    /// Reads what is there; 0 means that the peer has closed its half.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.stream.read(space))
    }

    /// Writes what fits.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        uninterrupted(|| self.stream.write_vectored(slices))
    }

    /// Says that nothing more will come from us.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// An IPv4 client of a dual-stack listener looks like what it is.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
