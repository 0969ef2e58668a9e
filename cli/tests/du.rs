//! `sysring du` says what GNU du says.

mod common;

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use common::tree::plant;
use common::{SYSRING, Scratch, assert_code, output, stderr, stdout};

fn run(program: &str, first: &[&str], arguments: &[&str], directory: &Path) -> Output {
    Command::new(program)
        .args(first)
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("BLOCK_SIZE")
        .output()
        .expect("starts")
}

/// Both programs with the same arguments: the same output, messages and exit status.
#[track_caller]
fn compare(arguments: &[&str], directory: &Path) {
    let theirs = run("du", &[], arguments, directory);
    let ours = run(SYSRING, &["du"], arguments, directory);
    assert_eq!(stdout(&ours), stdout(&theirs), "{arguments:?}: {}", stderr(&ours));
    assert!(ours.stdout == theirs.stdout, "{arguments:?}: bytes that are no text");
    let messages = stderr(&theirs).replace("du: ", "sysring du: ");
    assert_eq!(stderr(&ours), messages, "{arguments:?}");
    assert_eq!(ours.status.code(), theirs.status.code(), "{arguments:?}");
}

#[test]
fn the_options_mean_the_same() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let options: &[&[&str]] = &[
        &[],
        &["-a"],
        &["-s"],
        &["-h"],
        &["-ah"],
        &["--si", "-a"],
        &["-d0"],
        &["-d1"],
        &["-a", "--max-depth=2"],
        &["-c"],
        &["-sc"],
        &["-l"],
        &["-la"],
        &["-S"],
        &["-Sa"],
        &["-0"],
        &["-k"],
        &["-m"],
        &["-x"],
        &["-B", "512"],
        &["-BM"],
        &["-BkB", "-a"],
        &["--block-size=1"],
        &["--block-size=human-readable"],
        &["-h", "-k"],
        &["-k", "-h"],
        &["--exclude=*.o", "-a"],
        &["--exclude=deep"],
        &["--exclude=a/deep", "--exclude=n*", "-a"],
        &["--exclude=?"],
        &["-a", "."],
        &["-a", "a", "b"],
        &["b", "a"],
        &["-a", "a", "."],
        &["-a", "a/deep", "a", "a"],
        &["-l", "a", "a"],
        &["-c", "top", "a/one", "b/one again", "to a directory"],
        &["-a", "a/", "b//"],
        &["to a directory/"],
        &["missing", "a", "missing too"],
        &["--exclude=b", "b", "a"],
        &["-D", "to a directory"],
        &["-aH", "to a directory", "c d"],
        &["-DP", "to a directory"],
        &["-t", "20K"],
        &["-at20000"],
        &["-a", "--threshold=-4KB"],
        &["--threshold=4K", "-sc", "a", "b/empty"],
        &["-a", "--threshold=0"],
        &["--inodes"],
        &["--inodes", "-a", "-c"],
        &["--inodes", "-h", "-S"],
        &["--inodes", "-BM", "-l"],
        &["--inodes", "-t3"],
        &["--inodes", "-t", "-2"],
        &["--time"],
        &["--time", "-a", "-S"],
        &["--time=ctime", "-c", "a", "b"],
        &["--time=status", "--time-style=full-iso"],
        &["--time", "--time-style=iso", "-0"],
        &["--time", "--time-style=+%s.%N%%N", "--inodes"],
        &["-a", "--files0-from=top.list"],
        &["--files0-from=nothing"],
        &["-X", "patterns", "-a"],
        &["-X", "patterns", "--exclude=top"],
        &["", "a"],
        &[""],
    ];
    fs::write(scratch.path().join("top.list"), b"a/deep\0\0a\0missing\0top").unwrap();
    fs::write(scratch.path().join("patterns"), b"*.o \n\n  \na/deep/er").unwrap();
    // Later than what it is in, and earlier than anything.
    for (path, seconds) in [("a/deep/two.o", 2_000_000_000), ("b/four.o", 1)] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 5_000_000);
        File::options()
            .write(true)
            .open(scratch.path().join(path))
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    for option in options {
        compare(option, scratch.path());
    }
}

#[test]
fn the_environment_sets_the_unit() {
    let scratch = Scratch::new();
    plant(scratch.path());
    for (name, value) in [
        ("BLOCKSIZE", "512"),
        ("DU_BLOCK_SIZE", "human-readable"),
        ("POSIXLY_CORRECT", "1"),
        ("BLOCK_SIZE", "K"),
    ] {
        let of = |program: &str, first: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(first)
                .current_dir(scratch.path())
                .env(name, value)
                .output()
                .expect("starts")
        };
        assert_eq!(stdout(&of(SYSRING, &["du"])), stdout(&of("du", &[])), "{name}={value}");
    }
}

