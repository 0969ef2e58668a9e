//! Two lanes of steps side by side, for those that leave a processor idle. What both print must not be
//! mixed up: one prints as it goes, what the other has to say is told when both have come to their ends.

use std::cell::RefCell;
use std::fmt::{Display, Write};
use std::panic::resume_unwind;
use std::thread;

thread_local! {
    /// What this thread has to say, if that has to wait.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Prints a line, now or in its turn.
pub fn say(line: impl Display) {
    KEPT.with_borrow_mut(|kept| match kept {
        Some(text) => writeln!(text, "{line}").expect("a string takes it"),
        None => println!("{line}"),
    });
}

/// Whether what this thread has to say waits, and what its commands say on standard error should.
pub fn keeps() -> bool {
    KEPT.with_borrow(Option::is_some)
}

/// Runs both to their ends; what the second one says is printed then.
pub fn beside<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let second = scope.spawn(|| keeping(second));
        let first = first();
        let (second, said) = second.join().unwrap_or_else(|panic| resume_unwind(panic));
        print!("{said}");
        (first, second)
    })
}

/// Runs it, and keeps what this thread says meanwhile.
fn keeping<T>(what: impl FnOnce() -> T) -> (T, String) {
    KEPT.set(Some(String::new()));
    let outcome = what();
    (outcome, KEPT.take().expect("it was put there above"))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::step::watch;

    #[test]
    fn what_the_second_says_is_kept_whole() {
        let (outcome, said) = keeping(|| {
            say("a step");
            say(2);
            7
        });
        assert_eq!((outcome, said.as_str()), (7, "a step\n2\n"));
        // And no longer than that.
        assert_eq!(KEPT.take(), None);
    }

    #[test]
    fn what_a_command_says_is_kept_with_it() {
        let (well, said) =
            keeping(|| watch("step", &["sh", "-c", "echo error >&2; echo line"], &[], |_| true));
        assert!(well);
        let lines: Vec<&str> = said.lines().skip(1).collect();
        assert_eq!(lines, ["line", "error", "== step: 0 s"]);
        assert!(!keeps());
    }

    #[test]
    fn both_run_at_once() {
        let both = Barrier::new(2);
        let meet = || both.wait().is_leader();
        let (first, second) = beside(meet, meet);
        assert!(first != second);
    }

    #[test]
    #[should_panic(expected = "the second's")]
    fn a_panic_in_the_second_is_not_lost() {
        beside(|| (), || panic!("the second's"));
    }
}
