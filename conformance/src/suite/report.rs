//! How the suite went: what was not as the list says, what needed more than one try, and the counts.

use std::collections::BTreeMap;

use super::expect::{Expected, Verdict, agrees, missing};
use super::run::Outcome;
use crate::closing::closing;

/// Says how many ended how, where nothing is expected of them.
///
/// # Errors
/// There were none.
pub fn tell_all(outcomes: &[Outcome]) -> Result<bool, String> {
    if outcomes.is_empty() {
        return Err("no test was run".to_owned());
    }
    println!("{}", counts(outcomes));
    Ok(true)
}

fn counts(outcomes: &[Outcome]) -> String {
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let [pass, skip, fail, hang] =
        [Verdict::Pass, Verdict::Skip, Verdict::Fail, Verdict::Hang].map(count);
    let all = outcomes.len();
    format!("liburing suite: {all} run, {pass} pass, {skip} skip, {fail} fail, {hang} hang")
}

/// Prints what differs from the list and the closing lines; whether nothing does.
pub fn judge(outcomes: &[Outcome], expected: &BTreeMap<String, Expected>) -> bool {
    let judged = Judged::of(outcomes, expected);
    judged.surprises.iter().for_each(|surprise| println!("UNEXPECTED {surprise}"));
    let surprises = judged.surprises.len() as u64;
    println!("{}; {surprises} not as expected", counts(outcomes));
    println!("{}", closing(judged.passed, surprises, judged.skipped, &judged.later));
    surprises == 0
}

/// What `cargo xtask test` counts.
#[derive(Default)]
struct Judged {
    /// At the first try.
    passed: u64,
    /// A failure that the list explains is no pass.
    skipped: u64,
    /// Ended as wanted, but not at the first try: its name, and all endings.
    later: Vec<String>,
    surprises: Vec<String>,
}

impl Judged {
    fn of(outcomes: &[Outcome], expected: &BTreeMap<String, Expected>) -> Judged {
        let mut judged = Judged::default();
        for outcome in outcomes {
            let Outcome { name, verdict, before, note, .. } = outcome;
            let wanted = expected.get(name);
            let tries: Vec<_> = before.iter().chain([verdict]).map(ToString::to_string).collect();
            let tries = tries.join(", then ");
            if !agrees(wanted, *verdict) {
                let wanted = wanted.map_or(Verdict::Pass, |wanted| wanted.verdict);
                judged
                    .surprises
                    .push(format!("{name}: {tries} where the list says {wanted}. {note}"));
            } else if before.iter().any(|verdict| !agrees(wanted, *verdict))
                || (*verdict == Verdict::Pass && !before.is_empty())
            {
                judged.later.push(format!("{name}: {tries}"));
            } else if *verdict == Verdict::Pass {
                judged.passed += 1;
            } else {
                judged.skipped += 1;
            }
        }
        let ran: Vec<&str> = outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
        for name in missing(expected, &ran) {
            judged.surprises.push(format!("{name}: is in the list, and was not run"));
        }
        judged
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::expect::parse;
    use super::*;

    fn outcome(name: &str, tries: &[Verdict]) -> Outcome {
        let (&verdict, before) = tries.split_last().unwrap();
        Outcome {
            name: name.to_owned(),
            verdict,
            before: before.to_vec(),
            time: Duration::ZERO,
            note: String::new(),
        }
    }

    #[test]
    fn what_was_tried_again_is_counted_apart() {
        use Verdict::{Fail, Hang, Pass, Skip};
        let list = parse("a pass\nb pass\nc skip no device\nd varies times\ne varies times\n");
        let outcomes = [
            outcome("a", &[Pass]),
            outcome("b", &[Hang, Fail, Pass]),
            outcome("c", &[Skip]),
            outcome("d", &[Fail, Fail, Fail]),
            outcome("e", &[Fail, Pass]),
        ];
        let judged = Judged::of(&outcomes, &list.unwrap());
        assert_eq!((judged.passed, judged.skipped), (1, 2));
        assert_eq!(judged.later, ["b: hang, then fail, then pass", "e: fail, then pass"]);
        assert!(judged.surprises.is_empty());
    }

    #[test]
    fn what_hangs_or_does_not_run_is_a_surprise() {
        use Verdict::{Fail, Hang, Pass};
        let list = parse("a pass\nd varies times\ne varies times\nz pass\n").unwrap();
        let outcomes = [
            outcome("d", &[Fail, Hang, Hang]),
            outcome("e", &[Hang, Fail]),
            outcome("new", &[Pass]),
        ];
        let judged = Judged::of(&outcomes, &list);
        assert_eq!(judged.surprises.len(), 3, "{:?}", judged.surprises);
        assert_eq!(judged.later, ["e: hang, then fail"]);
        assert_eq!(judged.passed, 1);
        // An empty folder.
        assert!(!judge(&[], &list));
        assert!(tell_all(&[]).is_err());
    }
}