/// With links to what is in the tree, beside it and nowhere, and around in circles.
#[test]
fn links_are_followed_once() {
    let scratch = Scratch::new();
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).unwrap();
    plant(&tree);
    let beside = scratch.path().join("beside");
    fs::create_dir_all(beside.join("in/it")).unwrap();
    fs::write(beside.join("in/it/file"), vec![b'x'; 70_000]).unwrap();
    for (target, link) in [
        ("..", "a/deep/up"),
        ("../../beside", "b/out"),
        ("../../beside/in", "a/out"),
        ("../node_modules/large", "b/large"),
        ("itself", "b/itself"),
        ("../b", "node_modules/b"),
        ("a/one", "one"),
    ] {
        symlink(target, tree.join(link)).unwrap();
    }
    // du gives no reason where a link leads nowhere.
    let words = |said: &Output| {
        let mut lines: Vec<_> = stderr(said)
            .lines()
            .map(|line| line.replace(": No such file or directory", "").replace("sysring du", "du"))
            .collect();
        lines.sort();
        lines
    };
    for more in [
        &["-L"][..],
        &["-aL"],
        &["-aLl"],
        &["-L", "-x", "-S"],
        &["-aL", "a", "b", "."],
        &["-L", "to a directory", "one", "c d/to nothing"],
        &["-aL", "--exclude=in", "--time"],
        &["-L", "--inodes", "b"],
        &["-aD", "to a directory", "b/out", "c d/to nothing", "one"],
        &["-aLP"],
    ] {
        for threads in ["-j1", "-j7"] {
            let theirs = run("du", &[], more, &tree);
            let ours = run(SYSRING, &["du", threads], more, &tree);
            assert_eq!(stdout(&ours), stdout(&theirs), "{more:?}: {}", stderr(&ours));
            assert_eq!(words(&ours), words(&theirs), "{more:?}");
            assert_eq!(ours.status.code(), theirs.status.code(), "{more:?}");
        }
    }
}

/// Each directory has links to all others: there are more ways through them than can be walked.
#[test]
fn links_from_all_to_all_end() {
    let scratch = Scratch::new();
    for from in 0..40 {
        let directory = scratch.path().join(from.to_string());
        fs::create_dir(&directory).unwrap();
        for to in 0..40 {
            symlink(format!("../{to}"), directory.join(format!("to {to}"))).unwrap();
        }
    }
    compare(&["-L"], scratch.path());
    compare(&["-L", "7", "9"], scratch.path());
}

#[test]
fn paths_come_from_standard_input() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let of = |program: &str| {
        let line = format!("printf 'a\\0\\0-\\0missing\\0top\\0' | {program} -c --files0-from=-");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(scratch.path()).env("LC_ALL", "C.UTF-8");
        command.output().expect("sh")
    };
    let (theirs, ours) = (of("du"), of(&format!("{SYSRING} du")));
    assert_eq!(stdout(&ours), stdout(&theirs));
    let mut messages: Vec<_> = stderr(&theirs).lines().map(|l| format!("sysring {l}")).collect();
    let mut said: Vec<_> = stderr(&ours).lines().map(str::to_owned).collect();
    messages.sort();
    said.sort();
    assert_eq!(said, messages);
    assert_code(&ours, 1);
}

/// du counts the length of directories before version 9.2, and sysring does not.
#[test]
fn lengths_are_those_of_files_and_links() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let mut command = Command::new("find");
    let found =
        command.args([".", "-printf", "%y %n %i %s\n"]).current_dir(scratch.path()).output();
    let mut seen = std::collections::HashSet::new();
    let mut expected = 0;
    for line in stdout(&found.expect("find")).lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if matches!(fields[0], "f" | "l") && seen.insert(fields[2].to_owned()) {
            expected += fields[3].parse::<u64>().unwrap();
        }
    }
    for arguments in [&["-sb"][..], &["-s", "--apparent-size", "-B1"]] {
        let ours = run(SYSRING, &["du"], arguments, scratch.path());
        assert_eq!(stdout(&ours), format!("{expected}\t.\n"));
    }
    let ours = run(SYSRING, &["du"], &["-b", "b/sparse"], scratch.path());
    assert_eq!(stdout(&ours), format!("{}\tb/sparse\n", (50 << 20) + 3));
}

