//! Exit statuses and signals pass through `sysring run` as they do through env(1) and timeout(1).

mod common;

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use common::{Scratch, assert_code, output, stderr, sysring};

/// The ways to run something: in place, and as a child that is waited for; ours, and the kernel's
/// where it works.
const WAYS: [&[&str]; 4] = [
    &["run", "--"],
    &["run", "--stats", "--"],
    &["run", "--engine=user", "--"],
    &["run", "--engine=user", "--stats=json", "--"],
];

fn with<'a>(way: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    way.iter().chain(command).copied().collect()
}

#[test]
fn the_programs_status_is_ours() {
    for way in WAYS {
        for code in [0, 1, 7, 255] {
            let command = format!("exit {code}");
            assert_code(&output(&with(way, &["sh", "-c", &command])), code);
        }
    }
}

#[test]
fn a_program_that_is_not_there_is_127() {
    for way in WAYS {
        let ended = output(&with(way, &["no-such-program-anywhere"]));
        assert_code(&ended, 127);
        assert!(stderr(&ended).contains("no-such-program-anywhere"), "{}", stderr(&ended));
    }
}

#[test]
fn a_file_that_is_no_program_is_126() {
    for way in WAYS {
        assert_code(&output(&with(way, &["/etc/passwd"])), 126);
    }
}

/// What execve(2) answers says the same of very different things.
#[test]
fn why_a_program_cannot_be_started_is_said() {
    let folder = Scratch::new();
    let script = folder.path().join("no-such-program-but-here");
    std::fs::write(&script, "#!/no/such/interpreter\n").expect("a file");
    let permit = |mode| std::fs::set_permissions(&script, Permissions::from_mode(mode));
    let path = script.to_str().expect("a path in UTF-8");
    for way in WAYS {
        let expect = |program: &str, code: i32, why: &str| {
            let ended = sysring(&with(way, &[program])).current_dir(folder.path()).output();
            let ended = ended.expect("sysring starts");
            assert_code(&ended, code);
            let said = format!("sysring: {program}: {why}\n");
            assert!(stderr(&ended).contains(&said), "{}", stderr(&ended));
        };
        expect("no-such-program-anywhere", 127, "not found in PATH");
        let hint = "not found in PATH; for the file here, say ./no-such-program-but-here";
        expect("no-such-program-but-here", 127, hint);
        expect("./no-such-program", 127, "No such file or directory");
        expect("/", 126, "is a directory");
        permit(0o644).expect("permissions");
        expect(path, 126, "is not executable (chmod +x makes it so)");
        permit(0o755).expect("permissions");
        expect(path, 127, "the interpreter (after #!) or loader that it names is not there");
    }
}

#[test]
fn wrong_usage_of_run_is_125_and_of_others_2() {
    assert_code(&output(&["run"]), 125);
    assert_code(&output(&["run", "--engine", "steam", "--", "true"]), 125);
    assert_code(&output(&["refuse", "--errno", "EWHATEVER", "--", "true"]), 125);
    assert_code(&output(&["doctor", "--no-such-option"]), 2);
    assert_code(&output(&["run", "--help"]), 0);
}

/// Where nobody reads what sysring says, the program's status is still the answer.
#[test]
fn a_closed_standard_error_changes_nothing() {
    for way in [&["run", "--stats"][..], &["run", "--engine=user", "--stats=json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut run = sysring(&[way, &["--", "sh", "-c", "exit 3"]].concat());
        let status = run.stderr(writer).status().expect("sysring starts");
        assert_eq!(status.code(), Some(3), "{way:?}: {status}");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = sysring(&["doctor"]).stdout(writer).output().expect("sysring starts");
    assert_code(&ended, 1);
    assert_eq!(stderr(&ended), "");
}

#[test]
fn what_looks_like_an_option_is_no_program() {
    for command in ["run", "refuse"] {
        let ended = output(&[command, "--statz", "true"]);
        assert_code(&ended, 125);
        assert!(stderr(&ended).contains("unexpected argument '--statz'"), "{}", stderr(&ended));
    }
    // From the program's name on, options are the program's.
    assert_code(&output(&["run", "sh", "-c", "exit 3", "--stats"]), 3);
    assert_code(&output(&["run", "--", "sh", "-c", "test $1 = --verbose", "-", "--verbose"]), 0);
    assert_code(&output(&["run", "--", "-no-such-program"]), 127);
}

#[test]
fn the_signal_that_kills_the_program_kills_us() {
    for way in WAYS {
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV, libc::SIGUSR1] {
            let command = format!("kill -{signal} $$");
            let ended = output(&with(way, &["sh", "-c", &command]));
            assert_eq!(ended.status.signal(), Some(signal), "{way:?}: {}", ended.status);
        }
    }
}

#[test]
fn a_signal_to_us_reaches_the_program() {
    for way in WAYS {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR2] {
            let command =
                format!("trap 'exit 9' {signal}; echo ready; while :; do sleep 0.02; done");
            let mut child = sysring(&with(way, &["sh", "-c", &command]))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("sysring starts");
            let mut line = String::new();
            let stdout = child.stdout.take().expect("stdout is piped");
            BufReader::new(stdout).read_line(&mut line).expect("the program is ready");
            // SAFETY: plain numbers; the child is not waited for yet, so the id is still its own.
            unsafe { libc::kill(child.id() as i32, signal) };
            let status = child.wait().expect("sysring ends");
            assert_eq!(status.code(), Some(9), "{way:?}, signal {signal}: {status}");
        }
    }
}

#[test]
fn sigpipe_is_inherited_as_it_was() {
    for way in WAYS {
        for (ignored, expected) in [(false, "0"), (true, "1")] {
            let mut command = sysring(&with(
                way,
                &["sh", "-c", "grep SigIgn /proc/self/status | grep -c '.*1...$'"],
            ));
            // SAFETY: signal(2) may be called between fork and exec.
            unsafe {
                use std::os::unix::process::CommandExt;
                command.pre_exec(move || {
                    let action = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
                    libc::signal(libc::SIGPIPE, action);
                    Ok(())
                })
            };
            let ended = command.output().expect("sysring starts");
            assert_eq!(common::stdout(&ended).trim(), expected, "{way:?}, ignored: {ignored}");
        }
    }
}
