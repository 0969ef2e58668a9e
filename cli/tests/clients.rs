//! Programs that use io_uring, each in its own way: the same output on the kernel's io_uring, where
//! it works, and on the engine where it is refused, and proof that it was a ring that did it.
//!
//! fio, and the `io-uring` and `tokio-uring` crates, have tests of their own.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{SYSRING, Scratch, can_be_compared, stderr, stdout};

/// A program as it is started, and what it must say and answer.
struct Client<'a> {
    program: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    says: &'a str,
    answers: i32,
    /// The fewest requests that it can have submitted.
    submits: u64,
    /// How many requests it may leave behind when it ends.
    leaves: u64,
}

impl Client<'_> {
    /// Runs it both ways.
    #[track_caller]
    fn works(&self, directory: &Path) {
        if can_be_compared() {
            self.run(directory, &[]);
        }
        let run = ["refuse", "--", SYSRING, "run", "--engine=user", "--stats=json", "--"];
        let said = self.run(directory, &[&[SYSRING], &run[..]].concat());
        let report = said.lines().find(|line| line.starts_with("{\"engine\"")).expect("a report");
        let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
        let counters = &report["counters"];
        assert!(counters["submitted"].as_u64() >= Some(self.submits), "{report}");
        let [submitted, completed] =
            ["submitted", "completed"].map(|name| counters[name].as_u64().expect("a number"));
        assert!((submitted - self.leaves..=submitted).contains(&completed), "{report}");
    }

    /// What it said on standard error.
    #[track_caller]
    fn run(&self, directory: &Path, before: &[&str]) -> String {
        let ended = Command::new("timeout")
            .args(["--kill-after=2", "100"])
            .args(before)
            .args(self.program)
            .envs(self.environment.iter().copied())
            .current_dir(directory)
            .stdin(Stdio::null())
            .output()
            .expect("timeout(1) starts");
        let (said, erred) = (stdout(&ended), stderr(&ended));
        let told = format!("{before:?} {:?}: {}\n{said}{erred}", self.program, ended.status);
        assert_eq!(ended.status.code(), Some(self.answers), "{told}");
        assert!(said.contains(self.says), "{told}");
        erred
    }
}

/// Whether a program is installed; the test counts as skipped otherwise.
fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    });
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