#[test]
fn a_unit_behind_bytes_changes_only_the_unit() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let all = [
        &["-sbh"][..],
        &["-sbk"],
        &["-b", "-k", "-m"],
        &["-b", "--si"],
        &["-b", "-B", "4K"],
        &["-bb"],
        &["-hb"],
        &["-h", "-b"],
        &["-B", "1M", "-b"],
        &["-k", "-b", "-h"],
        &["-h", "-b", "-k"],
    ];
    for options in all {
        let of = |program, first: &[&str]| {
            let arguments = [options, &["b/sparse"]].concat();
            stdout(&run(program, first, &arguments, scratch.path()))
        };
        assert_eq!(of(SYSRING, &["du"]), of("du", &[]), "{options:?}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_counted() {
    let scratch = Scratch::new();
    let root = scratch.path().join("tree");
    fs::create_dir(&root).unwrap();
    plant(&root);
    for path in ["a/deep", "c d"] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o000)).unwrap();
    }
    // Names that can be read, of files that cannot be looked at.
    fs::set_permissions(root.join("b"), fs::Permissions::from_mode(0o744)).unwrap();
    // A place where another user may run it from.
    let sysring = scratch.path().join("sysring");
    common::copy_program(&sysring);
    // SAFETY: takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let of = |program: &Path, first: &[&str], more: &[&str]| {
        let mut command = Command::new(program);
        command.args(first).args(more).current_dir(&root).env("LC_ALL", "C.UTF-8");
        if is_root {
            command.uid(65534).gid(65534);
        }
        command.output().expect("starts")
    };
    for more in [&[][..], &["-a"], &["-s"], &["-L", "--inodes", "a"], &["a", "c d", "b"]] {
        let theirs = of(Path::new("du"), &[], more);
        let ours = of(&sysring, &["du"], more);
        assert_eq!(stdout(&ours), stdout(&theirs), "{more:?}");
        // du says them as it meets them, which is another order in a directory.
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let messages = stderr(&theirs).replace("du: ", "sysring du: ");
        assert_eq!(sorted(stderr(&ours)), sorted(messages), "{more:?}");
        assert_code(&ours, 1);
    }
    for path in ["a/deep", "c d"] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Makes directories in each other, and a file and a directory beside each.
fn dig(root: &Path, depth: usize, name: &str) {
    let mut here: OwnedFd = File::open(root).unwrap().into();
    let (name, beside) = (CString::new(name).unwrap(), CString::new("beside").unwrap());
    for _ in 0..depth {
        // SAFETY: strings that end, and descriptors that are open.
        here = unsafe {
            assert_eq!(libc::mkdirat(here.as_raw_fd(), name.as_ptr(), 0o755), 0);
            assert_eq!(libc::mkdirat(here.as_raw_fd(), beside.as_ptr(), 0o755), 0);
            let below = libc::openat(here.as_raw_fd(), name.as_ptr(), libc::O_DIRECTORY);
            assert!(below >= 0);
            OwnedFd::from_raw_fd(below)
        };
    }
}

#[test]
fn paths_may_be_longer_than_any_path() {
    let scratch = Scratch::new();
    dig(scratch.path(), 300, "a name of some thirty letters.");
    compare(&["-s"], scratch.path());
    compare(&[], scratch.path());
    compare(&["-a", "-d", "250", "--exclude=beside"], scratch.path());
}

#[test]
fn a_few_descriptors_are_enough() {
    let scratch = Scratch::new();
    dig(scratch.path(), 100, "below");
    let of = |limit: u32, program: &str| {
        let line = format!("ulimit -n {limit}; exec {program} -j8");
        let ended = Command::new("sh").args(["-c", &line]).current_dir(scratch.path()).output();
        let ended = ended.expect("sh");
        assert_code(&ended, 0);
        stdout(&ended)
    };
    let many = of(1024, &format!("{SYSRING} du"));
    assert_eq!(many.lines().count(), 201);
    for limit in [20, 24, 50] {
        assert_eq!(of(limit, &format!("{SYSRING} du")), many, "{limit} descriptors");
    }
}

#[test]
fn a_large_directory_is_shared_out() {
    let scratch = Scratch::new();
    let large = scratch.path().join("large");
    fs::create_dir(&large).unwrap();
    for number in 0..9000 {
        fs::write(large.join(format!("a file with a number {number}")), b"").unwrap();
    }
    for number in 0..50 {
        let (old, new) = (format!("a file with a number {number}"), format!("linked {number}"));
        fs::hard_link(large.join(old), large.join(new)).unwrap();
        fs::create_dir(large.join(format!("directory {number}"))).unwrap();
    }
    for threads in ["-j1", "-j2", "-j40"] {
        let theirs = run("du", &[], &["-a"], scratch.path());
        let ours = run(SYSRING, &["du"], &["-a", threads], scratch.path());
        assert!(ours.stdout == theirs.stdout, "{threads}");
    }
}

/// Runs a script where it may mount, or says why that cannot be had.
fn with_mounts(script: &str, directory: &Path) -> Option<String> {
    let ended = Command::new("unshare")
        .args(["--mount", "sh", "-ec", script])
        .current_dir(directory)
        .env("SYSRING", SYSRING)
        .output();
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            println!("skipped: unshare cannot be started: {error}");
            return None;
        }
    };
    if ["mount:", "unshare:"].iter().any(|who| stderr(&ended).contains(who)) {
        println!("skipped: mounts are not allowed here: {}", stderr(&ended));
        return None;
    }
    assert_eq!(stderr(&ended), "");
    Some(stdout(&ended))
}

