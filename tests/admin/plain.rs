//! What the two brokers' outputs have in common: everything but what the tables here take out, with the reason.

use regex_lite::Regex;

/// What is replaced wherever it stands: a pattern, what comes in its place, and why the brokers differ in it.
const REPLACED: &[(&str, &str, &str)] = &[
    (
        r"127\.0\.0\.1:\d+",
        "ADDRESS",
        "each listens on a free port",
    ),
    (
        r"TopicId: \S{22}",
        "TopicId: ID",
        "each makes ids of topics",
    ),
    (
        r"/\S*?/chronikd-test-[^/]*/data",
        "DIRECTORY",
        "each has a directory of its own",
    ),
    (
        r"(flush\.messages|flush\.interval\.messages)=(1|9223372036854775807)\b",
        "${1}=OWN",
        "an acknowledgement waits for the disk",
    ),
    (
        r"DYNAMIC_DEFAULT_BROKER_CONFIG:min\.insync\.replicas=1, ",
        "",
        KAFKAS_REPLICAS,
    ),
    (
        r"(Configs: .*?)min\.insync\.replicas=1,?",
        "${1}",
        KAFKAS_REPLICAS,
    ),
    (
        r"(min\.insync\.replicas=1) DYNAMIC_DEFAULT_BROKER_CONFIG (\S+ \S+ \S+) false",
        "${1} DEFAULT_CONFIG ${2} true",
        KAFKAS_REPLICAS,
    ),
    (
        r"(STATIC_BROKER_CONFIG:node\.id=1), DEFAULT_CONFIG:node\.id=1",
        "${1}",
        "a node has an id without being told",
    ),
    (
        r"^(ClusterId|LeaderEpoch|HighWatermark): .*",
        "${1}",
        "each counts its own changes",
    ),
    (
        r#""directoryId": ("[^"]*"|null), "#,
        "",
        "Kafka learns the id of its directory late",
    ),
    (
        r"(PLAINTEXT|CONTROLLER)://",
        "LISTENER://",
        "there is no listener for controllers",
    ),
    (
        r"^(\d+)\s+\S{22}\s+\d+\s+(\d+)\s+.*(Leader|Follower)",
        "${1} ${2} ${3}",
        "each counts its own changes",
    ),
    (r"Epoch: \d+", "Epoch: N", "each counts its own changes"),
    (
        r"(Feature: metadata\.version\s+SupportedMinVersion:) (UNKNOWN \d+|\S+)",
        "${1} ANY",
        "there is no older metadata to go back to",
    ),
    (
        r"\(\d+\): (\d+ to )?(\d+) \[",
        "(KEY): to ${2} [",
        "versions that Kafka 4 dropped are served",
    ),
];

/// Lines that are left out.
const LEFT_OUT: &[(&str, &str)] = &[
    (r"^\s+at ", "a trace"),
    (
        r"^log4j:WARN|^SLF4J|^\[20",
        "a tool that is used for the first time, or logs",
    ),
    (
        r"^  min\.insync\.replicas=1 sensitive=false synonyms=\{(DYNAMIC_DEFAULT_BROKER_CONFIG:min\.insync\.replicas=1)?\}$",
        KAFKAS_REPLICAS,
    ),
    (
        r"^described min\.insync\.replicas=1 DEFAULT_CONFIG INT false false true true \[DYNAMIC_DEFAULT_BROKER_CONFIG:min\.insync\.replicas=1\]$|^every broker min\.insync",
        KAFKAS_REPLICAS,
    ),
    (
        r"^  \S+=\S+ sensitive=false synonyms=\{\}$",
        "each has loggers of its own, and levels of its own",
    ),
    (r"^\s*UNKNOWN\(\d+\)", "the tool is older than the API"),
    (
        r"^Feature: (eligible\.leader|group|kraft|share|streams)",
        "not everything is there yet, and controllers and replicas never",
    ),
];

const KAFKAS_REPLICAS: &str = "Kafka 4 sets its own default of min.insync.replicas for the cluster";

