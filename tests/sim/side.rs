//! What a client works with.

use crate::ledger::Ledger;
use crate::luck::Luck;
use crate::machine::Machine;

/// The world, as a client has it in hand.
pub struct Side<'w> {
    /// The machine that it talks to.
    pub machine: &'w mut Machine,
    /// What all clients know.
    pub ledger: &'w mut Ledger,
    /// Chance.
    pub luck: &'w mut Luck,
}
