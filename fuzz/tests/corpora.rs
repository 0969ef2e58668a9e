//! Replays what the fuzzer has found worth keeping.

use std::fs;
use std::path::Path;

use sysring_fuzz::{TARGETS, world};

fn replay(name: &str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut inputs: Vec<_> =
        fs::read_dir(corpus).expect("a corpus").map(|file| file.expect("a file").path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    for input in inputs {
        let data = fs::read(&input).expect("a file");
        if let Err(why) = world::run(target, &data) {
            println!("skipped: no world for the fuzzer's inputs (it takes root): {why}");
            return;
        }
    }
}

macro_rules! corpora {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*
    };
}

corpora! { sqe header iovec msghdr timespec register buffers filter }