/// APIs of which a tool says that a broker has none.
const NOT_SERVED: &str = r"^\s*(\S+)\(\d+\): UNSUPPORTED";

/// The tables, ready for use.
pub(crate) struct Plain {
    replaced: Vec<(Regex, &'static str)>,
    left_out: Vec<Regex>,
    not_served: Regex,
}

impl Plain {
    pub(crate) fn new() -> Plain {
        let regex = |pattern| Regex::new(pattern).expect("a legal pattern");
        let replaced = REPLACED.iter();
        Plain {
            replaced: replaced.map(|(from, to, _)| (regex(from), *to)).collect(),
            left_out: LEFT_OUT.iter().map(|(what, _)| regex(what)).collect(),
            not_served: regex(NOT_SERVED),
        }
    }

    /// What remains of both, in the order of the alphabet: that of many lists is that of a hash map.
    pub(crate) fn both(&self, ours: &[String], theirs: &[String]) -> [Vec<String>; 2] {
        let absent: Vec<&str> = ours.iter().filter_map(|line| self.absent(line)).collect();
        let is_ours = |line: &&String| {
            let name = line.trim().split('(').next().unwrap_or_default();
            !absent.contains(&name)
        };
        [ours, theirs].map(|lines| self.lines(lines.iter().filter(is_ours)))
    }

    /// The API that this line says is not served here: what is not there yet is not compared.
    fn absent<'l>(&self, line: &'l str) -> Option<&'l str> {
        let found = self.not_served.captures(line)?;
        Some(found.get(1)?.as_str())
    }

    fn lines<'l>(&self, lines: impl Iterator<Item = &'l String>) -> Vec<String> {
        let lines = lines.flat_map(|line| line.split_inclusive("},"));
        let lines = lines.map(|line| self.line(line));
        let is_kept = |line: &String| {
            let is_left_out = self.left_out.iter().any(|what| what.is_match(line));
            !is_left_out && !line.trim().is_empty()
        };
        let mut kept: Vec<String> = lines.filter(is_kept).collect();
        kept.sort_unstable();
        kept
    }

    fn line(&self, line: &str) -> String {
        let mut line = line.trim_end().to_owned();
        for (from, to) in &self.replaced {
            if let std::borrow::Cow::Owned(changed) = from.replace_all(&line, *to) {
                line = changed;
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// What one has and the other has not, a line each; nothing if they agree.
pub(crate) fn difference(what: &str, [ours, theirs]: &[Vec<String>; 2]) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let only = |mark: &'static str, of: &[String], other: &[String]| {
        let lines = of.iter().filter(|line| !other.contains(line));
        lines
            .map(|line| format!("\n    {mark} {line}"))
            .collect::<String>()
    };
    let ours_only = only("ours ", ours, theirs);
    let theirs_only = only("Kafka", theirs, ours);
    Some(format!("{what}{ours_only}{theirs_only}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(ours: &[&str], theirs: &[&str]) -> Option<String> {
        let own =
            |lines: &[&str]| -> Vec<String> { lines.iter().map(ToString::to_string).collect() };
        difference("it", &Plain::new().both(&own(ours), &own(theirs)))
    }

    #[test]
    fn what_the_tables_take_out_is_no_difference_and_all_else_is() {
        let ours = [
            "at 127.0.0.1:9",
            "Topic: a\tConfigs: x=1",
            "Two(7): UNSUPPORTED,",
        ];
        let theirs = [
            "Topic: a\tConfigs: min.insync.replicas=1,x=1",
            "at 127.0.0.1:10",
            "Two(7): 0 to 3 [usable: 3],",
        ];
        assert_eq!(both(&ours, &theirs), None);
        assert_eq!(
            both(&["Configs: x=1"], &["Configs: x=2"]).as_deref(),
            Some("it\n    ours  Configs: x=1\n    Kafka Configs: x=2")
        );
        assert!(both(&["One(7): 0 to 2 ["], &["One(7): 0 to 3 ["]).is_some());
        assert!(both(&["One(7): 0 to 3 ["], &["One(7): 1 to 3 ["]).is_none());
    }
}
