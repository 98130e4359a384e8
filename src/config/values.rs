//! From the text of a setting to its value, with the sentences that Kafka's `ConfigDef` answers.

use super::Amount;
use std::collections::BTreeSet;
use std::fmt;

/// The type of a setting together with its legal values. Ranges include both ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// 16 bits.
    Short(i64, i64),
    /// 32 bits.
    Int(i64, i64),
    /// 32 bits: one special value, or a range.
    IntOr(i64, i64, i64),
    /// 64 bits.
    Long(i64, i64),
    /// A floating-point number.
    Double(f64, f64),
    /// Words with commas between them; none at all is legal.
    List,
    /// The same, of these words only.
    ListOf(&'static [&'static str]),
    /// Replicas as `partition:broker` with commas between them, or `*`; none at all is legal.
    Replicas,
    /// Text that is never shown.
    Password,
    /// The name of a Java class.
    Class,
    /// Bytes, of our own keys only: `1048576`, `1024kb`, `1mb` and `1gb` are legal.
    Size(i64, i64),
    /// The same, or a part of the file system, as `80%`; of our own keys only.
    Share,
}

/// A value of some kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a Boolean.
    Boolean(bool),
    /// Of every whole number, sizes included.
    Number(i64),
    /// Of a Share: hundredths of the file system.
    Percent(i64),
    /// Of a Double.
    Real(f64),
    /// Of texts, words, passwords and classes.
    Text(String),
    /// Of lists.
    List(Vec<String>),
}

impl Kind {
    /// Reads `text` as a value of `name`, whose kind this is, or says in Kafka's words what is wrong.
    pub fn parse(&self, name: &str, text: &str) -> Result<Value, String> {
        let text = text.trim();
        self.read(text)
            .and_then(|value| self.check(value))
            .map_err(|fault| match fault {
                Fault::Value(why) => {
                    format!("Invalid value {text} for configuration {name}: {why}")
                }
                Fault::Word(word, why) => {
                    format!("Invalid value {word} for configuration {name}: {why}")
                }
                Fault::Replicas => format!(
                    "Invalid value [{}] for configuration {name}: {name} must be the literal '*' or a list of \
                     replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    text.split(',').map(str::trim).collect::<Vec<_>>().join(", ")
                ),
                Fault::Empty => format!("Configuration '{name}' values must not be empty."),
            })
    }

    /// The type as DescribeConfigs numbers it (v3+).
    #[must_use]
    pub fn number(&self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::Text | Kind::OneOf(_) | Kind::Share => 2,
            Kind::Int(..) | Kind::IntOr(..) => 3,
            Kind::Short(..) => 4,
            Kind::Long(..) | Kind::Size(..) => 5,
            Kind::Double(..) => 6,
            Kind::List | Kind::ListOf(_) | Kind::Replicas => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }

    /// Whether values are lists, which can be added to.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self, Kind::List | Kind::ListOf(_) | Kind::Replicas)
    }

    /// Text to value, by type.
    fn read(&self, text: &str) -> Result<Value, Fault> {
        match *self {
            Kind::Boolean => boolean(text),
            Kind::Short(..) => whole(text, "SHORT", i64::from(i16::MIN), i64::from(i16::MAX)),
            Kind::Int(..) | Kind::IntOr(..) => {
                whole(text, "INT", i64::from(i32::MIN), i64::from(i32::MAX))
            }
            Kind::Long(..) => whole(text, "LONG", i64::MIN, i64::MAX),
            Kind::Size(..) => size(text),
            Kind::Share => share(text),
            Kind::Double(..) => real(text),
            Kind::List | Kind::ListOf(_) => list(text),
            Kind::Replicas => replicas(text),
            Kind::Text | Kind::OneOf(_) | Kind::Password | Kind::Class => {
                Ok(Value::Text(text.into()))
            }
        }
    }

    /// Whether the value is a legal one.
    fn check(&self, value: Value) -> Result<Value, Fault> {
        match (self, &value) {
            (
                Kind::Short(min, max)
                | Kind::Int(min, max)
                | Kind::Long(min, max)
                | Kind::Size(min, max),
                Value::Number(number),
            ) => within(number, min, max)?,
            (Kind::Double(min, max), Value::Real(real)) => within(real, min, max)?,
            (Kind::IntOr(special, min, max), Value::Number(number))
                if number != special && !(min..=max).contains(&number) =>
            {
                return Err(Fault::Value(format!(
                    "Value must be between {min} and {max} or equal to {special}"
                )));
            }
            (Kind::OneOf(words), Value::Text(word)) => one_of(words, word).map_err(Fault::Value)?,
            (Kind::ListOf(words), Value::List(list)) => {
                for word in list {
                    one_of(words, word).map_err(|why| Fault::Word(word.clone(), why))?;
                }
            }
            _ => {}
        }
        Ok(value)
    }
}

