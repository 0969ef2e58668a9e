//! The findings, for people.

use std::io::{self, Write};

use super::{Check, Findings, Status};

/// Prints the findings as aligned lines, then what to change.
pub fn print(out: &mut impl Write, findings: &Findings, colour: bool) -> io::Result<()> {
    let width = findings.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in &findings.checks {
        let (mark, paint) = mark(check.status);
        let mark =
            if colour { format!("\x1b[{paint}m{mark:<7}\x1b[0m") } else { format!("{mark:<7}") };
        writeln!(out, "{:<width$}  {mark}  {}", check.name, check.found)?;
        if let Some(uses) = &check.uses {
            writeln!(out, "{:<width$}  {:7}  → {uses}", "", "")?;
        }
    }

    let advice: Vec<&Check> =
        findings.checks.iter().filter(|check| check.advice.is_some()).collect();
    if !advice.is_empty() {
        writeln!(out, "\nTo get more:")?;
    }
    for check in advice {
        let text = check.advice.as_deref().unwrap_or_default();
        writeln!(out, "{}", wrapped(&format!("{}: {text}", check.name)))?;
    }

    writeln!(
        out,
        "\n`sysring run` would use {}",
        match findings.engine {
            "kernel" => "the kernel's io_uring.",
            "user" => "sysring's engine, in userspace.",
            _ => "neither the kernel's io_uring nor sysring's engine: neither works here.",
        }
    )
}

/// Text in lines of 100 columns, set in by two, and by four from the second on.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = String::from(" ");
    let mut column = 1;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column + 1 + length > WIDTH {
            lines.push_str("\n   ");
            column = 3;
        }
        lines.push(' ');
        lines.push_str(word);
        column += 1 + length;
    }
    lines
}

/// The word for a status, and its colour.
fn mark(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Yes => ("yes", "32"),
        Status::No => ("no", "31"),
        Status::Limited => ("limited", "33"),
        Status::Info => ("-", "2"),
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn long_advice_is_wrapped_and_nothing_is_lost() {
        assert_eq!(wrapped("aio: more"), "  aio: more");
        let text = ["openat2:"; 40].join(" ");
        let lines = wrapped(&text);
        assert!(
            lines.lines().count() > 3 && lines.lines().all(|line| line.len() <= 100),
            "{lines}"
        );
        assert!(lines.lines().skip(1).all(|line| line.starts_with("    o")), "{lines}");
        assert_eq!(lines.split_whitespace().collect::<Vec<_>>().join(" "), text);
    }
}
