//! Groups: joining, rebalances, static members, offsets, and how groups are shown.

pub(crate) mod commits;
pub(crate) mod joins;
pub(crate) mod member;
pub(crate) mod rebalances;
pub(crate) mod sessions;
pub(crate) mod shown;
pub(crate) mod statics;
pub(crate) mod syncs;
