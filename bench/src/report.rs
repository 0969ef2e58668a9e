//! Rows of results, as text, JSON and Markdown.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::Error;
use crate::compare::{Samples, Spread};
use crate::machine::Machine;

/// A quantity that each contender measures.
#[derive(Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub unit: Unit,
    pub better: Better,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Better {
    Higher,
    Lower,
}

#[derive(Clone, Copy)]
pub enum Unit {
    PerSecond,
    MebibytesPerSecond,
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Kibibytes,
    Count,
    Instructions,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", thousands(value)),
            Unit::MebibytesPerSecond => format!("{} MiB/s", thousands(value)),
            Unit::Nanoseconds => format!("{value:.1} ns"),
            Unit::Microseconds => format!("{value:.1} µs"),
            Unit::Milliseconds => format!("{value:.2} ms"),
            Unit::Kibibytes => format!("{} KiB", thousands(value)),
            Unit::Count => thousands(value),
            Unit::Instructions => format!("{value:.1}"),
        }
    }
}

/// What is asked of a row, and how the two contenders become one figure.
#[derive(Clone, Copy)]
pub enum Goal {
    /// The candidate's speed as a share of the baseline's (above 1 it is the faster).
    Ratio { at_least: Option<f64> },
    /// The candidate's value as a share of the baseline's (for times: below 1 it is the faster).
    Share { at_most: Option<f64> },
    /// The candidate's value less the baseline's.
    Added { at_most: Option<f64> },
    /// The candidate's value as it is; the baseline is printed beside it.
    Absolute { at_most: Option<f64> },
}

/// One line of the table.
pub struct Row {
    pub work: String,
    pub metric: Metric,
    pub goal: Goal,
    pub baseline: Side,
    pub candidate: Side,
    pub figure: Result<Spread, String>,
}

pub struct Side {
    pub label: String,
    pub median: Option<f64>,
    pub rounds: Vec<f64>,
}

impl Side {
    fn of(samples: &Samples, metric: usize) -> Side {
        let rounds: Vec<f64> =
            samples.rounds.iter().flatten().map(|values| values[metric]).collect();
        let median = (!rounds.is_empty()).then(|| Spread::of(rounds.clone()).median);
        Side { label: samples.label.clone(), median, rounds }
    }

    fn show(&self, unit: Unit) -> String {
        let value = self.median.map_or_else(|| "–".to_owned(), |value| unit.show(value));
        format!("{} {value}", self.label)
    }

    fn json(&self) -> Value {
        json!({ "label": self.label, "median": self.median, "rounds": self.rounds })
    }
}

impl Row {
    pub fn new(
        work: impl Into<String>,
        (index, metric): (usize, Metric),
        goal: Goal,
        baseline: &Samples,
        candidate: &Samples,
    ) -> Row {
        let figure = match (&baseline.rounds, &candidate.rounds) {
            (Ok(b), Ok(c)) => Ok(Spread::of_pairs(b, c, index, |b, c| match goal {
                Goal::Ratio { .. } if metric.better == Better::Lower => b / c,
                Goal::Ratio { .. } | Goal::Share { .. } => c / b,
                Goal::Added { .. } => c - b,
                Goal::Absolute { .. } => c,
            })),
            (Err(error), _) => Err(format!("{}: {error}", baseline.label)),
            (_, Err(error)) => Err(format!("{}: {error}", candidate.label)),
        };
        let (baseline, candidate) = (Side::of(baseline, index), Side::of(candidate, index));
        Row { work: work.into(), metric, goal, baseline, candidate, figure }
    }

    /// Whether the target is met; `None` where there is none, or nothing to compare.
    fn met(&self) -> Option<bool> {
        let median = self.figure.as_ref().ok()?.median;
        match self.goal {
            Goal::Ratio { at_least } => at_least.map(|target| median >= target),
            Goal::Share { at_most } | Goal::Added { at_most } | Goal::Absolute { at_most } => {
                at_most.map(|target| median <= target)
            }
        }
    }

    fn show_figure(&self) -> String {
        let unit = self.metric.unit;
        match (&self.figure, self.goal) {
            (Err(why), _) => format!("not measured: {why}"),
            (Ok(f), Goal::Ratio { .. } | Goal::Share { .. }) => {
                format!("{:.2}× ({:.2}–{:.2})", f.median, f.low, f.high)
            }
            (Ok(f), Goal::Added { .. }) => {
                let sign = if f.median < 0.0 { "−" } else { "+" };
                format!("{sign}{}", unit.show(f.median.abs()))
            }
            (Ok(f), Goal::Absolute { .. }) => unit.show(f.median),
        }
    }

    fn show_target(&self) -> String {
        match self.goal {
            Goal::Ratio { at_least: Some(target) } => format!("≥ {target}"),
            Goal::Share { at_most: Some(target) } => format!("≤ {target}"),
            Goal::Added { at_most: Some(target) } => {
                format!("≤ +{}", self.metric.unit.show(target))
            }
            Goal::Absolute { at_most: Some(target) } => {
                format!("≤ {}", self.metric.unit.show(target))
            }
            _ => "–".to_owned(),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        }
    }

