//! A socket that sends and reads whole frames: a length of four bytes, and as many bytes behind it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// One connection of a test.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects to a port of the loopback interface.
    pub fn connect(port: u16) -> io::Result<Raw> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Raw(socket))
    }

    /// Sends one frame.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let len = i32::try_from(frame.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(4 + frame.len());
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(frame);
        self.0.write_all(&bytes)
    }

    /// Reads one frame; an end of the connection is `UnexpectedEof`.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len)?;
        let len = usize::try_from(i32::from_be_bytes(len)).map_err(io::Error::other)?;
        let mut frame = vec![0; len];
        self.0.read_exact(&mut frame)?;
        Ok(frame)
    }

    /// Whether the peer closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}
