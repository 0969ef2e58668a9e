//! Rings whose submissions a thread of the kernel's looks for.

use std::time::Duration;

use sysring::owned::{Handle, Ring};
use sysring::{Engine, Ring as Raw};

use crate::common::pipe;

#[test]
fn the_thread_is_woken_when_it_sleeps() {
    for engine in [Engine::Kernel, Engine::User] {
        let builder = Raw::builder().engine(engine).sqpoll(Duration::from_millis(1));
        let ring = match Ring::with(&builder, 4) {
            Ok(ring) => ring,
            Err(error) if engine == Engine::Kernel => {
                println!("skipped: on the kernel: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        for round in 0..3u8 {
            // Long enough for it to go to sleep.
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(ring.nop().wait(), Ok(()));
            let (reader, writer) = pipe();
            let mut reads: Vec<_> = (0..20).map(|_| ring.read(&reader, [0; 1])).collect();
            // More than the queue holds.
            reads.iter_mut().for_each(|read| read.start());
            assert_eq!(ring.write(&writer, vec![round; 20]).wait().0, Ok(20));
            for read in reads {
                assert_eq!(read.wait(), (Ok(1), [round]));
            }
        }
        let file = Handle::from(std::fs::File::open("/proc/version").unwrap());
        let (mut one, mut two) = (ring.read_at(&file, [0; 5], 0), ring.nop());
        ring.link(&mut [&mut one, &mut two]).unwrap();
        assert_eq!(two.wait(), Ok(()));
        assert_eq!(one.wait().1, *b"Linux");
    }
}