fn source(name: &str) -> String {
    format!("{}/tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn compile(command: &mut Command) {
    let built = command.output().expect("the compiler starts");
    assert!(built.status.success(), "{command:?}: {}", stderr(&built));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn assembly_without_libc() {
    if cfg!(not(target_arch = "x86_64")) {
        println!("skipped: the program is written for x86-64");
        return;
    }
    let scratch = Scratch::new();
    let program = scratch.path().join("nop");
    compile(
        Command::new("cc").args(["-nostdlib", "-static", "-o"]).arg(&program).arg(source("nop.S")),
    );
    Client {
        program: &[text(&program)],
        environment: &[],
        says: "",
        answers: 16,
        submits: 16,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn c_static_with_musl() {
    if !has("musl-gcc") {
        return;
    }
    let scratch = Scratch::new();
    let program = scratch.path().join("behaviour");
    // musl brings no kernel headers: those of the machine come last.
    let headers = ["-idirafter", "/usr/include", "-idirafter"];
    let machine = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    compile(Command::new("musl-gcc").args(["-static", "-O1"]).args(headers).args([
        &machine,
        "-o",
        text(&program),
        &source("behaviour.c"),
    ]));
    for case in ["notified", "forked"] {
        Client {
            program: &[text(&program), case],
            environment: &[],
            says: "",
            answers: 0,
            submits: 1,
            leaves: 0,
        }
        .works(scratch.path());
    }
}

#[test]
fn cpp() {
    if !has("g++") {
        return;
    }
    if !Path::new("/usr/include/asio.hpp").is_file() {
        println!("skipped: asio is not installed (libasio-dev)");
        return;
    }
    let scratch = Scratch::new();
    let program = scratch.path().join("reactor");
    compile(Command::new("g++").args([
        "-std=c++20",
        "-o",
        text(&program),
        &source("reactor.cpp"),
        "-luring",
        "-pthread",
    ]));
    Client {
        program: &[text(&program)],
        environment: &[],
        says: "1600 rounds, 200 blocks\n",
        answers: 0,
        submits: 4 * 1600 + 2 * 200,
        // asio's own poll of what interrupts it.
        leaves: 1,
    }
    .works(scratch.path());
}

#[test]
fn go() {
    if !has("go") {
        return;
    }
    let scratch = Scratch::new();
    let program = scratch.path().join("ring");
    compile(
        Command::new("go")
            .env("CGO_ENABLED", "0")
            .env("GO111MODULE", "off")
            .env("GOCACHE", scratch.path().join("cache"))
            .args(["build", "-o", text(&program), &source("ring.go")]),
    );
    Client {
        program: &[text(&program)],
        environment: &[],
        says: "16 times 200 blocks; child",
        answers: 0,
        submits: 16 * 404,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn python() {
    if !has("python3") {
        return;
    }
    let scratch = Scratch::new();
    Client {
        program: &["python3", &source("ring.py")],
        environment: &[],
        says: "read: True\ntimeout: {4: -62}\n",
        answers: 0,
        submits: 4,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn qemu() {
    if !has("qemu-io") {
        return;
    }
    let scratch = Scratch::new();
    // What the disk holds at the end: 32 blocks of a pattern each, and nothing behind them.
    let mut expected = vec![0; 8 << 20];
    for (block, pattern) in expected.chunks_mut(65536).zip(1..=32) {
        block.fill(pattern);
    }
    fs::write(scratch.path().join("expected"), expected).expect("room for a disk");
    // Patterns written and verified, as a guest's requests would be. Each engine gets an empty disk, and
    // what lies there afterwards is looked at without it: a write that was lost shows.
    let script = "rm -f disk && truncate -s 8M disk || exit 1
        for i in $(seq 0 31); do
            echo aio_write -P $((i + 1)) $((i * 65536)) 65536; done > commands
        echo aio_flush >> commands
        for i in $(seq 0 31); do echo read -P $((i + 1)) $((i * 65536)) 65536; done >> commands
        qemu-io -f raw -i io_uring -t none disk < commands > said || exit 1
        grep -c 'Pattern verification failed' said
        grep -c 'read 65536/65536' said
        cmp disk expected && echo as written";
    Client {
        program: &["sh", "-c", script],
        environment: &[],
        says: "0\n32\nas written\n",
        answers: 0,
        submits: 65,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn node() {
    if !has("node") {
        return;
    }
    let scratch = Scratch::new();
    let script = "
        const fs = require('fs/promises'), crypto = require('crypto');
        (async () => {
            for (let i = 0; i < 50; i++) {
                const name = 'file' + i, bytes = crypto.randomBytes(10000);
                await fs.writeFile(name, bytes);
                if (!(await fs.readFile(name)).equals(bytes)) throw new Error('other bytes');
                if ((await fs.stat(name)).size != 10000) throw new Error('other size');
                await fs.unlink(name);
            }
            console.log('50 files');
        })();";
    let uses_rings =
        Command::new("node").args(["-p", "process.versions.uv"]).output().is_ok_and(|ended| {
            let version = stdout(&ended);
            let mut numbers = version.split('.').map_while(|part| part.parse().ok());
            (numbers.next(), numbers.next()) >= (Some(1), Some(45))
        });
    if !uses_rings {
        println!("skipped: this node's libuv has no io_uring");
        return;
    }
    Client {
        program: &["node", "-e", script],
        environment: &[("UV_USE_IO_URING", "1")],
        says: "50 files\n",
        answers: 0,
        submits: 50,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn stress_ng() {
    if !has("stress-ng") {
        return;
    }
    let scratch = Scratch::new();
    // Reads, writes, fsync, fallocate, statx and others, by system calls of its own.
    let script = "stress-ng --io-uring 1 --io-uring-ops 600 --verify --temp-path . 2>&1 \
        | grep -c 'successful run completed'";
    Client {
        program: &["sh", "-c", script],
        environment: &[],
        says: "1\n",
        answers: 0,
        submits: 600,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn plocate() {
    if !has("plocate") {
        return;
    }
    let scratch = Scratch::new();
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).expect("a directory");
    for number in 0..300 {
        fs::write(tree.join(format!("file{number}")), "").expect("a file");
    }
    // The database is made without a ring, and searched with one, in C++ with liburing.
    let script = "updatedb --require-visibility no --prune-bind-mounts no --prunepaths '' \
            --database-root \"$PWD/tree\" --output db &&
        plocate --database db --count file29";
    Client {
        program: &["sh", "-c", script],
        environment: &[],
        says: "11\n",
        answers: 0,
        submits: 3,
        leaves: 0,
    }
    .works(scratch.path());
}

#[test]
fn mariadb() {
    if !has("mariadbd") {
        return;
    }
    let scratch = Scratch::new();
    let data: PathBuf = scratch.path().join("data");
    fs::create_dir(&data).expect("a directory");
    let script = r#"
        user=$(id -un)
        [ -e data/mysql ] || mariadb-install-db --no-defaults --datadir="$PWD/data" --user=$user \
            --auth-root-authentication-method=normal > install 2>&1 || { cat install; exit 2; }
        mariadbd --no-defaults --datadir="$PWD/data" --user=$user --socket="$PWD/socket" \
            --skip-networking --innodb-buffer-pool-size=8M --innodb-flush-method=O_DIRECT \
            --pid-file="$PWD/pid" --log-error="$PWD/log.err" &
        for i in $(seq 300); do [ -S socket ] && break; sleep 0.1; done
        mariadb --no-defaults --user=root --socket="$PWD/socket" --skip-column-names <<'END'
            drop database if exists t; create database t; use t;
            create table a(i int primary key, s varchar(2000)) engine=innodb;
            insert into a select seq, repeat(md5(seq), 50) from seq_1_to_5000;
            select count(*), sum(crc32(s)) from a;
            shutdown;
END
        wait
        grep -o 'Using io_uring' log.err
        "#;
    Client {
        program: &["sh", "-c", script],
        environment: &[],
        says: "5000\t10836224963880\nUsing io_uring\n",
        answers: 0,
        submits: 100,
        leaves: 0,
    }
    .works(scratch.path());
}
