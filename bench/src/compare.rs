//! A B B A …: contenders take turns, round by round, and are compared within each round.
//!
//! On a shared machine times drift by tens of percent within a minute. What ran a second ago is
//! comparable with what runs now; what ran a minute ago is not. So a figure here is the median of
//! the ratios of neighbours, and the spread of those ratios is printed with it.

use crate::Error;

/// One way of doing the work: `run` does it once and answers one value per metric.
pub struct Contender<'a> {
    pub label: String,
    pub run: Box<dyn FnMut() -> Result<Vec<f64>, Error> + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(
        label: impl Into<String>,
        run: impl FnMut() -> Result<Vec<f64>, Error> + 'a,
    ) -> Self {
        Contender { label: label.into(), run: Box::new(run) }
    }
}

/// What a contender measured, `rounds[round][metric]`, or why it could not.
pub struct Samples {
    pub label: String,
    pub rounds: Result<Vec<Vec<f64>>, Error>,
}

/// Runs every contender once per round, in turn, after one round whose results are dropped. Each
/// round begins with another, for what ran before leaves its mark.
pub fn interleave(rounds: usize, contenders: &mut [Contender]) -> Vec<Samples> {
    let mut all: Vec<Samples> = contenders
        .iter()
        .map(|c| Samples { label: c.label.clone(), rounds: Ok(Vec::with_capacity(rounds)) })
        .collect();
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let (contender, samples) = (&mut contenders[at], &mut all[at]);
            let Ok(values) = &mut samples.rounds else { continue };
            match (contender.run)() {
                Ok(_) if round == 0 => {}
                Ok(sample) => values.push(sample),
                Err(error) => samples.rounds = Err(error),
            }
        }
    }
    all
}

/// A median and the extremes around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[0], values[values.len() - 1]);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Spread { median, low, high }
    }

    /// Of `f(baseline, candidate)`, round by round.
    pub fn of_pairs(
        baseline: &[Vec<f64>],
        candidate: &[Vec<f64>],
        metric: usize,
        f: impl Fn(f64, f64) -> f64,
    ) -> Spread {
        Spread::of(baseline.iter().zip(candidate).map(|(b, c)| f(b[metric], c[metric])).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_alternate_and_the_first_round_is_dropped() {
        let order = std::cell::RefCell::new(Vec::new());
        let contender = |label: &'static str| {
            let order = &order;
            Contender::new(label, move || {
                order.borrow_mut().push(label);
                Ok(vec![order.borrow().len() as f64])
            })
        };
        let samples = interleave(2, &mut [contender("a"), contender("b")]);
        assert_eq!(*order.borrow(), ["a", "b", "b", "a", "a", "b"]);
        let rounds = |i: usize| samples[i].rounds.as_ref().unwrap().clone();
        assert_eq!(rounds(0), [[4.0], [5.0]]);
        assert_eq!(rounds(1), [[3.0], [6.0]]);
    }

    #[test]
    fn a_contender_that_fails_is_not_run_again_and_stops_no_other() {
        let mut failed = 0;
        let mut ran = 0;
        let samples = interleave(
            3,
            &mut [
                Contender::new("fails", || {
                    failed += 1;
                    Err("no".into())
                }),
                Contender::new("runs", || {
                    ran += 1;
                    Ok(vec![1.0])
                }),
            ],
        );
        assert_eq!(samples[0].rounds.as_ref().unwrap_err().to_string(), "no");
        assert_eq!(samples[1].rounds.as_ref().unwrap().len(), 3);
        drop(samples);
        assert_eq!((failed, ran), (1, 4));
    }

    #[test]
    fn pairs_are_compared_within_their_round() {
        // Both drift tenfold; the ratio does not.
        let baseline = [vec![10.0], vec![100.0], vec![20.0]];
        let candidate = [vec![9.0], vec![80.0], vec![20.0]];
        let spread = Spread::of_pairs(&baseline, &candidate, 0, |b, c| c / b);
        assert_eq!(spread, Spread { median: 0.9, low: 0.8, high: 1.0 });
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 3.0, 2.0]).median, 2.5);
    }
}
