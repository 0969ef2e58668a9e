//! The last lines of a run, which `cargo xtask test` reads.

use std::fmt::Write;

/// What passed at a later try only, by name, and the counts. Those that did are told apart from
/// what passed: the machine may have been busy, or it was luck.
#[must_use]
pub fn closing(passed: u64, failed: u64, skipped: u64, later: &[String]) -> String {
    let mut text = String::new();
    for name in later {
        let _ = writeln!(text, "passed at a later try: {name}");
    }
    let _ = write!(text, "{passed} passed, {failed} failed, {skipped} skipped");
    if !later.is_empty() {
        let _ = write!(text, ", {} passed at a later try", later.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_later_is_named_and_counted_apart() {
        assert_eq!(closing(3, 0, 1, &[]), "3 passed, 0 failed, 1 skipped");
        let later = ["timeout: hang, pass".to_owned()];
        assert_eq!(
            closing(3, 0, 1, &later),
            "passed at a later try: timeout: hang, pass\n\
             3 passed, 0 failed, 1 skipped, 1 passed at a later try"
        );
    }
}
