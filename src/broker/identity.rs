//! Who this broker is (`meta.properties` in the data directory, in Kafka's name and syntax), and the source of its ids.

use crate::disk::{self, Disk};
use crate::proto::Uuid;
use std::io;
use std::path::Path;

/// The ids that a data directory carries for life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names the cluster: 22 characters of URL-safe base64.
    pub cluster_id: String,
    /// The broker's id, `node.id`.
    pub node_id: i32,
    /// Names the directory (KIP-858).
    pub directory_id: Uuid,
}

impl Identity {
    /// Its name in the data directory.
    pub const FILE: &'static str = "meta.properties";

    /// Reads the identity of a data directory.
    ///
    /// # Errors
    /// `InvalidData` with a sentence when the file is not one that we may use.
    pub fn load(disk: &dyn Disk, root: &Path) -> io::Result<Option<Identity>> {
        let path = root.join(Identity::FILE);
        let text = match disk::read_all(disk, &path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let invalid = |what: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {what}", path.display()),
            )
        };
        let property = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            line.map(str::trim)
                .ok_or_else(|| invalid(&format!("has no {name}")))
        };
        if property("version")? != "1" {
            return Err(invalid("is of a version that this chronikd does not know"));
        }
        let node_id = property("node.id")?
            .parse()
            .map_err(|_| invalid("node.id is not a number"))?;
        let directory_id = property("directory.id")?
            .parse()
            .map_err(|_| invalid("directory.id is not an id"))?;
        Ok(Some(Identity {
            cluster_id: property("cluster.id")?.to_owned(),
            node_id,
            directory_id,
        }))
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn store(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        let Identity {
            cluster_id,
            node_id,
            directory_id,
        } = self;
        let text = format!(
            "version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory_id}\n"
        );
        disk::replace(disk, &root.join(Identity::FILE), text.as_bytes())
    }
}

/// Random ids out of one seed: two steps of SplitMix64 each, shaped as version-4 UUIDs.
#[derive(Debug)]
pub(super) struct IdSource(pub(super) u64);

impl IdSource {
    pub(super) fn next(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.step().to_be_bytes());
        bytes[8..].copy_from_slice(&self.step().to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Uuid(bytes)
    }

    fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
