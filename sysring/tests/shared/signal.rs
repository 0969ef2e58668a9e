//! A signal that waits for the calling thread.

/// Blocks SIGUSR2, which does nothing when it is heard, and sends it; the bit that it has in masks.
pub fn pending() -> u64 {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = nothing as extern "C" fn(libc::c_int);
    // SAFETY: a handler that does nothing; the signal is this thread's own.
    unsafe {
        libc::signal(libc::SIGUSR2, handler as usize);
        let mut blocked = std::mem::zeroed();
        libc::sigemptyset(&raw mut blocked);
        libc::sigaddset(&raw mut blocked, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut());
        libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2);
    }
    1 << (libc::SIGUSR2 - 1)
}
