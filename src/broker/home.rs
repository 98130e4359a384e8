//! What a data directory is, before anything in it is touched.
//!
//! A directory is ours if its journal holds something, and nothing else makes it ours. The identity and the partitions
//! come after the first round of the journal is durable, so that no crash of ours leaves them without one: a directory
//! that has them alone is another program's, above all Apache Kafka's, or one of ours whose journal was lost. To serve
//! from it as a new broker would move everything in it out of the way. It is refused, and so is every other directory
//! that holds something: whoever names the wrong one by mistake finds it as it was.

use super::identity::Identity;
use super::record::Record;
use super::start::OpenError;
use crate::disk::{Disk, Entry};
use crate::journal;
use std::io;
use std::path::Path;

/// What a first start that was cut off leaves, and what file systems have at their root.
const HARMLESS: &[&str] = &[".lock", "journal", "lost+found", "quarantine"];

/// Looks whether a directory may be served from. Answers whose it is, if it has been served from before. `own` are
/// the names of files that this process itself keeps there, such as its log.
///
/// # Errors
/// `Foreign` when it holds something but no journal; those of [`identity`].
pub fn examine(
    disk: &dyn Disk,
    root: &Path,
    own: &[String],
) -> Result<Option<Identity>, OpenError> {
    // In this order: another process may be at its first start, and its journal comes before all else.
    let entries = disk.list(root).map_err(OpenError::Io)?;
    let found = journal::look(disk, root).map_err(OpenError::Io)?;
    if found == journal::Found::Begun {
        return identity(disk, root);
    }
    let strange = |entry: &&Entry| {
        let name = entry.name.as_str();
        let is_harmless = HARMLESS.contains(&name) || own.iter().any(|own| own == name);
        !is_harmless || name == "journal" && found == journal::Found::Strange
    };
    // The identity tells most about whose it is.
    let strange = entries.iter().filter(strange);
    match strange.max_by_key(|entry| entry.name == Identity::FILE) {
        None => Ok(None),
        Some(entry) => Err(OpenError::Foreign(format!(
            "{} holds {} and no journal of chronikd's: it belongs to something else, or its journal was lost. A new data \
             directory has to be empty, and one of Apache Kafka's cannot be taken over; nothing was changed",
            root.display(),
            entry.name
        ))),
    }
}

/// Reads the journal as a start does, and changes nothing. The directory must have been examined.
///
/// # Errors
/// Those of the start, as far as they can be seen before anything is written.
pub fn check(disk: &dyn Disk, root: &Path) -> Result<(), OpenError> {
    if journal::look(disk, root).map_err(OpenError::Io)? != journal::Found::Begun {
        return Ok(());
    }
    let mut refused = None;
    journal::check(disk, root, &mut |changes| {
        for change in changes {
            if let Err(why) = Record::decode(change) {
                refused = Some(why);
            }
        }
    })
    .map_err(OpenError::Journal)?;
    refused.map_or(Ok(()), |why| Err(OpenError::Record(why)))
}

/// The identity of a data directory, if it has got one.
///
/// # Errors
/// `Meta` when the file makes no sense.
pub(super) fn identity(disk: &dyn Disk, root: &Path) -> Result<Option<Identity>, OpenError> {
    Identity::load(disk, root).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => OpenError::Meta(error.to_string()),
        _ => OpenError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Mode;
    use crate::disk::sim::SimDisk;

    const ROOT: &str = "/data";

    /// A directory with these files; a name that ends in a slash is a directory.
    fn disk(names: &[&str]) -> SimDisk {
        let disk = SimDisk::new(1, Path::new(ROOT));
        for name in names {
            let path = Path::new(ROOT).join(name);
            disk.create_dir(path.parent().unwrap()).unwrap();
            match name.ends_with('/') {
                true => disk.create_dir(&path).unwrap(),
                false => drop(disk.open(&path, Mode::Create).unwrap()),
            }
        }
        disk
    }

    fn refusal(names: &[&str]) -> Option<String> {
        let examined = examine(&disk(names), Path::new(ROOT), &["log".into()]);
        match examined {
            Ok(identity) => {
                assert_eq!(identity, None);
                None
            }
            Err(OpenError::Foreign(sentence)) => Some(sentence),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_first_start_may_be_done_again_wherever_it_was_cut_off() {
        for names in [
            &[][..],
            &[".lock", "lost+found/", "log"],
            &[".lock", "journal/"],
            &[
                ".lock",
                "journal/00000000000000000001.journal",
                "journal/blank",
                "quarantine/00000000000000000001.journal-0",
            ],
        ] {
            assert_eq!(refusal(names), None, "{names:?}");
        }
    }

    #[test]
    fn whatever_else_has_no_journal_is_refused_and_the_identity_is_named_first() {
        for (names, named) in [
            (&["photos-2024/"][..], "photos-2024"),
            (&["foo-0/", "meta.properties", "zoo-0/"], "meta.properties"),
            (
                &["meta.properties", "journal/00000000000000000001.journal"],
                "meta.properties",
            ),
            (&["journal/diary"], "journal"),
            (&["journal/reserve", "t-0/"], "t-0"),
        ] {
            let sentence = refusal(names).unwrap_or_else(|| panic!("{names:?}"));
            let says = format!("/data holds {named} and no journal");
            assert!(sentence.starts_with(&says), "{sentence}");
        }
    }

    #[test]
    fn a_journal_makes_it_ours_whatever_else_is_there() {
        for journal in [
            "journal/00000000000000000007.snapshot",
            "journal/00000000000000000009.journal",
        ] {
            let disk = disk(&[
                journal,
                "journal/00000000000000000008.journal",
                "notes",
                "t-0/",
            ]);
            assert!(examine(&disk, Path::new(ROOT), &[]).is_ok(), "{journal}");
        }
    }
}
