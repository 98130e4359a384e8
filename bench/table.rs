//! What was measured, as a table: medians, and ratios taken within one run.

use std::fmt;

/// Which way is better, and how far the ratio to the baseline should go.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// At least this share of the baseline.
    AtLeast(f64),
    /// At most this many times the baseline.
    AtMost(f64),
    /// At most so much, whatever the baseline.
    Below(f64),
    /// At least so much, whatever the baseline.
    Above(f64),
    /// Shown for comparison.
    None,
}

impl Goal {
    fn is_met(self, ratio: f64, figure: f64) -> Option<bool> {
        match self {
            Goal::AtLeast(least) => Some(ratio >= least),
            Goal::AtMost(most) => Some(ratio <= most),
            Goal::Below(most) => Some(figure <= most),
            Goal::Above(least) => Some(figure >= least),
            Goal::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtLeast(least) => write!(f, ">= {least} x"),
            Goal::AtMost(most) => write!(f, "<= {most} x"),
            Goal::Below(most) => write!(f, "<= {most}"),
            Goal::Above(least) => write!(f, ">= {least}"),
            Goal::None => Ok(()),
        }
    }
}

/// The figures of one contender, one for each run.
pub(crate) type Runs = Vec<f64>;

/// One line.
pub(crate) struct Line {
    pub(crate) row: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) baseline: Runs,
    pub(crate) chronikd: Runs,
    pub(crate) kafka: Runs,
    pub(crate) goal: Goal,
}

/// The columns' names.
pub(crate) fn print_head() {
    println!(
        "{:<4} {:<47} {:<9} {:>10} {:>10} {:>7} {:<13} {:<9} {:<4} {:>9} {:>8}",
        "row",
        "what",
        "unit",
        "baseline",
        "chronikd",
        "ratio",
        "(min..max)",
        "goal",
        "",
        "Kafka",
        "to Kafka"
    );
}

impl Line {
    /// A line without a baseline.
    pub(crate) fn absolute(
        row: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        goal: Goal,
    ) -> Line {
        Line {
            row,
            what: what.into(),
            unit,
            baseline: Vec::new(),
            chronikd: Vec::new(),
            kafka: Vec::new(),
            goal,
        }
    }

    /// Adds a run of both.
    pub(crate) fn push_beside(&mut self, baseline: f64, chronikd: f64) {
        self.baseline.push(baseline);
        self.chronikd.push(chronikd);
    }

    /// Prints it; the ratio is the median of the runs' ratios, with the lowest and the highest beside it.
    pub(crate) fn print(&self) {
        let ratios = ratios(&self.chronikd, &self.baseline);
        let ratio = median(&ratios);
        let spread = match (
            ratios.iter().copied().reduce(f64::min),
            ratios.iter().copied().reduce(f64::max),
        ) {
            (Some(least), Some(most)) => format!("({least:.2}..{most:.2})"),
            _ => String::new(),
        };
        let figure = median(&self.chronikd);
        let met = figure.and_then(|figure| self.goal.is_met(ratio.unwrap_or(f64::NAN), figure));
        println!(
            "{:<4} {:<47} {:<9} {:>10} {:>10} {:>7} {:<13} {:<9} {:<4} {:>9} {:>8}",
            self.row,
            self.what,
            self.unit,
            text(median(&self.baseline)),
            text(figure),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            spread,
            self.goal.to_string(),
            met.map_or("", |met| if met { "met" } else { "MISS" }),
            text(median(&self.kafka)),
            median(&self::ratios(&self.chronikd, &self.kafka))
                .map_or(String::new(), |r| format!("{r:.3}")),
        );
    }
}

fn ratios(above: &Runs, below: &Runs) -> Runs {
    above
        .iter()
        .zip(below)
        .map(|(above, below)| above / below)
        .collect()
}

/// The middle one, if there is any.
pub(crate) fn median(runs: &Runs) -> Option<f64> {
    let mut sorted = runs.clone();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Three digits that count.
fn text(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(figure) if figure.abs() >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure.abs() >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.3}"),
    }
}
