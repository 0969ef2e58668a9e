//! What each test of liburing is expected to do: one line per test in `liburing.expected`.

use std::collections::BTreeMap;
use std::fmt;

/// How a test ended, as its exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Skip,
    Fail,
    /// Still running after its time; a failure, named for what it is.
    Hang,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Skip => "skip",
            Verdict::Fail => "fail",
            Verdict::Hang => "hang",
        })
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The ending that is right.
    pub verdict: Verdict,
    /// Both endings are seen, from run to run: reported, never an error.
    pub varies: bool,
    /// It depends on the machine, and ends as it does on the kernel's io_uring here.
    pub as_kernel: bool,
    /// Versions of liburing that are expected here do not all have it.
    pub may_lack: bool,
    /// Why it is not a pass.
    pub reason: String,
}

/// Reads the list: `name verdict [reason]`, `#` starts a comment. A verdict is `pass`, `skip`,
/// `fail`, `kernel` for a test that ends as on the kernel's io_uring, `varies` for one that
/// sometimes passes, or `newer` for one that skips, and that liburing 2.15 may not have.
///
/// # Errors
/// The first line that cannot be read, or does not give its reason.
pub fn parse(text: &str) -> Result<BTreeMap<String, Expected>, String> {
    let mut list = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("line {}: {what}: {line}", number + 1);
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let word = words.next().unwrap_or_default();
        let verdict = match word {
            "pass" => Verdict::Pass,
            "skip" | "newer" => Verdict::Skip,
            "fail" | "kernel" | "varies" => Verdict::Fail,
            _ => {
                return Err(wrong(
                    "the second word must be pass, skip, newer, fail, kernel or varies",
                ));
            }
        };
        let (varies, as_kernel, may_lack) = (word == "varies", word == "kernel", word == "newer");
        let reason = words.collect::<Vec<_>>().join(" ");
        if verdict != Verdict::Pass && reason.is_empty() {
            return Err(wrong("what does not pass needs its reason"));
        }
        let expected = Expected { verdict, varies, as_kernel, may_lack, reason };
        if list.insert(name.to_owned(), expected).is_some() {
            return Err(wrong("listed twice"));
        }
    }
    Ok(list)
}

/// Whether an ending is what the list says. One that hangs is never right, whatever else varies: no
/// list can ask for it, and it is told apart from a failure. Nor is a skip a pass.
#[must_use]
pub fn agrees(expected: Option<&Expected>, got: Verdict) -> bool {
    if got == Verdict::Hang {
        return expected.is_some_and(|e| e.as_kernel && e.verdict == Verdict::Hang);
    }
    expected.is_some_and(|e| e.varies) || expected.map_or(Verdict::Pass, |e| e.verdict) == got
}

/// The names in the list that did not run, and had to.
pub fn missing<'a>(
    list: &'a BTreeMap<String, Expected>,
    ran: &'a [&str],
) -> impl Iterator<Item = &'a str> {
    list.iter()
        .filter(|(name, expected)| !expected.may_lack && !ran.contains(&name.as_str()))
        .map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let list = parse("# c\n\nnop pass\nzcrx  skip needs a NIC\n").unwrap();
        assert_eq!(list["nop"].verdict, Verdict::Pass);
        assert_eq!(list["zcrx"].reason, "needs a NIC");
        assert!(parse("connect kernel needs a network").unwrap()["connect"].as_kernel);
    }

    #[test]
    fn mistakes_in_a_list_are_told() {
        assert!(parse("nop maybe").unwrap_err().contains("line 1"));
        assert!(parse("nop fail").unwrap_err().contains("reason"));
        assert!(parse("nop pass\nnop pass").unwrap_err().contains("twice"));
    }

    #[test]
    fn a_test_outside_the_list_must_pass() {
        assert!(agrees(None, Verdict::Pass));
        assert!(!agrees(None, Verdict::Hang));
    }

    #[test]
    fn an_expected_failure_that_passes_disagrees() {
        let failing = parse("later fail for now").unwrap().remove("later").unwrap();
        assert!(agrees(Some(&failing), Verdict::Fail));
        assert!(!agrees(Some(&failing), Verdict::Pass));
        assert!(!agrees(Some(&failing), Verdict::Skip));
    }

    #[test]
    fn one_that_hangs_is_never_right() {
        for words in ["pass", "fail for now", "skip no device", "varies times"] {
            let listed = parse(&format!("one {words}")).unwrap().remove("one").unwrap();
            assert!(!agrees(Some(&listed), Verdict::Hang), "{words}");
        }
        // But where it hangs on the kernel's io_uring as well.
        let listed = parse("one kernel by machine").unwrap().remove("one").unwrap();
        assert!(agrees(Some(&Expected { verdict: Verdict::Hang, ..listed }), Verdict::Hang));
    }

    #[test]
    fn what_is_listed_and_did_not_run_is_told() {
        let list = parse("nop pass\nlater newer no device\nzcrx skip no NIC\n").unwrap();
        assert_eq!(missing(&list, &["nop"]).collect::<Vec<_>>(), ["zcrx"]);
        assert_eq!(missing(&list, &[]).count(), 2);
        assert_eq!(missing(&list, &["zcrx", "nop"]).count(), 0);
    }
}