    fn json(&self) -> Value {
        let kind = match self.goal {
            Goal::Ratio { .. } => "ratio",
            Goal::Share { .. } => "share",
            Goal::Added { .. } => "added",
            Goal::Absolute { .. } => "absolute",
        };
        let target = match self.goal {
            Goal::Ratio { at_least: t }
            | Goal::Share { at_most: t }
            | Goal::Added { at_most: t }
            | Goal::Absolute { at_most: t } => t,
        };
        let figure = self.figure.as_ref().ok();
        json!({
            "work": self.work,
            "metric": self.metric.name,
            "baseline": self.baseline.json(),
            "candidate": self.candidate.json(),
            "figure": kind,
            "median": figure.map(|f| f.median),
            "low": figure.map(|f| f.low),
            "high": figure.map(|f| f.high),
            "target": target,
            "met": self.met(),
            "error": self.figure.as_ref().err(),
        })
    }
}

/// Rows and where they were measured.
pub struct Report {
    pub machine: Machine,
    pub rows: Vec<Row>,
}

impl Report {
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}\n", self.machine.sentence());
        out.push_str("| work | measure | beside | sysring | figure | target | |\n");
        out.push_str("|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.work,
                row.metric.name,
                row.baseline.show(row.metric.unit),
                row.candidate.show(row.metric.unit),
                row.show_figure(),
                row.show_target(),
                row.verdict(),
            );
        }
        out
    }

    pub fn json(&self) -> Result<String, Error> {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let report = json!({ "machine": self.machine.json(), "rows": rows });
        Ok(serde_json::to_string_pretty(&report)?)
    }
}

/// Rows for people, grouped by the work they measure.
pub fn text(rows: &[Row]) -> String {
    let mut out = String::new();
    let mut work = "";
    for row in rows {
        if row.work != work {
            work = &row.work;
            let _ = writeln!(out, "{work}");
        }
        let _ = writeln!(
            out,
            "  {:<16} {:<26} {:<26} {:<22} target {:<12} {}",
            row.metric.name,
            row.baseline.show(row.metric.unit),
            row.candidate.show(row.metric.unit),
            row.show_figure(),
            row.show_target(),
            row.verdict(),
        );
    }
    out
}

/// A whole number with a comma at each thousand.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value <= -0.5 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Metric = Metric { name: "rate", unit: Unit::PerSecond, better: Better::Higher };
    const TIME: Metric = Metric { name: "time", unit: Unit::Nanoseconds, better: Better::Lower };

    fn samples(label: &str, values: &[f64]) -> Samples {
        let rounds = Ok(values.iter().map(|v| vec![*v]).collect());
        Samples { label: label.to_owned(), rounds }
    }

    fn row(metric: Metric, goal: Goal, baseline: f64, candidate: f64) -> Row {
        let (b, c) = (samples("kernel", &[baseline]), samples("sysring", &[candidate]));
        Row::new("work", (0, metric), goal, &b, &c)
    }

    #[test]
    fn a_ratio_is_of_speed_whichever_way_the_metric_runs() {
        let goal = Goal::Ratio { at_least: Some(1.0) };
        assert_eq!(row(RATE, goal, 100.0, 200.0).figure.unwrap().median, 2.0);
        assert_eq!(row(TIME, goal, 100.0, 200.0).figure.unwrap().median, 0.5);
        assert_eq!(row(RATE, goal, 100.0, 100.0).met(), Some(true));
        assert_eq!(row(TIME, goal, 100.0, 101.0).met(), Some(false));
    }

    #[test]
    fn a_share_is_of_time() {
        let share = row(TIME, Goal::Share { at_most: Some(0.25) }, 100.0, 20.0);
        assert_eq!((share.figure.as_ref().unwrap().median, share.met()), (0.2, Some(true)));
        assert_eq!(share.show_target(), "≤ 0.25");
    }

    #[test]
    fn what_is_added_is_a_difference_and_what_is_absolute_stands_alone() {
        let added = row(TIME, Goal::Added { at_most: Some(3.0) }, 10.0, 14.0);
        assert_eq!((added.figure.as_ref().unwrap().median, added.met()), (4.0, Some(false)));
        let absolute = row(TIME, Goal::Absolute { at_most: Some(60.0) }, 48.0, 55.0);
        assert_eq!((absolute.figure.as_ref().unwrap().median, absolute.met()), (55.0, Some(true)));
    }

    #[test]
    fn a_contender_that_failed_is_named_and_meets_nothing() {
        let failed = Samples { label: "sysring".to_owned(), rounds: Err("ENOSYS".into()) };
        let goal = Goal::Ratio { at_least: Some(0.0) };
        let row = Row::new("work", (0, RATE), goal, &samples("kernel", &[1.0]), &failed);
        assert_eq!(row.met(), None);
        assert_eq!(row.show_figure(), "not measured: sysring: ENOSYS");
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0.0, 999.4, 1000.0, 163_204.0, 1e6, -4096.0, -0.2].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "163,204", "1,000,000", "-4,096", "0"]);
    }
}
