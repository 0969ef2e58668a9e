//! What the two sides have said, case by case.

/// What a side has said, and how it ended if not well.
pub struct Run {
    pub lines: Vec<String>,
    pub broke_off: Option<String>,
}

/// How many cases passed and failed, and those that differed once and not again.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    pub passed: usize,
    pub failed: usize,
    pub later: Vec<String>,
}

/// Compares case by case. `seldom` runs one that differs again: whether it never does so again.
///
/// # Errors
/// There is nothing to compare with: the kernel's side has broken off, or has no case.
pub fn compare(
    kernel: &Run,
    engine: &Run,
    seldom: &mut dyn FnMut(&str) -> Result<bool, String>,
) -> Result<Compared, String> {
    if let Some(how) = &kernel.broke_off {
        return Err(format!("the kernel's side broke off: {how}"));
    }
    if kernel.lines.is_empty() {
        return Err("there is no such operation or call: nothing was compared".to_owned());
    }
    let (mut passed, mut failed, mut later) = (0, 0, Vec::new());
    let mut engines = engine.lines.iter().peekable();
    for expected in &kernel.lines {
        let (case, answer) = split(expected);
        let Some(given) = engines.next_if(|line| split(line).0 == case) else {
            println!("{case}: kernel {answer}, engine gone");
            break;
        };
        let given = split(given).1;
        if given == answer || is_known(case, answer, given) {
            passed += 1;
            continue;
        }
        println!("{case}: kernel {answer}, engine {given}");
        if seldom(case)? {
            later.push(case.to_owned());
        } else {
            failed += 1;
        }
    }
    // Those after the one in which the process died were not tried: they have not passed.
    failed += kernel.lines.len() - passed - failed - later.len();
    if let Some(case) = engines.next() {
        println!("{case}: no case of the kernel's side");
        failed += 1;
    }
    if let Some(how) = &engine.broke_off {
        println!("the engine's side broke off: {how}");
        failed = failed.max(1);
    }
    Ok(Compared { passed, failed, later })
}

/// A case, and what was answered.
pub fn split(line: &str) -> (&str, &str) {
    line.split_once(": ").unwrap_or((line, ""))
}

/// Differences that are meant.
fn is_known(case: &str, kernel: &str, engine: &str) -> bool {
    KNOWN.iter().any(|(part, of_kernel, of_engine)| {
        case.contains(part) && kernel.contains(of_kernel) && engine.contains(of_engine)
    })
}

/// Part of the case's name, of the kernel's answer and of the engine's, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    // An epoll descriptor has no function to read or write it, which the kernel finds out only
    // when it has become ready.
    ("fd=0x132", "waits", "-22"),
    // A bundle without a group sends once, and then nothing once more: an accident of Linux 6.18.
    ("ioprio=0x10", " 0x2, 0 0x0", "-22"),
    // Of a file that takes no vectors Linux 6.18 is given the vector itself in place of the data.
    ("WRITEV_FIXED fd=0x139", "-22", "16"),
    // In Linux 6.18 a send that drains waits for its own notification, and so for ever.
    (" flags=0x2", "waits", " 0x2, 0 0x8"),
    (" flags=0x2", "waits", " 0x2, -2147483648 0x8"),
    // Newer than Linux 6.18.
    ("TIMEOUT op_flags=0x80", "-22", "waits"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn side(lines: &[&str], broke_off: Option<&str>) -> Run {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Run { lines, broke_off: broke_off.map(str::to_owned) }
    }

    /// Passed, failed, passed at a later try.
    fn judged(kernel: &Run, engine: &Run) -> Result<[usize; 3], String> {
        let compared = compare(kernel, engine, &mut |case| Ok(case == "busy"))?;
        Ok([compared.passed, compared.failed, compared.later.len()])
    }

    #[test]
    fn answers_are_compared() {
        let kernel = side(&["a: 0", "b: -22", "busy: 1"], None);
        assert_eq!(judged(&kernel, &side(&["a: 0", "b: -22", "busy: 1"], None)), Ok([3, 0, 0]));
        assert_eq!(judged(&kernel, &side(&["a: 0", "b: -9", "busy: 2"], None)), Ok([1, 1, 1]));
        let more = side(&["a: 0", "b: -22", "busy: 1", "c: 0"], None);
        assert_eq!(judged(&kernel, &more), Ok([3, 1, 0]));
    }

    #[test]
    fn a_side_that_breaks_off_has_not_passed() {
        let all = side(&["a: 0", "b: -22"], None);
        assert!(judged(&side(&["a: 0", "b: -22"], Some("signal 11")), &all).is_err());
        assert_eq!(judged(&all, &side(&["a: 0"], Some("signal 11"))), Ok([1, 1, 0]));
        assert_eq!(judged(&all, &side(&[], Some("signal 11"))), Ok([0, 2, 0]));
        assert_eq!(judged(&all, &side(&["a: 0", "b: -22"], Some("signal 11"))), Ok([2, 1, 0]));
    }

    #[test]
    fn nothing_compared_is_an_error() {
        assert!(judged(&side(&[], None), &side(&[], None)).is_err());
    }
}
