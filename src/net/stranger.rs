//! Peers that speak something else: what their first four bytes say, and the one sentence about it.
//!
//! Read as a frame's length, these bytes exceed any valid size, so no Kafka client is ever taken for a stranger.

/// What a peer speaks instead of our protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// HTTP/1 or the preface of HTTP/2.
    Http,
    /// The first record of a TLS handshake.
    Tls,
}

/// The beginnings of HTTP's methods, and of HTTP/2's preface.
const METHODS: [&[u8; 4]; 10] = [
    b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ",
];
/// A TLS record: handshake, major version 3.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// Guesses from a connection's first four bytes.
pub(super) fn recognise(first: [u8; 4]) -> Option<Stranger> {
    if METHODS.contains(&&first) {
        return Some(Stranger::Http);
    }
    (first[..2] == TLS_HANDSHAKE).then_some(Stranger::Tls)
}

impl Stranger {
    /// For the log.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Stranger::Http => "it speaks HTTP, and this is a port for Kafka's protocol",
            Stranger::Tls => {
                "it speaks TLS, and this is a plaintext port: set security.protocol=PLAINTEXT in the client"
            }
        }
    }

    /// What the peer is told before the connection is closed.
    pub(super) fn farewell(self) -> &'static [u8] {
        match self {
            Stranger::Http => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 47\r\n\r\n\
                  This port speaks the Kafka protocol, not HTTP.\n"
            }
            Stranger::Tls => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_valid_length_is_taken_for_a_stranger() {
        for first in METHODS.into_iter().chain([&[0x16, 0x03, 0x00, 0x00]]) {
            assert!(recognise(*first).is_some());
            assert!(i32::from_be_bytes(*first) > 300 << 20);
        }
        for length in [1, 1 << 20, 300 << 20, -1] {
            assert_eq!(recognise(i32::to_be_bytes(length)), None);
        }
    }

    #[test]
    fn the_length_in_the_http_answer_is_right() {
        let farewell = std::str::from_utf8(Stranger::Http.farewell()).unwrap();
        let (head, body) = farewell.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert_eq!(body.lines().count(), 1);
    }
}