#[test]
fn a_directory_mounted_in_itself_is_counted_once() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let script = "mount --bind . a/deep; cd .; \
                  du -a > /dev/shm/theirs.$$; $SYSRING du -a > /dev/shm/ours.$$; \
                  cmp /dev/shm/theirs.$$ /dev/shm/ours.$$ && echo same; \
                  rm /dev/shm/theirs.$$ /dev/shm/ours.$$";
    if let Some(said) = with_mounts(script, scratch.path()) {
        assert_eq!(said, "same\n");
    }
}

#[test]
fn other_file_systems_are_left_out_if_asked() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let script = "mount -t tmpfs none b/empty; echo much > b/empty/file; \
                  $SYSRING du -ax; echo ==; du -ax; echo ==; $SYSRING du -a; echo ==; du -a";
    if let Some(said) = with_mounts(script, scratch.path()) {
        let said: Vec<&str> = said.split("==\n").map(str::trim_end).collect();
        assert_eq!(said[0], said[1]);
        assert_eq!(said[2], said[3]);
        assert!(!said[0].contains("b/empty") && said[2].contains("b/empty/file"), "{said:?}");
    }
}

#[test]
fn only_what_has_the_name_is_counted() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let ours = run(SYSRING, &["du"], &["-a", "-B1", "--name=*.o"], scratch.path());
    let found = Command::new("find")
        .args([".", "-name", "*.o", "-printf", "%b %p\n"])
        .current_dir(scratch.path())
        .output();
    let mut expected = 0;
    let said = stdout(&ours);
    for line in stdout(&found.expect("find")).lines() {
        let (blocks, path) = line.split_once(' ').unwrap();
        let bytes = blocks.parse::<u64>().unwrap() * 512;
        expected += bytes;
        assert!(said.contains(&format!("{bytes}\t{path}\n")), "{said}");
    }
    assert!(said.ends_with(&format!("\n{expected}\t.\n")), "{said}");
    assert!(!said.contains("c d"), "no such file is in there: {said}");
}

#[test]
fn json_has_sizes_and_problems() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let ours = run(SYSRING, &["du"], &["--json", "-c", "-a", ".", "missing"], scratch.path());
    assert_code(&ours, 1);
    assert_eq!(stderr(&ours), "");
    let document: serde_json::Value = serde_json::from_slice(&ours.stdout).expect("JSON");
    let theirs = stdout(&run("du", &[], &["-sB1"], scratch.path()));
    let bytes: u64 = theirs.split('\t').next().unwrap().parse().unwrap();
    assert_eq!(document["total"]["bytes"], bytes);
    let sizes = document["sizes"].as_array().expect("sizes");
    let root = sizes.iter().find(|size| size["path"] == ".").expect("the root");
    assert_eq!(root["bytes"], bytes);
    assert_eq!(root["entries"], sizes.len());
    let strange = sizes.iter().find(|size| size["path_bytes"].is_array()).expect("no text");
    assert!(strange["path_bytes"].as_array().is_some_and(|bytes| bytes.contains(&0x80.into())));
    let problem = &document["problems"][0];
    assert_eq!((&problem["path"], &problem["errno"]), (&"missing".into(), &"ENOENT".into()));
}

#[test]
fn wrong_usage_is_told() {
    for wrong in [
        &["du", "-B", "x"][..],
        &["du", "-s", "-a"],
        &["du", "-j0"],
        &["du", "--nonsense"],
        &["du", "-t-0"],
        &["du", "--time=yesterday"],
        &["du", "--files0-from=x", "a"],
    ] {
        assert_code(&output(wrong), 2);
    }
    let help = stdout(&output(&["du", "--help"]));
    assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let scratch = Scratch::new();
    let line = OsString::from(format!("{SYSRING} du -a / -d3 2> /dev/null | head -n1 > /dev/null"));
    let mut command = Command::new("sh");
    let ended = command.arg("-c").arg(line).current_dir(scratch.path()).output().expect("sh");
    assert_eq!(stderr(&ended), "");
}

#[test]
fn what_nobody_reads_is_not_looked_for() {
    let scratch = Scratch::new();
    let tree = scratch.path().join("tree");
    // More than is kept back before it is written.
    (0..500).for_each(|n| fs::create_dir_all(tree.join(format!("directory {n}/below"))).unwrap());
    for command in [&["du"][..], &["ls", "-R"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut sysring = Command::new(SYSRING);
        sysring.args(command).args(["tree", "walked at last"]).current_dir(scratch.path());
        let ended = sysring.stdout(writer).output().expect("starts");
        assert_code(&ended, 1);
        assert_eq!(stderr(&ended), "", "{command:?}");
    }
}
