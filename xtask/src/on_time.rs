//! Tests that ask how long something took, or give another thread so long to come by: a busy machine
//! may fail them, and they may pass at a later try, all of them.

/// Names as libtest prints them, and what the machine must have time for.
const RESTING_ON_TIME: &[(&str, &str)] = &[
    ("completions_come_without_enter", "the driver comes by within 5 s"),
    ("sqpoll_submits_by_itself", "the thread of SQPOLL comes by within 5 s"),
    ("each_of_two_waiters_gets_what_it_waits_for", "a sleeper comes by within 5 s"),
    ("a_batch_is_answered_in_its_steps", "64 sleeps of 20 ms are over in half of their sum"),
    ("executor::tasks_run_beside_each_other", "sleeps beside each other are over in 2 s"),
    ("who_is_stopped_inside_a_push_stops_nobody", "a thousand pushes take less than 5 s"),
    ("two_who_are_stopped_leave_nobody_waiting", "a push takes less than 5 s"),
    ("who_makes_no_calls_uses_no_time", "an idle process uses less than 2 ms in 400"),
];

pub fn rests_on_time(test: &str) -> bool {
    RESTING_ON_TIME.iter().any(|(name, _)| *name == test)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::files::workspace;

    /// Whether a file below the folder has a function of this name.
    fn is_in(folder: &Path, function: &str) -> bool {
        fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).any(|path| {
            if path.is_dir() {
                return is_in(&path, function);
            }
            path.extension().is_some_and(|extension| extension == "rs")
                && fs::read_to_string(&path).unwrap().contains(function)
        })
    }

    #[test]
    fn what_is_listed_exists() {
        let rooms = ["engine/tests", "events/tests", "sysring/tests", "syslet/tests"];
        for (name, _) in RESTING_ON_TIME {
            let function = format!("fn {}()", name.rsplit("::").next().unwrap());
            assert!(rooms.iter().any(|room| is_in(&workspace().join(room), &function)), "{name}");
        }
        assert!(!rests_on_time("no_such_test"));
    }
}
