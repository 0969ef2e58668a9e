//! Every interleaving of small cases, by loom: `cargo xtask model`. What each proves, and within
//! which bounds, stands in `docs/conformance.md`.

mod crew;
mod inbox;
mod lock;
mod office;
mod queues;
mod waiters;

/// Explores a model: up to two switches of threads where nothing had to wait.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}
