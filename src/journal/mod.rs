//! The broker's memory on disk. Knows entries, not their meaning.

/// What a job of the work lane brings back to the journal.
pub enum Done {}