/// What is wrong with a text.
enum Fault {
    /// The reason, which goes behind the value.
    Value(String),
    /// A word of a list, and the reason.
    Word(String, String),
    /// These are no replicas.
    Replicas,
    /// A list has an empty element.
    Empty,
}

fn boolean(text: &str) -> Result<Value, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(Value::Boolean(true)),
        "false" => Ok(Value::Boolean(false)),
        _ => Err(Fault::Value(
            "Expected value to be either true or false".into(),
        )),
    }
}

fn whole(text: &str, kind: &str, min: i64, max: i64) -> Result<Value, Fault> {
    match text.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
        _ => Err(Fault::Value(format!("Not a number of type {kind}"))),
    }
}

/// A decimal number as Java reads it; not its hexadecimal form.
fn real(text: &str) -> Result<Value, Fault> {
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let is_word = matches!(text.trim_start_matches(['+', '-']), "NaN" | "Infinity");
    let is_digit = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    match number.parse() {
        Ok(real) if is_word || number.chars().all(is_digit) => Ok(Value::Real(real)),
        _ => Err(Fault::Value("Not a number of type DOUBLE".into())),
    }
}

/// A number of bytes, with an optional unit of 1024, 1024^2 or 1024^3.
fn size(text: &str) -> Result<Value, Fault> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = [("kb", 10), ("mb", 20), ("gb", 30)]
        .iter()
        .find_map(|&(suffix, shift)| Some((lower.strip_suffix(suffix)?, 1_i64 << shift)))
        .unwrap_or((&lower, 1));
    let bytes = digits.trim().parse::<i64>().ok();
    match bytes.and_then(|bytes| bytes.checked_mul(unit)) {
        Some(bytes) => Ok(Value::Number(bytes)),
        None => Err(Fault::Value(
            "Expected a number of bytes, such as 1048576, 1024kb or 1mb".into(),
        )),
    }
}

/// A number of bytes as [`size`] reads it, or hundredths of the file system.
/// What is less than a disk is meant to have a unit or a percent sign: 80 as a limit would delete everything.
const LEAST_SHARE_BYTES: i64 = 16_384;

fn share(text: &str) -> Result<Value, Fault> {
    let percent = text.strip_suffix('%').map(|digits| digits.trim().parse());
    match (percent, size(text)) {
        (Some(Ok(percent)), _) if (0..=100).contains(&percent) => Ok(Value::Percent(percent)),
        (None, Ok(Value::Number(bytes))) if bytes == 0 || bytes >= LEAST_SHARE_BYTES => {
            Ok(Value::Number(bytes))
        }
        _ => Err(Fault::Value(
            "Expected 0, a number of bytes from 16384, such as 1048576, 512mb or 10gb, \
             or a part of the file system, such as 80%"
                .into(),
        )),
    }
}

/// Splits at commas. As in Kafka, a repeated word counts once and an empty one is refused.
fn list(text: &str) -> Result<Value, Fault> {
    let words = words(text);
    if words.contains(&"") {
        return Err(Fault::Empty);
    }
    let mut known = BTreeSet::new();
    let once = words.into_iter().filter(|word| known.insert(*word));
    Ok(Value::List(once.map(str::to_owned).collect()))
}

/// Words with commas between them, and blanks around; of an empty text none.
fn words(text: &str) -> Vec<&str> {
    match text.is_empty() {
        true => Vec::new(),
        false => text.split(',').map(str::trim).collect(),
    }
}

