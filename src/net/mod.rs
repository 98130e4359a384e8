//! The only room with sockets.
