//! The daemon: flags, logging, signals, run.

fn main() {}