/// Kafka's rule counts repeated and empty words for nothing, and keeps them.
fn replicas(text: &str) -> Result<Value, Fault> {
    let words = words(text);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_replica = |word: &&str| {
        let parts = word.split_once(':');
        word.is_empty()
            || parts.is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    if words.iter().all(is_replica) || words.concat() == "*" {
        return Ok(Value::List(words.into_iter().map(str::to_owned).collect()));
    }
    Err(Fault::Replicas)
}

fn within<T: PartialOrd + fmt::Display>(value: &T, min: &T, max: &T) -> Result<(), Fault> {
    if value < min {
        return Err(Fault::Value(format!("Value must be at least {min}")));
    }
    if value > max {
        return Err(Fault::Value(format!("Value must be no more than {max}")));
    }
    Ok(())
}

fn one_of(words: &[&str], word: &str) -> Result<(), String> {
    if words.contains(&word) {
        return Ok(());
    }
    let words = words.join(", ");
    Err(format!("String must be one of: {words}"))
}

/// Access for the views. Each panics when the row has another kind or a wider range than its view: a
/// mistake of ours, which the first test that makes a `BrokerConfig` meets.
impl Value {
    pub(super) fn number<T: TryFrom<i64>>(self) -> T {
        let number = match self {
            Value::Number(number) => T::try_from(number).ok(),
            _ => None,
        };
        number.expect("the row's range fits the view's field")
    }

    pub(super) fn amount(self) -> Amount {
        match self {
            Value::Percent(percent) => Amount::Percent(Value::Number(percent).number()),
            bytes => Amount::Bytes(bytes.number()),
        }
    }

    pub(super) fn real(self) -> f64 {
        match self {
            Value::Real(real) => real,
            _ => 0.0,
        }
    }

    pub(super) fn flag(self) -> bool {
        self == Value::Boolean(true)
    }

    pub(super) fn text(self) -> String {
        match self {
            Value::Text(text) => text,
            other => panic!("{other} is no text"),
        }
    }

    pub(super) fn list(self) -> Vec<String> {
        match self {
            Value::List(words) => words,
            other => panic!("{other} is no list"),
        }
    }
}

impl fmt::Display for Value {
    /// As Kafka's `ConfigDef.convertToString` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            Value::Percent(value) => write!(f, "{value}%"),
            // Java turns to powers of ten at 10^7 and below 10^-3.
            Value::Real(value) if *value != 0.0 && !(1e-3..1e7).contains(&value.abs()) => {
                let text = format!("{value:E}");
                let dot = if text.contains('.') { "" } else { ".0" };
                f.write_str(&text.replacen('E', &format!("{dot}E"), 1))
            }
            Value::Real(value) => write!(f, "{value:?}"),
            Value::Text(value) => value.fmt(f),
            Value::List(words) => words.join(",").fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: Kind, text: &str) -> String {
        kind.parse("k", text).expect_err(text)
    }

    #[test]
    fn whole_numbers_have_the_ranges_of_their_types() {
        let long = Kind::Long(-1, i64::MAX);
        assert_eq!(long.parse("k", " 5 "), Ok(Value::Number(5)));
        assert_eq!(long.parse("k", "+5"), Ok(Value::Number(5)));
        assert_eq!(
            fault(long, "x"),
            "Invalid value x for configuration k: Not a number of type LONG"
        );
        assert_eq!(
            fault(long, "-2"),
            "Invalid value -2 for configuration k: Value must be at least -1"
        );
        assert_eq!(
            fault(Kind::Int(0, i64::from(i32::MAX)), "99999999999"),
            "Invalid value 99999999999 for configuration k: Not a number of type INT"
        );
    }

    #[test]
    fn a_level_is_special_or_in_its_range() {
        let gzip = Kind::IntOr(-1, 1, 9);
        assert_eq!(gzip.parse("k", "-1"), Ok(Value::Number(-1)));
        assert_eq!(
            fault(gzip, "0"),
            "Invalid value 0 for configuration k: Value must be between 1 and 9 or equal to -1"
        );
    }

    #[test]
    fn reals_are_read_as_java_reads_them() {
        let ratio = Kind::Double(0.0, 1.0);
        assert_eq!(ratio.parse("k", "1e-1"), Ok(Value::Real(0.1)));
        assert_eq!(ratio.parse("k", "0.5d"), Ok(Value::Real(0.5)));
        for bad in ["inf", "nan", "1dd", "infinity"] {
            assert!(fault(ratio, bad).ends_with("type DOUBLE"), "{bad}");
        }
        assert_eq!(
            fault(ratio, "1.5"),
            "Invalid value 1.5 for configuration k: Value must be no more than 1"
        );
        assert_eq!(
            fault(ratio, "x"),
            "Invalid value x for configuration k: Not a number of type DOUBLE"
        );
    }

    #[test]
    fn lists_are_trimmed_and_each_word_counts_once() {
        let policy = Kind::ListOf(&["compact", "delete"]);
        let both = Value::List(vec!["delete".into(), "compact".into()]);
        assert_eq!(policy.parse("k", "delete, compact,delete"), Ok(both));
        assert_eq!(policy.parse("k", ""), Ok(Value::List(vec![])));
        assert_eq!(
            fault(policy, "delete,,compact"),
            "Configuration 'k' values must not be empty."
        );
        assert_eq!(
            fault(policy, "foo"),
            "Invalid value foo for configuration k: String must be one of: compact, delete"
        );
    }

    #[test]
    fn booleans_ignore_case() {
        assert_eq!(Kind::Boolean.parse("k", "TRUE"), Ok(Value::Boolean(true)));
        assert_eq!(
            fault(Kind::Boolean, "yes"),
            "Invalid value yes for configuration k: Expected value to be either true or false"
        );
    }

    #[test]
    fn sizes_have_units() {
        let size = Kind::Size(1, 1 << 40);
        assert_eq!(size.parse("k", "64mb"), Ok(Value::Number(64 << 20)));
        assert_eq!(size.parse("k", "1 KB"), Ok(Value::Number(1024)));
        assert_eq!(size.parse("k", "7"), Ok(Value::Number(7)));
        assert!(fault(size, "9999999999999gb").contains("number of bytes"));
        assert!(fault(size, "mb").contains("number of bytes"));
    }

    #[test]
    fn a_share_is_a_size_or_a_part_of_the_file_system() {
        let share = |text| Kind::Share.parse("k", text);
        assert_eq!(share("64mb"), Ok(Value::Number(64 << 20)));
        assert_eq!(share(" 80 %"), Ok(Value::Percent(80)));
        assert_eq!(
            share("100%").map(|value| value.to_string()),
            Ok("100%".into())
        );
        for wrong in ["-1", "101%", "-1%", "%", "half", "1.5%"] {
            assert!(fault(Kind::Share, wrong).contains("such as 80%"), "{wrong}");
        }
        assert_eq!(Amount::Percent(80).of(Some(1000)), Some(800));
        assert_eq!(Amount::Percent(80).of(None), None);
        assert_eq!(Amount::Bytes(7).of(None), Some(7));
    }

    #[test]
    fn values_are_written_as_kafka_writes_them() {
        assert_eq!(Value::Real(0.5).to_string(), "0.5");
        assert_eq!(Value::Real(1e7).to_string(), "1.0E7");
        assert_eq!(Value::Real(f64::MAX).to_string(), "1.7976931348623157E308");
        assert_eq!(Value::List(vec!["a".into(), "b".into()]).to_string(), "a,b");
    }

    #[test]
    fn replicas_may_be_repeated_and_empty() {
        let legal = |text| {
            Kind::Replicas
                .parse("k", text)
                .map(|value| value.to_string())
        };
        for good in ["", "*", "*,", "0:1,,1:1", "0:1,0:1", ","] {
            assert_eq!(legal(good), Ok(good.to_owned()));
        }
        for bad in ["*,*", "zzz", "0:1,2", "0:", "-1:1"] {
            assert!(fault(Kind::Replicas, bad).ends_with("[partitionId]:[brokerId],..."));
        }
    }
}
